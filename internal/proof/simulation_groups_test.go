package proof_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/steptask/scheduler"
)

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
		failed, isNode := err.(*scheduler.TaskError) //nolint:errorlint // Its own, and not what one that was thrown in is around.
		if !isNode || errors.Is(err, scheduler.ErrAborted) {
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
		opts.Claims = func(int) []scheduler.Claim {
			if s.c.one(60) {
				panic("simulated in Claims")
			}
			return s.claims()
		}
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
			most := s.capacity[i]
			if most == 0 { // no bound
				most = 3
			}
			claims = append(claims, scheduler.Claim{Limiter: l, Weight: 1 + s.c.pick(most)})
		}
	}
	return claims
}
