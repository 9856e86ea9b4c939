package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// A node that is added while a service is ready starts at once, and the service is
// needed until it has ended.
func TestAdd_requires_a_service(t *testing.T) {
	for name, wrap := range around {
		t.Run(name, func(t *testing.T) {
			d := newServicePlay()
			var g *scheduler.DependencyTaskGroup[string]
			g = newGroup(t, "first:S", func(k string) scheduler.Task {
				if k != "first" {
					return d.mixed(k)
				}
				return scheduler.Sequence(d.job(k, 3, nil), scheduler.Func(func(context.Context) error {
					defer g.CloseInput()
					return errors.Join(g.Add("a", "S"), g.Add("b", "S"), g.Add("c", "a", "b"))
				}))
			}, &scheduler.GroupOptions[string]{KeepOpen: true, Grace: 5 * time.Second})
			outer := newGroup(t, "node", func(string) scheduler.Task { return wrap(g) }, &scheduler.GroupOptions[string]{Grace: 5 * time.Second})
			require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: d.clock}))
			require.Equal(t, "0s boot S, 1s S ready, 1s first, 4s first done, 4s a, 4s b, 7s a done, 7s b done, 7s c, 10s c done, "+
				"10s S told: not needed any more, 11s S ends: <nil>", d.String())
		})
	}
}

// A service that was asked to end is not ready for what is added: that waits for the
// end and is treated by it.
func TestAdd_requires_a_service_that_was_asked_to_end(t *testing.T) {
	enough := errors.New("enough")
	skips := func(string, error) scheduler.Disposition { return scheduler.SkipDependents }
	ignores := func(string, error) scheduler.Disposition { return scheduler.IgnoreError }
	usual := func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict { return scheduler.Usual }
	type play struct {
		opts scheduler.GroupOptions[string]
		ends error // of the service after its notice; nil: as if nothing were
		want string
	}
	for name, tt := range map[string]play{
		"ends well":            {ends: nil, want: "3s late, 6s late done; first succeeded, late succeeded, after succeeded"},
		"fails":                {ends: errSpace, want: "; first succeeded, late cancelled, after cancelled"},
		"fails, skips":         {scheduler.GroupOptions[string]{OnError: skips}, errSpace, "; first succeeded, late skipped, after skipped"},
		"fails, ignored":       {scheduler.GroupOptions[string]{OnError: ignores}, errSpace, "3s late, 6s late done; first succeeded, late succeeded, after succeeded"},
		"fails, When":          {scheduler.GroupOptions[string]{OnError: skips, When: usual}, errSpace, "; first succeeded, late skipped, after skipped"},
		"fails, When, ignored": {scheduler.GroupOptions[string]{OnError: ignores, When: usual}, errSpace, "3s late, 6s late done; first succeeded, late succeeded, after succeeded"},
	} {
		for order, give := range map[string]func(g *scheduler.DependencyTaskGroup[string]) bool{
			"StopNode": func(g *scheduler.DependencyTaskGroup[string]) bool { return g.StopNode("S", enough) },
			"SkipNode": func(g *scheduler.DependencyTaskGroup[string]) bool { return g.SkipNode("S", enough) },
		} {
			for _, told := range []bool{false, true} { // when the nodes are added
				t.Run(fmt.Sprint(name, " ", order, " told ", told), func(t *testing.T) {
					d := newServicePlay()
					opts := tt.opts
					opts.KeepOpen, opts.Grace = true, 5*time.Second
					g := newGroup(t, "first:S", func(k string) scheduler.Task {
						if k != "S" {
							return d.job(k, 3, nil)
						}
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							co.Ready()
							_ = co.Yield(scheduler.On(co.Stopping()))
							_ = co.Yield(scheduler.After(3 * time.Second))
							return tt.ends
						})
					}, &opts)
					r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
					require.Equal(t, scheduler.StateReady, g.State("S"))
					require.True(t, give(g))
					if told {
						mustStep(t, t.Context(), r)
					}
					require.NoError(t, g.Add("late", "S"))
					require.NoError(t, g.Add("after", "late"))
					mustStep(t, t.Context(), r)
					require.Equal(t, scheduler.StatePending, g.State("late"))
					for e := range g.Explain() {
						if e.Key == "late" {
							require.Equal(t, []string{"S"}, e.Requires)
						}
					}
					g.CloseInput()
					_ = r.RunToCompletion(t.Context(), 0)

					text := ""
					for _, line := range d.lines {
						if line[3:7] == "late" {
							text += ", " + line
						}
					}
					text = text[min(2, len(text)):]
					require.Equal(t, tt.want, fmt.Sprintf("%s; first %s, late %s, after %s",
						text, g.State("first"), g.State("late"), g.State("after")))
				})
			}
		}
	}
}

// A group that was told of a failure around it no longer waits for nodes: its services
// end. What is added all the same is counted, and waits for those that were told.
func TestAdd_requires_a_service_under_a_notice(t *testing.T) {
	d := newServicePlay()
	var g *scheduler.DependencyTaskGroup[string]
	add := func(k string, required ...string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return g.Add(k, required...) })
	}
	g = newGroup(t, "Sb:Sa j:Sb x:Sa", func(k string) scheduler.Task {
		switch k {
		case "x":
			return scheduler.Sequence(d.job(k, 4, nil), scheduler.Pause(scheduler.After(time.Second/2)), add("waits", "Sb"), add("starts", "Sa", "j"), add("Sc", "Sa", "x"), add("last", "Sc"))
		case "last":
			return scheduler.Sequence(d.job(k, 1, nil), add("none"))
		}
		return d.mixed(k)
	}, &scheduler.GroupOptions[string]{KeepOpen: true, Grace: 5 * time.Second})
	outer := newGroup(t, "inner bad", func(k string) scheduler.Task {
		if k == "inner" {
			return g
		}
		return lasting(4, errSpace)
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	require.ErrorIs(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: d.clock}), errSpace)
	require.Equal(t, "0s boot Sa, 1s Sa ready, 1s boot Sb, 1s x, 2s Sb ready, 2s j, 5s j done, 5s x done, "+
		"5s Sb told: not needed any more, 5s starts, 5s boot Sc, 6s Sb ends: <nil>, 6s waits, 6s Sc ready, 6s last, "+
		"6s Sc told: bad: no space, 7s Sc ends: <nil>, 7s last done, 7s none, 8s starts done, 9s waits done, "+
		"9s Sa told: not needed any more, 10s Sa ends: <nil>, 10s none done", d.String())
	require.Equal(t, g.Len(), g.Count(scheduler.StateSucceeded))
}

// addsWhenTold adds a node when it is told to end.
type addsWhenTold struct {
	scheduler.Task
	add func() error
	err error
}

func (s *addsWhenTold) Stop(ctx context.Context, cause error) {
	s.err = s.add()
	s.Task.(scheduler.Stopper).Stop(ctx, cause)
}

// A node may also be added while services are told to end: one that it requires is
// told once it has ended.
func TestAdd_requires_a_service_by_one_that_is_told(t *testing.T) {
	d := newServicePlay()
	var g *scheduler.DependencyTaskGroup[string]
	adds := &addsWhenTold{add: func() error { return g.Add("late", "S1") }}
	g = newGroup(t, "S1 S2", func(k string) scheduler.Task {
		if k == "S2" {
			adds.Task = d.service(k)
			return adds
		}
		return d.mixed(k)
	}, &scheduler.GroupOptions[string]{KeepOpen: true, Grace: 5 * time.Second})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
	for range 2 {
		d.clock.Advance(time.Second)
		mustStep(t, t.Context(), r)
	}
	g.Stop(scheduler.WithClock(t.Context(), d.clock), errSpace) // it waits for no more nodes
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace, "not all nodes were there")
	require.NoError(t, adds.err)
	require.Equal(t, "0s boot S1, 0s boot S2, 1s S1 ready, 1s S2 ready, 2s S2 told: not needed any more, 2s late, "+
		"3s S2 ends: <nil>, 5s late done, 5s S1 told: not needed any more, 6s S1 ends: <nil>", d.String())
	require.Equal(t, 3, g.Count(scheduler.StateSucceeded))
}
