package scheduler_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

var (
	errBoom  = errors.New("boom")
	errOops  = errors.New("oops")
	errOther = errors.New("other")
	errSpace = errors.New("no space")
)

// journal is what a test notes in passing.
type journal struct{ lines []string }

func (j *journal) add(format string, args ...any) {
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// take returns what was noted since the last take.
func (j *journal) take() string {
	lines := strings.Join(j.lines, ", ")
	j.lines = nil
	return lines
}

// fakeTask is a task with every method, each made of a function; without one it
// does the least. It counts its calls.
type fakeTask struct {
	name   string
	yields []scheduler.Yield // in turn, and then Done; without step
	step   func(ctx context.Context) (scheduler.Yield, error)
	throw  func(ctx context.Context, err error) (scheduler.Yield, error) // else passOn
	stop   func(ctx context.Context, cause error)
	close  func() error

	steps, closes  int
	thrown, causes []error
}

func (f *fakeTask) Step(ctx context.Context) (scheduler.Yield, error) {
	f.steps++
	switch {
	case f.step != nil:
		return f.step(ctx)
	case f.steps > len(f.yields):
		return scheduler.Done, nil
	}
	return f.yields[f.steps-1], nil
}

func (f *fakeTask) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	f.thrown = append(f.thrown, err)
	if f.throw == nil {
		return passOn(ctx, err)
	}
	return f.throw(ctx, err)
}

func (f *fakeTask) Stop(ctx context.Context, cause error) {
	f.causes = append(f.causes, errors.Unwrap(cause)) // of the notice
	if f.stop != nil {
		f.stop(ctx, cause)
	}
}

func (f *fakeTask) Close() error {
	f.closes++
	if f.close == nil {
		return nil
	}
	return f.close()
}

func (f *fakeTask) String() string { return cmp.Or(f.name, "fake") }

// task returns f as a task that has Throw and Stop only where f has a function
// for them.
func (f *fakeTask) task() scheduler.Task {
	switch {
	case f.throw != nil && f.stop != nil:
		return f
	case f.throw != nil:
		return struct {
			bare
			throwing
		}{f, f}
	case f.stop != nil:
		return struct {
			bare
			stopping
		}{f, f}
	}
	return struct{ bare }{f}
}

// What a struct embeds of a task, so that it has these methods alone.
type (
	bare interface {
		scheduler.Task
		fmt.Stringer
	}
	throwing interface {
		Throw(ctx context.Context, err error) (scheduler.Yield, error)
	}
	stopping interface {
		Stop(ctx context.Context, cause error)
	}
)

// untilStopped returns a task that waits for its Stop and ends with the answer to
// the cause.
func untilStopped(answer func(cause error) error) scheduler.Task {
	var stopped scheduler.Event
	var cause error
	return (&fakeTask{
		step: func(context.Context) (scheduler.Yield, error) {
			if !stopped.IsSet() {
				return scheduler.On(&stopped), nil
			}
			return scheduler.Done, answer(cause)
		},
		stop: func(_ context.Context, c error) { cause = c; stopped.Set() },
	}).task()
}

// forever is a step that asks for the next round for ever.
func forever(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil }

// passOn is a throw that fails with what is thrown in.
func passOn(_ context.Context, err error) (scheduler.Yield, error) { return scheduler.Yield{}, err }

// always returns a throw that always answers the same.
func always(y scheduler.Yield, err error) func(context.Context, error) (scheduler.Yield, error) {
	return func(context.Context, error) (scheduler.Yield, error) { return y, err }
}

// throwIn throws into a task that must be a Thrower.
func throwIn(ctx context.Context, task scheduler.Task, err error) (scheduler.Yield, error) {
	return task.(scheduler.Thrower).Throw(ctx, err)
}

// onGoroutine runs fn on another goroutine, which fn may end, and reports
// whether it returned and what it panicked with.
func onGoroutine(fn func()) (returned bool, panicked any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		fn()
		returned = true
	}()
	<-done
	return returned, panicked
}

// panicOf returns what fn panics with.
func panicOf(t *testing.T, fn func()) any {
	t.Helper()
	returned, panicked := onGoroutine(fn)
	require.False(t, returned, "fn returned")
	require.NotNil(t, panicked, "fn did not panic")
	return panicked
}

// panickedWith returns what panic was called with in a node, whose panic goes up
// as a PanicError.
func panickedWith(v any) any {
	if p, ok := v.(*scheduler.PanicError); ok {
		return p.Value
	}
	return v
}

// goroutines counts the goroutines that were added since it was made. Tests
// that use it do not run in parallel with others.
type goroutines struct {
	t      *testing.T
	before int
}

func countGoroutines(t *testing.T) goroutines { return goroutines{t, numGoroutines()} }

func (c goroutines) want(extra int) {
	c.t.Helper()
	if runtime.NumGoroutine()-c.before != extra { // else there is no need to wait
		require.Equal(c.t, extra, numGoroutines()-c.before, "goroutines")
	}
}

// numGoroutines returns the number of goroutines once those that have something to do have
// done it, such as their last lines. However busy the machine is, on one processor they
// have when the number is the same again and again.
func numGoroutines() int {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	number := runtime.NumGoroutine()
	for same := 0; same < 100; same++ {
		runtime.Gosched()
		if n := runtime.NumGoroutine(); n != number {
			number, same = n, 0
		}
	}
	return number
}

func panicForTest(v any) { panic(v) }

// newClock returns a simulated clock on which a run that waits for ever fails
// the test in place of hanging it.
func newClock() *schedulertest.Clock { return schedulertest.NewClock(time.Time{}).Alone() }

// short names errors for tables.
func short(err error) string {
	var timeout *scheduler.Timeout
	var names []string
	add := func(is bool, name string) {
		if is {
			names = append(names, name)
		}
	}
	add(errors.Is(err, scheduler.ErrStarted), "ErrStarted")
	add(errors.Is(err, scheduler.ErrNotStarted), "ErrNotStarted")
	add(errors.Is(err, scheduler.ErrCancelled), "ErrCancelled")
	add(errors.Is(err, scheduler.ErrAborted), "ErrAborted")
	add(errors.As(err, &timeout), "Timeout")
	add(errors.Is(err, errBoom), "boom")
	add(errors.Is(err, errOther), "other")
	switch {
	case err == nil:
		return "nil"
	case names == nil:
		return err.Error()
	}
	return strings.Join(names, "+")
}

// drained is a clock that does not care for wakes, so that a pause is one
// whether or not a wake is left from the step before.
type drained struct{ *schedulertest.Clock }

func (c drained) Wait(until time.Time, wake <-chan struct{}) {
	select {
	case <-wake:
	default:
	}
	c.Clock.Wait(until, wake)
}

func setEvent() *scheduler.Event {
	e := new(scheduler.Event)
	e.Set()
	return e
}

// part is what the task of a node does, a word for each call: see player.act.
type part struct {
	steps string // in each Step; done behind the last one
	throw string // in each Throw, the last one again and again; without any it has no Throw
	stop  string // in Stop: ignore, panic, or what the next Step does; without it has no Stop
	close string // in Close: nothing, fail, panic or goexit
}

// stage is where a group plays.
type stage struct {
	*testing.T
	journal
	clock  *schedulertest.Clock
	ctx    context.Context
	parts  map[string]part
	events map[string]*scheduler.Event
	group  *scheduler.DependencyTaskGroup[string]
}

func newStage(t *testing.T, parts map[string]part) *stage {
	s := &stage{
		T: t, parts: parts,
		clock:  schedulertest.NewClock(time.Unix(1_000_000, 0)),
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

// newGroup makes a group of the graph that a text describes.
func newGroup(
	t *testing.T, deps string, task func(string) scheduler.Task, opts *scheduler.GroupOptions[string],
) *scheduler.DependencyTaskGroup[string] {
	t.Helper()
	return groupOver(t, graph(deps), task, opts)
}

// groupOver makes a group of a graph.
func groupOver[K comparable](
	t *testing.T, deps *scheduler.Dependencies[K], task func(K) scheduler.Task, opts *scheduler.GroupOptions[K],
) *scheduler.DependencyTaskGroup[K] {
	t.Helper()
	g, err := scheduler.NewDependencyTaskGroup(deps, task, opts)
	require.NoError(t, err)
	return g
}

// numbers is a graph of the numbers below n, without edges.
func numbers(n int) *scheduler.Dependencies[int] {
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
	}
	return deps
}

// inBubble runs a subtest in a bubble.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// startRunner makes a runner and starts it.
func startRunner(t *testing.T, task scheduler.Task, opts *scheduler.RunnerOptions) *scheduler.TaskRunner {
	t.Helper()
	r := scheduler.NewTaskRunner(task, opts)
	require.NoError(t, r.Start(t.Context(), 0))
	return r
}

// asError returns the first error of a type in the tree of err, which must be there.
func asError[E error](t *testing.T, err error) (e E) {
	t.Helper()
	require.ErrorAs(t, err, &e)
	return e
}

// mustStep makes a step of a task or a runner, in which nothing fails.
func mustStep[T any](t *testing.T, ctx context.Context, s interface {
	Step(ctx context.Context) (T, error)
},
) T {
	t.Helper()
	result, err := s.Step(ctx)
	require.NoError(t, err)
	return result
}

// byKey is an option of a group that has a value for some of the nodes.
func byKey[V any](values map[string]V) func(string) V {
	return func(k string) V { return values[k] }
}

// make makes the group.
func (s *stage) make(deps string, opts *scheduler.GroupOptions[string]) {
	s.Helper()
	s.group = newGroup(s.T, deps, s.task, opts)
}

func (s *stage) event(k string) *scheduler.Event {
	if s.events[k] == nil {
		s.events[k] = new(scheduler.Event)
	}
	return s.events[k]
}

// task is a group's function.
func (s *stage) task(k string) scheduler.Task {
	p := &player{stage: s, key: k, steps: words(s.parts[k].steps)}
	fake := &fakeTask{name: "player " + k, step: p.step, close: p.close}
	if throw := words(s.parts[k].throw); throw != nil {
		fake.throw = func(_ context.Context, err error) (scheduler.Yield, error) {
			p.add("%s throw", k)
			word := throw[0]
			throw = throw[min(1, len(throw)-1):]
			return p.act(word, err)
		}
	}
	if s.parts[k].stop != "" {
		fake.stop = p.stop
	}
	return fake.task()
}

// words splits a part's words; one with a number behind it stands for so many.
func words(text string) (list []string) {
	for word := range strings.FieldsSeq(text) {
		word, times, _ := strings.Cut(word, "*")
		n, _ := strconv.Atoi(times)
		list = append(list, slices.Repeat([]string{word}, max(1, n))...)
	}
	return list
}

// player plays the part of a node.
type player struct {
	*stage
	key   string
	steps []string
	n     int   // steps made
	cause error // of the Stop
}

func (p *player) step(context.Context) (scheduler.Yield, error) {
	p.n++
	p.add("%s%d", p.key, p.n)
	if p.n > len(p.steps) {
		return scheduler.Done, nil
	}
	return p.act(p.steps[p.n-1], p.cause)
}

// act does what a word says. What came in is the error thrown, or the cause of a
// Stop.
func (p *player) act(word string, came error) (scheduler.Yield, error) {
	if first, second, ok := strings.Cut(word, "|"); ok {
		y, _ := p.act(first, nil)
		z, _ := p.act(second, nil)
		return y.Or(z), nil
	}
	word, number, _ := strings.Cut(word, "-")
	n, _ := strconv.Atoi(number)
	switch word {
	case "next":
		return scheduler.Next, nil
	case "rounds":
		return scheduler.Rounds(n), nil
	case "after": // seconds
		return scheduler.After(time.Duration(n) * time.Second), nil
	case "event":
		return scheduler.On(p.event(p.key)), nil
	case "done":
		return scheduler.Done, nil
	case "nothing":
		return scheduler.Yield{}, nil
	case "fail":
		return scheduler.Yield{}, fmt.Errorf("oops %s", p.key)
	case "skip":
		return scheduler.Yield{}, scheduler.ErrSkip
	case "cause":
		return scheduler.Yield{}, came
	case "panic":
		panicForTest(errOops)
	case "goexit":
		runtime.Goexit()
	}
	panic("no word: " + word)
}

func (p *player) close() error {
	p.add("%s close", p.key)
	switch word := p.parts[p.key].close; word {
	case "fail":
		return fmt.Errorf("close %s", p.key)
	case "":
		return nil
	default:
		_, err := p.act(word, nil)
		return err
	}
}

func (p *player) stop(_ context.Context, cause error) {
	p.add("%s stop", p.key)
	switch word := p.parts[p.key].stop; word {
	case "ignore":
	case "panic", "goexit":
		_, _ = p.act(word, cause)
	default:
		p.steps = append(p.steps[:p.n:p.n], word)
		p.cause = cause
	}
}

// round makes a step of the group and returns what happened in it; a second
// passes.
func (s *stage) round() (scheduler.Yield, string, error) {
	y, err := s.group.Step(s.ctx)
	s.clock.Advance(time.Second)
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
			s.clock.Advance(time.Second)
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

// lasting returns a task that parks for some seconds and then ends with err.
func lasting(seconds int, err error) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if e := co.Yield(scheduler.After(time.Duration(seconds) * time.Second)); e != nil {
			return e
		}
		return err
	})
}

// played runs a group under a simulated clock and returns what was recorded,
// and its error.
func played(
	t *testing.T, deps string, task func(string) scheduler.Task,
	opts *scheduler.GroupOptions[string], run *scheduler.RunnerOptions,
) (*scheduler.DependencyTaskGroup[string], string, error) {
	t.Helper()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	recorder := schedulertest.NewRecorder(clock)
	if opts.Observer == nil {
		opts.Observer = recorder
	}
	group := newGroup(t, deps, task, opts)
	if run == nil {
		run = &scheduler.RunnerOptions{}
	}
	run.Clock = clock
	err := scheduler.Run(t.Context(), group, run)
	return group, recorder.String(), err
}

// outcomes writes them down, a line each.
func outcomes(group *scheduler.DependencyTaskGroup[string]) string {
	var lines []string
	for o := range group.Outcomes() {
		line := fmt.Sprintf("%s %s", o.Key, o.State)
		if o.Err != nil {
			line += fmt.Sprintf(": %v", o.Err)
		}
		if o.Because != o.Key {
			line += " because of " + o.Because
		}
		if o.Stopped {
			line += ", stopped"
		}
		if o.CutOff {
			line += ", cut off"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// slowObserver keeps what it is told of slow steps.
type slowObserver struct{ slow []string }

func (o *slowObserver) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.SlowStep) }

func (o *slowObserver) Observe(r scheduler.Record) {
	o.slow = append(o.slow, fmt.Sprint(r.Path(), " ", r.Task(), " ", r.Took()))
}

// claiming returns a group whose nodes have claims.
func claiming(t *testing.T, nodes string, claims map[string][]scheduler.Claim, task func(k string) scheduler.Task) *scheduler.DependencyTaskGroup[string] {
	t.Helper()
	return newGroup(t, nodes, task, &scheduler.GroupOptions[string]{Name: nodes, Claims: byKey(claims)})
}

func hours(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }

// backOffs counts how often it is asked.
type backOffs struct {
	pause time.Duration
	asked int
}

func (b *backOffs) NextBackOff() time.Duration {
	b.asked++
	return b.pause
}

// claimIf is claim for those nodes that have a weight behind their names.
func claimIf(l *scheduler.Limiter) func(k string) []scheduler.Claim {
	return func(k string) []scheduler.Claim {
		if strings.HasSuffix(k, "1") {
			return claim(l)(k)
		}
		return nil
	}
}

// earlyClock returns from every other Wait for no reason.
type earlyClock struct {
	*schedulertest.Clock
	waits int
}

func (c *earlyClock) Wait(until time.Time, wake <-chan struct{}) {
	if c.waits++; c.waits%2 == 0 {
		c.Clock.Wait(until, wake)
	}
}

// curiousClock calls a function in each Wait, on the goroutine that drives the run.
type curiousClock struct {
	*schedulertest.Clock
	ask func()
}

func (c curiousClock) Wait(until time.Time, wake <-chan struct{}) {
	c.ask()
	c.Clock.Wait(until, wake)
}

// starts returns the nodes that a trace shows to start, with the time.
func starts(trace string) string {
	var found []string
	for line := range strings.Lines(trace) {
		at, rest, _ := strings.Cut(line, " ")
		_, rest, _ = strings.Cut(rest, " ")
		if path, ok := strings.CutSuffix(strings.TrimSpace(rest), ": pending -> running"); ok {
			found = append(found, at+" "+path)
		}
	}
	return strings.Join(found, ", ")
}

func limiter(capacity int) *scheduler.Limiter {
	return scheduler.NewLimiter(scheduler.LimiterOptions{Name: "volumes", Capacity: capacity})
}

// claim returns a Claims function: the weight that a node claims is behind its
// name, as in a2.
func claim(l *scheduler.Limiter) func(string) []scheduler.Claim {
	return func(k string) []scheduler.Claim {
		if weight := int(k[len(k)-1] - '0'); weight > 0 {
			return []scheduler.Claim{{Limiter: l, Weight: weight}}
		}
		return nil
	}
}

func second(string) scheduler.Task { return lasting(1, nil) }

var lasting0 = scheduler.Func(func(context.Context) error { return nil })

// sleep is time.Sleep in a bubble, where it takes no time.
func sleep(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // In a bubble.
}

// stubborn is a call that goes on for a while after its context has ended.
func stubborn(d time.Duration) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		sleep(d)
		return ctx.Err()
	}
}

// constant is a backoff.
type constant time.Duration

func (c constant) NextBackOff() time.Duration { return time.Duration(c) }

// lastFirst is a clock that makes calls itself: each takes an hour, and the one that
// began last is made first.
type lastFirst struct {
	*schedulertest.Clock
	calls   []*scheduler.PendingCall
	paths   []string
	awaited int
}

func newLastFirst() *lastFirst { return &lastFirst{Clock: schedulertest.NewClock(time.Time{})} }

func (c *lastFirst) Call(call *scheduler.PendingCall) {
	c.calls = append(c.calls, call)
	c.paths = append(c.paths, call.Path())
}

func (c *lastFirst) Wait(until time.Time, wake <-chan struct{}) {
	if len(c.calls) == 0 {
		c.Clock.Wait(until, wake)
		return
	}
	c.Advance(time.Hour)
	last := len(c.calls) - 1
	c.make(c.calls[last])
	c.calls = c.calls[:last]
}

func (c *lastFirst) Await(call *scheduler.PendingCall) {
	c.awaited++
	c.make(call)
}

// make lets a call run to its end, on a goroutine of its own.
func (c *lastFirst) make(call *scheduler.PendingCall) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer call.End()
		defer call.End() // harmless
		call.Run(scheduler.WithClock(call.Context(), c.Clock))
	}()
	<-over
}

// renamed is a wrapper that has only a name of its own.
type renamed struct {
	scheduler.Task
	name string
}

func (r renamed) Unwrap() scheduler.Task { return r.Task }
func (r renamed) String() string         { return r.name }

// wrapping is a wrapper that has no methods of its own.
type wrapping struct{ scheduler.Task }

func (w wrapping) Unwrap() scheduler.Task { return w.Task }

// holders are ways of holding a task that change nothing of how it runs and ends.
var holders = map[string]func(task scheduler.Task) scheduler.Task{
	"itself":        func(task scheduler.Task) scheduler.Task { return task },
	"renamed":       func(task scheduler.Task) scheduler.Task { return renamed{task, "x"} },
	"wrapper":       func(task scheduler.Task) scheduler.Task { return wrapping{task} },
	"plain wrapper": func(task scheduler.Task) scheduler.Task { return struct{ scheduler.Task }{task} },
	"Named":         func(task scheduler.Task) scheduler.Task { return scheduler.Named("n", task) },
	"Shield":        scheduler.Shield,
	"Reserve":       func(task scheduler.Task) scheduler.Task { return scheduler.Reserve(time.Second, task) },
	"Claiming":      func(task scheduler.Task) scheduler.Task { return scheduler.Claiming(unit(limiter(1)), task) },
	"WithTimeout":   func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Hour, task) },
	"AsTask":        func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
	"Subrun":        func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
	"Wrap": func(task scheduler.Task) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
	},
	"Sequence":                func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
	"Sequence behind another": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(lasting0, task) },
	"Finally":                 func(task scheduler.Task) scheduler.Task { return scheduler.Finally(task, lasting0) },
	"Retry": func(task scheduler.Task) scheduler.Task {
		return scheduler.Retry(constant(-1), func(int, error) scheduler.Task { return task })
	},
	"First":      func(task scheduler.Task) scheduler.Task { return scheduler.First(task) },
	"All":        func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
	"All in All": func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.All(task)) },
	"All in a Wrap": func(task scheduler.Task) scheduler.Task {
		return scheduler.Sequence(scheduler.All(task))
	},
	"renamed All in a Wrap": func(task scheduler.Task) scheduler.Task {
		return scheduler.Sequence(renamed{scheduler.All(task), "x"})
	},
	"AsTask of an All": func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(scheduler.All(scheduler.Sequence(task)), nil).AsTask(0)
	},
}

// holdersOf are those of some names; others may be added.
func holdersOf(names ...string) map[string]func(scheduler.Task) scheduler.Task {
	some := map[string]func(scheduler.Task) scheduler.Task{}
	for _, name := range names {
		if holders[name] == nil {
			panic("no holder: " + name)
		}
		some[name] = holders[name]
	}
	return some
}
