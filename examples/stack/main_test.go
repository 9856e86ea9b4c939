package main

import (
	"os"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"go.uber.org/goleak"
)

// mainVariable makes the test binary be the program.
const mainVariable = "STACK_TEST_MAIN"

func TestMain(m *testing.M) {
	process.Gate()
	if os.Getenv(mainVariable) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}
