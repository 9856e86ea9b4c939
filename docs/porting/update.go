package porting

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

var errNewGraph = errors.New("there is a new graph")

// walkLatest walks the first of graphs. When another one arrives, it lets the visits
// under way end and goes on with that one: what is done is not visited again.
func walkLatest(ctx context.Context, graphs <-chan map[string][]string, w world) error {
	visit := func(v string) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return w.call(ctx, v) })
	}
	graph, done := <-graphs, func(string) bool { return false }
	for {
		group, err := scheduler.NewDependencyTaskGroup(scheduler.DependenciesOf(graph), visit,
			&scheduler.GroupOptions[string]{AggregateErrors: true, Completed: done})
		if err != nil {
			return err
		}
		run, stop := context.WithCancelCause(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			err = scheduler.Run(run, group, &scheduler.RunnerOptions{Grace: time.Minute})
		}()
		select {
		case <-ended:
			stop(nil)
			return err
		case graph = <-graphs:
			stop(errNewGraph)
			<-ended // visits that failed are not done: they are made again
			done = group.Snapshot().Resume()
		}
	}
}
