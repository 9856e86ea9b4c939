package main

import (
	"flag"
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
	waitTogether()
	goleak.VerifyTestMain(m)
}

// waitTogether has more tests run at a time than there are processors: they wait for
// other processes and for the disk.
func waitTogether() {
	flag.Parse()
	parallel := flag.Lookup("test.parallel")
	if parallel.Value.String() != parallel.DefValue {
		return
	}
	if err := parallel.Value.Set("8"); err != nil {
		panic(err)
	}
}
