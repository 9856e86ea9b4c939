package porting

import (
	"context"
	"iter"
	"time"

	"github.com/steptask/scheduler"
)

// dagAfter walks the same graph as a group.
func dagAfter(ctx context.Context, graph map[string][]string, w world) error {
	deps := scheduler.DependenciesOf(graph) // sorted, so that the order is promised
	visit := func(v string) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return w.call(ctx, v) })
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, visit, &scheduler.GroupOptions[string]{
		Limit:           2,
		AggregateErrors: true, // a failure only skips what depends on it
		When: func(v string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			if alwaysRun(v) {
				return scheduler.Start
			}
			return scheduler.Usual
		},
	})
	if err != nil {
		return err // a cycle, as a path
	}
	err = scheduler.Run(ctx, group, &scheduler.RunnerOptions{Grace: time.Minute})
	for o := range group.Outcomes() {
		if o.State == scheduler.StateSkipped {
			w.say("%s: skipped because of %s", o.Key, o.Because)
		}
	}
	return err // causes only
}
