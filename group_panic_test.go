package scheduler_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// stackOf is panicOf, and the stack at the moment of recovering, where that of
// the panic is still to be seen if nobody recovered in between.
func stackOf(t *testing.T, fn func()) (value any, stack string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			value = recover()
			stack = string(debug.Stack())
		}()
		fn()
	}()
	<-done
	return value, stack
}

// disasters are the places where a panic, or a Goexit, can come from: what it
// takes to get there. "b" is the node concerned.
var disasters = []struct {
	name    string
	part    part // of b
	opts    func(disaster func()) scheduler.GroupOptions[string]
	task    bool // in the group's function
	act     func(s *stage)
	steps   int    // steps before act
	journal string // in act
	states  string // of b
	member  bool   // RecoverPanics makes an error of it
}{
	{name: "task", task: true, journal: "a1, a close", states: "failed", member: true},
	{name: "first Step", part: part{steps: "disaster"}, journal: "a1, b1, a close", states: "failed", member: true},
	{name: "Step", part: part{steps: "next disaster"}, steps: 1, journal: "a2, b2, a close, c close", states: "failed", member: true},
	{name: "Step after parking", part: part{steps: "rounds-2 disaster"}, steps: 2, journal: "a3, b2, a close, c close", states: "failed", member: true},
	{
		name: "Throw", part: part{steps: "next*5", throw: "disaster"}, steps: 1,
		opts: func(func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Timeout: func(k string) time.Duration {
				return map[string]time.Duration{"b": time.Nanosecond}[k]
			}}
		},
		journal: "a2, b throw, a close, c close", states: "failed", member: true,
	},
	{
		name: "Stop", part: part{steps: "next*5", stop: "disaster"}, steps: 1, act: func(s *stage) { s.group.Stop(s.ctx, errOther) },
		journal: "b stop, a close, c close", states: "failed", member: true,
	},
	{
		name: "Stop after a failure", part: part{steps: "next*5", stop: "disaster"}, steps: 1,
		opts: func(func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{ErrorWaitTime: time.Hour}
		},
		act:     func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
		journal: "b stop, a close, c close", states: "failed", member: true,
	},
	{
		name: "Close", part: part{steps: "next*5", close: "disaster"}, steps: 1, act: func(s *stage) { _ = s.group.Close() },
		journal: "a close, b close, c close", states: "failed",
	},
	{
		name: "Close after a failure", part: part{steps: "next*5", close: "disaster"}, steps: 1,
		act:     func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
		journal: "a close, b close, c close", states: "failed",
	},
	{
		name: "Close after its Timeout", part: part{steps: "next*5", close: "disaster"}, steps: 1,
		opts: func(func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Timeout: func(k string) time.Duration {
				return map[string]time.Duration{"b": time.Nanosecond}[k]
			}}
		},
		journal: "a2, b close, a close, c close", states: "failed", member: true,
	},
	{
		name: "Timeout",
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Timeout: func(k string) time.Duration {
				if k == "b" {
					disaster()
				}
				return 0
			}}
		},
		journal: "a1, a close", states: "failed",
	},
	{
		name: "Context",
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Context: func(ctx context.Context, k string) context.Context {
				if k == "b" {
					disaster()
				}
				return ctx
			}}
		},
		journal: "a1, a close", states: "failed",
	},
	{
		name: "ErrorWaitTimeFor", part: part{steps: "next*5"}, steps: 1, act: func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{ErrorWaitTimeFor: func(k string) time.Duration {
				if k == "b" {
					disaster()
				}
				return time.Hour
			}}
		},
		journal: "a close, b close, c close", states: "cancelled",
	},
	{
		// The member stepped just before is not the one that is concerned.
		name: "ErrorWaitTimeFor after a Timeout", part: part{steps: "next*5", throw: "next"}, steps: 1,
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{
				Timeout: func(k string) time.Duration {
					return map[string]time.Duration{"b": time.Nanosecond}[k]
				},
				ErrorWaitTimeFor: func(string) time.Duration { disaster(); return 0 },
			}
		},
		journal: "a2, a close, b close, c close", states: "cancelled",
	},
	{
		name: "Observer at a start",
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateRunning)
		},
		journal: "a1, a close", states: "failed",
	},
	{
		name: "Observer at an end", part: part{steps: "next"}, steps: 1,
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateSucceeded)
		},
		journal: "a2, b2, a close, c close", states: "succeeded",
	},
	{
		name: "Observer at a failure", part: part{steps: "next fail"}, steps: 1,
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateFailed)
		},
		journal: "a2, b2, a close, c close", states: "failed",
	},
	{
		name: "Observer at a cancellation", part: part{steps: "next*4"}, steps: 1, act: func(s *stage) { _ = s.group.Close() },
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateCancelled)
		},
		journal: "a close, b close, c close", states: "cancelled",
	},
}

func observing(disaster func(), at scheduler.State) scheduler.GroupOptions[string] {
	return scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(tr scheduler.Transition) {
		if tr.Key() == "b" && tr.To == at {
			disaster()
		}
	})}
}

// Whatever panics, or ends its goroutine: the stack goes up as it is, the others
// are closed in key order, and the group has ended.
func TestGroup_disasters(t *testing.T) {
	ways := []struct {
		name, word string
		disaster   func()
	}{
		{"panic", "panic", func() { panicForTest(errOops) }},
		{"Goexit", "goexit", runtime.Goexit},
	}
	for _, way := range ways {
		for _, test := range disasters {
			t.Run(test.name+" "+way.name, func(t *testing.T) {
				count := countGoroutines(t)
				swap := func(words string) string { return strings.ReplaceAll(words, "disaster", way.word) }
				run := part{steps: "next*8"}
				s := newStage(t, map[string]part{"a": run, "c": run, "b": {
					steps: swap(test.part.steps), throw: swap(test.part.throw), stop: swap(test.part.stop), close: swap(test.part.close),
				}})
				var opts scheduler.GroupOptions[string]
				if test.opts != nil {
					opts = test.opts(way.disaster)
				}
				g, err := scheduler.NewDependencyTaskGroup(graph("a b c d:c w"), func(k string) scheduler.Task {
					switch {
					case k == "b" && test.task:
						way.disaster()
					case k == "w":
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							return co.Yield(scheduler.On(new(scheduler.Event)))
						})
					}
					return s.task(k)
				}, &opts)
				require.NoError(t, err)
				s.group = g
				for range test.steps {
					_, _, err := s.round()
					require.NoError(t, err)
				}
				value, stack := stackOf(t, func() {
					if test.act != nil {
						test.act(s)
					} else {
						_, _ = g.Step(s.ctx)
					}
					t.Error("it returned")
				})
				if way.name == "panic" {
					require.Same(t, errOops, value)
					require.Contains(t, stack, "panicForTest", "nobody recovered in between")
				} else {
					require.Nil(t, value)
				}
				require.Equal(t, test.journal, s.take())
				require.Equal(t, test.states, g.State("b").String())
				require.Equal(t, scheduler.StateCancelled, g.State("d"))
				s.ended()
				count.want(0)
				if test.states == "failed" && !strings.HasPrefix(test.name, "Observer at a failure") {
					require.ErrorIs(t, g.Err("b"), scheduler.ErrAborted)
				}
			})
		}
	}
}

// One disaster after another, while the rest is being closed.
func TestGroup_disasters_in_a_row(t *testing.T) {
	s := newStage(t, map[string]part{
		"a": {steps: "next next", close: "panic"}, "b": {steps: "next panic"}, "c": {steps: "next next", close: "goexit"},
		"d": {steps: "next next", close: "panic"}, "e": {steps: "next next", close: "fail"},
	})
	s.make("a b c d e f:e", nil)
	_, _, err := s.round()
	require.NoError(t, err)
	returned, _ := onGoroutine(func() { _, _ = s.group.Step(s.ctx) })
	require.False(t, returned)
	require.Equal(t, "a2, b2, a close, c close, d close, e close", s.take())
	require.Equal(t, "a=failed b=failed c=failed d=failed e=cancelled f=cancelled", s.states())
	s.ended()

	// Also an Observer that panics at everything.
	s = newStage(t, map[string]part{"a": {steps: "next next"}, "b": {steps: "next panic"}, "c": {steps: "next next"}})
	armed := false
	s.make("a b c d:c e:d", &scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(scheduler.Transition) {
		if armed {
			panic("Observer")
		}
	})})
	_, _, err = s.round()
	require.NoError(t, err)
	armed = true
	returned, _ = onGoroutine(func() { _, _ = s.group.Step(s.ctx) })
	require.False(t, returned)
	require.Equal(t, "a2, b2, a close, c close", s.take())
	require.Equal(t, "a=cancelled b=failed c=cancelled d=cancelled e=cancelled", s.states())
	s.ended()
}

func TestGroup_RecoverPanics(t *testing.T) {
	for _, test := range disasters {
		t.Run(test.name, func(t *testing.T) {
			swap := func(words string) string { return strings.ReplaceAll(words, "disaster", "panic") }
			s := newStage(t, map[string]part{"a": {steps: "next*5"}, "c": {steps: "next*5"}, "b": {
				steps: swap(test.part.steps), throw: swap(test.part.throw), stop: swap(test.part.stop), close: swap(test.part.close),
			}})
			var opts scheduler.GroupOptions[string]
			if test.opts != nil {
				opts = test.opts(func() { panicForTest(errOops) })
			}
			opts.RecoverPanics, opts.AggregateErrors = true, true
			g, err := scheduler.NewDependencyTaskGroup(graph("a b c d:b"), func(k string) scheduler.Task {
				if k == "b" && test.task {
					panicForTest(errOops)
				}
				return s.task(k)
			}, &opts)
			require.NoError(t, err)
			s.group = g
			value, _ := stackOf(t, func() {
				for range test.steps {
					_, _, _ = s.round()
				}
				if test.act != nil {
					test.act(s)
				}
				for range 20 {
					if y, err := g.Step(s.ctx); err != nil || y == scheduler.Done {
						break
					}
				}
			})
			if !test.member && !strings.HasPrefix(test.name, "Close") {
				require.Same(t, errOops, value, "what is no member's goes up")
				s.take()
				s.ended()
				return
			}
			require.Nil(t, value)
			s.take()
			s.ended()
			if test.member {
				require.Equal(t, scheduler.StateFailed.String(), strings.Replace(g.State("b").String(), "timed out", "failed", 1))
			}
			var p *scheduler.PanicError
			require.ErrorAs(t, g.Err("b"), &p)
			require.Same(t, errOops, p.Value)
			require.Contains(t, string(p.Stack), "panicForTest")
			require.ErrorIs(t, errors.Join(g.Errors()...), errOops)
			if test.member && test.act == nil {
				require.Equal(t, scheduler.StateSkipped, g.State("d"))
				require.Equal(t, scheduler.StateSucceeded, g.State("a"))
			}
		})
	}
	t.Run("fail fast", (&groupPlay{
		deps: "a b c", parts: map[string]part{"a": {steps: "next next"}, "b": {steps: "next panic"}, "c": {steps: "next next"}},
		opts:   scheduler.GroupOptions[string]{RecoverPanics: true},
		rounds: []string{"a1, b1, c1", "a2, b2, a close, c close"},
		err:    "b: panic: oops", errors: "b: panic: oops", states: "a=cancelled b=failed c=cancelled",
	}).run)
	t.Run("panics in Stop fail others, too", (&groupPlay{
		deps: "a b c d e", throws: map[int]error{2: errOther},
		parts: map[string]part{
			"a": {steps: "next*3", stop: "panic"}, "b": {steps: "next*3", stop: "panic"}, "c": {steps: "next*3"},
			"d": {steps: "next*3", stop: "ignore"}, "e": {steps: "next*3", stop: "panic"},
		},
		opts: scheduler.GroupOptions[string]{
			RecoverPanics: true,
			ErrorWaitTimeFor: func(k string) time.Duration {
				return map[string]time.Duration{"a": time.Hour, "b": time.Hour, "d": time.Hour, "e": time.Hour}[k]
			},
		},
		rounds: []string{"a1, b1, c1, d1, e1", "a stop, b stop, c close, d stop, e stop", "d2", "d3", "d4"},
		err:    "other", errors: "other; a: panic: oops; b: panic: oops; e: panic: oops",
		states: "a=failed b=failed c=cancelled d=succeeded e=failed",
	}).run)
	t.Run("a PanicError stays what it is", func(t *testing.T) {
		g, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task {
			return scheduler.Wrap(func(*scheduler.Coroutine) error { panicForTest("inside"); return nil })
		}, &scheduler.GroupOptions[string]{RecoverPanics: true})
		require.NoError(t, err)
		err = scheduler.Run(t.Context(), g, nil)
		var p *scheduler.PanicError
		require.ErrorAs(t, err, &p)
		require.Equal(t, "inside", p.Value)
		require.Contains(t, string(p.Stack), "panicForTest")
	})
	t.Run("Goexit is not recovered", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "next next"}, "b": {steps: "goexit"}})
		s.make("a b", &scheduler.GroupOptions[string]{RecoverPanics: true})
		returned, panicked := onGoroutine(func() { _, _ = s.group.Step(s.ctx) })
		require.False(t, returned)
		require.Nil(t, panicked)
		require.Equal(t, "a1, b1, a close", s.take())
		s.ended()
	})
}
