package main

import (
	"os"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"go.uber.org/goleak"
)

// mainVariable makes the test binary be the program, and killVariable makes that
// program kill itself: see killItself.
const (
	mainVariable = "STACK_TEST_MAIN"
	killVariable = "STACK_TEST_KILL"
)

func TestMain(m *testing.M) {
	process.Gate()
	if os.Getenv(mainVariable) != "" {
		if os.Getenv(killVariable) != "" {
			killItself(os.Getenv(killVariable))
		}
		main()
		return
	}
	goleak.VerifyTestMain(m)
}
