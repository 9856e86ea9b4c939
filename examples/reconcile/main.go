package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/steptask/scheduler"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: reconcile    brings an object to what its graph says, and repairs it")
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is a work queue as small as can be: one object, one goroutine.
func run() error {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("dns", "server")

	queue := make(chan string, 64)
	controller := &Controller{
		Store: &Store{},
		Deps:  deps,
		Create: func(object, node string) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				fmt.Println("creating", object, node)
				_, err := scheduler.Call(co, func(ctx context.Context) (string, error) {
					select { // a call that blocks
					case <-ctx.Done():
						return "", ctx.Err()
					case <-time.After(200 * time.Millisecond):
						return node + "-id", nil
					}
				})
				return err
			})
		},
		Enqueue: func(object string) {
			select {
			case queue <- object:
			default: // it is in the queue many times already
			}
		},
	}
	queue <- "site"
	for object := range queue {
		result, err := controller.Reconcile(context.Background(), object)
		switch {
		case err != nil:
			return err
		case result.Done:
			fmt.Println(object, "is as it should be")
			return nil
		case result.Requeue:
			controller.Enqueue(object)
		case result.RequeueAfter > 0:
			time.AfterFunc(result.RequeueAfter, func() { controller.Enqueue(object) })
		}
	}
	return nil
}
