package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// handClock is a Clock that moves when it is told to.
type handClock struct{ now time.Time }

func (c *handClock) Now() time.Time { return c.now }

// Wait moves to the time waited for.
func (c *handClock) Wait(until time.Time, wake <-chan struct{}) {
	if until.IsZero() {
		<-wake
		return
	}
	if until.After(c.now) {
		c.now = until
	}
}

func (c *handClock) advance(d time.Duration) { c.now = c.now.Add(d) }

// part is what a member of a group does, in words. What they mean is in perform.
type part struct {
	steps string // in each step; done behind the last one
	throw string // in each Throw; without any it is no Thrower
	stop  string // in Stop: "." nothing, "P" panic; others are its next step; without it is no Stopper
	close string // in Close: "" nothing, "!" an error, "P" panic, "G" Goexit
}

// stage is where a group plays.
type stage struct {
	*testing.T
	journal
	clock  *handClock
	ctx    context.Context
	parts  map[string]part
	events map[string]*scheduler.Event
	group  *scheduler.DependencyTaskGroup[string]
}

func newStage(t *testing.T, parts map[string]part) *stage {
	s := &stage{
		T: t, parts: parts,
		clock:  &handClock{now: time.Unix(1_000_000, 0)},
		events: map[string]*scheduler.Event{},
	}
	s.ctx = scheduler.WithClock(t.Context(), s.clock)
	return s
}

// graph reads "b:a c:a,b d": b requires a, c requires a and b, d nothing.
func graph(text string) *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for line := range strings.FieldsSeq(text) {
		k, required, _ := strings.Cut(line, ":")
		if required == "" {
			deps.Add(k)
			continue
		}
		deps.Add(k, strings.Split(required, ",")...)
	}
	return deps
}

// make makes the group.
func (s *stage) make(deps string, opts *scheduler.GroupOptions[string]) {
	s.Helper()
	g, err := scheduler.NewDependencyTaskGroup(graph(deps), s.task, opts)
	require.NoError(s, err)
	s.group = g
}

func (s *stage) event(k string) *scheduler.Event {
	if s.events[k] == nil {
		s.events[k] = new(scheduler.Event)
	}
	return s.events[k]
}

// task is a group's function.
func (s *stage) task(k string) scheduler.Task {
	p := &player{stage: s, key: k, part: s.parts[k]}
	p.words, p.answers = strings.Fields(p.steps), strings.Fields(p.throw)
	switch {
	case p.throw != "" && p.stop != "":
		return throwingStopper{throwingPlayer{p}}
	case p.throw != "":
		return throwingPlayer{p}
	case p.stop != "":
		return stoppingPlayer{p}
	}
	return p
}

type player struct {
	*stage
	key string
	part
	words, answers []string
	n              int
	cause          error // of the Stop
}

func (p *player) String() string { return "player " + p.key }

func (p *player) Step(context.Context) (scheduler.Yield, error) {
	p.n++
	p.add("%s%d", p.key, p.n)
	if p.n > len(p.words) {
		return scheduler.Done, nil
	}
	return p.perform(p.words[p.n-1], p.cause)
}

func (p *player) perform(word string, came error) (scheduler.Yield, error) {
	if first, second, ok := strings.Cut(word, "|"); ok {
		y, _ := p.perform(first, nil)
		z, _ := p.perform(second, nil)
		return y.Or(z), nil
	}
	n, _ := strconv.Atoi(word[1:])
	switch word[0] {
	case '.':
		return scheduler.Next, nil
	case 'r':
		return scheduler.Rounds(n), nil
	case 't':
		return scheduler.After(time.Duration(n) * time.Second), nil
	case 'e':
		return scheduler.On(p.event(p.key)), nil
	case '$':
		return scheduler.Done, nil
	case '?':
		return scheduler.Yield{}, nil
	case '!':
		return scheduler.Yield{}, fmt.Errorf("oops %s", p.key)
	case '^':
		return scheduler.Yield{}, came
	case 'P':
		panicForTest(errOops)
	case 'G':
		runtime.Goexit()
	}
	panic("no word: " + word)
}

func (p *player) Close() error {
	p.add("%s close", p.key)
	switch p.close {
	case "!":
		return fmt.Errorf("close %s", p.key)
	case "":
		return nil
	}
	_, err := p.perform(p.close, nil)
	return err
}

func (p *player) doThrow(err error) (scheduler.Yield, error) {
	p.add("%s throw", p.key)
	word := p.answers[0]
	if len(p.answers) > 1 {
		p.answers = p.answers[1:]
	}
	return p.perform(word, err)
}

func (p *player) doStop(cause error) {
	p.add("%s stop", p.key)
	switch p.stop {
	case ".":
	case "^", "$", "!": // the next step is that
		p.words = append(p.words[:p.n:p.n], p.stop)
		p.cause = cause
	default:
		_, _ = p.perform(p.stop, cause)
	}
}

type throwingPlayer struct{ *player }

func (p throwingPlayer) Throw(_ context.Context, err error) (scheduler.Yield, error) {
	return p.doThrow(err)
}

type stoppingPlayer struct{ *player }

func (p stoppingPlayer) Stop(_ context.Context, cause error) { p.doStop(cause) }

type throwingStopper struct{ throwingPlayer }

func (p throwingStopper) Stop(_ context.Context, cause error) { p.doStop(cause) }

// round makes a step of the group and returns what happened in it; a second
// passes.
func (s *stage) round() (scheduler.Yield, string, error) {
	y, err := s.group.Step(s.ctx)
	s.clock.advance(time.Second)
	return y, s.take(), err
}

// states lists the nodes' states by their first letters, in key order.
func (s *stage) states() string {
	var states []string
	for k, state := range s.group.All() {
		require.Equal(s, state, s.group.State(k))
		states = append(states, k+"="+state.String())
	}
	return strings.Join(states, " ")
}

// texts lists errors.
func texts(errs []error) string {
	var list []string
	for _, err := range errs {
		list = append(list, err.Error())
	}
	return strings.Join(list, "; ")
}

// ended checks what holds for every group that has ended.
func (s *stage) ended() {
	s.Helper()
	require.Zero(s, s.group.Count(scheduler.StatePending)+s.group.Count(scheduler.StateRunning))
	for _, state := range s.group.All() {
		require.True(s, state.Ended())
	}
	for range s.group.Running() {
		require.Fail(s, "a node runs")
	}
	_, err := s.group.Step(s.ctx)
	require.ErrorIs(s, err, scheduler.ErrEnded)
	_, err = s.group.Throw(s.ctx, errOther)
	require.Equal(s, errOther, err)
	require.NoError(s, s.group.Close())
	s.group.Stop(s.ctx, errOther)
	require.Empty(s, s.take(), "nothing of a task is called any more")
}

// A play is a run of a group, round by round, a second each.
type groupPlay struct {
	name   string
	deps   string
	parts  map[string]part
	opts   scheduler.GroupOptions[string]
	throws map[int]error // in place of the step of that round
	rounds []string      // what happens in each
	err    string        // the group's
	states string
	errors string // all of them
}

func (p *groupPlay) run(t *testing.T) {
	s := newStage(t, p.parts)
	s.make(p.deps, &p.opts)
	var rounds []string
	var y scheduler.Yield
	var err error
	for i := 1; err == nil && y != scheduler.Done && i < 30; i++ {
		var what string
		if thrown := p.throws[i]; thrown != nil {
			y, err = s.group.Throw(s.ctx, thrown)
			s.clock.advance(time.Second)
			what = s.take()
		} else {
			y, what, err = s.round()
		}
		rounds = append(rounds, what)
	}
	require.Equal(t, p.rounds, rounds)
	if p.err == "" {
		require.NoError(t, err)
	} else {
		require.EqualError(t, err, p.err)
	}
	if p.states != "" {
		require.Equal(t, p.states, s.states())
	}
	require.Equal(t, p.errors, texts(s.group.Errors()))
	s.ended()
}

func TestGroup_order(t *testing.T) {
	two := part{steps: ". ."}
	diamond := "b:a c:a d:b,c"
	twos := map[string]part{"a": two, "b": two, "c": two, "d": two}
	reverse := scheduler.GroupOptions[string]{Reverse: true}
	tests := []groupPlay{
		{name: "none", rounds: []string{""}},
		{name: "ties by entry", deps: "z y x", rounds: []string{"z1, y1, x1"}},
		{name: "ties by entry, reverse", deps: "z y x", opts: reverse, rounds: []string{"z1, y1, x1"}},
		{name: "a chain of one-step tasks takes one round", deps: "b:a c:b d:c", rounds: []string{"a1, b1, c1, d1"}},
		{name: "listed downwards", deps: "d:c c:b b:a", rounds: []string{"a1, b1, c1, d1"}},
		{name: "reverse", deps: "b:a c:b d:c", opts: reverse, rounds: []string{"d1, c1, b1, a1"}},
		{name: "reverse, listed downwards", deps: "d:c c:b b:a", opts: reverse, rounds: []string{"d1, c1, b1, a1"}},
		{
			name: "what starts has its second step in the next round", deps: diamond, parts: twos,
			rounds: []string{"a1", "a2", "a3, b1, c1", "b2, c2", "b3, c3, d1", "d2", "d3"},
		},
		{
			name: "reverse, from the top", deps: diamond, parts: twos, opts: reverse,
			rounds: []string{"d1", "d2", "d3, b1, c1", "b2, c2", "b3, c3, a1", "a2", "a3"},
		},
		{
			name: "freed in the start pass, started in it", deps: "b:a c:b z", parts: map[string]part{"c": two, "z": two},
			rounds: []string{"a1, b1, c1, z1", "c2, z2", "c3, z3"},
		},
		{
			name: "key order, not that of starting", deps: "b c:a",
			parts:  map[string]part{"a": {steps: ". . ."}, "b": {steps: ". . . . . ."}, "c": {steps: ". ."}},
			rounds: []string{"b1, a1", "b2, a2", "b3, a3", "b4, a4, c1", "b5, c2", "b6, c3", "b7"},
		},
		{
			name: "reverse key order is not the order read backwards", deps: "c:a d:b", opts: reverse,
			rounds: []string{"c1, a1, d1, b1"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func TestGroup_fail_fast(t *testing.T) {
	run := part{steps: ". . . . . . . . ."}
	fails := part{steps: ". !"}
	grace := scheduler.GroupOptions[string]{ErrorWaitTime: 2 * time.Second}
	tests := []groupPlay{
		{
			name: "without grace", deps: "a b c d:a", parts: map[string]part{"a": run, "b": fails, "c": run},
			rounds: []string{"a1, b1, c1", "a2, b2, a close, c close"},
			err:    "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed c=cancelled d=cancelled",
		},
		{
			name: "in the start pass", deps: "a b c", parts: map[string]part{"a": run, "b": {steps: "!"}, "c": run},
			rounds: []string{"a1, b1, a close"},
			err:    "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed c=cancelled",
		},
		{
			name: "those after it in key order are not stepped", deps: "a b c",
			parts:  map[string]part{"a": fails, "b": fails, "c": run},
			rounds: []string{"a1, b1, c1", "a2, b close, c close"},
			err:    "a: oops a", errors: "a: oops a",
			states: "a=failed b=cancelled c=cancelled",
		},
		{
			name: "errors of Close are kept aside", deps: "a b c",
			parts:  map[string]part{"a": {steps: ". . .", close: "!"}, "b": fails, "c": {steps: ". . .", close: "!"}},
			rounds: []string{"a1, b1, c1", "a2, b2, a close, c close"},
			err:    "b: oops b", errors: "b: oops b; a: close a; c: close c",
			states: "a=cancelled b=failed c=cancelled",
		},
		{
			name: "grace", deps: "a b c d:a", parts: map[string]part{"a": run, "b": fails, "c": {steps: ". . ."}}, opts: grace,
			// It fails at second 1; a deadline has passed when the clock reads more.
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "a3, c3", "a4, c4", "a close"},
			err:    "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed c=succeeded d=cancelled",
		},
		{
			name: "notice in the grace", deps: "a b c d e", opts: grace,
			parts: map[string]part{
				"a": {steps: ". . . . . . . .", stop: "."}, "b": fails, "c": {steps: ". . . . . . .", stop: "^"},
				"d": {steps: ". . . . . . . .", stop: "$"}, "e": {steps: ". . . . . . .", stop: "!"},
			},
			// The notice comes at once, also before a turn in the same round.
			rounds: []string{"a1, b1, c1, d1, e1", "a2, b2, a stop, c stop, d stop, e stop, c2, d2, e2", "a3", "a4", "a close"},
			err:    "b: oops b", errors: "b: oops b; c: b: oops b; e: oops e",
			states: "a=cancelled b=failed c=cancelled d=succeeded e=failed",
		},
		{
			name: "a second failure does not put the end off", deps: "a b c", opts: grace,
			parts:  map[string]part{"a": run, "b": fails, "c": {steps: ". . !"}},
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "a3, c3", "a4", "a close"},
			err:    "b: oops b", errors: "b: oops b; c: oops c",
			states: "a=cancelled b=failed c=failed",
		},
		{
			name: "a parked member is woken for its end", deps: "a b", opts: grace,
			parts:  map[string]part{"a": {steps: "t1000"}, "b": fails},
			rounds: []string{"a1, b1", "b2", "", "", "a close"},
			err:    "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed",
		},
		{
			name: "grace for each node", deps: "a b c d e",
			parts: map[string]part{"a": run, "b": fails, "c": run, "d": run, "e": run},
			opts: scheduler.GroupOptions[string]{ErrorWaitTimeFor: func(k string) time.Duration {
				return map[string]time.Duration{"a": time.Second, "b": time.Hour, "c": 0, "d": 3 * time.Second, "e": -1}[k]
			}},
			rounds: []string{
				"a1, b1, c1, d1, e1", "a2, b2, c close, e close, d2",
				"a3, d3", "a close, d4", "d5", "d close",
			},
			err: "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed c=cancelled d=cancelled e=cancelled",
		},
		{
			name: "zero Yield", deps: "a b c", parts: map[string]part{"a": run, "b": {steps: "?"}, "c": run},
			rounds: []string{"a1, b1, b close, a close"},
			err:    "b: " + scheduler.ErrNoYield.Error(), errors: "b: " + scheduler.ErrNoYield.Error(),
			states: "a=cancelled b=failed c=cancelled",
		},
		{
			name: "zero Yield later, fails to close", deps: "a b", parts: map[string]part{"a": run, "b": {steps: ". ?", close: "!"}},
			rounds: []string{"a1, b1", "a2, b2, b close, a close"},
			err:    "b: " + scheduler.ErrNoYield.Error() + "\nclose b", errors: "b: " + scheduler.ErrNoYield.Error() + "\nclose b",
			states: "a=cancelled b=failed",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// The grace is asked again at each further failure, for those that run then.
func TestGroup_ErrorWaitTimeFor_is_asked_again(t *testing.T) {
	run := part{steps: ". . . . . . . . ."}
	s := newStage(t, map[string]part{"a": run, "b": {steps: ". !"}, "c": {steps: ". . !"}, "d": run})
	failures := 0
	s.make("a b c d", &scheduler.GroupOptions[string]{ErrorWaitTimeFor: func(k string) time.Duration {
		s.add("grace %s", k)
		if k == "d" && failures > 0 {
			return 0
		}
		failures++
		return time.Hour
	}})
	_, what, err := s.round()
	require.NoError(t, err)
	require.Equal(t, "a1, b1, c1, d1", what)
	failures = -3
	_, what, err = s.round()
	require.NoError(t, err)
	require.Equal(t, "a2, b2, grace a, grace c, grace d, c2, d2", what)
	failures = 1
	_, what, err = s.round()
	require.NoError(t, err)
	require.Equal(t, "a3, c3, grace a, grace d, d close", what)
	require.NoError(t, s.group.Close())
	require.Equal(t, "a close", s.take())
	s.ended()
}

func TestGroup_aggregate(t *testing.T) {
	aggregate := scheduler.GroupOptions[string]{AggregateErrors: true}
	fails := part{steps: ". !"}
	tests := []groupPlay{
		{
			name: "one", deps: "a", parts: map[string]part{"a": {steps: "!"}}, opts: aggregate,
			rounds: []string{"a1"}, err: "1 task failed:\n- a: oops a", errors: "a: oops a", states: "a=failed",
		},
		{
			name: "skips what depends on it and nothing else", deps: "b:a c:b e:d f:b,e", opts: aggregate,
			parts:  map[string]part{"a": {steps: ". . ."}, "b": fails, "d": {steps: ". . . ."}, "e": {steps: ". . . . . ."}},
			rounds: []string{"a1, d1", "a2, d2", "a3, d3", "a4, d4, b1", "b2, d5, e1", "e2", "e3", "e4", "e5", "e6", "e7"},
			err:    "1 task failed:\n- b: oops b", errors: "b: oops b",
			states: "a=succeeded b=failed c=skipped d=succeeded e=succeeded f=skipped",
		},
		{
			name: "all members have their turn", deps: "a b c d", opts: aggregate,
			parts:  map[string]part{"a": fails, "b": fails, "c": {steps: ". ."}, "d": fails},
			rounds: []string{"a1, b1, c1, d1", "a2, b2, c2, d2", "c3"},
			err:    "3 tasks failed:\n- a: oops a\n- b: oops b\n- d: oops d",
			errors: "a: oops a; b: oops b; d: oops d",
			states: "a=failed b=failed c=succeeded d=failed",
		},
		{
			name: "order of occurrence", deps: "a b", opts: aggregate,
			parts:  map[string]part{"a": {steps: ". . !"}, "b": fails},
			rounds: []string{"a1, b1", "a2, b2", "a3"},
			err:    "2 tasks failed:\n- b: oops b\n- a: oops a", errors: "b: oops b; a: oops a",
			states: "a=failed b=failed",
		},
		{
			name: "reverse", deps: "b:a c:b d:c z", opts: scheduler.GroupOptions[string]{AggregateErrors: true, Reverse: true},
			parts:  map[string]part{"c": {steps: "!"}},
			rounds: []string{"d1, c1, z1"},
			err:    "1 task failed:\n- c: oops c", errors: "c: oops c",
			states: "d=succeeded c=failed b=skipped a=skipped z=succeeded",
		},
		{
			name: "no grace after a failure", deps: "a b",
			opts:   scheduler.GroupOptions[string]{AggregateErrors: true, ErrorWaitTime: time.Second},
			parts:  map[string]part{"a": {steps: "!"}, "b": {steps: ". . . . .", stop: "."}},
			rounds: []string{"a1, b1", "b2", "b3", "b4", "b5", "b6"},
			err:    "1 task failed:\n- a: oops a", errors: "a: oops a",
			states: "a=failed b=succeeded",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// A skipped node owes its fate to the first failure below it.
func TestGroup_Err(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "!"}, "b": {steps: ". !"}, "g": {steps: ". . . ."}, "h": {steps: ". . .", close: "!"}})
	s.make("c:a d:c e:d,b f:b g h", &scheduler.GroupOptions[string]{AggregateErrors: true})
	for range 2 {
		_, _, err := s.round()
		require.NoError(t, err)
	}
	require.Equal(t, "a=failed c=skipped d=skipped b=failed e=skipped f=skipped g=running h=running", s.states())
	require.NoError(t, s.group.Close())
	for k, want := range map[string]string{
		"a": "a: oops a", "b": "b: oops b", "c": "a: oops a", "d": "a: oops a", "e": "a: oops a", "f": "b: oops b",
		"g": "", "h": "h: close h", "unknown": "",
	} {
		if want == "" {
			require.NoError(t, s.group.Err(k), k)
		} else {
			require.EqualError(t, s.group.Err(k), want, k)
		}
	}
	var e *scheduler.TaskError
	require.ErrorAs(t, s.group.Err("a"), &e)
	require.Equal(t, "a", e.Key)
	require.Equal(t, "player a", e.Task)
}

func TestGroup_throw(t *testing.T) {
	run := part{steps: ". . . . . . . . .", throw: "."}
	stops := part{steps: ". . . . . . . . .", stop: "."}
	parts := map[string]part{"a": run, "b": stops}
	tests := []groupPlay{
		{
			name: "without grace", deps: "a b c:b", parts: parts, throws: map[int]error{2: errOops},
			rounds: []string{"a1, b1", "a close, b close"},
			err:    "oops", errors: "oops", states: "a=cancelled b=cancelled c=cancelled",
		},
		{
			name: "with grace", deps: "a b c:b", parts: parts, throws: map[int]error{2: errOops},
			opts:   scheduler.GroupOptions[string]{ErrorWaitTime: 2 * time.Second},
			rounds: []string{"a1, b1", "b stop", "a2, b2", "a3, b3", "a close, b close"},
			err:    "oops", errors: "oops", states: "a=cancelled b=cancelled c=cancelled",
		},
		{
			name: "the last one wins", deps: "a b", parts: parts, throws: map[int]error{2: errOops, 3: errOther},
			opts:   scheduler.GroupOptions[string]{ErrorWaitTime: 2 * time.Second},
			rounds: []string{"a1, b1", "b stop", "", "a2, b2", "a close, b close"},
			err:    "other", errors: "oops; other", states: "a=cancelled b=cancelled",
		},
		{
			name: "outranks an earlier failure", deps: "a b", throws: map[int]error{3: errOops},
			parts:  map[string]part{"a": run, "b": {steps: ". !"}},
			opts:   scheduler.GroupOptions[string]{ErrorWaitTime: 2 * time.Second},
			rounds: []string{"a1, b1", "a2, b2", "", "a3", "a close"},
			err:    "oops", errors: "b: oops b; oops", states: "a=cancelled b=failed",
		},
		{
			name: "outranks a later failure", deps: "a b", throws: map[int]error{2: errOops},
			parts:  map[string]part{"a": run, "b": {steps: ". !"}},
			opts:   scheduler.GroupOptions[string]{ErrorWaitTime: 2 * time.Second},
			rounds: []string{"a1, b1", "", "a2, b2", "a3", "a close"},
			err:    "oops", errors: "oops; b: oops b", states: "a=cancelled b=failed",
		},
		{
			name: "also if all end well", deps: "a b", throws: map[int]error{2: errOops},
			parts:  map[string]part{"a": {steps: ". ."}, "b": {steps: "."}},
			opts:   scheduler.GroupOptions[string]{ErrorWaitTime: time.Minute},
			rounds: []string{"a1, b1", "", "a2, b2", "a3"},
			err:    "oops", errors: "oops", states: "a=succeeded b=succeeded",
		},
		{
			name: "aggregate", deps: "a b c d:c", throws: map[int]error{3: errOops},
			parts:  map[string]part{"a": run, "b": {steps: ". !"}, "c": {steps: ". . ."}},
			opts:   scheduler.GroupOptions[string]{AggregateErrors: true, ErrorWaitTime: 2 * time.Second},
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "", "a3, c3", "a4, c4", "a close"},
			err:    "2 tasks failed:\n- b: oops b\n- oops", errors: "b: oops b; oops",
			states: "a=cancelled b=failed c=succeeded d=cancelled",
		},
		{
			name: "errors of Close", deps: "a b", throws: map[int]error{2: errOops},
			parts:  map[string]part{"a": {steps: ". .", close: "!"}, "b": {steps: ". .", close: "!"}},
			rounds: []string{"a1, b1", "a close, b close"},
			err:    "oops", errors: "oops; a: close a; b: close b", states: "a=cancelled b=cancelled",
		},
		{
			name: "what wraps a Timeout is an ordinary error", deps: "a b",
			throws: map[int]error{2: fmt.Errorf("words: %w", &scheduler.Timeout{Task: "x", Limit: 1})},
			parts:  parts,
			opts:   scheduler.GroupOptions[string]{ErrorWaitTime: time.Second},
			rounds: []string{"a1, b1", "b stop", "a2, b2", "a close, b close"},
			err:    "words: x: timed out after 1ns", errors: "words: x: timed out after 1ns",
		},
		{
			name: "a Timeout closes all at once, whatever the grace of the group", deps: "a b c:b",
			throws: map[int]error{2: &scheduler.Timeout{Task: "x", Limit: 1}},
			parts:  map[string]part{"a": run, "b": {steps: ". . .", close: "!", stop: "."}},
			opts:   scheduler.GroupOptions[string]{ErrorWaitTime: time.Hour},
			rounds: []string{"a1, b1", "a close, b close"},
			err:    "x: timed out after 1ns", errors: "x: timed out after 1ns; b: close b",
			states: "a=cancelled b=cancelled c=cancelled",
		},
		{
			name: "a Timeout outranks all", deps: "a b c", throws: map[int]error{3: errOops, 4: &scheduler.Timeout{Task: "x", Limit: 1}},
			parts:  map[string]part{"a": run, "b": {steps: ". !"}, "c": run},
			opts:   scheduler.GroupOptions[string]{ErrorWaitTime: time.Hour},
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "", "a close, c close"},
			err:    "x: timed out after 1ns", errors: "b: oops b; oops; x: timed out after 1ns",
		},
		{
			name: "a Timeout outranks all when aggregating", deps: "a b c", throws: map[int]error{3: &scheduler.Timeout{Task: "x", Limit: 1}},
			parts:  map[string]part{"a": run, "b": {steps: ". !"}, "c": run},
			opts:   scheduler.GroupOptions[string]{AggregateErrors: true},
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "a close, c close"},
			err:    "x: timed out after 1ns", errors: "b: oops b; x: timed out after 1ns",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
	t.Run("before the first step", func(t *testing.T) {
		s := newStage(t, nil)
		s.make("a b:a", nil)
		_, err := s.group.Throw(s.ctx, errOops)
		require.Equal(t, errOops, err)
		require.Empty(t, s.take())
		_, err = s.group.Step(s.ctx)
		require.ErrorIs(t, err, scheduler.ErrEnded)
	})
}

// The Timeout of a runner around a group gives the members the runner's grace.
func TestGroup_timeout_of_the_runner(t *testing.T) {
	stops := part{steps: "t1 t1 t1 t1 t1 t1 t1 t1 t1 t1", stop: "."}
	tests := []struct {
		name  string
		parts map[string]part
		grace time.Duration
		want  string
		ok    bool
		took  time.Duration
		state string
	}{
		{
			"no grace",
			map[string]part{"a": stops},
			0, "a1, a2, a3, a4, a close", false, 3500*time.Millisecond + 1,
			"a=cancelled b=cancelled",
		},
		{
			"too short",
			map[string]part{"a": stops},
			2 * time.Second, "a1, a2, a3, a4, a stop, a5, a6, a close", false,
			5500*time.Millisecond + 2, "a=cancelled b=cancelled",
		},
		{
			"ends in it",
			map[string]part{"a": {steps: stops.steps, stop: "$"}},
			2 * time.Second, "a1, a2, a3, a4, a stop, a5", false,
			4 * time.Second, "a=succeeded b=cancelled",
		},
		{
			"ends in it with the cause",
			map[string]part{"a": {steps: stops.steps, stop: "^"}},
			2 * time.Second,
			"a1, a2, a3, a4, a stop, a5", false, 4 * time.Second, "a=cancelled b=cancelled",
		},
		{
			"fails in it",
			map[string]part{"a": {steps: stops.steps, stop: "!"}},
			2 * time.Second, "a1, a2, a3, a4, a stop, a5", false,
			4 * time.Second, "a=failed b=cancelled",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, test.parts)
			s.make("b:a", nil)
			begin := s.clock.now
			err := scheduler.Run(t.Context(), s.group, &scheduler.RunnerOptions{
				Name: "x", Timeout: 3500 * time.Millisecond, Grace: test.grace, Clock: s.clock,
			})
			require.Equal(t, test.want, s.take())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.EqualError(t, err, "x: timed out after 3.5s")
			require.Equal(t, test.took, s.clock.now.Sub(begin))
			require.Equal(t, test.state, s.states())
			s.ended()
		})
	}
	t.Run("all end in the grace and nothing is left", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: stops.steps, stop: "$"}})
		s.make("a", nil)
		r := scheduler.NewTaskRunner(s.group, &scheduler.RunnerOptions{Grace: time.Minute, Clock: s.clock})
		require.NoError(t, r.Run(t.Context(), 3500*time.Millisecond, 0), "what a task swallows is not reported")
		require.ErrorIs(t, r.Err(), context.DeadlineExceeded)
		require.Equal(t, "a=succeeded", s.states())
	})
}

func TestGroup_Timeout_of_a_node(t *testing.T) {
	limit := func(d time.Duration) func(string) time.Duration {
		return func(k string) time.Duration { return map[string]time.Duration{"a": d}[k] }
	}
	run := ". . . . . . . . . . . ."
	const text = "player a: timed out after 1s"
	tests := []groupPlay{
		{
			name: "no Thrower", deps: "a b c:a", parts: map[string]part{"a": {steps: run}, "b": {steps: run}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1, b1", "a2, b2", "a close, b close"},
			err:    "a: " + text, errors: "a: " + text, states: "a=timed out b=cancelled c=cancelled",
		},
		{
			name: "fails to close", deps: "a b", parts: map[string]part{"a": {steps: run, close: "!"}, "b": {steps: run}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1, b1", "a2, b2", "a close, b close"},
			err:    "a: " + text + "\nclose a", errors: "a: " + text + "\nclose a", states: "a=timed out b=cancelled",
		},
		{
			name: "passed on", deps: "a b", parts: map[string]part{"a": {steps: run, throw: "^"}, "b": {steps: run}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1, b1", "a2, b2", "a throw, b close"},
			err:    "a: " + text, errors: "a: " + text, states: "a=timed out b=cancelled",
		},
		{
			name: "swallowed by ending", deps: "a b:a", parts: map[string]part{"a": {steps: run, throw: "$"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "a2", "a throw, b1"}, states: "a=succeeded b=succeeded",
		},
		{
			name: "another error", deps: "a", parts: map[string]part{"a": {steps: run, throw: "!"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "a2", "a throw"}, states: "a=failed", err: "a: oops a", errors: "a: oops a",
		},
		{
			name: "goes on without grace", deps: "a b", parts: map[string]part{"a": {steps: run, throw: "."}, "b": {steps: run}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1, b1", "a2, b2", "a throw, a close, b close"},
			err:    "a: " + text, errors: "a: " + text, states: "a=timed out b=cancelled",
		},
		{
			name: "goes on with grace", deps: "a b", parts: map[string]part{"a": {steps: run, throw: "."}, "b": {steps: ". . . ."}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second), ErrorWaitTime: 2 * time.Second},
			rounds: []string{"a1, b1", "a2, b2", "a throw, b3", "a3, b4", "a4, b5", "a close"},
			err:    "a: " + text, errors: "a: " + text, states: "a=timed out b=succeeded",
		},
		{
			name: "goes on with grace of its own, and ends", deps: "a b:a", parts: map[string]part{"a": {steps: ". . . .", throw: "."}},
			opts: scheduler.GroupOptions[string]{Timeout: limit(time.Second), ErrorWaitTimeFor: func(k string) time.Duration {
				return map[string]time.Duration{"a": time.Hour}[k]
			}},
			rounds: []string{"a1", "a2", "a throw", "a3", "a4", "a5, b1"}, states: "a=succeeded b=succeeded",
		},
		{
			name: "answered with nothing", deps: "a", parts: map[string]part{"a": {steps: run, throw: "?"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "a2", "a throw, a close"}, states: "a=failed",
			err: "a: " + scheduler.ErrNoYield.Error(), errors: "a: " + scheduler.ErrNoYield.Error(),
		},
		{
			name: "negative: over before its first line", deps: "a b:a c", parts: map[string]part{"a": {steps: run, throw: "$"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(-1), AggregateErrors: true},
			rounds: []string{"c1"}, states: "a=timed out b=skipped c=succeeded",
			err: "1 task failed:\n- a: a: timed out after -1ns", errors: "a: a: timed out after -1ns",
		},
		{
			name: "an ordinary failure when aggregating", deps: "a b c:a", parts: map[string]part{"a": {steps: run}, "b": {steps: ". . . ."}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second), AggregateErrors: true},
			rounds: []string{"a1, b1", "a2, b2", "a close, b3", "b4", "b5"},
			err:    "1 task failed:\n- a: " + text, errors: "a: " + text, states: "a=timed out b=succeeded c=skipped",
		},
		{
			name: "parked", deps: "a", parts: map[string]part{"a": {steps: "t100", throw: "^"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "", "a throw"}, states: "a=timed out", err: "a: " + text, errors: "a: " + text,
		},
		{
			name: "parked for rounds", deps: "a", parts: map[string]part{"a": {steps: "r100", throw: "^"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "", "a throw"}, states: "a=timed out", err: "a: " + text, errors: "a: " + text,
		},
		{
			name: "parked for an event", deps: "a", parts: map[string]part{"a": {steps: "e", throw: "^"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "", "a throw"}, states: "a=timed out", err: "a: " + text, errors: "a: " + text,
		},
		{
			name: "in time", deps: "a", parts: map[string]part{"a": {steps: ". . ."}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(3 * time.Second)},
			rounds: []string{"a1", "a2", "a3", "a4"}, states: "a=succeeded",
		},
		{
			name: "of one that has ended", deps: "a b", parts: map[string]part{"a": {steps: "."}, "b": {steps: "r2 r4"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(3 * time.Second)},
			rounds: []string{"a1, b1", "a2", "b2", "", "", "", "b3"}, states: "a=succeeded b=succeeded",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func TestGroup_Completed(t *testing.T) {
	done := func(keys string) func(string) bool {
		return func(k string) bool { return slices.Contains(strings.Fields(keys), k) }
	}
	const deps = "b:a c:a d:b,c e:d"
	tests := []groupPlay{
		{
			name: "resume", deps: deps, opts: scheduler.GroupOptions[string]{Completed: done("a b")},
			rounds: []string{"c1, d1, e1"}, states: "a=succeeded b=succeeded c=succeeded d=succeeded e=succeeded",
		},
		{name: "all", deps: deps, opts: scheduler.GroupOptions[string]{Completed: done("a b c d e")}, rounds: []string{""}},
		{
			name: "one that requires what is not", deps: deps, opts: scheduler.GroupOptions[string]{Completed: done("d")},
			parts:  map[string]part{"a": {steps: "."}},
			rounds: []string{"a1, e1", "a2, b1, c1"},
		},
		{
			name: "is never skipped", deps: deps, opts: scheduler.GroupOptions[string]{Completed: done("d"), AggregateErrors: true},
			parts:  map[string]part{"a": {steps: ". !"}, "e": {steps: ". . ."}},
			rounds: []string{"a1, e1", "a2, e2", "e3", "e4"},
			err:    "1 task failed:\n- a: oops a", errors: "a: oops a",
			states: "a=failed b=skipped c=skipped d=succeeded e=succeeded",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
	t.Run("is asked once for each, in key order", func(t *testing.T) {
		s := newStage(t, nil)
		s.make("c:b b:a", &scheduler.GroupOptions[string]{Completed: func(k string) bool { s.add("%s?", k); return false }})
		require.Equal(t, "a?, b?, c?", s.take())
		_, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, "a1, b1, c1", what)
	})
	t.Run("roll-back", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "."}, "b": {steps: ". ."}, "c": {steps: ". !"}})
		s.make(deps, nil)
		var err error
		for err == nil {
			_, _, err = s.round()
		}
		created := s.group
		require.Equal(t, "a=succeeded b=cancelled c=failed d=cancelled e=cancelled", s.states())
		s.parts = nil
		var started []string
		s.make(deps, &scheduler.GroupOptions[string]{
			Reverse:   true,
			Completed: func(k string) bool { return !created.Started(k) },
		})
		_, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, "b1, c1, a1", what, "what was half created is deleted too")
		for k := range s.group.All() {
			if s.group.Started(k) {
				started = append(started, k)
			}
		}
		require.Equal(t, []string{"b", "c", "a"}, started)
		require.False(t, s.group.Started("unknown"))
	})
}

// randomPlay is a graph and parts for its nodes.
func randomPlay(random *rand.Rand, words []string) (deps string, parts map[string]part) {
	n := 1 + random.IntN(12)
	parts = map[string]part{}
	var lines []string
	for i := range n {
		k := fmt.Sprint("n", i)
		var steps []string
		for range random.IntN(5) {
			steps = append(steps, words[random.IntN(len(words))])
		}
		parts[k] = part{steps: strings.Join(steps, " ")}
		var required []string
		for j := range i {
			if random.IntN(4) == 0 {
				required = append(required, fmt.Sprint("n", j))
			}
		}
		lines = append(lines, strings.TrimSuffix(k+":"+strings.Join(required, ","), ":"))
	}
	random.Shuffle(n, func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return strings.Join(lines, " "), parts
}

// A budget cuts a round into pieces and changes nothing else.
func TestGroup_Budget(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		deps, parts := randomPlay(random, []string{".", ".", ".", "r2", "r3", "!"})
		run := func(budget int) (trace, result, states string, rounds int) {
			s := newStage(t, parts)
			opts := &scheduler.GroupOptions[string]{
				AggregateErrors: seed%2 == 0, Reverse: seed%3 == 0, Budget: budget,
				Observer: scheduler.ObserverFunc(func(tr scheduler.Transition) {
					if tr.From == scheduler.StateRunning {
						return
					}
					_ = tr.Round()
				}),
			}
			s.make(deps, opts)
			var all []string
			for steps := 0; ; steps++ {
				require.Less(t, steps, 1000, "seed %d", seed)
				y, err := s.group.Step(s.ctx)
				now := s.lines
				s.lines = nil
				steps := 0
				for _, line := range now {
					if !strings.HasSuffix(line, "close") {
						steps++
					}
				}
				if budget > 0 {
					require.LessOrEqual(t, steps, budget, "seed %d", seed)
				}
				for _, line := range now {
					all = append(all, fmt.Sprint(s.group.Rounds(), " ", line))
				}
				if err != nil || y == scheduler.Done {
					return strings.Join(all, "\n"), fmt.Sprint(err), s.states(), s.group.Rounds()
				}
				if y.Ready() {
					require.Equal(t, budget, steps, "seed %d: only what was cut short goes on at once", seed)
				}
			}
		}
		trace, result, states, rounds := run(0)
		for _, budget := range []int{1, 2, 3, 7, 1000} {
			cutTrace, cutResult, cutStates, cutRounds := run(budget)
			require.Equal(t, trace, cutTrace, "seed %d, budget %d, %s", seed, budget, deps)
			require.Equal(t, result, cutResult, "seed %d, budget %d", seed, budget)
			require.Equal(t, states, cutStates, "seed %d, budget %d", seed, budget)
			require.Equal(t, rounds, cutRounds, "seed %d, budget %d", seed, budget)
		}
	}
}

// A group that is cut short inside another one, or a runner, goes on at once.
func TestGroup_Budget_nested(t *testing.T) {
	parts := map[string]part{}
	for i := range 10 {
		parts[fmt.Sprint(i)] = part{steps: "."}
	}
	s := newStage(t, parts)
	s.make("0 1 2 3 4 5 6 7 8 9", &scheduler.GroupOptions[string]{Budget: 3})
	outer := scheduler.All(scheduler.NewTaskRunner(s.group, nil).AsTask(0))
	begin := s.clock.now
	require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: s.clock, Wait: time.Second}))
	require.Equal(t, 2, s.group.Rounds())
	require.Equal(t, time.Second, s.clock.now.Sub(begin), "one pause, between the two rounds")
}

func TestGroup_Context(t *testing.T) {
	type key struct{}
	var j journal
	look := func(ctx context.Context, what string) {
		require.NotEmpty(t, fmt.Sprint(ctx))
		j.add("%s %v", what, ctx.Value(key{}))
	}
	asked := 0
	member := func(k string) scheduler.Task {
		return struct {
			*fakeThrower
			stopping
		}{&fakeThrower{
			fakeTask: fakeTask{step: func(ctx context.Context) (scheduler.Yield, error) {
				look(ctx, k+" step")
				return scheduler.Next, ctx.Err()
			}},
			throw: func(ctx context.Context, _ error) (scheduler.Yield, error) {
				look(ctx, k+" throw")
				return scheduler.Next, nil
			},
		}, stopping{func(ctx context.Context, _ error) { look(ctx, k+" stop") }}}
	}
	inner := func(k string) scheduler.Task {
		g, err := scheduler.NewDependencyTaskGroup(graph("x"), func(x string) scheduler.Task { return member(k + "/" + x) },
			&scheduler.GroupOptions[string]{Context: func(ctx context.Context, x string) context.Context {
				return context.WithValue(ctx, key{}, fmt.Sprint(ctx.Value(key{}), "/", x))
			}})
		require.NoError(t, err)
		return g
	}
	clock := &handClock{now: time.Unix(1, 0)}
	g, err := scheduler.NewDependencyTaskGroup(graph("a b c"), func(k string) scheduler.Task {
		if k == "b" {
			return inner(k)
		}
		return member(k)
	}, &scheduler.GroupOptions[string]{
		ErrorWaitTime: time.Hour,
		Timeout: func(k string) time.Duration {
			return map[string]time.Duration{"a": time.Second}[k]
		},
		Context: func(ctx context.Context, k string) context.Context {
			asked++
			ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, "v"+k))
			cancel() // its end does not count
			return ctx
		},
	})
	require.NoError(t, err)
	ctx := scheduler.WithClock(t.Context(), clock)
	for range 2 {
		_, err = g.Step(ctx)
		require.NoError(t, err)
		require.Equal(t, "a step va, b/x step vb/x, c step vc", j.take())
	}
	// Another context for the step: its end is seen, the values stay.
	_, err = g.Step(context.WithValue(ctx, key{}, "step"))
	require.NoError(t, err)
	require.Equal(t, "a step va, b/x step vb/x, c step vc", j.take())
	clock.advance(2 * time.Second)
	_, err = g.Step(ctx)
	require.NoError(t, err)
	require.Equal(t, "a throw va, b/x step vb/x, c step vc", j.take())
	_, err = g.Throw(ctx, errOops)
	require.NoError(t, err)
	require.Equal(t, "a stop va, b/x stop vb/x, c stop vc", j.take())
	require.Equal(t, 3, asked)
	require.NoError(t, g.Close())
}

type stopping struct {
	stop func(ctx context.Context, cause error)
}

func (s stopping) Stop(ctx context.Context, cause error) { s.stop(ctx, cause) }

// The end of a step's context is the member's business alone.
func TestGroup_ignores_the_end_of_its_context(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: ". ."}})
	s.make("a", nil)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for _, want := range []string{"a1", "a2", "a3"} {
		_, err := s.group.Step(ctx)
		require.NoError(t, err)
		require.Equal(t, want, s.take())
	}
	s.ended()
}

func TestGroup_nil_task(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: ". ."}})
	g, err := scheduler.NewDependencyTaskGroup(graph("a b"), func(k string) scheduler.Task {
		if k == "b" {
			return nil
		}
		return s.task(k)
	}, nil)
	require.NoError(t, err)
	_, err = g.Step(s.ctx)
	require.ErrorIs(t, err, scheduler.ErrNilTask)
	require.Equal(t, &scheduler.TaskError{Key: "b", Err: scheduler.ErrNilTask}, err)
	require.Equal(t, "a1, a close", s.take())
	require.Equal(t, scheduler.StateFailed, g.State("b"))
}

func TestNewDependencyTaskGroup_errors(t *testing.T) {
	type options = scheduler.GroupOptions[string]
	task := func(string) scheduler.Task { return nil }
	grace := func(string) time.Duration { return 0 }
	tests := []struct {
		name   string
		deps   *scheduler.Dependencies[string]
		task   func(string) scheduler.Task
		opts   *options
		option string
	}{
		{"nil deps", nil, task, nil, "deps"},
		{"nil task", graph("a"), nil, nil, "task"},
		{"negative Budget", graph("a"), task, &options{Budget: -1}, "GroupOptions.Budget"},
		{"negative ErrorWaitTime", graph("a"), task, &options{ErrorWaitTime: -1}, "GroupOptions.ErrorWaitTime"},
		{"ErrorWaitTime twice", graph("a"), task, &options{ErrorWaitTime: 1, ErrorWaitTimeFor: grace}, "GroupOptions.ErrorWaitTime"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g, err := scheduler.NewDependencyTaskGroup(test.deps, test.task, test.opts)
			require.Nil(t, g)
			var e *scheduler.OptionError
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.option, e.Option)
			require.NotEmpty(t, e.Reason)
			require.Contains(t, err.Error(), "scheduler: "+test.option+": ")
		})
	}
	for _, deps := range []string{"a:a", "a:b b:a", "x b:a c:b a:c y:a"} {
		for _, reverse := range []bool{false, true} {
			t.Run(fmt.Sprint("cycle ", deps, " reverse=", reverse), func(t *testing.T) {
				g, err := scheduler.NewDependencyTaskGroup(graph(deps), task, &options{Reverse: reverse})
				require.Nil(t, g)
				var e *scheduler.CircularDependencyError[string]
				require.ErrorAs(t, err, &e)
			})
		}
	}
}

// What is added to the graph later does not show in the group.
func TestGroup_keeps_its_view_of_the_graph(t *testing.T) {
	s := newStage(t, nil)
	deps := graph("b:a")
	g, err := scheduler.NewDependencyTaskGroup(deps, s.task, nil)
	require.NoError(t, err)
	deps.Add("a", "c")
	deps.Add("c", "b")
	require.Equal(t, 2, g.Len())
	_, err = g.Step(s.ctx)
	require.NoError(t, err)
	require.Equal(t, "a1, b1", s.take())
}

func TestGroup_misuse(t *testing.T) {
	tests := map[string]func(s *stage){
		"Step":  func(s *stage) { _, _ = s.group.Step(s.ctx) },
		"Throw": func(s *stage) { _, _ = s.group.Throw(s.ctx, errOops) },
		"Stop":  func(s *stage) { s.group.Stop(s.ctx, errOops) },
		"Close": func(s *stage) { _ = s.group.Close() },
	}
	for name, call := range tests {
		t.Run(name+" inside a step", func(t *testing.T) {
			s := newStage(t, map[string]part{"a": {steps: ". ."}})
			g, err := scheduler.NewDependencyTaskGroup(graph("a b c:b"), func(k string) scheduler.Task {
				if k == "b" {
					return scheduler.Func(func(context.Context) error { call(s); return nil })
				}
				return s.task(k)
			}, &scheduler.GroupOptions[string]{Name: "G"})
			require.NoError(t, err)
			s.group = g
			require.Equal(t, "scheduler: DependencyTaskGroup."+name+" of G called during a step",
				panicOf(t, func() { _, _ = g.Step(s.ctx) }))
			require.Equal(t, "a1, a close", s.take())
			require.Equal(t, "a=cancelled b=failed c=cancelled", s.states())
			s.ended()
		})
	}
}

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
	{name: "first Step", part: part{steps: "X"}, journal: "a1, b1, a close", states: "failed", member: true},
	{name: "Step", part: part{steps: ". X"}, steps: 1, journal: "a2, b2, a close, c close", states: "failed", member: true},
	{name: "Step after parking", part: part{steps: "r2 X"}, steps: 2, journal: "a3, b2, a close, c close", states: "failed", member: true},
	{
		name: "Throw", part: part{steps: ". . . . .", throw: "X"}, steps: 1,
		opts: func(func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Timeout: func(k string) time.Duration {
				return map[string]time.Duration{"b": time.Nanosecond}[k]
			}}
		},
		journal: "a2, b throw, a close, c close", states: "failed", member: true,
	},
	{
		name: "Stop", part: part{steps: ". . . . .", stop: "X"}, steps: 1, act: func(s *stage) { s.group.Stop(s.ctx, errOther) },
		journal: "b stop, a close, c close", states: "failed", member: true,
	},
	{
		name: "Stop after a failure", part: part{steps: ". . . . .", stop: "X"}, steps: 1,
		opts: func(func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{ErrorWaitTime: time.Hour}
		},
		act:     func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
		journal: "b stop, a close, c close", states: "failed", member: true,
	},
	{
		name: "Close", part: part{steps: ". . . . .", close: "X"}, steps: 1, act: func(s *stage) { _ = s.group.Close() },
		journal: "a close, b close, c close", states: "failed",
	},
	{
		name: "Close after a failure", part: part{steps: ". . . . .", close: "X"}, steps: 1,
		act:     func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
		journal: "a close, b close, c close", states: "failed",
	},
	{
		name: "Close after its Timeout", part: part{steps: ". . . . .", close: "X"}, steps: 1,
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
		name: "ErrorWaitTimeFor", part: part{steps: ". . . . ."}, steps: 1, act: func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
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
		name: "ErrorWaitTimeFor after a Timeout", part: part{steps: ". . . . .", throw: "."}, steps: 1,
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
		name: "Observer at an end", part: part{steps: "."}, steps: 1,
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateSucceeded)
		},
		journal: "a2, b2, a close, c close", states: "succeeded",
	},
	{
		name: "Observer at a failure", part: part{steps: ". !"}, steps: 1,
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateFailed)
		},
		journal: "a2, b2, a close, c close", states: "failed",
	},
	{
		name: "Observer at a cancellation", part: part{steps: ". . . ."}, steps: 1, act: func(s *stage) { _ = s.group.Close() },
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
		{"panic", "P", func() { panicForTest(errOops) }},
		{"Goexit", "G", runtime.Goexit},
	}
	for _, way := range ways {
		for _, test := range disasters {
			t.Run(test.name+" "+way.name, func(t *testing.T) {
				count := countGoroutines(t)
				swap := func(words string) string { return strings.ReplaceAll(words, "X", way.word) }
				run := part{steps: ". . . . . . . ."}
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
		"a": {steps: ". .", close: "P"}, "b": {steps: ". P"}, "c": {steps: ". .", close: "G"},
		"d": {steps: ". .", close: "P"}, "e": {steps: ". .", close: "!"},
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
	s = newStage(t, map[string]part{"a": {steps: ". ."}, "b": {steps: ". P"}, "c": {steps: ". ."}})
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
			swap := func(words string) string { return strings.ReplaceAll(words, "X", "P") }
			s := newStage(t, map[string]part{"a": {steps: ". . . . ."}, "c": {steps: ". . . . ."}, "b": {
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
		deps: "a b c", parts: map[string]part{"a": {steps: ". ."}, "b": {steps: ". P"}, "c": {steps: ". ."}},
		opts:   scheduler.GroupOptions[string]{RecoverPanics: true},
		rounds: []string{"a1, b1, c1", "a2, b2, a close, c close"},
		err:    "b: panic: oops", errors: "b: panic: oops", states: "a=cancelled b=failed c=cancelled",
	}).run)
	t.Run("panics in Stop fail others, too", (&groupPlay{
		deps: "a b c d e", throws: map[int]error{2: errOther},
		parts: map[string]part{
			"a": {steps: ". . .", stop: "P"}, "b": {steps: ". . .", stop: "P"}, "c": {steps: ". . ."},
			"d": {steps: ". . .", stop: "."}, "e": {steps: ". . .", stop: "P"},
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
		s := newStage(t, map[string]part{"a": {steps: ". ."}, "b": {steps: "G"}})
		s.make("a b", &scheduler.GroupOptions[string]{RecoverPanics: true})
		returned, panicked := onGoroutine(func() { _, _ = s.group.Step(s.ctx) })
		require.False(t, returned)
		require.Nil(t, panicked)
		require.Equal(t, "a1, b1, a close", s.take())
		s.ended()
	})
}

// What a parked member asks for is what the group asks for, and until then the
// member is not touched.
func TestGroup_parking(t *testing.T) {
	at := func(s *stage, seconds int) scheduler.Yield {
		return scheduler.At(time.Unix(1_000_000, 0).Add(time.Duration(seconds) * time.Second))
	}
	second := func(y scheduler.Yield) int {
		at, ok := y.Time()
		if !ok {
			return -1
		}
		return int(at.Unix() - 1_000_000)
	}
	tests := []struct {
		name   string
		parts  map[string]part
		rounds []string // what happens in each, a second after the other
		asks   []string // of the yields: n for the next round, the second
	}{
		{
			"rounds",
			map[string]part{"a": {steps: "r3 r2"}},
			[]string{"a1", "", "", "a2", "", "a3"},
			[]string{"n", "n", "n", "n", "n", ""},
		},
		{"time", map[string]part{"a": {steps: "t3 t1"}}, []string{"a1", "", "", "a2", "a3"}, []string{"3", "3", "3", "4", ""}},
		{
			"earliest time",
			map[string]part{"a": {steps: "t3"}, "b": {steps: "t2"}, "c": {steps: "t4"}},
			[]string{"a1, b1, c1", "", "b2", "a2", "c2"},
			[]string{"2", "2", "3", "4", ""},
		},
		{
			"next and time",
			map[string]part{"a": {steps: "t3"}, "b": {steps: ". . ."}},
			[]string{"a1, b1", "b2", "b3", "a2, b4"},
			[]string{"n3", "n3", "n3", ""},
		},
		{"rounds or time", map[string]part{"a": {steps: "r2|t5 r5|t2"}}, []string{"a1", "", "a2", "", "a3"}, []string{"n5", "n5", "n4", "n4", ""}},
		{
			"rounds put off",
			map[string]part{"a": {steps: "r3|t1 r4"}, "b": {steps: "r3|t1 t3"}, "c": {steps: "r9|t1 r2"}},
			[]string{"a1, b1, c1", "a2, b2, c2", "", "c3", "b3", "a3"},
			[]string{"n1", "n4", "n4", "n4", "n", ""},
		},
		{
			"rounds given up",
			map[string]part{"a": {steps: "r9|t1"}, "b": {steps: "r3|t1 t8"}},
			[]string{"a1, b1", "a2, b2", "", "", "", "", "", "", "", "b3"},
			[]string{"n1", "9", "9", "9", "9", "9", "9", "9", "9", ""},
		},
		{
			"times put off",
			map[string]part{"a": {steps: "r2|t5 t9"}, "b": {steps: "t5"}},
			[]string{"a1, b1", "", "a2", "", "", "b2", "", "", "", "", "", "a3"},
			[]string{"n5", "n5", "5", "5", "5", "11", "11", "11", "11", "11", "11", ""},
		},
		{
			"times brought forward",
			map[string]part{"a": {steps: "r2|t9 t2"}, "b": {steps: "t10"}},
			[]string{"a1, b1", "", "a2", "", "a3", "", "", "", "", "", "b2"},
			[]string{"n9", "n9", "4", "4", "10", "10", "10", "10", "10", "10", ""},
		},
		{
			"times given up",
			map[string]part{"a": {steps: "r2|t5 r9"}, "b": {steps: "t5"}},
			[]string{"a1, b1", "", "a2", "", "", "b2", "", "", "", "", "", "a3"},
			[]string{"n5", "n5", "n5", "n5", "n5", "n", "n", "n", "n", "n", "n", ""},
		},
		{
			"later and later",
			map[string]part{"a": {steps: "t1|t9 t2 t3 t4 . t1"}},
			[]string{"a1", "a2", "", "a3", "", "", "a4", "", "", "", "a5", "a6", "a7"},
			[]string{"1", "3", "3", "6", "6", "6", "10", "10", "10", "10", "n", "12", ""},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, test.parts)
			deps := "a b c"
			if len(test.parts) < 3 {
				deps = "a b"[:2*len(test.parts)-1]
			}
			s.make(deps, nil)
			var rounds, asks []string
			for y := scheduler.Next; y != scheduler.Done && len(rounds) < 30; {
				var what string
				var err error
				y, what, err = s.round()
				require.NoError(t, err)
				ask := ""
				if y.Rounds() > 0 {
					require.Equal(t, 1, y.Rounds(), "the next one, never a number")
					ask = "n"
				}
				if at := second(y); at >= 0 {
					ask += strconv.Itoa(at)
				}
				rounds, asks = append(rounds, what), append(asks, ask)
			}
			require.Equal(t, test.rounds, rounds)
			require.Equal(t, test.asks, asks)
		})
	}
	t.Run("a time in the past", func(t *testing.T) {
		steps := 0
		s := newStage(t, nil)
		g, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task {
			return &fakeTask{step: func(context.Context) (scheduler.Yield, error) {
				if steps++; steps == 3 {
					return scheduler.Done, nil
				}
				return at(s, -100), nil
			}}
		}, nil)
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: s.clock}))
		require.Equal(t, 3, steps)
	})
	t.Run("the limit of a parked member", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "e"}})
		s.make("a", &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return 5 * time.Second }})
		y, _, err := s.round()
		require.NoError(t, err)
		require.Equal(t, 0, y.Rounds())
		due, ok := y.Time()
		require.True(t, ok)
		require.Equal(t, 5*time.Second+1, due.Sub(time.Unix(1_000_000, 0)), "when it has passed")
		require.NoError(t, s.group.Close())
	})
}

func TestGroup_events(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "e e"}, "b": {steps: "e|r3"}, "c": {steps: "t3"}})
	s.make("a b c", nil)
	step := func(want, asks string) scheduler.Yield {
		t.Helper()
		y, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, want, what)
		return y
	}
	y := step("a1, b1, c1", "")
	require.False(t, y.Ready())
	s.event("a").Set()
	require.True(t, y.Ready(), "the event of the yield is set")
	s.event("a").Set()
	step("a2", "") // still set: due again
	y = step("a3", "")
	require.False(t, y.Ready())
	s.event("b").Set()
	require.True(t, y.Ready())
	y = step("b2, c2", "")
	require.Equal(t, scheduler.Done, y)
	s.event("a").Set() // nobody waits any more
	s.ended()

	t.Run("set before anybody waits", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "e"}})
		s.event("a").Set()
		s.make("a", nil)
		y, _, err := s.round()
		require.NoError(t, err)
		require.True(t, y.Ready())
		y, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, scheduler.Done, y)
		require.Equal(t, "a2", what)
	})
	t.Run("reset before the round", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "e"}})
		s.make("a", nil)
		_, _, err := s.round()
		require.NoError(t, err)
		s.event("a").Set()
		s.event("a").Reset()
		_, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, "a2", what, "who was woken gets its step all the same")
	})
	t.Run("of an earlier wait does not count", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "e|t1 t100 ."}})
		s.make("a", nil)
		_, _, err := s.round()
		require.NoError(t, err)
		_, what, err := s.round() // by time
		require.NoError(t, err)
		require.Equal(t, "a2", what)
		s.event("a").Set()
		_, what, err = s.round()
		require.NoError(t, err)
		require.Empty(t, what)
		require.NoError(t, s.group.Close())
	})
	t.Run("set in a step of the same round", func(t *testing.T) {
		s := newStage(t, map[string]part{"z": {steps: "e ."}, "b": {steps: "e ."}})
		g, err := scheduler.NewDependencyTaskGroup(graph("z a b"), func(k string) scheduler.Task {
			if k != "a" {
				return s.task(k)
			}
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if s.group.Rounds() == 1 {
					return scheduler.Next, nil
				}
				s.add("set")
				s.event("z").Set()
				s.event("b").Set()
				return scheduler.Done, nil
			})
		}, nil)
		require.NoError(t, err)
		s.group = g
		for _, want := range []string{"z1, b1", "set", "z2, b2", "z3, b3"} {
			_, what, err := s.round()
			require.NoError(t, err)
			require.Equal(t, want, what, "it is for the next round, before and after in key order alike")
		}
		s.ended()
	})
}

// A million parked members cost nothing; that they are not stepped is seen here
// with fewer.
func TestGroup_does_not_touch_the_parked(t *testing.T) {
	const n = 10_000
	steps := make([]int, n)
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
	}
	event := new(scheduler.Event)
	g, err := scheduler.NewDependencyTaskGroup(deps, func(i int) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if steps[i]++; i == 0 && steps[0] < 100 {
				return scheduler.Next, nil
			}
			if steps[i] > 1 {
				return scheduler.Done, nil
			}
			switch i % 3 {
			case 0:
				return scheduler.On(event), nil
			case 1:
				return scheduler.After(time.Hour), nil
			}
			return scheduler.Rounds(1000), nil
		})
	}, nil)
	require.NoError(t, err)
	clock := &handClock{now: time.Unix(0, 0)}
	ctx := scheduler.WithClock(t.Context(), clock)
	for range 100 {
		_, err := g.Step(ctx)
		require.NoError(t, err)
	}
	require.Equal(t, 100, steps[0])
	require.Equal(t, slices.Repeat([]int{1}, n-1), steps[1:])
	event.Set()
	clock.advance(time.Hour)
	_, err = g.Step(ctx)
	require.NoError(t, err)
	require.Equal(t, n/3, g.Count(scheduler.StateRunning))
	for range 899 {
		_, err := g.Step(ctx)
		require.NoError(t, err)
	}
	y, err := g.Step(ctx)
	require.NoError(t, err)
	require.Equal(t, scheduler.Done, y)
}

// Members on every level of nested groups wait for events that other goroutines
// set; nobody polls.
func TestGroup_nested(t *testing.T) {
	for depth := range 6 {
		t.Run(fmt.Sprint("depth=", depth), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var wg sync.WaitGroup
				leaves, steps := 0, 0
				var order []string
				var makeTask func(depth int, path string) scheduler.Task
				makeTask = func(depth int, path string) scheduler.Task {
					if depth == 0 {
						leaves++
						event := new(scheduler.Event)
						d := time.Duration(leaves) * time.Second
						wg.Go(func() {
							sleep(d)
							event.Set()
						})
						return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
							steps++
							if !event.IsSet() {
								return scheduler.On(event), nil
							}
							order = append(order, path)
							return scheduler.Done, nil
						})
					}
					g, err := scheduler.NewDependencyTaskGroup(graph("a b c:a d:b,c"), func(k string) scheduler.Task {
						return makeTask(depth-1, path+k)
					}, nil)
					require.NoError(t, err)
					return g
				}
				require.NoError(t, scheduler.Run(t.Context(), makeTask(depth, ""), &scheduler.RunnerOptions{Wait: time.Hour}))
				wg.Wait()
				want := 1
				for range depth {
					want *= 4
				}
				require.Equal(t, want, leaves)
				require.Equal(t, 2*leaves, steps)
				require.Len(t, order, leaves)
				require.Positive(t, time.Since(begin))
			})
		})
	}
}

func TestAll_is_a_group(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		y, err := scheduler.All().Step(t.Context())
		require.NoError(t, err)
		require.Equal(t, scheduler.Done, y)
	})
	t.Run("side by side", func(t *testing.T) {
		clock := &handClock{now: time.Unix(0, 0)}
		task := scheduler.All(
			scheduler.Pause(scheduler.After(time.Second)),
			scheduler.Pause(scheduler.After(3*time.Second)),
			scheduler.Pause(scheduler.After(2*time.Second)),
		)
		require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, time.Unix(3, 0), clock.now)
	})
	t.Run("the first failure closes the others", func(t *testing.T) {
		var j journal
		err := scheduler.Run(t.Context(), scheduler.All(
			&fakeTask{close: func() error { j.add("close 0"); return nil }},
			scheduler.Func(func(context.Context) error { return errOops }),
			&fakeTask{step: func(context.Context) (scheduler.Yield, error) { j.add("step 2"); return scheduler.Next, nil }},
		), nil)
		require.Equal(t, "close 0", j.take())
		var e *scheduler.TaskError
		require.ErrorAs(t, err, &e)
		require.Equal(t, 1, e.Key)
		require.Equal(t, errOops, e.Err)
	})
	t.Run("nil", func(t *testing.T) {
		require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.All(nil), nil), scheduler.ErrNilTask)
	})
	t.Run("its arguments may change afterwards", func(t *testing.T) {
		tasks := []scheduler.Task{scheduler.Pause(scheduler.Next)}
		task := scheduler.All(tasks...)
		tasks[0] = nil
		require.NoError(t, scheduler.Run(t.Context(), task, nil))
	})
	t.Run("has a name", func(t *testing.T) { require.Equal(t, "All", scheduler.TaskDescription(scheduler.All())) })
}

func TestGroup_queries(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: ". ."}, "b": {steps: ". . . ."}, "d": {steps: ". !"}})
	s.make("c:a,b d e:d f:e,c", &scheduler.GroupOptions[string]{AggregateErrors: true, Name: "G"})
	g := s.group
	waits := func(k string) string { return strings.Join(slices.Collect(g.WaitsFor(k)), "") }
	running := func() string { return strings.Join(slices.Collect(g.Running()), "") }
	counts := func() (counts [8]int) {
		for state := range counts {
			counts[state] = g.Count(scheduler.State(state))
		}
		return counts
	}
	require.Equal(t, "G", g.String())
	require.Equal(t, 6, g.Len())
	require.Equal(t, [8]int{1: 6}, counts())
	require.Zero(t, g.Count(99))
	require.Equal(t, "ab", waits("c"))
	require.Equal(t, "ce", waits("f"))
	require.Empty(t, waits("a"))
	require.Empty(t, waits("unknown"))
	require.Empty(t, running())
	require.Zero(t, g.State("unknown"))
	require.Equal(t, "unknown", g.State("unknown").String())
	require.Zero(t, g.Rounds())
	require.Empty(t, g.Errors())

	for range 3 {
		_, _, err := s.round()
		require.NoError(t, err)
	}
	require.Equal(t, 3, g.Rounds())
	require.Equal(t, "a=succeeded b=running c=pending d=failed e=skipped f=skipped", s.states())
	require.Equal(t, [8]int{1: 1, 2: 1, 3: 1, 4: 1, 7: 2}, counts())
	require.Equal(t, "b", running())
	require.Equal(t, "b", waits("c"), "what is done is left out")
	require.Empty(t, waits("f"), "it waits for nothing any more")
	for k, started := range map[string]bool{"a": true, "b": true, "c": false, "d": true, "e": false, "f": false} {
		require.Equal(t, started, g.Started(k), k)
	}
	for k := range g.All() { // breaking off is fine
		require.Equal(t, "a", k)
		break
	}
	for range g.Running() {
		break
	}
	for range g.WaitsFor("c") {
		break
	}
	for {
		if _, _, err := s.round(); err != nil {
			break
		}
	}
	require.Equal(t, "a=succeeded b=succeeded c=succeeded d=failed e=skipped f=skipped", s.states())
	require.True(t, g.Started("c"))
	s.ended()
}

// Members may ask in the middle of a round.
func TestGroup_queries_inside_steps(t *testing.T) {
	var j journal
	var g *scheduler.DependencyTaskGroup[string]
	g, err := scheduler.NewDependencyTaskGroup(graph("b:a c:a"), func(k string) scheduler.Task {
		look := func() {
			var states []string
			for _, state := range g.All() {
				states = append(states, state.String()[:1])
			}
			j.add("%s in %d: %s, %v running, c waits for %v", k, g.Rounds(), strings.Join(states, ""),
				slices.Collect(g.Running()), slices.Collect(g.WaitsFor("c")))
		}
		look()
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			look()
			err := co.Yield(scheduler.Next)
			look()
			return err
		})
	}, nil)
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
	require.Equal(t, []string{
		"a in 1: rpp, [a] running, c waits for [a]",
		"a in 1: rpp, [a] running, c waits for [a]",
		"a in 2: rpp, [a] running, c waits for [a]",
		"b in 2: srp, [b] running, c waits for []",
		"b in 2: srp, [b] running, c waits for []",
		"c in 2: srr, [b c] running, c waits for []",
		"c in 2: srr, [b c] running, c waits for []",
		"b in 3: srr, [b c] running, c waits for []",
		"c in 3: ssr, [c] running, c waits for []",
	}, j.lines)
}

// TaskRunner.Stop, and the end of Run's context: nothing new starts at any
// depth, and what is left unfinished fails with the cause.
func TestGroup_stopped_by_its_runner(t *testing.T) {
	nested := func(s *stage, depth int) scheduler.Task {
		task := scheduler.Task(s.group)
		for range depth {
			inner := task
			g, err := scheduler.NewDependencyTaskGroup(graph("y:x"), func(k string) scheduler.Task {
				if k == "y" {
					return scheduler.Func(func(context.Context) error { s.add("y"); return nil })
				}
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					return co.Await(scheduler.NewTaskRunner(inner, nil).AsTask(0))
				})
			}, nil)
			require.NoError(s, err)
			task = g
		}
		return task
	}
	tests := []struct {
		name   string
		part   part // of a
		stops  []string
		states string
		errors string
	}{
		{"goes on until it is closed", part{steps: "t1 t1 t1 t1 t1 t1 t1", stop: "."}, []string{"a1", "a stop, a2", "a3, a close"}, "a=cancelled b=cancelled", ""},
		{"ends", part{steps: "t1 t1 t1 t1 t1", stop: "$"}, []string{"a1", "a stop, a2"}, "a=succeeded b=cancelled", ""},
		{"ends with the cause", part{steps: "t1 t1 t1 t1 t1", stop: "^"}, []string{"a1", "a stop, a2"}, "a=cancelled b=cancelled", "a: oops"},
		{"fails", part{steps: "t1 t1 t1 t1 t1", stop: "!"}, []string{"a1", "a stop, a2"}, "a=failed b=cancelled", "a: oops a"},
	}
	for _, test := range tests {
		for depth := range 4 {
			t.Run(fmt.Sprint(test.name, " depth=", depth), func(t *testing.T) {
				s := newStage(t, map[string]part{"a": test.part})
				s.make("b:a", nil)
				r := scheduler.NewTaskRunner(nested(s, depth), &scheduler.RunnerOptions{Clock: s.clock, Grace: 2 * time.Second})
				require.NoError(t, r.Start(t.Context(), 0))
				r.Stop(errOops)
				var err error
				for done := false; !done; {
					s.clock.advance(time.Second)
					done, err = r.Step(t.Context())
				}
				require.Equal(t, strings.Join(test.stops, ", "), s.take(), "neither b nor y")
				require.ErrorIs(t, err, errOops)
				if test.errors == "a: oops a" {
					require.ErrorContains(t, err, "oops a", "what failed meanwhile is joined")
				} else {
					require.EqualError(t, err, "oops")
				}
				require.Equal(t, test.states, s.states())
				require.Equal(t, test.errors, texts(s.group.Errors()))
				s.ended()
			})
		}
	}
	t.Run("nothing was left to start", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: ". .", stop: "$"}})
		s.make("a", nil)
		r := scheduler.NewTaskRunner(s.group, &scheduler.RunnerOptions{Clock: s.clock, Grace: time.Minute})
		require.NoError(t, r.Start(t.Context(), 0))
		r.Stop(errOops)
		require.Equal(t, errOops, r.RunToCompletion(t.Context(), 0))
		require.Equal(t, "a=succeeded", s.states())
		require.Empty(t, s.group.Errors())
	})
	t.Run("without grace", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: ". .", stop: "."}})
		s.make("b:a", nil)
		r := scheduler.NewTaskRunner(s.group, &scheduler.RunnerOptions{Clock: s.clock})
		require.NoError(t, r.Start(t.Context(), 0))
		r.Stop(errOops)
		require.Equal(t, errOops, r.RunToCompletion(t.Context(), 0))
		require.Equal(t, "a1, a close", s.take())
		require.Equal(t, "a=cancelled b=cancelled", s.states())
	})
	t.Run("aggregate", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "!"}, "b": {steps: ". . .", stop: "$"}})
		s.make("a b c:b", &scheduler.GroupOptions[string]{AggregateErrors: true})
		r := scheduler.NewTaskRunner(s.group, &scheduler.RunnerOptions{Clock: s.clock, Grace: time.Minute})
		require.NoError(t, r.Start(t.Context(), 0))
		r.Stop(errOops)
		err := r.RunToCompletion(t.Context(), 0)
		require.ErrorIs(t, err, errOops)
		var all *scheduler.ExceptionGroup
		require.ErrorAs(t, err, &all, "what failed before is not lost")
		require.Equal(t, "a=failed b=succeeded c=cancelled", s.states())
	})
}

// In the grace of an outer group an inner one goes on starting, and its members
// have notice, those that start in the grace too.
func TestGroup_stopped_by_an_outer_group(t *testing.T) {
	outer := func(s *stage) *scheduler.DependencyTaskGroup[string] {
		g, err := scheduler.NewDependencyTaskGroup(graph("inner fails"), func(k string) scheduler.Task {
			if k == "inner" {
				return s.group
			}
			return &player{stage: s, key: "f", words: []string{".", "!"}}
		}, &scheduler.GroupOptions[string]{ErrorWaitTime: 3 * time.Second})
		require.NoError(t, err)
		return g
	}
	play := func(s *stage, g *scheduler.DependencyTaskGroup[string]) (rounds []string, err error) {
		for y := scheduler.Next; y != scheduler.Done && err == nil; {
			y, err = g.Step(s.ctx)
			s.clock.advance(time.Second)
			rounds = append(rounds, s.take())
		}
		return rounds, err
	}
	t.Run("goes on starting", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: ". . .", stop: "."}, "b": {steps: ". . . . . . .", stop: "."}})
		s.make("b:a", nil)
		g := outer(s)
		rounds, err := play(s, g)
		require.EqualError(t, err, "fails: oops f")
		require.Equal(t, []string{"a1, f1", "a2, f2, a stop", "a3", "a4, b1, b stop", "b2", "b close"}, rounds)
		require.Equal(t, "a=succeeded b=cancelled", s.states())
		require.Equal(t, scheduler.StateCancelled, g.State("inner"))
		s.ended()
	})
	t.Run("a member that ends with the cause fails it", func(t *testing.T) {
		// Else what depends on that member would never start, nor end.
		s := newStage(t, map[string]part{"a": {steps: ". . . .", stop: "^"}})
		s.make("b:a", nil)
		g := outer(s)
		rounds, err := play(s, g)
		require.EqualError(t, err, "fails: oops f")
		require.Equal(t, []string{"a1, f1", "a2, f2, a stop", "a3"}, rounds)
		require.Equal(t, "a=failed b=cancelled", s.states())
		require.Equal(t, scheduler.StateCancelled, g.State("inner"), "it ended because it was asked to")
		s.ended()
	})
	t.Run("all of it in time", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: ". . ."}})
		s.make("b:a", nil)
		g := outer(s)
		_, err := play(s, g)
		require.EqualError(t, err, "fails: oops f")
		require.Equal(t, "a=succeeded b=succeeded", s.states())
		require.Equal(t, scheduler.StateSucceeded, g.State("inner"))
	})
}

// A chain of a million nodes that fails at its root: no recursion.
func TestGroup_long_chain_fails(t *testing.T) {
	const n = 1_000_000
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	for i := range n - 1 {
		deps.Add(i+1, i)
	}
	skipped := 0
	g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return errOops })
	}, &scheduler.GroupOptions[int]{AggregateErrors: true, Observer: scheduler.ObserverFunc(func(tr scheduler.Transition) {
		if tr.To == scheduler.StateSkipped {
			skipped++
		}
	})})
	require.NoError(t, err)
	err = scheduler.Run(t.Context(), g, nil)
	require.ErrorIs(t, err, errOops)
	var all *scheduler.ExceptionGroup
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Errors, 1)
	require.Equal(t, n-1, skipped)
	require.Equal(t, n-1, g.Count(scheduler.StateSkipped))
	require.ErrorIs(t, g.Err(n-1), errOops)
}

func TestGroup_many_nodes(t *testing.T) {
	const n = 100_000
	graphs := map[string]func(deps *scheduler.Dependencies[int], i int){
		"no edges": func(deps *scheduler.Dependencies[int], i int) { deps.Add(i) },
		"chain":    func(deps *scheduler.Dependencies[int], i int) { deps.Add(i, max(i-1, 0)) },
		"fan-out":  func(deps *scheduler.Dependencies[int], i int) { deps.Add(i, 0) },
		"fan-in":   func(deps *scheduler.Dependencies[int], i int) { deps.Add(0, i) },
		"layers":   func(deps *scheduler.Dependencies[int], i int) { deps.Add(i, i%100, max(i-100, 0), max(i-101, 0)) },
	}
	for name, add := range graphs {
		t.Run(name, func(t *testing.T) {
			deps := scheduler.NewDependencies[int]()
			deps.Add(0)
			for i := 1; i < n; i++ {
				if name == "layers" && i < 100 {
					deps.Add(i)
					continue
				}
				add(deps, i)
			}
			for _, reverse := range []bool{false, true} {
				ran := 0
				g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task {
					return scheduler.Func(func(context.Context) error { ran++; return nil })
				}, &scheduler.GroupOptions[int]{Reverse: reverse})
				require.NoError(t, err)
				require.NoError(t, scheduler.Run(t.Context(), g, nil))
				require.Equal(t, n, ran)
				require.Equal(t, n, g.Count(scheduler.StateSucceeded))
			}
		})
	}
}

// A group can be run once.
func TestGroup_second_run(t *testing.T) {
	s := newStage(t, nil)
	s.make("a", nil)
	require.NoError(t, scheduler.Run(t.Context(), s.group, nil))
	require.ErrorIs(t, scheduler.Run(t.Context(), s.group, nil), scheduler.ErrEnded)
	require.Equal(t, "a1", s.take())
}

func TestGroup_Close(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: ". .", close: "!"}, "b": {steps: "t9"}, "c": {steps: "e", close: "!"}})
	s.make("c a b d:a", nil)
	_, _, err := s.round()
	require.NoError(t, err)
	require.NoError(t, s.group.Close(), "errors are kept aside")
	require.Equal(t, "c close, a close, b close", s.take())
	require.Equal(t, "c: close c; a: close a", texts(s.group.Errors()))
	require.Equal(t, "c=cancelled a=cancelled b=cancelled d=cancelled", s.states())
	s.ended()
}

// A time or an event that comes earlier than the next round cuts the pause
// before it short, also from deep inside.
func TestGroup_Next_or_something_earlier(t *testing.T) {
	event := func() *scheduler.Event {
		e := new(scheduler.Event)
		time.AfterFunc(time.Second, e.Set)
		return e
	}
	tests := map[string]func() scheduler.Task{
		"event": func() scheduler.Task { return scheduler.Pause(scheduler.Next.Or(scheduler.On(event()))) },
		"time":  func() scheduler.Task { return scheduler.Pause(scheduler.Next.Or(scheduler.After(time.Second))) },
		"of another member": func() scheduler.Task {
			var e scheduler.Event
			time.AfterFunc(time.Second, e.Set)
			return scheduler.All(
				scheduler.Pause(scheduler.On(&e)),
				scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
					if e.IsSet() {
						return scheduler.Done, nil
					}
					return scheduler.Next, nil
				}),
			)
		},
	}
	for name, task := range tests {
		for depth := range 4 {
			t.Run(fmt.Sprint(name, " depth=", depth), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					begin := time.Now()
					task := task()
					for range depth {
						task = scheduler.All(task)
					}
					require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Wait: time.Hour}))
					require.LessOrEqual(t, time.Since(begin), time.Second)
				})
			})
		}
	}
}

// Times that a member has put off, or brought forward, are right also after a
// jump of the clock over several of them.
func TestGroup_parking_and_a_jump_of_the_clock(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "r2|t5 t9"}, "b": {steps: "t4"}, "c": {steps: "r2|t9 t5"}, "d": {steps: "r2|t30"}})
	s.make("a b c d", nil)
	for _, want := range []string{"a1, b1, c1, d1", "", "a2, c2, d2"} { // a: at 11, c: at 7
		_, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, want, what)
	}
	jump := func(to int64, want string) scheduler.Yield {
		t.Helper()
		s.clock.now = time.Unix(1_000_000+to, 0)
		y, err := s.group.Step(s.ctx)
		require.NoError(t, err)
		require.Equal(t, want, s.take())
		return y
	}
	at := func(y scheduler.Yield) int64 {
		at, ok := y.Time()
		require.True(t, ok)
		return at.Unix() - 1_000_000
	}
	require.Equal(t, int64(7), at(jump(6, "b2")))
	require.Equal(t, int64(11), at(jump(10, "c3")))
	require.Equal(t, scheduler.Done, jump(20, "a3"))

	s = newStage(t, map[string]part{"a": {steps: "r2|t9"}, "b": {steps: "r2 r2 r2"}})
	s.make("a b", nil)
	_, err := s.group.Step(s.ctx)
	require.NoError(t, err)
	for range 2 {
		y, err := s.group.Step(s.ctx)
		require.NoError(t, err)
		_, timed := y.Time()
		require.Equal(t, s.group.Count(scheduler.StateRunning) == 2, timed, "the time of one that has ended is gone")
	}
	require.NoError(t, s.group.Close())
}
