package scheduler

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whether a run is counted decides whether anybody looks for its steps on the stack, so
// it must be counted from before its first step to after its last one.
func TestOpenRuns_whicheverWayARunEnds(t *testing.T) {
	before := openRuns.Load() // other tests leave runs behind that were not run to their end
	ctx := context.Background()
	under := StepFunc(func(context.Context) (Yield, error) {
		require.Equal(t, before+1, openRuns.Load())
		return Next, nil
	})
	group := func(task Task) *DependencyTaskGroup[int] {
		deps := NewDependencies[int]()
		deps.Add(1)
		g, err := NewDependencyTaskGroup(deps, func(int) Task { return task }, nil)
		require.NoError(t, err)
		return g
	}
	ends := func(end func()) Task {
		return StepFunc(func(ctx context.Context) (Yield, error) {
			_, _ = under(ctx)
			end()
			return Done, nil
		})
	}
	for name, run := range map[string]func(){
		"Run":            func() { require.NoError(t, Run(ctx, group(ends(func() {})), nil)) },
		"panic":          func() { require.Panics(t, func() { _ = Run(ctx, group(ends(func() { panic("no") })), nil) }) },
		"panic by hand":  func() { require.Panics(t, func() { _, _ = group(ends(func() { panic("no") })).Step(ctx) }) },
		"Goexit":         func() { goexits(func() { _ = Run(ctx, ends(runtime.Goexit), nil) }) },
		"Goexit by hand": func() { goexits(func() { _, _ = group(ends(runtime.Goexit)).Step(ctx) }) },
		"panic of Progress": func() {
			opts := &RunnerOptions{Progress: func(context.Context) error { panic("no") }}
			require.Panics(t, func() { _ = Run(ctx, group(under), opts) })
		},
		"Cancel": func() {
			r := NewTaskRunner(group(under), nil)
			require.NoError(t, r.Start(ctx, 0))
			require.NoError(t, r.Cancel())
		},
		"Close": func() {
			g := group(under)
			_, err := g.Step(ctx)
			require.NoError(t, err)
			require.NoError(t, g.Close())
		},
		"Walk": func() {
			deps := NewDependencies[int]()
			deps.Add(2, 1)
			require.NoError(t, Walk(ctx, deps, func(context.Context, int) error { return nil }, nil))
		},
		"not begun": func() {
			r := NewTaskRunner(group(under), nil)
			require.NoError(t, r.Cancel())
			require.NoError(t, group(under).Close())
		},
	} {
		run()
		require.Equal(t, before, openRuns.Load(), name)
	}
}

func goexits(f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	<-ended
}
