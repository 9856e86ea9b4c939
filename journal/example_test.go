package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// A run that is interrupted, and goes on in a second process.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	deps.Add("dns", "server")

	process := func(quota error) error {
		j, err := journal.Open(filepath.Join(dir, "site.db"), nil)
		if err != nil {
			return err
		}
		defer j.Close()
		run, err := journal.NewGroup(j, "site", deps, func(n *journal.Node[string]) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				// The result is on record once the step has succeeded.
				id, err := journal.Step(co, "create", func(context.Context) (string, error) {
					fmt.Println("create", n.Key())
					return n.Key() + "#1", nil
				})
				if err != nil {
					return err
				}
				if n.Key() == "server" {
					network, err := journal.Result[string](n, "network")
					if err != nil {
						return err
					}
					fmt.Println("attach", id, "to", network)
					if quota != nil {
						return quota
					}
				}
				return n.SetResult(id)
			})
		}, nil)
		if err != nil {
			return err
		}
		defer run.Close()
		return scheduler.Run(context.Background(), run, nil)
	}
	fmt.Println("first process:", process(errors.New("no more quota")))
	fmt.Println("second process:", process(nil))
	// Output:
	// create network
	// create server
	// attach server#1 to network#1
	// first process: server: no more quota
	// attach server#1 to network#1
	// create dns
	// second process: <nil>
}

// What was made is unmade in reverse, whether it was finished or not.
func ExampleNewRollback() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	j, err := journal.Open(filepath.Join(dir, "site.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer j.Close()
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	deps.Add("dns", "server")

	up, err := journal.NewGroup(j, "site", deps, func(n *journal.Node[string]) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			if n.Key() == "server" {
				return errors.New("no more quota")
			}
			return n.SetResult(n.Key() + "#1")
		})
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), up, nil))

	down, err := journal.NewRollback(j, "site", deps, func(n *journal.Node[string]) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			id, err := journal.Result[string](n, n.Key())
			if errors.Is(err, journal.ErrNoResult) {
				id, err = "whatever there is of "+n.Key(), nil
			}
			fmt.Println("delete", id)
			return err
		})
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), down, nil))
	// Output:
	// server: no more quota
	// delete whatever there is of server
	// delete network#1
	// <nil>
}

// A list of runs, and what one of them has come to.
func ExampleJournal_Runs() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	j, err := journal.Open(filepath.Join(dir, "site.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer j.Close()
	deps := scheduler.NewDependencies[int]()
	deps.Add(2, 1)
	run, err := journal.NewGroup(j, "numbers", deps, func(n *journal.Node[int]) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return n.SetResult(n.Key() * n.Key()) })
	}, nil)
	if err == nil {
		err = scheduler.Run(context.Background(), run, nil)
	}
	fmt.Println(err)

	for run, err := range j.Runs(context.Background()) {
		fmt.Println(run.Name, run.State, run.Nodes, run.Open, err)
	}
	for record, err := range j.Records(context.Background(), "numbers") {
		if record.Kind == journal.KindEnd {
			fmt.Println(record, string(record.Data), err)
		}
	}
	// Output:
	// <nil>
	// numbers succeeded 2 false <nil>
	// 3 end 1 attempt 1 1 <nil>
	// 5 end 2 attempt 1 4 <nil>
}
