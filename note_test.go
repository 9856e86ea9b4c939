package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// notesObserver writes down what nodes have said.
type notesObserver struct {
	journal
	kinds scheduler.Kinds
}

func (o *notesObserver) Wants() scheduler.Kinds { return o.kinds }

func (o *notesObserver) Observe(r scheduler.Record) {
	o.add("%s %s: %s", r.Path(), r.Kind, r.Notes())
}

func newNotesObserver() *notesObserver {
	return &notesObserver{kinds: scheduler.KindsOf(scheduler.NodeNoted, scheduler.NodeRetrying)}
}

func TestNote_inSteps(t *testing.T) {
	o := newNotesObserver()
	group := newGroup(t, "a", func(string) scheduler.Task {
		steps := 0
		return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
			if steps++; steps == 3 {
				return scheduler.Done, nil
			}
			scheduler.Note(ctx, fmt.Sprint("step ", steps))
			return scheduler.Next, nil
		})
	}, &scheduler.GroupOptions[string]{Observer: o})
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	require.Equal(t, "a node noted: step 1", o.take(), "told at once")
	require.Equal(t, scheduler.Notes{Text: "step 1"}, group.ExplainNode("a").Notes)
	require.Equal(t, "a: running since round 1, step 1", group.ExplainNode("a").String())
	d.Step()
	require.Equal(t, "a node noted: step 2", o.take())
	d.Step()
	require.Zero(t, group.ExplainNode("a").Notes, "it has succeeded")
}

func TestNote_without_a_node(t *testing.T) {
	t.Parallel()
	scheduler.Note(t.Context(), "nobody")
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
		co.Note("outside of a group")
		return co.Await(scheduler.Blocking(func(ctx context.Context) error {
			scheduler.Note(ctx, "outside of a group")
			return nil
		}))
	}), nil))
	require.PanicsWithValue(t, "scheduler: Note: nil Context", func() {
		scheduler.Note(nil, "") //nolint:staticcheck // That is the case.
	})
	var kept *scheduler.Coroutine
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
		kept = co
		return nil
	}), nil))
	require.Panics(t, func() { kept.Note("") })
}

func TestNote_text(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"plain", "Datenträger wird erstellt", "Datenträger wird erstellt"},
		{"several lines", "a\nb\x1b[1mc\x7f", "a b [1mc "},
		{"long", strings.Repeat("x", 300), strings.Repeat("x", 253) + "…"},
		{"long, of wide characters", strings.Repeat("ä", 300), strings.Repeat("ä", 126) + "…"},
		{"long, of bytes that are no characters", strings.Repeat("\x80", 300), "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
					scheduler.Note(ctx, tt.text)
					return scheduler.Next, nil
				})
			}, nil)
			schedulertest.NewDriver(t, group, nil).Step()
			require.Equal(t, tt.want, group.ExplainNode("a").Notes.Text)
		})
	}
}

// Whatever a node holds its task in, what that notes is the node's.
func TestNote_composition(t *testing.T) {
	type wrapped struct{ scheduler.Task }
	noting := func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Note("hello")
			return co.Yield(scheduler.After(time.Hour))
		})
	}
	for name, make := range map[string]func() scheduler.Task{
		"bare":      noting,
		"a wrapper": func() scheduler.Task { return wrapped{noting()} },
		"Named":     func() scheduler.Task { return scheduler.Named("n", noting()) },
		"AsTask":    func() scheduler.Task { return scheduler.NewTaskRunner(noting(), nil).AsTask(time.Hour) },
		"Subrun":    func() scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(noting(), nil)) },
		"Retry": func() scheduler.Task {
			return scheduler.Retry(constant(0), func(int, error) scheduler.Task { return noting() })
		},
		"Sequence":   func() scheduler.Task { return scheduler.Sequence(lasting0, noting()) },
		"Finally":    func() scheduler.Task { return scheduler.Finally(noting(), lasting0) },
		"a clean-up": func() scheduler.Task { return scheduler.Finally(lasting0, noting()) },
		"Claiming":   func() scheduler.Task { return scheduler.Claiming(claim(limiter(1))("1"), noting()) },
		"Reserve":    func() scheduler.Task { return scheduler.Reserve(time.Second, noting()) },
		"Wrap": func() scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(wrapped{noting()}) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newNotesObserver()
			group := newGroup(t, "a", func(string) scheduler.Task { return make() }, &scheduler.GroupOptions[string]{Observer: o})
			schedulertest.NewDriver(t, group, nil).Step()
			require.Equal(t, "hello", group.ExplainNode("a").Notes.Text)
			require.Equal(t, "a node noted: hello", o.take())
		})
	}
	t.Run("a group", func(t *testing.T) {
		o := newNotesObserver()
		inner := newGroup(t, "x", func(string) scheduler.Task { return noting() }, nil)
		group := newGroup(t, "a", func(string) scheduler.Task { return inner }, &scheduler.GroupOptions[string]{Observer: o})
		schedulertest.NewDriver(t, group, nil).Step()
		require.Equal(t, "hello", inner.ExplainNode("x").Notes.Text)
		require.Zero(t, group.ExplainNode("a").Notes, "the group inside says it")
		require.Equal(t, "a/x node noted: hello", o.take())
	})
	t.Run("the Timeout of a runner inside", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(noting(), &scheduler.RunnerOptions{Name: "inner", Timeout: time.Second}))
		}, nil)
		require.EqualError(t, schedulertest.NewDriver(t, group, nil).RunToEnd(), "a: inner: timed out after 1s: hello")
	})
}

func TestNote_inCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newNotesObserver()
		var group *scheduler.DependencyTaskGroup[string]
		seen := map[string]string{}
		group = newGroup(t, "b a", func(k string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				for i := range 3 {
					scheduler.Note(ctx, fmt.Sprint(k, i))
					scheduler.Note(ctx, fmt.Sprint(k, i, " again"))
					sleep(time.Second)
				}
				return nil
			})
		}, &scheduler.GroupOptions[string]{Observer: o})
		r := scheduler.NewTaskRunner(group, nil)
		for _, ask := range []time.Duration{500 * time.Millisecond, 2500 * time.Millisecond} {
			time.AfterFunc(ask, func() {
				r.Post(func() {
					for e := range group.Explain() {
						seen[e.Key] += e.Notes.Text + " "
					}
				})
			})
		}
		require.NoError(t, r.Run(t.Context()))
		require.Equal(t, map[string]string{"a": "a0 again a2 again ", "b": "b0 again b2 again "}, seen)
		told := o.take()
		for _, want := range []string{"a0 again", "a1 again", "a2 again", "b0 again", "b1 again", "b2 again"} {
			require.Contains(t, told, "node noted: "+want)
		}
	})
}

// Notes of calls are told without a step, and in key order.
func TestNote_inCalls_order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newNotesObserver()
		group := newGroup(t, "a b c", func(k string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				sleep(map[string]time.Duration{"a": 3, "b": 2, "c": 1}[k] * time.Second)
				scheduler.Note(ctx, "late")
				sleep(time.Hour)
				scheduler.Note(ctx, "last")
				return nil
			})
		}, &scheduler.GroupOptions[string]{Observer: o})
		ctx := t.Context()
		_, err := group.Step(ctx) // without a runner
		require.NoError(t, err)
		sleep(10 * time.Second)
		require.Empty(t, o.take(), "there is nobody who could tell it")
		_, err = group.Step(ctx)
		require.NoError(t, err)
		require.Equal(t, "a node noted: late, b node noted: late, c node noted: late", o.take(), "by the next round")
		_, err = group.Step(ctx)
		require.NoError(t, err)
		require.Empty(t, o.take())
		require.NoError(t, group.Close())
		require.Empty(t, o.take())
		synctest.Wait()
	})
}

// A call that has returned, or whose node has ended, has nothing more to say.
func TestNote_afterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newNotesObserver()
		called := make(chan context.Context, 2)
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Sequence(scheduler.Blocking(func(ctx context.Context) error {
				called <- ctx
				called <- ctx
				return nil
			}), scheduler.Pause(scheduler.After(time.Minute)))
		}, &scheduler.GroupOptions[string]{Observer: o})
		time.AfterFunc(30*time.Second, func() { scheduler.Note(<-called, "too late") })
		require.NoError(t, scheduler.Run(t.Context(), group, nil))
		scheduler.Note(<-called, "too late")
		require.Empty(t, o.take())
	})
}

// A note of a call whose node, or group, ends before it could be told is dropped.
// (The task leaves its call alone when it ends, so that this call is still there.)
func TestNote_of_a_call_of_what_has_ended(t *testing.T) {
	for _, nodes := range []string{"a", "a lasts"} {
		synctest.Test(t, func(t *testing.T) {
			o := newNotesObserver()
			ends, noted := make(chan struct{}), make(chan struct{})
			left := scheduler.Blocking(func(ctx context.Context) error {
				<-ends
				scheduler.Note(ctx, "too late")
				close(noted)
				return nil
			})
			leaves := &fakeTask{}
			leaves.step = func(ctx context.Context) (scheduler.Yield, error) {
				if leaves.steps == 1 {
					mustStep(t, ctx, left)
					return scheduler.Next, nil
				}
				close(ends)
				<-noted
				return scheduler.Done, nil
			}
			inner := newGroup(t, nodes, func(k string) scheduler.Task {
				if k == "lasts" {
					return lasting(9, nil)
				}
				return leaves
			}, &scheduler.GroupOptions[string]{Observer: o})
			outer := newGroup(t, "inner lasts", func(k string) scheduler.Task {
				if k == "inner" {
					return inner
				}
				return lasting(9, nil)
			}, nil)
			require.NoError(t, scheduler.Run(t.Context(), outer, nil))
			require.Empty(t, o.take())
			require.Equal(t, scheduler.StateSucceeded, inner.State("a"))
		})
	}
}

func TestNote_inAnOwnRunOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newNotesObserver()
		inner := newGroup(t, "x", func(string) scheduler.Task {
			return scheduler.Func(func(ctx context.Context) error {
				scheduler.Note(ctx, "inside")
				return nil
			})
		}, &scheduler.GroupOptions[string]{Observer: o})
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				if err := scheduler.Run(ctx, inner, nil); err != nil {
					return err
				}
				sleep(time.Second)
				return scheduler.Run(ctx, scheduler.Func(func(ctx context.Context) error {
					scheduler.Note(ctx, "around")
					sleep(time.Second)
					return nil
				}), nil)
			})
		}, nil)
		r := scheduler.NewTaskRunner(group, nil)
		time.AfterFunc(1500*time.Millisecond, func() {
			r.Post(func() { o.add("a: %s", group.ExplainNode("a").Notes) })
		})
		require.NoError(t, r.Run(t.Context()))
		require.Equal(t, "x node noted: inside, a: around", o.take())
	})
}

func TestTimeout_notes(t *testing.T) {
	busy := errors.New("503 Service Unavailable")
	opts := func(grace time.Duration) *scheduler.GroupOptions[string] {
		return &scheduler.GroupOptions[string]{
			Timeout: func(string) time.Duration { return 10 * time.Minute }, Grace: grace,
		}
	}
	t.Run("note and attempt", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Named("create", scheduler.Retry(constant(0), func(attempt int, _ error) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					co.Note("volume is still 'building'")
					if attempt <= 7 {
						return busy
					}
					return co.Yield(scheduler.After(time.Hour))
				})
			}))
		}, opts(0))
		require.EqualError(t, schedulertest.NewDriver(t, group, nil).RunToEnd(), "a: timed out after 10m0s: volume is still 'building', attempt 7: 503 Service Unavailable")
		timeout := asError[*scheduler.Timeout](t, group.Err("a"))
		require.Equal(t, scheduler.Notes{Text: "volume is still 'building'", Attempt: 7, Last: busy}, timeout.Notes)
		require.ErrorIs(t, group.Err("a"), busy)
		require.True(t, scheduler.Interrupted(timeout))
		require.Equal(t, scheduler.StateTimedOut, group.State("a"))
		require.Equal(t, 7, group.ExplainNode("a").Notes.Attempt, "it stays")
	})
	t.Run("with a grace", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Named("polling", scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Note("before")
				_ = co.Yield(scheduler.After(time.Hour))
				co.Note("after")
				return co.Yield(scheduler.After(time.Hour))
			}))
		}, opts(time.Minute))
		require.EqualError(t, schedulertest.NewDriver(t, group, nil).RunToEnd(), "a: timed out after 10m0s: after")
	})
	t.Run("of a call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.Named("poll", scheduler.Poll(time.Minute, func(ctx context.Context) (bool, error) {
					scheduler.Note(ctx, "building")
					return false, nil
				}))
			}, opts(0))
			require.EqualError(t, scheduler.Run(t.Context(), group, nil),
				"a: timed out after 10m0s: building, asked 11 times")
		})
	})
}

// Of an error of an attempt that is a notice or a closing the Timeout is more than that.
func TestTimeout_keepsWhatItWraps(t *testing.T) {
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Named("retry", scheduler.Retry(constant(time.Hour), func(int, error) scheduler.Task {
			return lasting(0, fmt.Errorf("inside: %w", scheduler.ErrClosed))
		}))
	}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }})
	require.EqualError(t, schedulertest.NewDriver(t, group, nil).RunToEnd(), "a: timed out after 1m0s: attempt 1: inside: scheduler: closed")
}

func TestNotes_String(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]scheduler.Notes{
		"":                        {},
		"busy":                    {Text: "busy"},
		"asked once":              {Asked: 1},
		"busy, asked 2 times":     {Text: "busy", Asked: 2},
		"attempt 3":               {Attempt: 3},
		"busy, attempt 3: a b":    {Text: "busy", Attempt: 3, Last: errors.New("a\nb")},
		"asked once, attempt 1: ": {Asked: 1, Attempt: 1, Last: errors.New("")},
	} {
		require.Equal(t, want, n.String())
	}
	long := scheduler.Notes{Attempt: 1, Last: errors.New(strings.Repeat("x", 2000))}
	require.Len(t, long.String(), len("attempt 1: ")+1024)
}

// What a node says in its only step does not add up.
func TestNote_ofManyShortTasks(t *testing.T) {
	t.Parallel()
	group := newGroup(t, "a b c fails d", func(k string) scheduler.Task {
		return scheduler.Func(func(ctx context.Context) error {
			scheduler.Note(ctx, "note of "+k)
			if k == "fails" {
				return errBoom
			}
			return nil
		})
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	require.Error(t, scheduler.Run(t.Context(), group, nil))
	var left []string
	for e := range group.Explain() {
		if e.Notes.Text != "" {
			left = append(left, e.Notes.Text)
		}
	}
	require.Equal(t, []string{"note of fails", "note of d"}, left)
}

// An Observer that panics about a note is told no more, and its panic ends the run
// unless the task recovers it.
func TestNote_observerPanics(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		t.Run(fmt.Sprint("recovered: ", recovers), func(t *testing.T) {
			told := 0
			watch := selective{scheduler.KindsOf(scheduler.NodeNoted), func(scheduler.Record) {
				told++
				panicForTest("watching")
			}}
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					defer func() {
						if recovers {
							_ = recover()
						}
					}()
					co.Note("1")
					return nil
				})
			}, &scheduler.GroupOptions[string]{Observer: watch, RecoverPanics: true})
			run := func() error { return scheduler.Run(t.Context(), group, nil) }
			if recovers {
				require.NoError(t, run())
			} else {
				require.Contains(t, fmt.Sprint(panicOf(t, func() { _ = run() })), "watching")
			}
			require.Equal(t, 1, told)
		})
	}
}

// selective is an Observer of some kinds.
type selective struct {
	kinds   scheduler.Kinds
	observe func(r scheduler.Record)
}

func (s selective) Wants() scheduler.Kinds     { return s.kinds }
func (s selective) Observe(r scheduler.Record) { s.observe(r) }

func TestObserver_abandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &notesObserver{}
		watch := selective{scheduler.KindsOf(scheduler.NodeAbandoned), func(r scheduler.Record) {
			o.add("%s %s: %v", r.Path(), r.Kind, r.Err)
		}}
		let := make(chan struct{})
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Named("deaf", scheduler.Blocking(func(context.Context) error {
				<-let
				return nil
			}))
		}, &scheduler.GroupOptions[string]{
			Observer: watch, Abandon: time.Second, Timeout: func(string) time.Duration { return time.Second },
		})
		err := scheduler.Run(t.Context(), group, nil)
		lost := asError[*scheduler.AbandonedError](t, err)
		require.Equal(t, "a node abandoned: "+lost.Error(), o.take())
		close(let)
	})
}

// Notes of calls that nobody is told of are not kept for that.
func TestNote_ofManyCalls(t *testing.T) {
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			step := func(context.Context) (int, error) { return 0, nil }
			note := func(ctx context.Context) (int, error) { scheduler.Note(ctx, "building"); return 0, nil }
			cost := func(fn func(context.Context) (int, error)) (bytes uint64) {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for range 20_000 {
					if _, err := scheduler.Call(co, fn); err != nil {
						panic(err)
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				return max(after.HeapAlloc, before.HeapAlloc) - before.HeapAlloc
			}
			_ = cost(step)
			_ = cost(note)
			require.Less(t, cost(note), uint64(20_000))
			return nil
		})
	}, nil)
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
}

// A record about the group itself has no notes.
func TestRecord_Notes_of_a_group(t *testing.T) {
	o := &notesOfGroup{}
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Func(func(ctx context.Context) error {
			scheduler.Note(ctx, "working")
			return nil
		})
	}, &scheduler.GroupOptions[string]{Observer: o})
	require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	require.Equal(t, []string{"group begun: ", "node noted: working", "group ended: "}, o.lines)
	require.Equal(t, "working", o.group.Notes(0).Text)
}

// notesOfGroup keeps the notes that records have.
type notesOfGroup struct {
	group scheduler.GroupView
	lines []string
}

func (o *notesOfGroup) Wants() scheduler.Kinds {
	return scheduler.KindsOf(scheduler.GroupBegun, scheduler.NodeNoted, scheduler.GroupEnded)
}

func (o *notesOfGroup) Observe(r scheduler.Record) {
	o.group = r.Group()
	o.lines = append(o.lines, fmt.Sprintf("%v: %v", r.Kind, r.Notes()))
}
