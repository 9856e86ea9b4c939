package otel_test

import (
	"testing"

	"github.com/steptask/scheduler/internal/misuse"
	"github.com/steptask/scheduler/otel"
)

func TestMisuse_of_everything(t *testing.T) {
	misuse.Package{
		Name: "otel", Dir: ".",
		Functions: map[string]any{"New": otel.New},
		Types:     []any{otel.Observer{}},
	}.Try(t)
}
