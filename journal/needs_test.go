package journal_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// What nodes say about themselves is heard in a journal as without one: by Observers, in
// Explain, and in the text of a Timeout.
func TestNotes(t *testing.T) {
	building := func(group func() *scheduler.DependencyTaskGroup[string]) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Note("asked for it")
			require.Equal(t, "asked for it", group().ExplainNode("server").Notes.Text)
			_, err := scheduler.Call(co, func(ctx context.Context) (int, error) {
				scheduler.Note(ctx, "still building")
				<-ctx.Done()
				return 0, context.Cause(ctx)
			})
			return err
		})
	}
	var group *scheduler.DependencyTaskGroup[string]
	self := func() *scheduler.DependencyTaskGroup[string] { return group }
	deps := scheduler.NewDependencies[string]()
	deps.Add("server")

	run := func(t *testing.T, newTask func(t *testing.T, o scheduler.GroupOptions[string]) scheduler.Task) (told, text string) {
		synctest.Test(t, func(t *testing.T) {
			task := newTask(t, scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return time.Minute },
				Observer: listener{scheduler.KindsOf(scheduler.NodeNoted), func(r scheduler.Record) {
					told += fmt.Sprintf("%v: %v; ", r.Key(), r.Notes().Text)
				}},
			})
			err := scheduler.Run(t.Context(), task, nil)
			timeout := as[*scheduler.Timeout](t, err)
			require.Equal(t, "still building", timeout.Notes.Text)
			text = err.Error()
		})
		return told, text
	}
	plainTold, plainText := run(t, func(t *testing.T, o scheduler.GroupOptions[string]) scheduler.Task {
		var err error
		group, err = scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return building(self) }, &o)
		require.NoError(t, err)
		return group
	})
	require.Equal(t, "server: asked for it; server: still building; ", plainTold)
	told, text := run(t, func(t *testing.T, o scheduler.GroupOptions[string]) scheduler.Task {
		j := openNew(t)
		r, err := journal.NewGroup(j, "x", deps, func(node) scheduler.Task { return building(self) }, &options{Group: o})
		require.NoError(t, err)
		group = r.DependencyTaskGroup
		return r
	})
	require.Equal(t, plainTold, told)
	require.Equal(t, plainText, text)
}

// listener wants to be told of some kinds.
type listener struct {
	kinds   scheduler.Kinds
	observe func(scheduler.Record)
}

func (l listener) Wants() scheduler.Kinds     { return l.kinds }
func (l listener) Observe(r scheduler.Record) { l.observe(r) }
