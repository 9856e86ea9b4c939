package view_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/view"
	"github.com/steptask/scheduler/progress"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// show runs a small group in front of a view: a, then b, which fails, then c,
// which is skipped; d was done before.
func show(t *testing.T, v engine.View, clock scheduler.Clock) {
	t.Helper()
	deps := scheduler.NewDependencies[string]()
	deps.Add("b", "a")
	deps.Add("c", "b", "d")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			v.Note(name, "is on its\nway")
			if err := co.Yield(scheduler.After(90 * time.Second)); err != nil || name == "a" {
				return err
			}
			return errors.New("no luck")
		})
	}, &scheduler.GroupOptions[string]{
		AggregateErrors: true, Observer: v,
		Completed: func(name string) bool { return name == "d" },
	})
	require.NoError(t, err)
	v.Begin("create", []engine.Item{{Name: "a", Type: "File"}, {Name: "b", Type: "Directory"}, {Name: "c", Type: "File"}})
	require.Error(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	v.End()
}

func TestPlain(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	v := &view.Progress{W: &text, Mode: progress.Plain}
	v.Note("a", "before it begins")
	show(t, v, schedulertest.NewClock(time.Time{}))
	require.Equal(t, `          a  before it begins
create 3 resources
  0.000s  a  File       create ...
          a  is on its
          way
 90.000s  a  File       create complete (1m30s)
 90.000s  b  Directory  create ...
          b  is on its
          way
180.000s  b  Directory  create failed (1m30s)
`, text.String())
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	line := &view.Timeline{}
	line.Write(&text)
	require.Empty(t, text.String(), "nothing happened")
	show(t, view.All{line}, schedulertest.NewClock(time.Time{}))
	line.Write(&text)
	require.Equal(t, `
timeline   0s                                                      3m0s
a  create  ██████████████████████████████                                0s - 1m30s
b  create                                xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx  1m30s - 3m0s, failed
`, text.String())
}

// TestLive: what ended stays, as a line each; and no goroutine is left.
func TestLive(t *testing.T) {
	t.Parallel()
	var out syncBuilder
	clock := schedulertest.NewClock(time.Time{})
	show(t, &view.Progress{W: &out, Mode: progress.Live, Clock: clock}, clock)
	text := out.String()
	require.Contains(t, text, " 90.000s  a  File       create complete (1m30s)\n")
	require.Contains(t, text, "180.000s  b  Directory  create failed (1m30s)\n")
	require.Contains(t, text, "  1 of 3  ")
}

// syncBuilder is a strings.Builder for several goroutines.
type syncBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *syncBuilder) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *syncBuilder) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
