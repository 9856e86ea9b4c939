package scheduler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

func TestGroup_Explain(t *testing.T) {
	l := limiter(1)
	event := new(scheduler.Event)
	inner := newGroup(t, "x1", second, &scheduler.GroupOptions[string]{Name: "inner", Claims: claim(l)})
	group := newGroup(t, "timer event rounds next holds1 waits1 group needs:timer,event fails skipped:fails done limited",
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
	g = groupOver(t, deps, func(int) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[int]{Observer: scheduler.ObserverFunc(func(scheduler.Record) {
			for e := range g.Explain() {
				seen = append(seen, e.State)
			}
			_, err := g.WriteTo(io.Discard)
			require.NoError(t, err)
		})})
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

// What a coroutine defers is run when the coroutine waits in nothing any more.
func TestGroup_Explain_from_a_coroutine_that_is_closed(t *testing.T) {
	var g *scheduler.DependencyTaskGroup[string]
	var said scheduler.Explanation[string]
	g = newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			defer func() { said = g.ExplainNode("a") }()
			return co.Yield(scheduler.On(new(scheduler.Event)))
		})
	}, nil)
	r := startRunner(t, g, nil)
	require.NoError(t, r.Cancel())
	require.Equal(t, "a", said.Key)
	require.Equal(t, scheduler.StateRunning, said.State)
	require.Empty(t, said.Call)
	require.Empty(t, said.Claims)
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

// A service is told of as a running node is, and of a call that is closing only the call.
func TestExplanation_String_of_services_and_closing(t *testing.T) {
	on := scheduler.On(new(scheduler.Event))
	for want, e := range map[string]scheduler.Explanation[string]{
		"s: ready since round 1, waits: event":                {State: scheduler.StateReady, Until: on},
		"s: ready since round 1":                              {State: scheduler.StateReady, Until: scheduler.Next},
		"s: ready since round 1, waits: event, asked to end":  {State: scheduler.StateReady, Until: on, Stopped: true},
		"s: running since round 1, waits: after 1s or call f": {State: scheduler.StateRunning, Until: on.Or(scheduler.After(time.Second)), Call: "f"},
		"s: running since round 1, waits: call f":             {State: scheduler.StateRunning, Until: on, Call: "f"},
		"s: closing since round 1, waits: call f":             {State: scheduler.StateClosing, Until: on.Or(scheduler.After(time.Second)), Call: "f", Stopped: true},
	} {
		e.Key, e.Since = "s", 1
		require.Equal(t, want, e.String())
	}
}

// A node whose place in line is left from before, when what it requires was ready, waits
// for that.
func TestGroup_Explain_of_a_node_that_waits_for_a_service_again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(1)
		g := newGroup(t, "holder service x:service y", func(k string) scheduler.Task {
			if k == "service" {
				return servingFor(time.Second, func() {})
			}
			return hours(k)
		}, &scheduler.GroupOptions[string]{AggregateErrors: true, Claims: byKey(map[string][]scheduler.Claim{"holder": unit(l), "x": unit(l), "y": unit(l)})})
		step := func() {
			synctest.Wait()
			mustStep(t, t.Context(), g)
		}
		step()
		step()
		e := g.ExplainNode("x")
		require.Empty(t, e.Requires)
		require.Len(t, e.Claims, 1)
		require.True(t, g.StopNode("service", errOops))
		step()
		require.Equal(t, scheduler.StateClosing, g.State("service"))
		e = g.ExplainNode("x")
		require.Equal(t, []string{"service"}, e.Requires)
		require.Empty(t, e.Claims)
		require.Error(t, g.Close())
	})
}

// A group inside a wrapper is one, as for drivers.
// What a key or an error is made of begins no line of its own and tells a terminal
// nothing.
func TestExplain_control_characters(t *testing.T) {
	deps := scheduler.NewDependencies[string]()
	deps.Add("b\x1b[2J\nb", "a\x1b]52;c;aGk=\a\r")
	deps.Add("c", "b\x1b[2J\nb")
	g := groupOver(t, deps, func(k string) scheduler.Task {
		if k[0] == 'b' {
			return scheduler.Func(func(context.Context) error { return errors.New("one\x1b[2J\ntwo\u009b2J") })
		}
		return scheduler.Pause(scheduler.Rounds(2))
	}, &scheduler.GroupOptions[string]{Name: "g\n"})
	mustStep(t, t.Context(), g)
	var b strings.Builder
	_, err := g.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, "g : round 1, 2 pending, 1 running\n"+
		"  a ]52;c;aGk=  : running since round 1, waits: 2 rounds\n"+
		"  b [2J b: pending since round 0, requires a ]52;c;aGk=  \n"+
		"  c: pending since round 0, requires b [2J b\n", b.String())
	b.Reset()
	require.Error(t, scheduler.Run(t.Context(), g, nil))
	_, err = g.WriteTo(&b)
	require.NoError(t, err)
	require.Contains(t, b.String(), "\n  b [2J b: failed since round 3, b [2J\n  b: one [2J\n  two 2J\n")
	require.NotContains(t, b.String(), "\x1b")
}

// An explanation does not say that a node waits for a call before the call has begun.
func TestExplain_of_a_call_that_has_not_begun(t *testing.T) {
	group := newGroup(t, "a", func(string) scheduler.Task {
		return later{scheduler.Blocking(func(context.Context) error { return nil })}
	}, nil)
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	require.Equal(t, "a: running since round 1, waits: at 2000-01-01T01:00:00Z", group.ExplainNode("a").String())
}

// later is a task that waits for an hour before it begins.
type later struct{ scheduler.Task }

func (later) Step(context.Context) (scheduler.Yield, error) { return scheduler.After(time.Hour), nil }

func (l later) Unwrap() scheduler.Task { return l.Task }

func TestExplain_group_in_a_wrapper(t *testing.T) {
	inner := groupOver(t, scheduler.DependenciesOf(map[string][]string{"x": nil}),
		func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Name: "inner"})
	outer := groupOver(t, scheduler.DependenciesOf(map[string][]string{"a": nil}),
		func(string) scheduler.Task { return renamed{inner, "inner"} }, nil)
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

// A service that was told that nothing needs it is completed, also while it closes after
// its grace; one that was not, or that has failed since, is not.
func TestSnapshot_of_services(t *testing.T) {
	for name, fails := range map[string]error{"ends": nil, "fails": errBoom} {
		t.Run(name, func(t *testing.T) {
			var closed scheduler.Event
			S := readyTask(1)
			S.close = func() error { return fails }
			g := newGroup(t, "S user:S", func(k string) scheduler.Task {
				if k == "S" {
					return closer{S, func() *scheduler.Event { return &closed }}
				}
				return scheduler.Pause(scheduler.Rounds(2))
			}, &scheduler.GroupOptions[string]{Grace: time.Second})
			d := schedulertest.NewDriver(t, g, nil)
			d.Step()
			require.Equal(t, scheduler.Snapshot[string]{Completed: []string{}, Started: []string{"S", "user"}}, g.Snapshot())
			d.Step()
			d.Step()
			require.Equal(t, scheduler.StateReady, g.State("S"))
			both := scheduler.Snapshot[string]{Completed: []string{"S", "user"}, Started: []string{}}
			require.Equal(t, both, g.Snapshot())
			d.Clock.Advance(2 * time.Second)
			d.Step()
			require.Equal(t, scheduler.StateClosing, g.State("S"))
			require.Equal(t, both, g.Snapshot())
			closed.Set()
			require.ErrorIs(t, d.RunToEnd(), fails)
			if fails != nil {
				both = scheduler.Snapshot[string]{Completed: []string{"user"}, Started: []string{"S"}}
			}
			require.Equal(t, both, g.Snapshot())
		})
	}
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
		{"not quite long", strings.Repeat("x", 256), strings.Repeat("x", 256)},
		{"just long", strings.Repeat("x", 257), strings.Repeat("x", 253) + "…"},
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
	noting := func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Note("hello")
			return co.Yield(scheduler.After(time.Hour))
		})
	}
	around := holdersOf("itself", "plain wrapper", "Named", "AsTask", "Subrun", "Retry", "Sequence behind another", "Finally", "Claiming", "Reserve", "Wrap")
	around["a clean-up"] = func(task scheduler.Task) scheduler.Task { return scheduler.Finally(lasting0, task) }
	for name, hold := range around {
		t.Run(name, func(t *testing.T) {
			o := newNotesObserver()
			group := newGroup(t, "a", func(string) scheduler.Task { return hold(noting()) }, &scheduler.GroupOptions[string]{Observer: o})
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
		mustStep(t, ctx, group)
		require.Equal(t, "a node noted: late, b node noted: late, c node noted: late", o.take(), "by the next round")
		mustStep(t, ctx, group)
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

// The context of a step that has returned is no node's.
func TestNote_and_Ready_between_two_steps(t *testing.T) {
	t.Parallel()
	var kept context.Context
	group := newGroup(t, "b:a a", func(string) scheduler.Task {
		return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
			kept = ctx
			return scheduler.Next, nil
		})
	}, &scheduler.GroupOptions[string]{Observer: newNotesObserver()})
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	scheduler.Note(kept, "too late")
	scheduler.Ready(kept)
	d.Step()
	require.Zero(t, group.ExplainNode("a").Notes)
	require.Equal(t, scheduler.StateRunning, group.State("a"))
	require.Equal(t, scheduler.StatePending, group.State("b"))
}

// A call that was left behind is no longer one of its node.
func TestNote_of_a_call_that_was_left_behind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group := newGroup(t, "a lasts", func(k string) scheduler.Task {
			if k == "lasts" {
				return lasting(60, nil)
			}
			return scheduler.Blocking(func(ctx context.Context) error {
				scheduler.Note(ctx, "in time")
				sleep(30 * time.Second)
				scheduler.Note(ctx, "too late")
				return nil
			})
		}, &scheduler.GroupOptions[string]{
			Timeout: byKey(map[string]time.Duration{"a": time.Second}), Abandon: time.Second,
			OnError: func(string, error) scheduler.Disposition { return scheduler.SkipDependents },
		})
		require.Error(t, scheduler.Run(t.Context(), group, nil))
		require.ErrorAs(t, group.Err("a"), new(*scheduler.AbandonedError))
		require.Equal(t, "in time", group.ExplainNode("a").Notes.Text)
	})
}

// A note that nobody wants to be told of wakes nobody.
func TestNote_in_a_call_wakes_only_for_Observers(t *testing.T) {
	for wants, want := range map[bool]int{true: 1, false: 0} {
		synctest.Test(t, func(t *testing.T) {
			opts := &scheduler.GroupOptions[string]{}
			if wants {
				opts.Observer = newNotesObserver()
			}
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.Blocking(func(ctx context.Context) error {
					scheduler.Note(ctx, "one")
					scheduler.Note(ctx, "two")
					<-ctx.Done()
					return nil
				})
			}, opts)
			wakes := 0
			r := startRunner(t, group, &scheduler.RunnerOptions{Wake: func() { wakes++ }})
			synctest.Wait()
			require.Equal(t, want, wakes)
			require.NoError(t, r.Cancel())
		})
	}
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
		require.EqualError(t, schedulertest.NewDriver(t, group, nil).RunToEnd(), "a: timed out after 10m0s: before")
		require.Equal(t, "after", group.ExplainNode("a").Notes.Text)
	})
	for name, tt := range map[string]struct {
		fails []error // of the attempts inside of a runner that begins after an attempt has failed with busy
		text  string
	}{
		"of an attempt before":        {nil, "inside: timed out after 1m0s"},
		"of a like attempt inside":    {[]error{errOops}, "inside: timed out after 1m0s: attempt 1: oops"},
		"of a further attempt inside": {[]error{busy, busy}, "inside: timed out after 1m0s: attempt 2: 503 Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			attempts := func(fails []error, last scheduler.Task) scheduler.Task {
				return scheduler.Retry(constant(0), func(attempt int, _ error) scheduler.Task {
					if attempt <= len(fails) {
						return scheduler.Func(func(context.Context) error { return fails[attempt-1] })
					}
					return last
				})
			}
			var err error
			group := newGroup(t, "a", func(string) scheduler.Task {
				return attempts([]error{busy}, scheduler.Wrap(func(co *scheduler.Coroutine) error {
					err = co.Await(scheduler.Subrun(scheduler.NewTaskRunner(
						attempts(tt.fails, lasting(3600, nil)),
						&scheduler.RunnerOptions{Name: "inside", Timeout: time.Minute},
					)))
					return nil
				}))
			}, nil)
			require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
			require.EqualError(t, err, tt.text)
		})
	}
	inBubble(t, "of a call", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Named("poll", scheduler.Poll(time.Minute, func(ctx context.Context) (bool, error) {
				scheduler.Note(ctx, "building")
				return false, nil
			}))
		}, opts(0))
		require.EqualError(t, scheduler.Run(t.Context(), group, nil),
			"a: timed out after 10m0s: building, asked 11 times")
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
			require.Less(t, cost(note), uint64(20_000*8))
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

// logTo returns a logger that writes lines without times into b.
func logTo(b *bytes.Buffer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestLogObserver(t *testing.T) {
	t.Parallel()
	hour := part{steps: "next*5"}
	for _, test := range []struct {
		name  string
		deps  string
		parts map[string]part
		opts  scheduler.GroupOptions[string]
		level slog.Level
		act   func(s *stage, round int)
		want  string
	}{
		{
			name: "quiet at info", deps: "b:a c", parts: map[string]part{"a": {steps: "next"}},
			want: `
level=INFO msg="group started" group.name=site group.nodes=3 group.completed=0
level=INFO msg="group ended" group.name=site group.rounds=2 group.took=1s group.succeeded=3`,
		},
		{
			name: "failures at info", deps: "a b c:a d:c", level: slog.LevelInfo,
			parts: map[string]part{"a": {steps: "next*3", close: "fail"}, "b": {steps: "next fail"}},
			want: `
level=INFO msg="group started" group.name=site group.nodes=4 group.completed=0
level=WARN msg="node failed" group.name=site group.round=2 node.path=b node.from=running node.task="player b" error="oops b"
level=INFO msg="group stopping" group.name=site error="b: oops b"
level=INFO msg="node cancelled" group.name=site group.round=2 node.path=a node.from=running node.task="player a" error="close a"
level=INFO msg="group ended" group.name=site group.rounds=2 group.took=1s group.failed=1 group.cancelled=3 error="b: oops b"`,
		},
		{
			name: "warnings alone", deps: "a b", level: slog.LevelWarn, parts: map[string]part{"a": {steps: "fail"}},
			want: `
level=WARN msg="node failed" group.name=site group.round=1 node.path=a node.from=running node.task="player a" error="oops a"`,
		},
		{
			name: "a skip at info", deps: "a", parts: map[string]part{"a": {steps: "skip"}},
			want: `
level=INFO msg="group started" group.name=site group.nodes=1 group.completed=0
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.skipped=1`,
		},
		{
			name: "every change for debugging", deps: "b:a c", level: slog.LevelDebug,
			opts:  scheduler.GroupOptions[string]{AggregateErrors: true, Timeout: func(string) time.Duration { return time.Second }},
			parts: map[string]part{"a": hour},
			want: `
level=INFO msg="group started" group.name=site group.nodes=3 group.completed=0
level=DEBUG msg="node running" group.name=site group.round=1 node.path=a node.from=pending
level=DEBUG msg="node running" group.name=site group.round=1 node.path=c node.from=pending
level=DEBUG msg="node succeeded" group.name=site group.round=1 node.path=c node.from=running node.task="player c"
level=WARN msg="node timed out" group.name=site group.round=3 node.path=a node.from=running node.task="player a" error="a: timed out after 1s"
level=DEBUG msg="node skipped" group.name=site group.round=3 node.path=b node.from=pending
level=INFO msg="group ended" group.name=site group.rounds=3 group.took=2s group.succeeded=1 group.timed_out=1 group.skipped=1 error="1 task failed:\n- a: timed out after 1s"`,
		},
		{
			name: "in reverse", deps: "b:a", level: slog.LevelDebug, opts: scheduler.GroupOptions[string]{Reverse: true},
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=DEBUG msg="node running" group.name=site group.round=1 node.path=b node.from=pending
level=DEBUG msg="node succeeded" group.name=site group.round=1 node.path=b node.from=running node.task="player b"
level=DEBUG msg="node running" group.name=site group.round=1 node.path=a node.from=pending
level=DEBUG msg="node succeeded" group.name=site group.round=1 node.path=a node.from=running node.task="player a"
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.succeeded=2`,
		},
		{
			name: "resumed", deps: "b:a c:b",
			opts: scheduler.GroupOptions[string]{Completed: func(k string) bool { return k != "c" }},
			want: `
level=INFO msg="group started" group.name=site group.nodes=3 group.completed=2
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.succeeded=3`,
		},
		{
			name: "nothing to do", deps: "a", opts: scheduler.GroupOptions[string]{Completed: func(string) bool { return true }},
			want: `
level=INFO msg="group started" group.name=site group.nodes=1 group.completed=1
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.succeeded=1`,
		},
		{
			name: "drained", deps: "a b:a", parts: map[string]part{"a": {steps: "next next"}},
			act: func(s *stage, round int) {
				if round == 2 {
					s.group.Drain()
				}
			},
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=INFO msg="group draining" group.name=site
level=INFO msg="group ended" group.name=site group.rounds=3 group.took=2s group.pending=1 group.succeeded=1 error="scheduler: drained"`,
		},
		{
			name: "a grace", deps: "a b", level: slog.LevelDebug, opts: scheduler.GroupOptions[string]{Grace: 2 * time.Second},
			parts: map[string]part{"a": {steps: "next*2"}, "b": {steps: "fail"}},
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=DEBUG msg="node running" group.name=site group.round=1 node.path=a node.from=pending
level=DEBUG msg="node running" group.name=site group.round=1 node.path=b node.from=pending
level=WARN msg="node failed" group.name=site group.round=1 node.path=b node.from=running node.task="player b" error="oops b"
level=INFO msg="group stopping" group.name=site error="b: oops b"
level=DEBUG msg="node stopping" group.name=site group.round=1 node.path=a node.task="player a" grace=2s error="b: oops b"
level=DEBUG msg="node succeeded" group.name=site group.round=3 node.path=a node.from=running node.task="player a"
level=INFO msg="group ended" group.name=site group.rounds=3 group.took=2s group.succeeded=1 group.failed=1 error="b: oops b"`,
		},
		{
			name: "noticed", deps: "a", level: slog.LevelDebug, parts: map[string]part{"a": {steps: "next next"}},
			act: func(s *stage, round int) {
				if round == 2 {
					s.group.Stop(s.ctx, errOops)
				}
			},
			want: `
level=INFO msg="group started" group.name=site group.nodes=1 group.completed=0
level=DEBUG msg="node running" group.name=site group.round=1 node.path=a node.from=pending
level=DEBUG msg="group noticed" group.name=site error=oops
level=DEBUG msg="node stopping" group.name=site group.round=1 node.path=a node.task="player a" grace=0s error=oops
level=DEBUG msg="node succeeded" group.name=site group.round=3 node.path=a node.from=running node.task="player a"
level=INFO msg="group ended" group.name=site group.rounds=3 group.took=2s group.succeeded=1`,
		},
		{
			name: "closed", deps: "a b:a", parts: map[string]part{"a": hour},
			act: func(s *stage, round int) {
				if round == 2 {
					require.NoError(s, s.group.Close())
				}
			},
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=INFO msg="group closing" group.name=site
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=1s group.cancelled=2 error="scheduler: cancelled"`,
		},
		{
			name: "panic", deps: "a b:a", parts: map[string]part{"a": {steps: "panic"}},
			act: func(s *stage, _ int) { panicOf(s.T, func() { _, _ = s.group.Step(s.ctx) }) },
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=WARN msg="node failed" group.name=site group.round=1 node.path=a node.from=running error="` + scheduler.ErrAborted.Error() + `"
level=INFO msg="group stopping" group.name=site error="` + scheduler.ErrAborted.Error() + `"
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.failed=1 group.cancelled=1 error="` + scheduler.ErrAborted.Error() + `"`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			s := newStage(t, test.parts)
			test.opts.Name, test.opts.Observer = "site", scheduler.NewLogObserver(logTo(&b, test.level))
			s.make(test.deps, &test.opts)
			for round := 1; ; round++ {
				if test.act != nil {
					test.act(s, round)
				}
				if y, _, err := s.round(); err != nil || y == scheduler.Done {
					break
				}
			}
			require.Equal(t, strings.TrimPrefix(test.want, "\n"), strings.TrimSuffix(b.String(), "\n"))
		})
	}
}

// A group inside a node has that node's path, and an end of its own.
func TestLogObserver_nested_groups(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := scheduler.NewLogObserver(logTo(&b, slog.LevelInfo))
	ran := 0
	group := func(name, deps string, task func(k string) scheduler.Task) scheduler.Task {
		g := newGroup(t, deps, task, &scheduler.GroupOptions[string]{Name: name, Observer: log})
		return g
	}
	leaf := func(string) scheduler.Task {
		ran++
		return scheduler.Pause(scheduler.After(time.Second))
	}
	outer := group("outer", "x y:x", func(k string) scheduler.Task {
		return group("middle", k, func(string) scheduler.Task { return group("", "a b", leaf) })
	})
	require.NoError(t, schedulertest.NewDriver(t, outer, nil).RunToEnd())
	require.Equal(t, 4, ran)
	require.Equal(t, `level=INFO msg="group started" group.name=outer group.nodes=2 group.completed=0
level=INFO msg="group started" group.name=middle group.path=x group.nodes=1 group.completed=0
level=INFO msg="group started" group.name=DependencyTaskGroup group.path=x/x group.nodes=2 group.completed=0
level=INFO msg="group ended" group.name=DependencyTaskGroup group.path=x/x group.rounds=2 group.took=1s group.succeeded=2
level=INFO msg="group ended" group.name=middle group.path=x group.rounds=2 group.took=1s group.succeeded=1
level=INFO msg="group started" group.name=middle group.path=y group.nodes=1 group.completed=0
level=INFO msg="group started" group.name=DependencyTaskGroup group.path=y/y group.nodes=2 group.completed=0
level=INFO msg="group ended" group.name=DependencyTaskGroup group.path=y/y group.rounds=2 group.took=1s group.succeeded=2
level=INFO msg="group ended" group.name=middle group.path=y group.rounds=2 group.took=1s group.succeeded=1
level=INFO msg="group ended" group.name=outer group.rounds=3 group.took=2s group.succeeded=2
`, b.String())
}

// Records have the time of the run.
func TestLogObserver_time(t *testing.T) {
	t.Parallel()
	var times []time.Time
	log := slog.New(slog.NewTextHandler(&bytes.Buffer{}, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				times = append(times, a.Value.Time())
			}
			return a
		},
	}))
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Pause(scheduler.After(24 * time.Hour))
	}, &scheduler.GroupOptions[string]{Observer: scheduler.NewLogObserver(log)})
	d := schedulertest.NewDriver(t, group, nil)
	began := d.Clock.Now()
	require.NoError(t, d.RunToEnd())
	require.Len(t, times, 2)
	require.True(t, began.Equal(times[0]))
	require.True(t, began.Add(24*time.Hour).Equal(times[1]))
}

// One LogObserver for runs on several goroutines.
func TestLogObserver_concurrent_use(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := scheduler.NewLogObserver(logTo(&b, slog.LevelDebug))
	var runs sync.WaitGroup
	for i := range 4 {
		group := newGroup(t, "b:a c", func(string) scheduler.Task {
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[string]{Name: fmt.Sprint(i), Observer: log})
		runs.Go(func() {
			if err := scheduler.Run(context.Background(), group, nil); err != nil {
				t.Error(err)
			}
		})
	}
	runs.Wait()
	for i := range 4 {
		require.Equal(t, 1, strings.Count(b.String(), fmt.Sprintf("\"group started\" group.name=%d", i)))
		require.Equal(t, 1, strings.Count(b.String(), fmt.Sprintf("\"group ended\" group.name=%d", i)))
	}
	require.Equal(t, 4*(2+6), strings.Count(b.String(), "\n"))
}

func TestLogObserver_slow_steps(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	clock := schedulertest.NewClock(time.Time{}).Alone()
	group := newGroup(t, "quick slow", func(k string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			if k == "slow" {
				clock.Advance(2 * time.Second)
			}
			return nil
		})
	}, &scheduler.GroupOptions[string]{Observer: scheduler.NewLogObserver(logTo(&b, slog.LevelWarn)), SlowStep: time.Second})
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, "level=WARN msg=\"slow step\" group.name=DependencyTaskGroup group.round=1 node.path=slow node.task=scheduler_test.TestLogObserver_slow_steps.func1.1 took=2s\n", b.String())
}

// Without a logger it is the default one that is written to. (Not parallel: that
// one is everybody's.)
func TestNewLogObserver_default(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var b bytes.Buffer
	slog.SetDefault(logTo(&b, slog.LevelInfo))
	group := newGroup(t, "a", func(string) scheduler.Task { return lasting(0, errOops) },
		&scheduler.GroupOptions[string]{Name: "site", Observer: scheduler.NewLogObserver(nil)})
	require.ErrorIs(t, scheduler.Run(t.Context(), group, nil), errOops)
	require.Contains(t, b.String(), "level=WARN msg=\"node failed\" group.name=site")
}

// A group that has ended is not held on to.
func TestLogObserver_forgets_groups(t *testing.T) {
	var b bytes.Buffer
	log := scheduler.NewLogObserver(logTo(&b, slog.LevelInfo))
	c := newCollector(t)
	func() {
		deps := scheduler.NewDependencies[*heavy]()
		deps.Add(c.task(nil), c.task(nil)) // the keys go when the group does
		group := groupOver(t, deps, func(*heavy) scheduler.Task {
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[*heavy]{Observer: log})
		require.NoError(t, scheduler.Run(t.Context(), group, nil))
	}()
	c.want(0)
	require.Equal(t, 2, strings.Count(b.String(), "\n"))
	runtime.KeepAlive(log)
}

// What the level leaves out allocates nothing, be it everything or the changes of
// nodes alone. (Not parallel: other tests' allocations would count.)
func TestLogObserver_does_not_allocate(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelError, slog.LevelInfo} {
		var b bytes.Buffer
		log := scheduler.NewLogObserver(logTo(&b, level))
		const changes = 200
		deps := scheduler.NewDependencies[int]()
		for i := range 2 * changes {
			deps.Add(i+1, i)
		}
		steps := 0 // of one node after another: each is done in its second one
		task := &fakeTask{step: func(context.Context) (scheduler.Yield, error) {
			if steps++; steps%2 == 0 {
				return scheduler.Done, nil
			}
			return scheduler.Next, nil
		}}
		group := groupOver(t, deps, func(int) scheduler.Task { return task },
			&scheduler.GroupOptions[int]{Name: "chain", Observer: log})
		ctx := scheduler.WithClock(t.Context(), schedulertest.NewClock(time.Time{}))
		step := func() { // a node ends, and the next one starts
			if _, err := group.Step(ctx); err != nil {
				panic(err)
			}
		}
		require.Zero(t, testing.AllocsPerRun(changes, step), level)
		require.Equal(t, changes, group.Count(scheduler.StateSucceeded))
		started := ""
		if level == slog.LevelInfo {
			started = "level=INFO msg=\"group started\" group.name=chain group.nodes=401 group.completed=0\n"
		}
		require.Equal(t, started, b.String())
	}
}

func TestLogObserver_nodes_that_are_added(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	g := newGrown(t, "a", &scheduler.GroupOptions[string]{Name: "g", Observer: scheduler.NewLogObserver(logTo(&b, slog.LevelDebug))})
	g.does["a"] = once(func() {
		require.NoError(t, g.Add("b"))
		g.CloseInput()
	})
	require.NoError(t, g.run(t))
	require.Contains(t, b.String(), "level=DEBUG msg=\"node added\" group.name=g group.round=1 node.path=b\n")
}

// What a node says about itself, and its attempts, are debug lines.
func TestLogObserver_notes_and_attempts(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Named("create", scheduler.Retry(constant(time.Second), func(attempt int, _ error) scheduler.Task {
			return scheduler.Func(func(ctx context.Context) error {
				scheduler.Note(ctx, "building")
				if attempt == 1 {
					return errOops
				}
				return nil
			})
		}))
	}, &scheduler.GroupOptions[string]{Name: "site", Observer: scheduler.NewLogObserver(logTo(&b, slog.LevelDebug))})
	require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	require.Contains(t, b.String(), "level=DEBUG msg=\"node noted\" group.name=site group.round=1 node.path=a note=building\n")
	require.Contains(t, b.String(), "level=DEBUG msg=\"node retrying\" group.name=site group.round=1 node.path=a attempt=1 error=oops\n")
}

// A line about a node that requires thousands names a few, and costs no more.
func TestExplain_of_a_hub(t *testing.T) {
	const n = 10_000
	deps := scheduler.NewDependencies[int]()
	for k := range n {
		deps.Add(n, k)
	}
	var view scheduler.GroupView
	g := groupOver(t, deps, func(int) scheduler.Task {
		return scheduler.Pause(scheduler.After(time.Hour))
	}, &scheduler.GroupOptions[int]{Observer: scheduler.ObserverFunc(func(r scheduler.Record) { view = r.Group() })})
	mustStep(t, t.Context(), g)
	require.Equal(t, "10000: pending since round 0, requires 0, 1, 2, 3, 4 and 9995 more", view.Explain(n))
	require.Less(t, testing.AllocsPerRun(10, func() { view.Explain(n) }), 50.0)
	require.Len(t, g.ExplainNode(n).Requires, n)
	var b strings.Builder
	_, err := g.WriteTo(&b)
	require.NoError(t, err)
	require.Contains(t, b.String(), "4 and 9995 more\n")
	require.NoError(t, g.Close())
}

// A node that waits for a call says which, and one that waits in Claiming who holds
// what, whatever is around them.
func TestGroup_Explain_looks_for_the_wait(t *testing.T) {
	for name, put := range holdersOf("itself", "renamed", "Named", "Sequence", "Finally", "AsTask", "Subrun", "Reserve", "Shield", "Claiming", "Retry", "Wrap") {
		inBubble(t, name, func(t *testing.T) {
			l := limiter(1)
			until, never := make(chan struct{}), new(scheduler.Event)
			g := newGroup(t, "call event first second poll", func(k string) scheduler.Task {
				switch k {
				case "call":
					return put(stuck(until))
				case "poll":
					return put(scheduler.Poll(time.Minute, func(context.Context) (bool, error) {
						<-until
						return true, nil
					}))
				case "event":
					return put(scheduler.Pause(scheduler.On(never)))
				}
				return put(scheduler.Claiming(claim(l)("1"), scheduler.Pause(scheduler.On(never))))
			}, nil)
			r := startRunner(t, g, nil)
			said := map[string]scheduler.Explanation[string]{}
			for e := range g.Explain() {
				said[e.Key] = e
			}
			r.Kill()
			_, err := r.Step(t.Context())
			closing := g.ExplainNode("call").String()
			close(until)
			require.NoError(t, err)
			require.Error(t, r.RunToCompletion(t.Context(), 0))

			for _, k := range []string{"call", "poll"} { // what functions are called is up to the compiler
				require.Contains(t, said[k].Call, "scheduler_test.")
				require.Equal(t, k+": running since round 1, waits: call "+said[k].Call, said[k].String())
			}
			require.Equal(t, "event: running since round 1, waits: event", said["event"].String())
			require.Equal(t, "first: running since round 1, waits: event", said["first"].String())
			require.Equal(t, "second: running since round 1, waits for 1 of volumes (capacity 1) held by first: 1", said["second"].String())
			require.Equal(t, []string{"first: 1"}, said["second"].Claims[0].Holders)
			require.Equal(t, "call: closing since round 1, waits: call "+said["call"].Call, closing)
		})
	}
}

// A call beside a time, and between two calls of a Poll, no call.
func TestGroup_Explain_of_a_call_with_a_limit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		g := newGroup(t, "limited poll", func(k string) scheduler.Task {
			if k == "limited" {
				return scheduler.WithTimeout(time.Hour, stuck(until))
			}
			return scheduler.Poll(time.Minute, func(context.Context) (bool, error) { return false, nil })
		}, nil)
		r := startRunner(t, g, nil)
		synctest.Wait()
		mustStep(t, t.Context(), r)
		limited, poll := g.ExplainNode("limited"), g.ExplainNode("poll")
		close(until)
		require.NoError(t, r.Cancel())
		require.Equal(t, "limited: running since round 1, waits: at 2000-01-01T01:00:00.000000001Z or call "+limited.Call, limited.String())
		require.Equal(t, "poll: running since round 1, waits: at 2000-01-01T00:01:00Z, asked once", poll.String())
	})
}

// A Retry that succeeds at once takes nothing back: a Retry inside its task, which gave
// up, has noted that.
func TestNote_of_a_Retry_inside_that_gave_up(t *testing.T) {
	for name, fails := range map[string]int{"at once": 0, "later": 1} {
		t.Run(name, func(t *testing.T) {
			var during scheduler.Notes
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.Sequence(
					scheduler.Retry(constant(0), func(attempt int, _ error) scheduler.Task {
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							_ = co.Await(scheduler.Retry(constant(-1), func(int, error) scheduler.Task {
								return &fakeTask{step: func(context.Context) (scheduler.Yield, error) { return scheduler.Yield{}, errSpace }}
							}))
							if attempt <= fails {
								return errBoom
							}
							return nil
						})
					}),
					scheduler.Pause(scheduler.Rounds(3)),
				)
			}, nil)
			d := schedulertest.NewDriver(t, group, nil)
			for range 3 {
				d.Step()
				during = group.ExplainNode("a").Notes
			}
			if fails > 0 {
				require.Zero(t, during)
			} else {
				require.Equal(t, scheduler.Notes{Attempt: 1, Last: errSpace}, during)
			}
			require.NoError(t, d.RunToEnd())
		})
	}
}
