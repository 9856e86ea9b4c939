package scheduler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestGroup_Explain(t *testing.T) {
	l := limiter(1)
	event := new(scheduler.Event)
	inner := newGroup(t, "x1", second, &scheduler.GroupOptions[string]{Name: "inner", Claims: claim(l)})
	group, err := scheduler.NewDependencyTaskGroup(
		graph("timer event rounds next holds1 waits1 group needs:timer,event fails skipped:fails done limited"),
		func(k string) scheduler.Task {
			switch k {
			case "timer":
				return scheduler.Pause(scheduler.After(time.Minute))
			case "event":
				return scheduler.Pause(scheduler.On(event))
			case "rounds":
				return scheduler.Pause(scheduler.Rounds(5))
			case "next":
				return scheduler.Pause(scheduler.Next)
			case "group":
				return inner
			case "fails":
				return scheduler.Func(func(context.Context) error { return errSpace })
			case "done":
				return lasting0
			}
			return scheduler.Pause(scheduler.After(time.Hour))
		}, &scheduler.GroupOptions[string]{
			Name: "site", AggregateErrors: true, Limit: 6,
			Claims: func(k string) []scheduler.Claim {
				if strings.HasSuffix(k, "1") {
					return claim(l)(k)
				}
				return nil
			},
			Timeout: func(k string) time.Duration {
				if k == "event" {
					return time.Hour
				}
				return 0
			},
		})
	require.NoError(t, err)
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	d.Step()
	var b strings.Builder
	n, err := group.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, b.Len(), int(n))
	require.Equal(t, `site: round 2, 2 pending, 6 running, 2 succeeded, 1 failed, 1 skipped
  timer: running since round 1, waits: at 2000-01-01T00:01:00Z
  event: running since round 1, waits: event, until 2000-01-01T01:00:00Z
  rounds: running since round 1, waits: 4 rounds
  holds1: running since round 1, waits: at 2000-01-01T01:00:00Z
  waits1: pending since round 0, waits for 1 of volumes (capacity 1) held by holds1: 1
  group: running since round 1, waits: event
  needs: pending since round 0, requires timer, event
  fails: failed since round 2, fails: no space
  skipped: skipped since round 2, fails: no space
  limited: running since round 2, waits: at 2000-01-01T01:00:00Z
`, b.String())

	byKey := map[string]scheduler.Explanation[string]{}
	for e := range group.Explain() {
		byKey[e.Key] = e
	}
	require.Len(t, byKey, group.Len())
	for k, e := range byKey {
		require.Equal(t, e, group.ExplainNode(k))
	}
	require.Zero(t, group.ExplainNode("nobody").State)
	require.Equal(t, "inner", byKey["group"].Inside.String())
	require.Equal(t, []string{"timer", "event"}, byKey["needs"].Requires)
	require.Equal(t, []scheduler.ClaimWait{
		{Node: "waits1", Limiter: "volumes", Weight: 1, Capacity: 1, Holders: []string{"holds1: 1"}},
	}, byKey["waits1"].Claims)

	b.Reset()
	_, err = inner.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, `inner: round 1, 1 pending
  x1: pending since round 0, waits for 1 of volumes (capacity 1) held by holds1: 1
`, b.String())
}

func TestGroup_Explain_of_a_stop_and_a_limit(t *testing.T) {
	group := newGroup(t, "a b c", func(string) scheduler.Task {
		return scheduler.Pause(scheduler.After(time.Hour))
	}, &scheduler.GroupOptions[string]{Limit: 1, Grace: time.Minute})
	var lines []string
	explain := func() string {
		lines = nil
		for e := range group.Explain() {
			lines = append(lines, e.String())
		}
		return strings.Join(lines, "\n")
	}
	require.Equal(t, "a: pending since round 0\nb: pending since round 0\nc: pending since round 0", explain())
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	require.Equal(t, `a: running since round 1, waits: at 2000-01-01T01:00:00Z
b: pending since round 0, waits for the group's limit
c: pending since round 0, waits for the group's limit`, explain())
	d.Runner.Interrupt(errSpace)
	d.Step()
	require.Equal(t, `a: running since round 1, waits: at 2000-01-01T01:00:00Z, asked to end, until 2000-01-01T00:01:00Z
b: cancelled since round 1
c: cancelled since round 1`, explain())
	for range group.Explain() {
		break // a sequence may be left early
	}
}

// An Observer may ask for anything, at a start as well.
func TestGroup_Explain_by_an_Observer_of_a_start(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	var g *scheduler.DependencyTaskGroup[int]
	var seen []scheduler.State
	g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[int]{Observer: scheduler.ObserverFunc(func(scheduler.Record) {
			for e := range g.Explain() {
				seen = append(seen, e.State)
			}
			_, err := g.WriteTo(io.Discard)
			require.NoError(t, err)
		})})
	require.NoError(t, err)
	require.NoError(t, schedulertest.NewDriver(t, g, nil).RunToEnd())
	require.Equal(t, []scheduler.State{scheduler.StateRunning, scheduler.StateSucceeded}, seen)
}

// What a group tells of itself inside a member's first step, and about many.
func TestGroup_Explain_from_inside(t *testing.T) {
	var group *scheduler.DependencyTaskGroup[string]
	var inside string
	group = newGroup(t, "a b c d e f g:a,b,c,d,e,f", func(k string) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			for e := range group.Explain() {
				if e.Key == k && inside == "" {
					inside = e.String()
				}
			}
			return scheduler.Next, nil
		})
	}, nil)
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	require.Equal(t, "a: running since round 1", inside)
	for e := range group.Explain() {
		if e.Key == "g" {
			require.Equal(t, "g: pending since round 0, requires a, b, c, d, e and 1 more", e.String())
		} else {
			require.Equal(t, e.Key+": running since round 1", e.String())
		}
	}
	require.Zero(t, group.Count(scheduler.State(99)))
}

func TestExplanation_reasons(t *testing.T) {
	t.Parallel()
	t.Run("the limit is the reason only if it is the last one", func(t *testing.T) {
		l := limiter(1)
		busy := claiming(t, "x", map[string][]scheduler.Claim{"x": {{Limiter: l, Weight: 1}}}, hours)
		mustStep(t, t.Context(), busy)
		g := newGroup(t, "claims1 a needs:a free", hours, &scheduler.GroupOptions[string]{
			Limit: 1, Claims: claimIf(l),
		})
		mustStep(t, t.Context(), g)
		limited := map[string]bool{}
		for e := range g.Explain() {
			limited[e.Key] = e.Limited
		}
		require.Equal(t, map[string]bool{"claims1": false, "a": false, "needs": false, "free": true}, limited)
		require.NoError(t, g.Close())
		require.NoError(t, busy.Close())
	})
	t.Run("an earlier wait for an event is over", func(t *testing.T) {
		var event scheduler.Event
		g := claiming(t, "a", nil, func(string) scheduler.Task {
			return scheduler.Sequence(scheduler.Pause(scheduler.On(&event)), scheduler.Pause(scheduler.After(time.Minute)))
		})
		mustStep(t, t.Context(), g)
		event.Set()
		mustStep(t, t.Context(), g)
		for e := range g.Explain() {
			require.NotContains(t, e.String(), "event")
			require.Contains(t, e.String(), "waits: at ")
		}
		require.NoError(t, g.Close())
	})
	t.Run("what has ended was not asked to", func(t *testing.T) {
		g := claiming(t, "a", nil, hours)
		mustStep(t, t.Context(), g)
		_, err := g.Throw(t.Context(), errOops)
		require.ErrorIs(t, err, errOops)
		for e := range g.Explain() {
			require.True(t, e.Stopped)
			require.Equal(t, "a: cancelled since round 1", e.String())
		}
	})
}

// A group inside a wrapper is one, as for drivers.
func TestExplain_group_in_a_wrapper(t *testing.T) {
	inner, err := scheduler.NewDependencyTaskGroup(scheduler.DependenciesOf(map[string][]string{"x": nil}),
		func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Name: "inner"})
	require.NoError(t, err)
	outer, err := scheduler.NewDependencyTaskGroup(scheduler.DependenciesOf(map[string][]string{"a": nil}),
		func(string) scheduler.Task { return renamed{inner, "inner"} }, nil)
	require.NoError(t, err)
	schedulertest.NewDriver(t, outer, nil).Step()
	require.Equal(t, inner, outer.ExplainNode("a").Inside)
}

func TestSnapshot_at_every_step(t *testing.T) {
	const deps = "b:a c:a d:b,c e"
	all := func(completed func(string) bool) string {
		_, trace, err := played(t, deps, second, &scheduler.GroupOptions[string]{Completed: completed}, nil)
		require.NoError(t, err)
		return starts(trace)
	}
	require.Equal(t, "0s a, 0s e, 1s b, 1s c, 2s d", all(nil))

	// Killed after any number of steps, the rest runs in the order that it
	// would have had, and nothing runs twice that was completed.
	seen := map[string]bool{}
	for steps := 1; ; steps++ {
		group := newGroup(t, deps, second, nil)
		d := schedulertest.NewDriver(t, group, nil)
		for range steps {
			if d.Runner.Done() {
				break
			}
			if d.Parked() {
				at, _ := d.Runner.Due().Time()
				d.Clock.Advance(at.Sub(d.Clock.Now()))
			}
			d.Step()
		}
		text, err := json.Marshal(group.Snapshot())
		require.NoError(t, err)
		var snapshot scheduler.Snapshot[string]
		require.NoError(t, json.Unmarshal(text, &snapshot))
		seen[fmt.Sprintf("%s: %s", text, all(snapshot.Resume()))] = true
		if d.Runner.Done() {
			break
		}
	}
	require.Equal(t, map[string]bool{
		`{"completed":[],"started":["a","e"]}: 0s a, 0s e, 1s b, 1s c, 2s d`: true,
		`{"completed":["a","e"],"started":["b","c"]}: 0s b, 0s c, 1s d`:      true,
		`{"completed":["a","b","c","e"],"started":["d"]}: 0s d`:              true,
		`{"completed":["a","b","c","d","e"],"started":[]}: `:                 true,
	}, seen)
}

func TestSnapshot_RollBack_skips_what_was_never_started(t *testing.T) {
	group, _, err := played(t, "b:a c:b d:c e", func(k string) scheduler.Task {
		if k == "c" {
			return lasting(1, errSpace)
		}
		return lasting(1, nil)
	}, &scheduler.GroupOptions[string]{}, nil)
	require.Error(t, err)
	_, trace, err := played(t, "b:a c:b d:c e", second,
		&scheduler.GroupOptions[string]{Reverse: true, Completed: group.Snapshot().RollBack()}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s c, 0s e, 1s b, 2s a", starts(trace), "c was made in part; d never was")
}

// A run that goes on from an earlier one knows what that had begun.
func TestSnapshot_After(t *testing.T) {
	earlier := scheduler.Snapshot[string]{Completed: []string{"a"}, Started: []string{"b", "c"}}
	now := scheduler.Snapshot[string]{Completed: []string{"a", "b"}, Started: []string{"d"}}
	both := now.After(earlier)
	require.Equal(t, scheduler.Snapshot[string]{Completed: []string{"a", "b"}, Started: []string{"d", "c"}}, both)
	require.Equal(t, []string{"d"}, now.Started, "the original is unchanged")
	undo := both.RollBack()
	for _, k := range []string{"a", "b", "c", "d"} {
		require.False(t, undo(k))
	}
	require.True(t, undo("e"))
}

func TestSnapshot_during_a_run_by_an_observer(t *testing.T) {
	var group *scheduler.DependencyTaskGroup[string]
	var last scheduler.Snapshot[string]
	clock := schedulertest.NewClock(time.Time{}).Alone()
	group = newGroup(t, "b:a", second, &scheduler.GroupOptions[string]{
		Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
			last = group.Snapshot()
			if tr.To == scheduler.StateRunning {
				require.Contains(t, last.Started, tr.Key(), "a start is seen before anything of the task runs")
			}
		}),
	})
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, []string{"a", "b"}, last.Completed)
}
