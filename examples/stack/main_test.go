package main

import (
	"flag"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"go.uber.org/goleak"
)

// mainVariable makes the test binary be the program, and killVariable makes that
// program kill itself: see killItself. loopbackVariable is the address of its ports.
// interruptVariable is how long it takes further interrupts for the same one.
const (
	mainVariable      = "STACK_TEST_MAIN"
	killVariable      = "STACK_TEST_KILL"
	loopbackVariable  = "STACK_TEST_LOOPBACK"
	interruptVariable = "STACK_TEST_INTERRUPT"
)

func TestMain(m *testing.M) {
	process.Gate()
	if os.Getenv(mainVariable) != "" {
		if os.Getenv(killVariable) != "" {
			killItself(os.Getenv(killVariable))
		}
		if address := os.Getenv(loopbackVariable); address != "" {
			resource.Loopback = address
		}
		if text := os.Getenv(interruptVariable); text != "" {
			var err error
			if oneInterrupt, err = time.ParseDuration(text); err != nil {
				panic(err)
			}
		}
		main()
		return
	}
	waitTogether()
	// Under nohup the programs that are tested would ignore SIGHUP too. What is handled
	// here begins as usual there.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
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
