// Package start holds the programs of docs/start.md.
package start_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// create stands for a call of an SDK: it blocks, and ends early when ctx ends.
func create(ctx context.Context, name string) error {
	fmt.Println("create", name)
	return ctx.Err()
}

func Example_walk() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("subnet", "network") // the subnet requires the network
	deps.Add("server", "subnet")
	deps.Add("dns", "server")

	if err := scheduler.Walk(context.Background(), deps, create, nil); err != nil {
		fmt.Println(err)
	}
	// Output:
	// create network
	// create subnet
	// create server
	// create dns
}

func Example_delete() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("dns", "server")

	remove := func(_ context.Context, name string) error {
		if name == "volume" {
			return errors.New("still attached")
		}
		return nil
	}
	err := scheduler.Walk(context.Background(), deps, remove, &scheduler.GroupOptions[string]{
		Reverse:         true,                                              // dependents first
		Limit:           10,                                                // at most ten calls at a time
		Timeout:         func(string) time.Duration { return time.Minute }, // for each call
		AggregateErrors: true,                                              // continue with nodes that do not need the failed one
	})
	fmt.Println(err)

	if failed, ok := errors.AsType[*scheduler.TaskError](err); ok { // with Go 1.25: errors.As
		fmt.Printf("%v failed: %v\n", failed.Key, failed.Err)
	}
	// Output:
	// 1 task failed:
	// - volume: still attached
	// volume failed: still attached
}

// cloud is an SDK in which a server needs some time to come up.
type cloud struct{ asked int }

func (c *cloud) createServer(_ context.Context, subnet string) (id string, err error) {
	return "server-1 in " + subnet, nil
}

func (c *cloud) isUp(context.Context, string) (bool, error) {
	c.asked++
	return c.asked == 3, nil
}

// createServer runs one task that calls the SDK and then polls.
func createServer(ctx context.Context, c *cloud) (string, error) {
	ids := map[string]string{"subnet": "subnet-7"}

	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		subnet := ids["subnet"] // task code: no lock

		id, err := scheduler.Call(co, func(ctx context.Context) (string, error) {
			return c.createServer(ctx, subnet) // another goroutine: uses a copy
		})
		if err != nil {
			return err
		}
		ids["server"] = id // task code again

		return co.Await(scheduler.Poll(5*time.Second, func(ctx context.Context) (bool, error) {
			return c.isUp(ctx, id) // another goroutine, every five seconds
		}))
	})
	err := scheduler.Run(ctx, task, &scheduler.RunnerOptions{Timeout: time.Minute})
	return ids["server"], err
}

func TestCreateServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, c := time.Now(), cloud{}
		id, err := createServer(t.Context(), &c)
		require.NoError(t, err)
		require.Equal(t, "server-1 in subnet-7", id)
		require.Equal(t, 3, c.asked)
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func Example_group() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")

	task := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			fmt.Println("create", name)
			if err := co.Yield(scheduler.After(3 * time.Second)); err != nil {
				return err // closed, or its time limit has passed
			}
			fmt.Println(name, "is up")
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, task, nil)
	if err != nil {
		fmt.Println(err) // a cycle, for one
		return
	}
	clock := schedulertest.NewClock(time.Time{}) // simulated: the example takes no time
	if err := scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// create network
	// network is up
	// create server
	// server is up
}

func Example_loop() {
	task := scheduler.Sequence(
		scheduler.Func(func(context.Context) error { fmt.Println("first"); return nil }),
		scheduler.Pause(scheduler.Next),
		scheduler.Func(func(context.Context) error { fmt.Println("last"); return nil }),
	)
	ctx := context.Background()
	r := scheduler.NewTaskRunner(task, nil)
	defer func() {
		if err := r.Cancel(); err != nil { // does nothing after the end
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err := r.Start(ctx, 0); err != nil {
		fmt.Println(err)
		return
	}
	for !r.Done() {
		fmt.Println("the loop has time for other work")
		if _, err := r.Step(ctx); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// first
	// the loop has time for other work
	// last
}
