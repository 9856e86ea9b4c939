// Package ctrlc holds the program of docs/ctrl-c.md.
package ctrlc

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// Run drives group until it has ended. The first signal drains it: what runs may
// finish. The second stops it: what runs has thirty seconds. The third kills it.
func Run[K comparable](ctx context.Context, group *scheduler.DependencyTaskGroup[K], signals <-chan os.Signal) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	runner := scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Grace: 30 * time.Second})

	ended := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for count := 1; ; count++ {
			select {
			case <-ended:
				return
			case s := <-signals:
				switch count {
				case 1:
					runner.Post(group.Drain) // Drain belongs to the driving goroutine
				case 2:
					stop(fmt.Errorf("%v", s)) // the cause, and the result of Run
				default:
					runner.Kill()
				}
			}
		}
	})
	defer watcher.Wait()
	defer close(ended)
	return runner.Run(ctx)
}
