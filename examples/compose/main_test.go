package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("BE_COMPOSE") != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}
