package scheduler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

type when = func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict

// conditions are those of nodes by the first letter of the key: A is always
// started, F if something that it requires has failed, P passes, X is skipped; all
// others are as usual. What is asked is kept.
func conditions(asked *[]string) when {
	return func(k string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
		failed := false
		var of []string
		for r, s := range required {
			failed = failed || s == scheduler.StateFailed
			of = append(of, fmt.Sprintf("%s %s", r, s))
		}
		if asked != nil {
			*asked = append(*asked, k+"("+strings.Join(of, ", ")+")")
		}
		switch k[0] {
		case 'A':
			return scheduler.Start
		case 'F':
			if failed {
				return scheduler.Start
			}
			return scheduler.Skip
		case 'P':
			return scheduler.Pass
		case 'X':
			return scheduler.Skip
		}
		return scheduler.Usual
	}
}

// failing returns a task that takes a second, and fails for a key that ends with
// "bad".
func failing(k string) scheduler.Task {
	if strings.HasSuffix(k, "bad") {
		return lasting(1, errSpace)
	}
	return lasting(1, nil)
}

func TestWhen(t *testing.T) {
	const deps = "b:bad c:b Aclean:c Ffix:bad Fnot:Ffix Pq:b d:Pq e:Pq,b Xx f:Xx Pz h:Pz"
	var asked []string
	g, trace, err := played(t, deps, failing, &scheduler.GroupOptions[string]{
		AggregateErrors: true, When: conditions(&asked),
	}, nil)
	require.EqualError(t, err, "1 task failed:\n- bad: no space")
	require.Equal(t, "0s bad, 0s h, 1s Aclean, 1s Ffix, 1s d", starts(trace))
	require.Equal(t, []string{
		"bad()", "Xx()", "f(Xx skipped)", "Pz()", "h(Pz succeeded)", // in the first round
		"b(bad failed)", "c(b skipped)", "Aclean(c skipped)", "Ffix(bad failed)", "Pq(b skipped)", "d(Pq succeeded)",
		"e(b skipped, Pq succeeded)",
		"Fnot(Ffix succeeded)",
	}, asked)
	require.Equal(t, strings.TrimSpace(`
bad failed: bad: no space
b skipped: bad: no space because of bad
c skipped: bad: no space because of bad
Fnot skipped: Fnot: scheduler: skipped by its condition
e skipped: bad: no space because of bad
Xx skipped: Xx: scheduler: skipped by its condition
f skipped: Xx: scheduler: skipped by its condition because of Xx`), outcomes(g))
	require.ErrorIs(t, g.Err("Xx"), scheduler.ErrCondition)
	require.ErrorIs(t, g.Err("f"), scheduler.ErrSkip)
	require.Len(t, g.Errors(), 1, "a wish to be skipped is none")

	s := g.Snapshot()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, `{"completed":["Aclean","Ffix","d","h"],"started":["bad"],"passed":["Pq","Pz"]}`, string(text))

	// The next run goes on where the first one failed: what passed is done.
	asked = nil
	second, trace, err := played(t, deps, second, &scheduler.GroupOptions[string]{
		AggregateErrors: true, When: conditions(&asked), Completed: s.Resume(),
	}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s bad, 1s b, 2s c, 2s e", starts(trace))
	require.Equal(t, []string{
		"bad()", "Xx()", "f(Xx skipped)", "b(bad succeeded)", "Fnot(Ffix succeeded)", "c(b succeeded)",
		"e(b succeeded, Pq succeeded)",
	}, asked)

	// A roll-back of both leaves out what passed or was skipped.
	both := second.Snapshot().After(s)
	require.Equal(t, scheduler.Snapshot[string]{
		Completed: []string{"bad", "b", "c", "Aclean", "Ffix", "d", "e", "h"}, Started: []string{}, Passed: []string{"Pq", "Pz"},
	}, both)
	_, trace, err = played(t, deps, nothing, &scheduler.GroupOptions[string]{Reverse: true, Completed: both.RollBack()}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s Aclean, 0s c, 0s Ffix, 0s d, 0s e, 0s b, 0s bad, 0s h", starts(trace))
}

func TestWhen_in_reverse_with_a_limit_ignoring_errors(t *testing.T) {
	var asked []string
	g, trace, err := played(t, "bad:Pm Pm:c", failing, &scheduler.GroupOptions[string]{
		Reverse: true, Limit: 1, When: conditions(&asked),
		OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError },
	}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s bad, 1s c", starts(trace))
	require.Equal(t, "[bad() Pm(bad failed) c(Pm succeeded)]", fmt.Sprint(asked))
	require.Equal(t, scheduler.Snapshot[string]{
		Completed: []string{"c"}, Started: []string{"bad"}, Passed: []string{"Pm"}, Ignored: []string{"bad"},
	}, g.Snapshot())
}

// What is asked with the usual verdict runs as without When, but that skips come with
// the end of the last requirement.
func TestWhen_usual_changes_nothing(t *testing.T) {
	for seed := range 200 {
		deps := randomDeps(seed)
		run := func(when when) string {
			g, trace, err := played(t, deps, func(k string) scheduler.Task {
				var fails error
				if (seed+len(k)+int(k[0]))%5 == 0 {
					fails = errSpace
				}
				if (seed+int(k[0]))%11 == 0 {
					fails = scheduler.ErrSkip
				}
				return lasting(int(k[0]+byte(seed))%3, fails)
			}, &scheduler.GroupOptions[string]{
				AggregateErrors: true, When: when, Limit: seed % 4, Reverse: seed%2 == 0,
			}, nil)
			return fmt.Sprint(starts(trace), err, endings(g))
		}
		require.Equal(t, run(nil), run(func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			return scheduler.Usual
		}), "seed %d: %s", seed, deps)
	}
}

// endings writes the states down.
func endings(g *scheduler.DependencyTaskGroup[string]) string {
	var b strings.Builder
	for k, s := range g.All() {
		fmt.Fprintf(&b, " %s %s", k, s)
	}
	return b.String()
}

// After a stop nobody is asked, and while a group drains they are, but not started.
func TestWhen_after_the_end_of_the_starting(t *testing.T) {
	for name, end := range map[string]func(g *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner){
		"stop":   func(_ *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner) { r.Stop(errSpace) },
		"kill":   func(_ *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner) { r.Kill() },
		"throw":  func(_ *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner) { r.Interrupt(errSpace) },
		"cancel": func(_ *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner) { _ = r.Cancel() },
		"drain":  func(g *scheduler.DependencyTaskGroup[string], _ *scheduler.TaskRunner) { g.Drain() },
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			clock := newClock()
			g := newGroup(t, "Pb:a Ac:Pb d:Ac", second, &scheduler.GroupOptions[string]{When: conditions(&asked)})
			r := startRunner(t, g, &scheduler.RunnerOptions{Clock: clock, Grace: time.Minute})
			end(g, r)
			_ = r.RunToCompletion(t.Context(), 0)
			err := r.Err()
			if name == "drain" {
				require.ErrorIs(t, err, scheduler.ErrDrained)
				require.Equal(t, "[a() Pb(a succeeded) Ac(Pb succeeded)]", fmt.Sprint(asked))
				require.Equal(t, " a succeeded Pb succeeded Ac pending d pending", endings(g))
				return
			}
			require.Error(t, err)
			require.Equal(t, "[a()]", fmt.Sprint(asked))
			require.Equal(t, 3, g.Count(scheduler.StateCancelled)-b2i(g.State("a") == scheduler.StateCancelled), "what was pending")
		})
	}
}

// While a group drains, a node that ends with its notice has ended for those that
// require it.
func TestWhen_while_a_group_drains_that_is_stopped_around(t *testing.T) {
	var asked []string
	inner := newGroup(t, "a b:a Ac:a d:b", func(string) scheduler.Task {
		return untilStopped(func(cause error) error { return cause })
	}, &scheduler.GroupOptions[string]{When: conditions(&asked)})
	outer := newGroup(t, "inner bad", func(k string) scheduler.Task {
		if k == "inner" {
			return inner
		}
		return lasting(1, errSpace)
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	r := startRunner(t, outer, &scheduler.RunnerOptions{Clock: newClock()})
	inner.Drain()
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace)
	require.Equal(t, "[a() b(a cancelled) Ac(a cancelled) d(b skipped)]", fmt.Sprint(asked))
	require.Equal(t, " a cancelled b skipped Ac pending d skipped", endings(inner))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A group inside is asked as it begins, unless it begins under the stop of the run.
func TestWhen_in_a_group_inside(t *testing.T) {
	var asked []string
	inside := func(string) scheduler.Task {
		return newGroup(t, "x Fy:x Az:x", func(k string) scheduler.Task {
			if k == "x" {
				return lasting(1, errSpace)
			}
			return lasting(1, nil)
		}, &scheduler.GroupOptions[string]{AggregateErrors: true, When: conditions(&asked)})
	}
	_, trace, err := played(t, "a", inside, &scheduler.GroupOptions[string]{AggregateErrors: true}, nil)
	require.ErrorIs(t, err, errSpace)
	require.Equal(t, "0s a, 0s a/x, 1s a/Fy, 1s a/Az", starts(trace))
	require.Equal(t, "[x() Fy(x failed) Az(x failed)]", fmt.Sprint(asked))

	asked = nil
	clock := newClock()
	r := startRunner(t, scheduler.Wrap(func(co *scheduler.Coroutine) error {
		_ = co.Yield(scheduler.On(co.Stopping()))
		return co.Await(inside(""))
	}), &scheduler.RunnerOptions{Clock: clock, Grace: time.Minute})
	r.Stop(errSpace)
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace)
	require.Empty(t, asked)
}

// A panic of When is one of the run, and says of which node it was asked.
func TestWhen_panics(t *testing.T) {
	for _, at := range []string{"a", "b"} {
		for _, recovers := range []bool{false, true} {
			closed := &fakeTask{step: forever}
			g := newGroup(t, "slow a b:a c:b", func(k string) scheduler.Task {
				if k == "slow" {
					return closed.task()
				}
				return scheduler.Pause(scheduler.Next)
			}, &scheduler.GroupOptions[string]{
				RecoverPanics: recovers,
				When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
					if k == at {
						panicForTest("in When")
					}
					return scheduler.Usual
				},
			})
			v := panicOf(t, func() { _ = scheduler.Run(t.Context(), g, nil) })
			require.ErrorContains(t, v.(error), "in When in "+at+" at ")
			require.Equal(t, scheduler.StateCancelled, g.State(at), "it had not started")
			require.Equal(t, scheduler.StateCancelled, g.State("c"))
			require.Zero(t, g.Count(scheduler.StateRunning)+g.Count(scheduler.StatePending))
		}
	}
}

// A node that has failed and has not ended yet is waited for.
func TestWhen_waits_for_the_end_of_a_failed_node(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var asked []string
		g := newGroup(t, "call Acleanup:call Fnext:call", func(k string) scheduler.Task {
			if k == "call" {
				return scheduler.Blocking(stubborn(5 * time.Second))
			}
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			When: func(k string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
				asked = append(asked, fmt.Sprint(time.Since(began), " ", k))
				return conditions(&asked)(k, required)
			},
			Timeout: func(k string) time.Duration { return time.Second * time.Duration(b2i(k == "call")) },
		})
		require.ErrorAs(t, scheduler.Run(t.Context(), g, nil), new(*scheduler.Timeout))
		require.Equal(t, []string{
			"0s call", "call()", "6.000000001s Acleanup", "Acleanup(call timed out)", "6.000000001s Fnext", "Fnext(call timed out)",
		}, asked)
		require.Equal(t, " call timed out Acleanup succeeded Fnext skipped", endings(g))
	})
}

func TestWhen_with_claims_and_estimates(t *testing.T) {
	var asked []string
	l := limiter(1)
	_, trace, err := played(t, "abad b Ac:abad,b Pd:b e:Pd", failing, &scheduler.GroupOptions[string]{
		When: conditions(&asked), Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} }, AggregateErrors: true,
		Estimate: func(k string) time.Duration { return time.Duration(len(k)) * time.Second },
	}, nil)
	require.ErrorIs(t, err, errSpace)
	require.Equal(t, "0s abad, 1s b, 2s Ac, 3s e", starts(trace))
	require.Equal(t, "[abad() b() Ac(abad failed, b succeeded) Pd(b succeeded) e(Pd succeeded)]", fmt.Sprint(asked))
	require.Zero(t, l.InUse()+l.Waiting())
}

// A snapshot at every step leads a run that goes on from it to the same end.
func TestWhen_snapshot_at_every_step(t *testing.T) {
	const deps = "b:bad Ac:b Fd:bad Pe:Ac f:Pe"
	rest := func(completed func(string) bool) string {
		_, trace, err := played(t, deps, failing, &scheduler.GroupOptions[string]{
			AggregateErrors: true, Completed: completed, When: conditions(nil),
		}, nil)
		require.ErrorIs(t, err, errSpace)
		return starts(trace)
	}
	seen := map[string]string{}
	for steps := 1; ; steps++ {
		group := newGroup(t, deps, failing, &scheduler.GroupOptions[string]{AggregateErrors: true, When: conditions(nil)})
		clock := newClock()
		r := startRunner(t, group, &scheduler.RunnerOptions{Clock: clock})
		for range steps - 1 {
			if at, ok := r.Due().Time(); ok {
				clock.Advance(at.Sub(clock.Now()))
			}
			_, _ = r.Step(t.Context())
		}
		text, err := json.Marshal(group.Snapshot())
		require.NoError(t, err)
		seen[string(text)] = rest(group.Snapshot().Resume())
		if r.Done() {
			break
		}
		require.NoError(t, r.Cancel())
	}
	require.Equal(t, map[string]string{
		`{"completed":[],"started":["bad"]}`:                              "0s bad, 1s Ac, 1s Fd, 2s f",
		`{"completed":[],"started":["bad","Ac","Fd"]}`:                    "0s bad, 1s Ac, 1s Fd, 2s f",
		`{"completed":["Ac","Fd"],"started":["bad","f"],"passed":["Pe"]}`: "0s bad, 1s f",
		`{"completed":["Ac","Fd","f"],"started":["bad"],"passed":["Pe"]}`: "0s bad",
	}, seen)
}

// An added node is asked of as the others are: at once, or, added between two steps,
// in the next one.
func TestWhen_of_added_nodes(t *testing.T) {
	var asked []string
	var group *scheduler.DependencyTaskGroup[string]
	clock := newClock()
	group = newGroup(t, "bad:a", func(k string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if k == "a" {
				require.NoError(t, group.Add("Pfree"))
				require.NoError(t, group.Add("late", "bad", "Pfree"))
				require.NoError(t, group.Add("Anow", "Pfree"))
				require.Equal(t, scheduler.StateSucceeded, group.State("Pfree"))
			}
			return co.Await(failing(k))
		})
	}, &scheduler.GroupOptions[string]{KeepOpen: true, AggregateErrors: true, When: func(
		k string, required iter.Seq2[string, scheduler.State],
	) scheduler.Verdict {
		require.Error(t, group.Add("from When"))
		return conditions(&asked)(k, required)
	}})
	r := startRunner(t, group, &scheduler.RunnerOptions{Clock: clock})
	require.Equal(t, "[a() Pfree() Anow(Pfree succeeded)]", fmt.Sprint(asked))
	require.Equal(t, " a running bad pending Pfree succeeded late pending Anow running", endings(group))
	r.Post(func() {
		require.NoError(t, group.Add("Xposted"))
		require.NoError(t, group.Add("Aafter", "Xposted"))
		require.Equal(t, scheduler.StatePending, group.State("Xposted"))
		group.CloseInput()
	})
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace)
	require.Equal(t, "[a() Pfree() Anow(Pfree succeeded) Xposted() Aafter(Xposted skipped) "+
		"bad(a succeeded) late(bad failed, Pfree succeeded)]", fmt.Sprint(asked))
	require.Equal(t, " a succeeded bad failed Pfree succeeded late skipped Anow succeeded Xposted skipped Aafter succeeded", endings(group))
}

// When is asked of a node also if what it requires was cancelled while the group is
// draining.
func TestWhen_while_draining(t *testing.T) {
	var asked []string
	inner := newGroup(t, "after:before", func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.On(co.Stopping()))
			return co.StopCause()
		})
	}, &scheduler.GroupOptions[string]{When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
		asked = append(asked, k)
		return scheduler.Usual
	}})
	group := newGroup(t, "inner fails", func(k string) scheduler.Task {
		if k == "inner" {
			return inner
		}
		return scheduler.Sequence(scheduler.Pause(scheduler.Next), scheduler.Func(func(context.Context) error { return errBoom }))
	}, &scheduler.GroupOptions[string]{Grace: time.Hour})
	mustStep(t, t.Context(), group)
	inner.Drain()
	for range 3 {
		if _, err := group.Step(t.Context()); err != nil {
			break
		}
	}
	require.Equal(t, []string{"before", "after"}, asked)
	require.Equal(t, scheduler.StateSkipped, inner.State("after"))
}

// A panic of When about a node that a member adds is one of that member, which is not
// called again.
func TestWhen_panics_in_Add(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		var group *scheduler.DependencyTaskGroup[string]
		adder := &fakeTask{}
		adder.step = func(context.Context) (scheduler.Yield, error) {
			return scheduler.Done, group.Add("late")
		}
		panics := 1
		group = newGroup(t, "adds", func(string) scheduler.Task { return adder }, &scheduler.GroupOptions[string]{
			KeepOpen: true, RecoverPanics: recovers, AggregateErrors: true,
			When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
				switch {
				case k == "adds":
					return scheduler.Start
				case panics > 0:
					panics--
					panic("boom")
				}
				return scheduler.Pass
			},
		})
		step := func() { _, _ = group.Step(t.Context()) }
		if !recovers {
			require.Panics(t, step)
			require.Zero(t, adder.closes)
			require.Equal(t, scheduler.StateFailed, group.State("adds"))
			continue
		}
		step()
		step()
		require.Zero(t, adder.closes)
		require.Equal(t, scheduler.StateFailed, group.State("adds"))
		require.Equal(t, scheduler.StateSucceeded, group.State("late"))
		_ = group.Close()
	}
}

// If the member that adds a node recovers the panic of When, When is asked again in
// the next round, which is due at once.
func TestWhen_panics_in_Add_that_recovers(t *testing.T) {
	var group *scheduler.DependencyTaskGroup[string]
	asked, started := 0, ""
	group = newGroup(t, "adds", func(k string) scheduler.Task {
		started += k + " "
		if k == "late" {
			return nothing(k)
		}
		return scheduler.Sequence(scheduler.Func(func(context.Context) error {
			require.Equal(t, "boom", panicOf(t, func() { _ = group.Add("late") }))
			return nil
		}), hours(k))
	}, &scheduler.GroupOptions[string]{
		KeepOpen: true,
		When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			if k == "late" {
				if asked++; asked == 1 {
					panicForTest("boom")
				}
			}
			return scheduler.Usual
		},
	})
	require.Equal(t, 1, mustStep(t, t.Context(), group).Rounds(), "late is to be asked about")
	require.Equal(t, scheduler.StatePending, group.State("late"))
	require.Zero(t, mustStep(t, t.Context(), group).Rounds(), "only time is left to wait for")
	require.Equal(t, 2, asked)
	require.Equal(t, "adds late ", started)
	require.Equal(t, scheduler.StateSucceeded, group.State("late"))
	require.NoError(t, group.Close())
}

// What When is given may be left at the first that decides.
func TestWhen_stops_looking(t *testing.T) {
	looked := map[string]string{}
	group := newGroup(t, "c:a c:b", func(string) scheduler.Task { return lasting(0, nil) }, &scheduler.GroupOptions[string]{
		When: func(k string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			for q, state := range required {
				looked[k] += q + " " + state.String()
				break
			}
			return scheduler.Start
		},
	})
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Equal(t, map[string]string{"c": "a succeeded"}, looked)
}
