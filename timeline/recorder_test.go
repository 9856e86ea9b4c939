package timeline_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/timeline"
)

var errBoom = errors.New("boom")

// group returns a group of deps whose nodes take some seconds, by name: what is
// called "bad" fails then, and what is called "inside" is a group.
func group(t *testing.T, deps *scheduler.Dependencies[string], opts *scheduler.GroupOptions[string]) *scheduler.DependencyTaskGroup[string] {
	t.Helper()
	g, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		if name == "inside" {
			inner := scheduler.NewDependencies[string]()
			inner.Add("b", "a")
			return group(t, inner, &scheduler.GroupOptions[string]{Name: "inner", Observer: opts.Observer})
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Duration(len(name)) * time.Second)); err != nil || name != "bad" {
				return err
			}
			return errBoom
		})
	}, opts)
	require.NoError(t, err)
	return g
}

// lines says of each span what there is to say, with times since the epoch of
// the clock.
func lines(spans []timeline.Span) []string {
	began := schedulertest.NewClock(time.Time{}).Now()
	var all []string
	for _, s := range spans {
		all = append(all, fmt.Sprintf("%s %s %v: %v-%v %v %v", s.Group, s.Path, s.Key, s.Start.Sub(began), s.End.Sub(began), s.State, s.Err))
	}
	return all
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("skipped", "bad")
	deps.Add("inside")
	deps.Add("slow")
	rec := timeline.NewRecorder()
	d := schedulertest.NewDriver(t, group(t, deps, &scheduler.GroupOptions[string]{Name: "outer", AggregateErrors: true, Observer: rec}), nil)
	require.Empty(t, rec.Spans())
	d.StepUntil(func() bool { return d.Clock.Now().Second() == 3 })
	require.Equal(t, []string{
		"outer bad bad: 0s-3s failed boom",
		"outer inside inside: 0s-2s succeeded <nil>",
		"inner inside/a a: 0s-1s succeeded <nil>",
		"outer slow slow: 0s-3s running <nil>",
		"inner inside/b b: 1s-2s succeeded <nil>",
	}, lines(rec.Spans()), "what runs has run so far")
	require.ErrorIs(t, d.RunToEnd(), errBoom)
	require.Equal(t, "outer slow slow: 0s-4s succeeded <nil>", lines(rec.Spans())[3])
	require.Equal(t, "timeline_test.group.func1.1", rec.Spans()[0].Task)
	require.Equal(t, 4*time.Second, rec.Spans()[3].Took())
	rec.Reset()
	require.Empty(t, rec.Spans())
}

// A node that runs again, in a later group, has a span for each time.
func TestRecorder_several_runs(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("bb", "a")
	var rec timeline.Recorder // the zero one will do
	clock := schedulertest.NewClock(time.Time{})
	for _, name := range []string{"create", "delete"} {
		opts := &scheduler.GroupOptions[string]{Name: name, Observer: &rec, Reverse: name == "delete"}
		require.NoError(t, schedulertest.NewDriver(t, group(t, deps, opts), &scheduler.RunnerOptions{Clock: clock}).RunToEnd())
	}
	require.Equal(t, []string{
		"create a a: 0s-1s succeeded <nil>",
		"create bb bb: 1s-3s succeeded <nil>",
		"delete bb bb: 3s-5s succeeded <nil>",
		"delete a a: 5s-6s succeeded <nil>",
	}, lines(rec.Spans()))
}

func TestRecorder_Reset_forgets_what_runs(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("bb", "a")
	rec := timeline.NewRecorder()
	d := schedulertest.NewDriver(t, group(t, deps, &scheduler.GroupOptions[string]{Name: "g", Observer: rec}), nil)
	d.Step()
	rec.Reset()
	require.NoError(t, d.RunToEnd())
	require.Equal(t, []string{"g bb bb: 1s-3s succeeded <nil>"}, lines(rec.Spans()))
}

// One Recorder for runs on several goroutines, read from another one.
func TestRecorder_concurrent_use(t *testing.T) {
	t.Parallel()
	rec := timeline.NewRecorder()
	var runs sync.WaitGroup
	for i := range 4 {
		runs.Go(func() {
			deps := scheduler.NewDependencies[string]()
			deps.Add("bb", "a")
			g, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
				return scheduler.Func(func(context.Context) error { return nil })
			}, &scheduler.GroupOptions[string]{Name: fmt.Sprint("group ", i), Observer: rec})
			if err == nil {
				err = scheduler.Run(context.Background(), g, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	rec.Spans()
	runs.Wait()
	require.Len(t, rec.Spans(), 8)
}
