package proof_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// simTask is a task of any kind under observation.
type simTask struct {
	s       *simulation
	id      int
	task    scheduler.Task
	started bool
	ended   bool
	running bool
	asked   bool // to close
}

// enter begins a call of the task; what it returns ends it.
func (t *simTask) enter(what string) func(y scheduler.Yield, err error) {
	s := t.s
	s.taskSteps++
	s.note("task %d: %s", t.id, what)
	s.require(!t.ended, "task %d was called after its end: %s", t.id, what)
	s.require(!t.running, "task %d was called inside its own call: %s", t.id, what)
	s.require(t.started || what == "step", "task %d was called before its start: %s", t.id, what)
	s.require(!t.asked || what == "begin close" || what == "close", "task %d was called after it was asked to close: %s", t.id, what)
	t.started, t.running = true, true
	return func(y scheduler.Yield, err error) {
		t.running = false
		t.ended = t.ended || err != nil || y == scheduler.Done || y == scheduler.Yield{} && what == "panic"
		s.note("task %d: = %v %v", t.id, y.Rounds(), err)
	}
}

// call calls the task. A panic is its end.
func (t *simTask) call(what string, code func() (scheduler.Yield, error)) (y scheduler.Yield, err error) {
	leave, returned := t.enter(what), false
	defer func() {
		if !returned {
			t.ended, t.running = true, false
			s := t.s
			s.unwound = true
			return
		}
		leave(y, err)
	}()
	y, err = code()
	returned = true
	return y, err
}

func (t *simTask) Step(ctx context.Context) (scheduler.Yield, error) {
	t.s.read(scheduler.Now(ctx))
	return t.call("step", func() (scheduler.Yield, error) { return t.task.Step(ctx) })
}

// simThrower is one that can be thrown into.
type simThrower struct {
	*simTask
	thrower scheduler.Thrower
}

func (t simThrower) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	t.s.read(scheduler.Now(ctx))
	return t.call("throw", func() (scheduler.Yield, error) { return t.thrower.Throw(ctx, err) })
}

func (t *simTask) Stop(ctx context.Context, cause error) {
	_, _ = t.call("stop", func() (scheduler.Yield, error) {
		if stopper, ok := simLook[scheduler.Stopper](t.task); ok {
			stopper.Stop(ctx, cause)
		}
		return scheduler.Next, nil
	})
}

func (t *simTask) Close() error {
	_, err := t.call("close", func() (scheduler.Yield, error) {
		return scheduler.Done, t.task.Close()
	})
	t.ended = true
	return err
}

func (t *simTask) BeginClose() (e *scheduler.Event) {
	_, _ = t.call("begin close", func() (scheduler.Yield, error) {
		t.asked = true
		if closer, ok := simLook[scheduler.Closer](t.task); ok {
			e = closer.BeginClose()
		}
		return scheduler.Next, nil
	})
	return e
}

func (t *simTask) String() string { return fmt.Sprint("task ", t.id) }

// simLook looks for an ability as drivers do.
func simLook[T scheduler.Task](task scheduler.Task) (t T, ok bool) {
	for {
		if t, ok = task.(T); ok {
			return t, true
		}
		wrapper, wraps := task.(interface{ Unwrap() scheduler.Task })
		if !wraps {
			return t, false
		}
		task = wrapper.Unwrap()
	}
}

// simWrapper adds nothing but a name.
type simWrapper struct{ scheduler.Task }

func (w simWrapper) Unwrap() scheduler.Task { return w.Task }
func (w simWrapper) String() string         { return "wrapped" }

// simGroup is a group under observation.
type simGroup struct {
	s       *simulation
	id      int
	g       *scheduler.DependencyTaskGroup[int]
	needs   [][]int // by key: what must be done before, in the walked direction
	limit   int
	state   []scheduler.State
	ignored []bool
	served  []bool // it was ready, and so has freed what requires it
	forced  []bool // When starts it, whatever became of what it requires
	passed  []bool // When lets it pass
	errs    []error
	looks   bool
	opts    *scheduler.GroupOptions[int]
	closed  bool     // its input
	place   simPlace // where it stands

	begun, stopped, ended int // how often it was told
}

// growing returns a group that is mostly one that can grow.
func (s *simulation) growing() *simGroup {
	i := s.c.pick(len(s.groups))
	for range s.groups {
		if g := s.groups[i]; g.opts.KeepOpen && !g.opts.Reverse && !g.closed && g.ended == 0 {
			break
		}
		i = (i + 1) % len(s.groups)
	}
	return s.groups[i]
}

// add adds a node, which requires some of those that are there.
func (g *simGroup) add() {
	k, s := g.g.Len(), g.s
	var needs []int
	for q := range k {
		if s.c.one(4) {
			needs = append(needs, q)
		}
	}
	lost := func(q int) bool {
		return g.state[q] >= scheduler.StateFailed && !g.ignored[q]
	}
	state := scheduler.StatePending
	if g.opts.Completed != nil && g.opts.Completed(k) {
		state = scheduler.StateSucceeded
	}
	g.needs, g.ignored, g.state = append(g.needs, needs), append(g.ignored, false), append(g.state, state)
	g.served, g.forced, g.passed = append(g.served, false), append(g.forced, false), append(g.passed, false)
	err := g.g.Add(k, needs...)
	s.note("group %d: adds %d after %v: %v", g.id, k, needs, err)
	if err != nil {
		var refused *scheduler.AddError
		s.require(errors.As(err, &refused) && refused.Key == k && errors.Is(err, scheduler.ErrInputClosed), "group %d: refuses with %v", g.id, err)
		g.needs, g.ignored, g.state = g.needs[:k], g.ignored[:k], g.state[:k]
		g.served, g.forced, g.passed = g.served[:k], g.forced[:k], g.passed[:k]
		s.require(g.g.Len() == k, "group %d: has grown by what it refused", g.id)
		return
	}
	s.added++
	s.require(g.opts.KeepOpen && !g.opts.Reverse && !g.closed && g.stopped == 0 && g.ended == 0, "group %d: has grown, and must not", g.id)
	s.require(state == scheduler.StateSucceeded || g.opts.When != nil || !slices.ContainsFunc(needs, lost) || g.state[k] == scheduler.StateSkipped,
		"group %d: node %d can never start and is %v", g.id, k, g.state[k])
	g.check()
}

func (g *simGroup) closeInput() {
	g.closed = true
	g.g.CloseInput()
}

func (g *simGroup) task() scheduler.Task { return g.s.observed(g.g) }

// ObserveGroup watches this group, and not those inside, which have others of
// this kind.
func (g *simGroup) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if of, ok := scheduler.Group[int](begun.Group()); !ok || of != g.g {
		return nil
	}
	g.begun++
	return g
}

// Observe checks each record against what was seen before.
func (g *simGroup) Observe(t scheduler.Record) {
	g.s.require(g.begun == 1 && g.ended == 0, "group %d: %v outside of its life", g.id, t.Kind)
	switch t.Kind {
	case scheduler.NodeChanged:
		g.change(t)
	case scheduler.GroupStopping:
		g.stopped++
		g.s.require(t.Err != nil, "group %d: stops without a cause", g.id)
	case scheduler.GroupEnded:
		g.ended++
		g.s.require(g.g.Count(scheduler.StateRunning)+g.g.Count(scheduler.StateReady)+g.g.Count(scheduler.StateClosing) == 0, "group %d: ended too early", g.id)
	default:
	}
}

// change checks a change of a node's state.
func (g *simGroup) change(t scheduler.Record) {
	k := t.Key().(int)
	if t.From == scheduler.StatePending && t.To == scheduler.StateSucceeded && !g.passed[k] { // it was beforehand
		g.s.require(g.state[k] == t.To, "group %d: node %d succeeds without a start", g.id, k)
		return
	}
	g.s.note("group %d: %d %v > %v %v", g.id, k, t.From, t.To, t.Err)
	g.s.require(t.From == g.state[k], "group %d: node %d goes from %v, and was %v", g.id, k, t.From, g.state[k])
	g.s.require(!t.From.Ended(), "group %d: node %d changes after its end", g.id, k)
	g.s.require(g.g.State(k) == t.To, "group %d: node %d is not what it changed to", g.id, k)
	g.state[k] = t.To
	if t.From == scheduler.StateReady && t.To == scheduler.StateClosing {
		g.s.unwound = true // services are closed after all others, one by one, which waits
	}
	switch {
	case t.To == scheduler.StateRunning:
		g.s.require(t.From == scheduler.StatePending, "group %d: node %d starts twice", g.id, k)
		g.s.require(g.stopped == 0, "group %d: node %d starts after the stop", g.id, k)
		g.s.require(g.place.shielded || g.place.serves() || !g.s.isStopped(), "group %d: node %d starts though the run was stopped", g.id, k)
		g.s.require(!g.s.isKilled(), "group %d: node %d starts though the run was killed", g.id, k)
		for _, q := range g.needs[k] {
			g.s.require(g.state[q] == scheduler.StateSucceeded || g.state[q] == scheduler.StateReady || g.served[q] || g.ignored[q] || g.forced[k] && g.state[q].Ended(),
				"group %d: node %d starts before %d is done", g.id, k, q)
		}
	case t.To == scheduler.StateReady:
		g.s.require(t.From == scheduler.StateRunning, "group %d: node %d is ready, and was %v", g.id, k, t.From)
		g.served[k] = true
	case t.To.Ended():
		g.s.ended[t.To]++
		if errors.As(t.Err, new(*scheduler.PanicError)) || errors.Is(t.Err, scheduler.ErrAborted) {
			g.s.unwound = true
		}
		if t.Err != nil && !errors.Is(t.Err, scheduler.ErrSkip) {
			g.errs = append(g.errs, t.Err)
		}
	}
	if g.looks {
		g.look()
	}
}

// look asks for all that there is to ask, in the middle of a round too.
func (g *simGroup) look() {
	g.check()
	_, _ = g.g.WriteTo(io.Discard)
	snapshot := g.g.Snapshot()
	g.s.require(len(snapshot.Completed)+len(snapshot.Passed) >= g.g.Count(scheduler.StateSucceeded), "a snapshot of what is not so")
	for o := range g.g.Outcomes() {
		g.s.require(o.State == g.state[o.Key], "an outcome of what is not so")
	}
}

func (g *simGroup) check() {
	g.s.require(g.begun <= 1 && g.stopped <= 1 && g.ended <= g.begun, "group %d: told too often", g.id)
	tally := map[scheduler.State]int{}
	for k, state := range g.g.All() {
		tally[state]++
		g.s.require(state == g.state[k], "group %d: node %d is %v, was seen as %v", g.id, k, state, g.state[k])
		g.s.require(state == scheduler.StatePending || g.g.Started(k) == (state == scheduler.StateRunning || state == scheduler.StateReady || state == scheduler.StateClosing) || state.Ended(),
			"group %d: node %d is %v", g.id, k, state)
	}
	sum := 0
	for state := scheduler.StatePending; state <= scheduler.StateSkipped; state++ {
		g.s.require(g.g.Count(state) == tally[state], "group %d: %d are %v, counted %d", g.id, tally[state], state, g.g.Count(state))
		sum += g.g.Count(state)
	}
	g.s.require(sum == g.g.Len(), "group %d: counts do not add up", g.id)
	g.s.require(g.limit == 0 || tally[scheduler.StateRunning] <= g.limit, "group %d: limit exceeded", g.id)
}

func (g *simGroup) finish() {
	g.s.require(g.ended == g.begun, "group %d: its end was not told", g.id)
	g.s.require(g.g.Count(scheduler.StateRunning)+g.g.Count(scheduler.StateReady)+g.g.Count(scheduler.StateClosing) == 0, "group %d: a node still runs", g.id)
	kept := errors.Join(g.g.Errors()...)
	for _, err := range g.errs {
		g.s.require(errors.Is(kept, err), "group %d: lost: %v", g.id, err)
	}
	g.finishFirst()
}

// first returns the first failure of a node that was not ignored, or nil. That a
// panic went up through a node is none: it goes up further.
func (g *simGroup) first() error {
	for _, err := range g.g.Errors() {
		var failed *scheduler.TaskError
		if !errors.As(err, &failed) || errors.Is(err, scheduler.ErrAborted) {
			continue
		}
		k := failed.Key.(int)
		if (g.state[k] == scheduler.StateFailed || g.state[k] == scheduler.StateTimedOut) && !g.ignored[k] {
			return err
		}
	}
	return nil
}

// finishFirst looks for the first failure of a group in all groups around it that
// it gets to. An error that is thrown into a group takes its place.
func (g *simGroup) finishFirst() {
	first := g.first()
	if first == nil || g.isThrownInto() {
		return
	}
	at := g.place
	for ; at.passes && at.group != nil && !at.group.ignored[at.node]; at = at.group.place {
		if at.group.panicked(at.node) || at.inAll && isNotice(first) {
			return
		}
		kept := errors.Join(at.group.g.Errors()...)
		g.s.require(errors.Is(kept, first), "group %d: lost in group %d around it: %v", g.id, at.group.id, first)
		if at.group.isThrownInto() || !errors.Is(at.group.first(), first) {
			return
		}
	}
	if at.passes && at.group == nil && g.s.panics == 0 { // else the panic is the result
		g.s.require(errors.Is(g.s.runner.Err(), first), "group %d: not in the result: %v", g.id, first)
	}
}

// isNotice reports whether an error is a notice with nothing but words around it: to the
// groups that the notice comes through, the task was cancelled. Such an error is kept in
// their Errors only, and those of All cannot be asked for.
func isNotice(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, ok := err.(*scheduler.StopError); ok { //nolint:errorlint // One level at a time.
			return true
		}
	}
	return false
}

// panicked reports whether a panic went up through a node, which then is all that
// is known of it.
func (g *simGroup) panicked(k int) bool {
	aborted := func(err error) bool {
		return errors.As(err, new(*scheduler.PanicError)) || errors.Is(err, scheduler.ErrAborted)
	}
	return aborted(g.g.Err(k)) || slices.ContainsFunc(g.g.Errors(), func(err error) bool { // after its Timeout
		e, ok := err.(*scheduler.TaskError) //nolint:errorlint // One level at a time.
		return ok && e.Key == k && aborted(err)
	})
}

// isThrownInto reports whether an error other than a Timeout was thrown into it.
func (g *simGroup) isThrownInto() bool {
	return slices.ContainsFunc(g.g.Errors(), func(err error) bool {
		_, isNode := err.(*scheduler.TaskError)  //nolint:errorlint // Its own.
		_, isTimeout := err.(*scheduler.Timeout) //nolint:errorlint // That very one.
		return !isNode && !isTimeout
	})
}

type simKey struct{}

type simBackOff struct{ s *simulation }

func (b simBackOff) NextBackOff() time.Duration {
	if b.s.c.one(3) {
		return b.s.span()
	}
	return -1
}

// simLeaf takes a decision each time it is called.
type simLeaf struct {
	s    *simulation
	acts int
}

func (l *simLeaf) Step(ctx context.Context) (scheduler.Yield, error) {
	s := l.s
	if l.acts == 0 {
		return scheduler.Done, nil
	}
	l.acts--
	switch s.c.pick(28) {
	case 27:
		scheduler.Note(ctx, fmt.Sprint("of task with acts ", l.acts))
	case 26, 25:
		scheduler.Ready(ctx)
	case 24:
		g := s.groups[s.c.pick(len(s.groups))]
		if k := s.c.pick(6); s.c.one(2) {
			g.g.SkipNode(k, fmt.Errorf("%w: %w", scheduler.ErrSkip, s.err("skipped")))
		} else {
			g.g.StopNode(k, s.err("stopped"))
		}
	case 23:
		return scheduler.Yield{}, s.err("error")
	case 22:
		if s.c.one(4) {
			panic("simulated")
		}
	case 21:
		l.s.events[s.c.pick(len(s.events))].Set()
	case 20:
		l.s.events[s.c.pick(len(s.events))].Reset()
	case 19:
		s.takesLong(s.span() / 2)
	case 18:
		return scheduler.Yield{}, fmt.Errorf("%w: %w", scheduler.ErrSkip, s.err("skip"))
	case 17:
		s.groups[s.c.pick(len(s.groups))].look()
	case 16:
		if s.c.one(4) {
			return scheduler.Yield{}, nil
		}
	case 15:
		switch s.c.pick(8) {
		case 7:
			s.runner.Interrupt(s.err("from inside"))
		case 6:
			s.meanwhile(s.runner.Kill)
			s.killed = s.steps + 1
		case 5:
			cause := s.err("posted")
			s.meanwhile(func() { s.runner.Post(func() { s.stop(cause) }) })
		case 4:
			g := s.groups[s.c.pick(len(s.groups))].g
			s.meanwhile(func() { s.runner.Post(g.Drain) })
		}
	case 14:
		if s.c.one(4) {
			s.groups[s.c.pick(len(s.groups))].g.Drain()
		}
	case 13, 12, 11:
		s.growing().add()
	case 10:
		if s.c.one(4) {
			s.groups[s.c.pick(len(s.groups))].closeInput()
		}
	}
	return s.yield(), nil
}

func (l *simLeaf) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	switch l.s.c.pick(4) {
	case 1:
		return scheduler.Done, nil
	case 2:
		return l.s.yield(), nil
	case 3:
		return l.Step(ctx)
	}
	return scheduler.Yield{}, err
}

func (l *simLeaf) Stop(context.Context, error) {
	if l.s.c.one(2) {
		l.acts = 0
	}
}

func (l *simLeaf) Close() error {
	switch l.s.c.pick(12) {
	case 11:
		panic("simulated in Close")
	case 10, 9:
		return l.s.err("close")
	}
	return nil
}

// simCallEnds ends a call one way or another.
func simCallEnds(how int, err error) error {
	switch how {
	case 7:
		panic("simulated in a call")
	case 6:
		runtime.Goexit()
	case 5:
		return err
	}
	return nil
}

func (s *simulation) observed(task scheduler.Task) scheduler.Task {
	t := &simTask{s: s, id: len(s.tasks), task: task}
	s.tasks = append(s.tasks, t)
	if thrower, ok := simLook[scheduler.Thrower](task); ok {
		return simThrower{t, thrower}
	}
	return t
}

func (s *simulation) group(at simPlace) *simGroup {
	n := s.c.pick(5)
	if at.group == nil {
		n += 2
	}
	g := &simGroup{
		s: s, id: len(s.groups), looks: s.c.one(4), place: at,
		needs: make([][]int, n), ignored: make([]bool, n),
	}
	g.served, g.forced, g.passed = make([]bool, n), make([]bool, n), make([]bool, n)
	s.groups = append(s.groups, g)
	opts := &scheduler.GroupOptions[int]{
		Name: fmt.Sprint("group ", g.id), Observer: g,
		Reverse: s.c.one(2), AggregateErrors: s.c.one(3), RecoverPanics: s.c.one(3),
		Budget: s.c.pick(2) * s.c.pick(4), Limit: s.c.pick(2) * s.c.pick(4),
	}
	g.limit, g.opts = opts.Limit, opts
	deps := scheduler.NewDependencies[int]()
	for k := range n {
		deps.Add(k)
		for q := range k {
			if s.c.one(3) {
				deps.Add(k, q)
				if opts.Reverse {
					g.needs[q] = append(g.needs[q], k)
				} else {
					g.needs[k] = append(g.needs[k], q)
				}
			}
		}
	}
	if s.c.one(3) {
		opts.GraceFor = func(int) time.Duration { return s.span() }
	} else {
		opts.Grace = s.span() * time.Duration(s.c.pick(2))
	}
	if s.c.one(3) && !opts.AggregateErrors {
		opts.OnError = func(k int, _ error) scheduler.Disposition {
			d := scheduler.Disposition(1 + s.c.pick(3))
			g.ignored[k] = g.ignored[k] || d == scheduler.IgnoreError
			return d
		}
	}
	if s.c.one(4) {
		opts.Timeout = func(int) time.Duration { return s.span() - time.Second }
	}
	if s.c.one(3) {
		opts.Claims = func(int) []scheduler.Claim { return s.claims() }
	}
	if (opts.Claims != nil || opts.Limit > 0) && s.c.one(2) {
		opts.Estimate = func(k int) time.Duration { return time.Duration(k%3) * time.Second }
	}
	if s.c.one(4) {
		opts.When = func(k int, required iter.Seq2[int, scheduler.State]) scheduler.Verdict {
			s.require(g.state[k] == scheduler.StatePending && g.stopped == 0, "group %d: When is asked of %d too late", g.id, k)
			for q, state := range required {
				s.require((state.Ended() || state == scheduler.StateReady || g.served[q]) && slices.Contains(g.needs[k], q), "group %d: When is asked of %d too early", g.id, k)
			}
			if s.c.one(100) {
				panic("simulated in When")
			}
			v := scheduler.Verdict(s.c.pick(5))
			g.forced[k], g.passed[k] = v == scheduler.Start, v == scheduler.Pass
			return v
		}
	}
	if s.c.one(6) {
		opts.Completed = func(k int) bool { return k%3 == 0 }
	}
	opts.KeepOpen = s.c.one(2)
	if s.c.one(4) {
		opts.SlowStep = time.Second
	}
	if s.c.one(6) {
		opts.Context = func(ctx context.Context, k int) context.Context { return context.WithValue(ctx, simKey{}, k) }
	}
	opts.EndCalls = s.c.one(6)
	var err error
	g.g, err = scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
		if s.c.one(40) {
			return nil
		}
		return s.task(simPlace{depth: at.depth - 1, shielded: at.shielded, group: g, node: k, passes: true})
	}, opts)
	if err != nil {
		panic(err) // of the test
	}
	for k := range n {
		g.state = append(g.state, g.g.State(k))
	}
	return g
}

func (s *simulation) claims() []scheduler.Claim {
	var claims []scheduler.Claim
	for i, l := range s.limiters {
		if s.c.one(2) {
			claims = append(claims, scheduler.Claim{Limiter: l, Weight: 1 + s.c.pick(s.capacity[i])})
		}
	}
	return claims
}

// simPlace is where a task stands.
type simPlace struct {
	depth    int
	shielded bool      // the notice of a stop does not get there
	group    *simGroup // whose node it is, or is a part of; nil for the outermost
	node     int
	passes   bool // what it fails with is what the node fails with, or a part of that
	inAll    bool // there is a group between, which keeps errors of Close
}

// serves reports whether a node around the place is ready: it hears of a stop only
// when nothing needs it any more, and until then what is added inside starts.
func (at simPlace) serves() bool {
	for ; at.group != nil; at = at.group.place {
		if at.group.state[at.node] == scheduler.StateReady {
			return true
		}
	}
	return false
}

func (at simPlace) inside() simPlace {
	at.depth--
	return at
}

// behindShield is inside of a Shield.
func (at simPlace) behindShield() simPlace {
	at.shielded = true
	return at.inside()
}

// swallowed is inside of something that may keep what it fails with.
func (at simPlace) swallowed() simPlace {
	at.passes = false
	return at.inside()
}

// task makes a task of a random kind, each of its parts under observation.
func (s *simulation) task(at simPlace) scheduler.Task {
	kinds := 8
	if at.depth >= 0 {
		kinds = 25
	}
	switch s.c.pick(kinds) {
	case 1:
		return s.observed(scheduler.Pause(s.yield()))
	case 2:
		return s.observed(s.blockingTask(at))
	case 3:
		return s.blockingTask(at) // as it is: those are closed side by side
	case 4:
		return s.observed(s.poll())
	case 5:
		return s.observed(&simSlow{s: s})
	case 6:
		return &simSlow{s: s}
	case 7:
		return s.runInCall()
	case 8:
		return s.group(at).task()
	case 9:
		g := s.group(at)
		return g.g // as it is
	case 10:
		return s.observed(s.runnerOf(at.inside()).AsTask(0))
	case 11:
		return s.observed(scheduler.Sequence(s.task(at.inside()), s.task(at.inside())))
	case 12:
		return s.observed(scheduler.Finally(s.task(at.inside()), s.task(at.behindShield())))
	case 13:
		return s.observed(scheduler.Retry(simBackOff{s}, func(int, error) scheduler.Task { return s.task(at.swallowed()) }))
	case 14:
		return s.observed(scheduler.Claiming(s.claims(), s.task(at.inside())))
	case 15:
		return s.observed(s.coroutine(at))
	case 16:
		return scheduler.Subrun(s.runnerOf(at.inside()))
	case 17:
		return simWrapper{s.task(at.inside())}
	case 18:
		return scheduler.Named("named", s.task(at.inside()))
	case 19:
		in := at.inside()
		in.inAll = true
		return scheduler.All(s.task(in))
	case 20:
		return scheduler.Shield(s.task(at.behindShield()))
	case 21:
		return scheduler.Reserve(s.span()/2, s.task(at.inside()))
	case 23:
		in := at.swallowed()
		in.inAll = true
		return s.observed(scheduler.First(s.task(in), s.task(in)))
	case 24:
		return scheduler.WithTimeout(s.span()*time.Duration(s.c.pick(2)), s.task(at.inside()))
	case 22:
		r := s.runnerOf(at.swallowed())
		s.inner = append(s.inner, r) // somebody may kill it
		return s.observed(scheduler.Subrun(r))
	}
	return s.observed(&simLeaf{s: s, acts: s.c.pick(7)})
}

func (s *simulation) runnerOf(at simPlace) *scheduler.TaskRunner {
	return scheduler.NewTaskRunner(s.task(at), &scheduler.RunnerOptions{
		Timeout: s.span() * time.Duration(s.c.pick(2)), Grace: s.span() * time.Duration(s.c.pick(2)),
		EndCalls: s.c.one(6),
	})
}

func (s *simulation) yield() scheduler.Yield {
	switch s.c.pick(6) {
	case 1:
		return scheduler.Rounds(s.c.pick(4))
	case 2:
		return scheduler.After(s.span())
	case 3:
		return scheduler.On(&s.events[s.c.pick(len(s.events))])
	case 4:
		return scheduler.After(s.span()).Or(scheduler.On(&s.events[0], &s.events[1]))
	case 5:
		return scheduler.Rounds(s.c.pick(4)).Or(scheduler.At(time.Now().Add(s.span())))
	}
	return scheduler.Next
}

// callDelay is how long a call takes at least, each another time: none ends in the
// middle of the step that has begun it, or has told it to end, nor together with
// another. Which comes first would be up to chance. The square is for those that begin
// at other times, so that two sums of delays are different, too.
func (s *simulation) callDelay() time.Duration {
	s.blocking++
	n := time.Duration(s.blocking)
	return time.Millisecond + n*time.Microsecond + n*n
}

// blockingTask is a call that ends after some time, when it is told to, or when its
// context ends, or that is deaf to either for some time more; what it does is settled
// beforehand, as it runs on its own.
func (s *simulation) blockingTask(at simPlace) scheduler.Task {
	span, obeys, deaf, ends := s.span(), s.c.one(2), s.span()*time.Duration(s.c.pick(2)), s.c.pick(8)
	delay, err := s.callDelay(), s.err("call")
	never := s.hasAbandon && s.c.one(8)
	call := &simCall{s: s, at: at}
	s.calls = append(s.calls, call)
	return scheduler.Blocking(func(ctx context.Context) error {
		call.begin(ctx)
		defer call.end()
		if never {
			<-s.release
			return nil
		}
		stopping := scheduler.Stopping(ctx)
		if !obeys {
			stopping = nil
		}
		timer := time.NewTimer(span + delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			call.hasTime(ctx)
			return call.returns(simCallEnds(ends, err))
		case <-stopping:
			call.hasTime(ctx)
		case <-ctx.Done():
			call.ended(ctx)
		}
		time.Sleep(deaf + delay) //nolint:forbidigo // in a bubble
		if deaf == 0 {
			return nil
		}
		return call.returns(simCallEnds(ends, err))
	})
}

// simCall is what is seen of a call, from its goroutine.
type simCall struct {
	s  *simulation
	at simPlace

	mu      sync.Mutex
	live    bool
	limit   time.Time // of the run's context, when it began; zero: none
	failed  error
	context context.Context
}

func (c *simCall) begin(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.context = true, ctx
	c.limit, _ = c.s.deadline()
	if limit, ok := c.s.deadline(); ok && !c.at.shielded {
		at, ok := ctx.Deadline()
		c.s.require(ok && !at.After(limit), "a call does not have the deadline of its run's context")
	}
}

func (c *simCall) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = false
}

func (c *simCall) returns(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	return err
}

// hasTime is what holds of a context before its end: its deadline has not passed. That
// of the run's context is left out, after which the simulation stops the run itself. A
// step that takes long delays the end: what counts is when the last whole step began.
func (c *simCall) hasTime(ctx context.Context) {
	stepped := time.Unix(0, c.s.stepped.Load())
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil {
		c.s.require(!c.limit.IsZero() && at.Equal(c.limit) || !stepped.After(at),
			"a context has not ended in a step %v after its deadline", stepped.Sub(at))
	}
}

// ended is what holds of a context that has ended.
func (c *simCall) ended(ctx context.Context) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	<-inner.Done()
	err, cause := ctx.Err(), context.Cause(ctx)
	c.s.require(err == context.Canceled || err == context.DeadlineExceeded, "a context ended with %v", err)
	c.s.require(cause != nil && cause == context.Cause(inner) && err == inner.Err(), //nolint:errorlint // Those very ones.
		"a context ended with %v and %v, one in it with %v and %v", err, cause, inner.Err(), context.Cause(inner))
}

// finish looks for what the call has failed with, and whether it was left behind as
// one may be.
func (c *simCall) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live {
		c.s.abandoned++
		c.s.require(c.s.hasAbandon && c.context.Err() != nil, "a call was left behind")
	} else if c.failed != nil && c.at.passes && !c.at.group.panicked(c.at.node) {
		kept := errors.Join(c.at.group.g.Errors()...)
		isLeft := errors.As(kept, new(*scheduler.AbandonedError)) // then what it returned later was dropped
		c.s.require(isLeft || errors.Is(kept, c.failed), "group %d: what a call has failed with is lost: %v", c.at.group.id, c.failed)
	}
}

// simSlow is a task that takes time to end once it is asked to.
type simSlow struct {
	s      *simulation
	steps  int
	closed chan struct{} // nil: not asked
	event  scheduler.Event
	err    error
}

func (l *simSlow) Step(context.Context) (scheduler.Yield, error) {
	l.steps++
	switch l.s.c.pick(8) {
	case 1:
		return scheduler.Done, nil
	case 2:
		return scheduler.Yield{}, l.s.err("slow")
	}
	return l.s.yield(), nil
}

func (l *simSlow) BeginClose() *scheduler.Event {
	if l.closed == nil {
		l.closed = make(chan struct{})
		if l.s.c.one(2) {
			l.err = l.s.err("slowly")
		}
		time.AfterFunc(l.s.span()*time.Duration(l.s.c.pick(2))+l.s.callDelay(), func() {
			close(l.closed)
			l.event.Set()
		})
	}
	return &l.event
}

func (l *simSlow) Close() error {
	l.BeginClose()
	<-l.closed
	return l.err
}

// runInCall is a run on the goroutine of a call, of tasks that are settled
// beforehand. What they claim is lent to them, to one after the other: that of others may
// come at the instant of an order to end.
func (s *simulation) runInCall() scheduler.Task {
	spans, delay, claims := [2]time.Duration{s.span(), s.span()}, s.callDelay(), s.claims()
	fails := s.c.one(4)
	err := s.err("in a run in a call")
	return scheduler.Claiming(claims, scheduler.Blocking(func(ctx context.Context) error {
		time.Sleep(delay) //nolint:forbidigo // in a bubble
		deps := scheduler.NewDependencies[int]()
		deps.Add(0)
		deps.Add(1)
		if len(claims) > 0 {
			deps.Add(1, 0)
		}
		task := func(k int) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				s.inCalls.Add(1)
				defer s.inCalls.Add(-1)
				if thrown := co.Yield(scheduler.After(spans[k])); thrown != nil || k == 0 || !fails {
					return thrown
				}
				return err
			})
		}
		g, err := scheduler.NewDependencyTaskGroup(deps, task, &scheduler.GroupOptions[int]{
			Claims: func(int) []scheduler.Claim { return claims },
		})
		if err != nil {
			return err
		}
		defer time.Sleep(delay) //nolint:forbidigo // in a bubble
		return scheduler.Run(ctx, g, &scheduler.RunnerOptions{Grace: spans[0]})
	}))
}

func (s *simulation) poll() scheduler.Task {
	delay := s.callDelay()
	left := 1 + s.c.pick(3) // only its calls touch it, one after the other
	return scheduler.Poll(s.span(), func(context.Context) (bool, error) {
		time.Sleep(delay) //nolint:forbidigo // in a bubble
		left--
		return left == 0, nil
	})
}

// coroutine yields, awaits and calls, and treats the errors as it likes.
func (s *simulation) coroutine(at simPlace) scheduler.Task {
	parts := s.c.pick(4)
	ignores := s.c.one(8)
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for range parts {
			var err error
			switch s.c.pick(5) {
			case 1:
				err = co.Await(s.task(at.swallowed()))
			case 2:
				err = co.Await(s.coroutine(at.swallowed()))
			case 3:
				span := s.span() + s.callDelay()
				_, err = scheduler.Call(co, func(context.Context) (int, error) {
					time.Sleep(span) //nolint:forbidigo // in a bubble
					return 0, nil
				})
			case 4:
				err = co.Yield(s.yield().Or(scheduler.On(co.Stopping())))
			default:
				err = co.Yield(s.yield())
			}
			if errors.Is(err, scheduler.ErrClosed) {
				s.unwound = true // what it begins now is waited for
			}
			if err != nil && !ignores && !s.c.one(4) {
				return err
			}
			if errors.Is(err, scheduler.ErrClosed) && !ignores {
				return s.err("closing")
			}
			if s.c.one(40) {
				panic("simulated in a coroutine")
			}
		}
		return nil
	})
}
