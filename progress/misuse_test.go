package progress_test

import (
	"testing"

	"github.com/steptask/scheduler/internal/misuse"
	"github.com/steptask/scheduler/progress"
)

func TestMisuse_of_everything(t *testing.T) {
	misuse.Package{
		Name: "progress", Dir: ".",
		Functions: map[string]any{"New": progress.New},
		Types:     []any{(*progress.Progress)(nil)},
	}.Try(t)
}
