package scheduler_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// quickWatcher and slowWatcher note what they are told.
type quickWatcher struct {
	name string
	told *[]string
}

func (w quickWatcher) Observe(t scheduler.Transition) {
	*w.told = append(*w.told, fmt.Sprint(w.name, " ", t.To))
}

type slowWatcher struct{ quickWatcher }

func (w slowWatcher) ObserveSlowStep(s scheduler.SlowStep) {
	*w.told = append(*w.told, fmt.Sprint(w.name, " slow ", s.Path))
}

func TestObservers(t *testing.T) {
	t.Parallel()
	require.Nil(t, scheduler.Observers())
	require.Nil(t, scheduler.Observers(nil, nil))
	var told []string
	a, b := quickWatcher{"a", &told}, quickWatcher{"b", &told}
	c, d := slowWatcher{quickWatcher{"c", &told}}, slowWatcher{quickWatcher{"d", &told}}
	require.Equal(t, a, scheduler.Observers(nil, a), "a single one is that one itself")
	require.Equal(t, c, scheduler.Observers(c, nil))

	_, slow := scheduler.Observers(a, b).(scheduler.SlowStepObserver)
	require.False(t, slow, "so that a SlowStep that nobody would hear of is an error")

	for _, test := range []struct {
		observer scheduler.Observer
		slowStep time.Duration
		told     []string
	}{
		{scheduler.Observers(b, nil, a), 0, []string{"b running", "a running", "b succeeded", "a succeeded"}},
		{scheduler.Observers(a, d, b, c), time.Second, []string{
			"a running", "d running", "b running", "c running", "d slow k", "c slow k",
			"a succeeded", "d succeeded", "b succeeded", "c succeeded",
		}},
		{scheduler.Observers(scheduler.Observers(a, c), b), time.Second, []string{
			"a running", "c running", "b running", "c slow k", "a succeeded", "c succeeded", "b succeeded",
		}},
	} {
		told = nil
		clock := schedulertest.NewClock(time.Time{})
		group, err := scheduler.NewDependencyTaskGroup(graph("k"), func(string) scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				clock.Advance(2 * time.Second)
				return nil
			})
		}, &scheduler.GroupOptions[string]{Observer: test.observer, SlowStep: test.slowStep})
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, test.told, told)
	}
}

// A log, and a count of failures of one's own.
func ExampleObservers() {
	failures := 0
	count := scheduler.ObserverFunc(func(t scheduler.Transition) {
		if t.To == scheduler.StateFailed {
			failures++
		}
	})
	say := scheduler.ObserverFunc(func(t scheduler.Transition) { fmt.Println(t.Path(), t.To) })
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "volume")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return fmt.Errorf("quota exceeded") })
	}, &scheduler.GroupOptions[string]{Observer: scheduler.Observers(count, say)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	fmt.Println(failures)
	// Output:
	// volume running
	// volume failed
	// server cancelled
	// volume: quota exceeded
	// 1
}
