package progress_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/progress"
	"github.com/steptask/scheduler/schedulertest"
)

// On a terminal this is a display that changes in place; here, where there is
// none, it is a line for everything that happens.
func ExampleProgress() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	create := func(string) scheduler.Task { return scheduler.Pause(scheduler.After(3 * time.Second)) }

	p := progress.New(os.Stdout, &progress.Options{Name: "create"})
	defer p.Close()
	group, err := scheduler.NewDependencyTaskGroup(deps, create, &scheduler.GroupOptions[string]{Observer: p})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintln(p, "creating", group.Len(), "things") // in place of fmt.Println
	clock := schedulertest.NewClock(time.Time{})       // the example needs no time
	if err := scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// creating 3 things
	//   0.000s  network  running
	//   0.000s  volume   running
	//   3.000s  network  succeeded (3s)
	//   3.000s  volume   succeeded (3s)
	//   3.000s  server   running
	//   6.000s  server   succeeded (3s)
}
