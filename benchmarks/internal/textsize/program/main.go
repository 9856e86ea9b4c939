// Command program is measured by package textsize: what most programs do with a
// group, for one type of key.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/steptask/scheduler"
)

// key is a type whose shape nothing else has.
type key [5]int8

func main() {
	deps := scheduler.NewDependencies[key]()
	deps.Add(key{1}, key{2})
	g, err := scheduler.NewDependencyTaskGroup(deps, func(k key) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println(k)
			return nil
		})
	}, &scheduler.GroupOptions[key]{Limit: 2})
	if err == nil {
		err = scheduler.Run(context.Background(), g, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
