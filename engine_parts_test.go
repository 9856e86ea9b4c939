package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler/internal/claims"
	"github.com/steptask/scheduler/internal/digraph"
	"github.com/stretchr/testify/require"
)

// The parts of the engine, each beside a plain model of it.

func TestNodes_against_a_map(t *testing.T) {
	t.Parallel()
	type plain struct {
		state State
		flags nodeFlags
		waits int32
		since int
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		waits := make([]int32, 1+random.IntN(8))
		for p := range waits {
			waits[p] = random.Int32N(3)
		}
		var n nodes
		n.init(waits)
		model := map[int32]*plain{}
		for p, w := range waits {
			model[int32(p)] = &plain{state: StatePending, waits: w}
		}
		round := math.MaxInt32 - 5
		for range 60 {
			round += random.IntN(2)
			p := random.Int32N(int32(len(waits)))
			m := model[p]
			switch random.IntN(4) {
			case 0:
				if m.state == StatePending {
					n.start(p, round)
					*m = plain{state: StateRunning, flags: m.flags | hasStarted, since: round}
					require.Equal(t, noSlot, n.slot(p))
				}
			case 1:
				to := StateSucceeded + State(random.IntN(5))
				require.Equal(t, m.state, n.change(p, to, round))
				m.state, m.since = to, round
			case 2:
				n.add(p, wasStopped)
				m.flags |= wasStopped
			case 3:
				if m.state == StatePending && m.waits > 0 {
					m.waits--
					require.Equal(t, m.waits == 0, n.requirementDone(p))
				}
			}
			counts := map[State]int{}
			for p, m := range model {
				counts[m.state]++
				require.Equal(t, m.state, n.state(p))
				require.Equal(t, m.since, n.sinceRound(p))
				for _, flag := range []nodeFlags{hasStarted, wasStopped, wasCutOff} {
					require.Equal(t, m.flags&flag != 0, n.has(p, flag))
				}
				require.Equal(t, m.state == StatePending && m.flags == 0 && m.waits == 0, n.isReady(p))
				require.Equal(t, m.state.Ended() && m.waits == 0, n.isFreeing(p))
			}
			for s := range StateSkipped + 1 {
				require.Equal(t, counts[s], n.count(s))
			}
		}
	}
}

// plainMember is a member of a parking by what it yielded.
type plainMember struct {
	node   int32
	rounds int   // the round that it waits for; 0: none
	at     int64 // the time that it waits for; 0: none
	event  *Event
	due    bool
}

func TestParking_against_a_list(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		const nodes = 12
		var k parking
		k.init(nodes)
		members := map[int32]*plainMember{} // by slot
		events := []*Event{{}, {}, {}}
		now := int64(1000)
		clock := fixedClock{&now}
		for round := 1; round < 60; round++ {
			k.takeCall()
			k.beginRound(round)
			now += random.Int64N(4)
			k.takeTimes(now)
			for _, m := range members {
				if m.event != nil && m.event.IsSet() || m.rounds == round || m.at != 0 && now >= m.at {
					m.due = true
				}
			}
			for _, e := range events {
				e.Reset()
			}
			next := never
			for _, m := range members {
				require.Equal(t, m.due, k.due.Has(m.node), "seed %d round %d node %d", seed, round, m.node)
				if !m.due && m.at != 0 {
					next = min(next, m.at)
				}
			}
			require.Equal(t, next, k.nextTime(), "seed %d", seed)
			for slot, m := range members {
				switch {
				case random.IntN(8) == 0:
					k.release(slot)
					delete(members, slot)
				case m.due:
					var y Yield
					*m, y = randomWait(random, m.node, round, now, events)
					k.park(slot, y, round, clock)
				}
			}
			for p := range int32(nodes) {
				taken := slices.ContainsFunc(k.members(), func(q int32) bool { return q == p })
				if taken || random.IntN(3) > 0 {
					continue
				}
				require.Equal(t, len(members) == k.capacity(), k.isFull(), "seed %d: a slot is used again", seed)
				if k.isFull() {
					k.addSlots(1 + random.IntN(3))
				}
				slot := k.occupy(p, Pause(Next))
				require.NotContains(t, members, slot)
				m, y := randomWait(random, p, round, now, events)
				k.park(slot, y, round, clock)
				members[slot] = &m
			}
			if random.IntN(2) == 0 {
				events[random.IntN(3)].Set()
			}
			var want []int32
			rounds := false
			for _, m := range members {
				want = append(want, m.node)
				rounds = rounds || m.rounds != 0
			}
			slices.Sort(want)
			require.Equal(t, want, k.members())
			require.Equal(t, rounds, k.wantsRound())
		}
	}
}

// randomWait returns a Yield and what it means in a round. Events are not set.
func randomWait(random *rand.Rand, node int32, round int, now int64, events []*Event) (plainMember, Yield) {
	m := plainMember{node: node}
	var y Yield
	for y == (Yield{}) {
		if random.IntN(2) == 0 {
			n := 2 + random.IntN(3)
			m.rounds, y = round+n, y.Or(Rounds(n))
		}
		if random.IntN(2) == 0 {
			m.at = now + 1 + random.Int64N(9)
			y = y.Or(Yield{at: m.at, code: yieldAt})
		}
		if random.IntN(2) == 0 {
			m.event = events[random.IntN(len(events))]
			y = y.Or(On(m.event))
		}
	}
	return m, y
}

// fixedClock shows a time that only the test moves.
type fixedClock struct{ now *int64 }

func (c fixedClock) Now() time.Time { return time.Unix(0, *c.now) }

func TestDeadlines_against_a_list(t *testing.T) {
	t.Parallel()
	type plain struct {
		deadline

		grace int64
	}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 3))
		const slots = 5
		var d deadlines
		var model [slots]plain
		for now := int64(1); now < 80; now += random.Int64N(3) {
			slot := random.Int32N(slots)
			m := &model[slot]
			at := now + random.Int64N(20)
			switch random.IntN(4) {
			case 0:
				if m.kind == noDeadline {
					d.limit(slot, slots, at, 7)
					m.deadline = deadline{at, 7, throwTimeout}
				}
			case 1:
				kind := []deadlineKind{closeCancel, closeTimedOut}[random.IntN(2)]
				d.grant(slot, slots, kind, at)
				switch {
				case m.kind == throwTimeout && at >= m.at:
					if m.grace == 0 || at < m.grace {
						m.grace = at
					}
				case m.kind == noDeadline || at < m.at:
					if m.kind != closeTimedOut {
						m.kind = kind
					}
					m.at = at
				}
			case 2:
				d.clear(slot)
				m.kind, m.grace = noDeadline, 0
			}
			var passed []int32
			for _, e := range d.passed(now) {
				passed = append(passed, int32(e.Item))
			}
			next, none := never, true
			for slot, m := range model {
				graces := slices.ContainsFunc(model[:], func(m plain) bool { return m.isSet() && !m.isLimit() })
				require.Equal(t, graces, d.haveGraces())
				require.Equal(t, graces || m.isSet() && m.hasPassed(now), d.mayHavePassed(int32(slot), now))
				if m.kind == noDeadline {
					continue
				}
				none = false
				require.Equal(t, m.kind, d.of(int32(slot)).kind)
				require.Equal(t, m.at, d.of(int32(slot)).at)
				if now > m.at { // it is told of once; the engine then ends it
					require.Contains(t, passed, int32(slot), "seed %d", seed)
					d.clear(int32(slot))
					model[slot].kind, model[slot].grace = noDeadline, 0
					continue
				}
				next = min(next, m.at+1)
				end := m.grace
				if end == 0 {
					end = never
				}
				require.Equal(t, end, d.graceEnd(int32(slot)))
			}
			require.Equal(t, next, d.next(), "seed %d", seed)
			require.True(t, none == d.none() || d.none(), "what has passed is counted no more")
		}
	}
}

func TestStarter_ranks_by_the_longest_path(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 4))
	for range 300 {
		n := 1 + random.IntN(8)
		var edges [][2]int32
		for p := range int32(n) {
			for q := p + 1; q < int32(n); q++ {
				if random.IntN(3) == 0 {
					edges = append(edges, [2]int32{p, q})
				}
			}
		}
		var list digraph.Edges
		for _, e := range edges {
			list.Add(e[0], e[1])
		}
		graph := list.Graph(n, false)
		took := make([]time.Duration, n)
		for p := range took {
			took[p] = time.Duration(random.IntN(5) - 1)
		}
		var longest func(p int32) time.Duration
		longest = func(p int32) (path time.Duration) {
			for _, e := range edges {
				if e[0] == p {
					path = max(path, longest(e[1]))
				}
			}
			return path + max(took[p], 0)
		}
		var s starter
		s.init(n)
		s.rankBy(graph, nil, func(p int32) time.Duration { return took[p] })
		for r := range int32(n) {
			p := s.nodeAt(r)
			require.Equal(t, r, s.rankOf(p))
			if r > 0 {
				before := s.nodeAt(r - 1)
				require.True(t, longest(before) > longest(p) || longest(before) == longest(p) && before < p)
			}
			s.add(p)
			require.True(t, s.ready.Has(r))
		}
		for _, e := range edges {
			require.Less(t, s.rankOf(e[0]), s.rankOf(e[1]), "what a node frees comes after it")
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	var f failures
	require.NoError(t, f.first())
	require.NoError(t, f.group())
	errs := make([]error, 5)
	for i := range errs {
		errs[i] = fmt.Errorf("error %d", i)
	}
	f.add(failure{err: errs[0], node: 0, kept: true, isSkip: true})
	require.True(t, f.skip(3, 5))
	f.add(failure{err: errs[1], node: 1, kept: true})
	i := f.add(failure{err: errs[2], node: 2})
	require.True(t, f.skip(4, 5))
	require.False(t, f.skip(3, 5), "it was skipped before")
	f.add(failure{err: errs[3], node: 2})
	f.add(failure{err: errs[4], node: noNode})

	require.Equal(t, errs[1:], f.errors())
	require.Equal(t, errs[2], f.first())
	for p, want := range []error{errs[0], errs[1], errs[2], errs[0], errs[2]} {
		failed, ok := f.of(int32(p))
		require.True(t, ok)
		require.Equal(t, want, failed.err, p)
	}
	f.keepOnly(i)
	require.Equal(t, errs[3], f.first())
	require.Equal(t, errs[3], f.before())
	require.Equal(t, 3, f.front, "what is only kept is not looked at again")
	require.Equal(t, &ExceptionGroup{Errors: errs[3:]}, f.group())
}

func TestEnding_result(t *testing.T) {
	t.Parallel()
	failed, thrown, cause := errors.New("failed"), errors.New("thrown"), errors.New("cause")
	timeout, graced, notice := &Timeout{}, &Timeout{grace: 1}, &StopError{Cause: cause}
	group := &ExceptionGroup{Errors: []error{failed}}
	for _, test := range []struct {
		name                           string
		ending                         groupEnding
		failed, inside                 error
		aggregates, cancelled, pending bool
		want                           error
	}{
		{name: "all succeeded"},
		{name: "one failed", failed: failed, want: failed},
		{name: "one failed, others are cancelled", failed: failed, cancelled: true, want: failed},
		{name: "thrown into", ending: groupEnding{thrown: thrown}, failed: failed, cancelled: true, want: errors.Join(thrown, failed)},
		{name: "aggregating", failed: failed, aggregates: true, want: group},
		{name: "aggregating, thrown into", ending: groupEnding{thrown: thrown}, failed: failed, aggregates: true, want: group},
		{name: "timed out", ending: groupEnding{timedOut: timeout}, want: timeout},
		{name: "timed out after a failure", ending: groupEnding{timedOut: timeout}, failed: failed, want: errors.Join(timeout, failed)},
		{name: "timed out, all ended in their grace", ending: groupEnding{timedOut: graced}},
		{name: "timed out, some did not", ending: groupEnding{timedOut: graced}, cancelled: true, want: graced},
		{name: "stopped", ending: groupEnding{cause: cause}, cancelled: true, want: cause},
		{name: "stopped, all ended all the same", ending: groupEnding{cause: cause}},
		{name: "cancelled for no reason that is known", cancelled: true},
		{name: "timed out after an error was thrown into", ending: groupEnding{thrown: thrown, timedOut: timeout}, failed: failed, want: errors.Join(timeout, errors.Join(thrown, failed))},
		{name: "a member heeded a notice", ending: groupEnding{notice: notice}, cancelled: true, want: notice},
		{name: "drained", pending: true, want: ErrDrained},
		{name: "drained, one failed", failed: failed, pending: true, want: errors.Join(failed, ErrDrained)},
		{name: "drained, then stopped", ending: groupEnding{cause: cause, drained: true}, cancelled: true, want: errors.Join(cause, ErrDrained)},
		{name: "drained, a member heeded a notice", ending: groupEnding{notice: notice}, cancelled: true, pending: true, want: errors.Join(notice, ErrDrained)},
		{name: "one was closed in which one had failed", inside: failed, want: failed},
		{name: "one failed, and one was closed in which one had", failed: failed, inside: thrown, want: errors.Join(failed, thrown)},
	} {
		var f failures
		if test.failed != nil {
			f.add(failure{err: test.failed})
		}
		if test.inside != nil {
			f.add(failure{err: test.inside, inside: true})
		}
		require.Equal(t, test.want, test.ending.result(&f, test.aggregates, test.cancelled, test.pending), test.name)
	}
}

// A group is stopped once, and what a member returns of any notice that it was given is
// none of its failures.
func TestEnding_notices(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	early, final, late := &StopError{Cause: failed}, &StopError{Cause: failed, final: true}, &StopError{Cause: failed, final: true}
	var e groupEnding
	require.False(t, e.stopRun(early))
	require.True(t, e.stopRun(final))
	require.False(t, e.stopRun(late))
	require.Same(t, final, e.cause)

	require.Same(t, early, e.notify(early))
	require.Same(t, final, e.notify(final))
	require.Same(t, final, e.notify(late))
	require.Same(t, final, e.notify(early))
	var own [2]*StopError
	for _, told := range []error{early, final, errors.Join(early, final)} {
		require.NoError(t, e.withoutNotice(told, own))
		require.Equal(t, failed, e.withoutNotice(errors.Join(told, failed), own))
	}
	for _, other := range []error{failed, late, error(&namedError{"x", late})} {
		require.Equal(t, other, e.withoutNotice(other, own))
	}
	for _, own := range [][2]*StopError{{late}, {nil, late}} {
		require.NoError(t, e.withoutNotice(late, own))
	}
}

func TestEnding_asksGraces(t *testing.T) {
	t.Parallel()
	var fixed, differ groupEnding
	require.True(t, fixed.asksGraces(false))
	require.True(t, differ.asksGraces(true))
	require.False(t, differ.asksGraces(true), "twice in a step")
	fixed.beginStep()
	differ.beginStep()
	require.False(t, fixed.asksGraces(false))
	require.True(t, differ.asksGraces(true))
}

// The graph of the beginning and the added nodes are one graph, but for the way from a node
// to added ones, which is there only while they wait.
func TestGroupGraph_against_maps(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 12))
	for range 100 {
		begun := int32(1 + random.IntN(6))
		needs := map[int32][]int32{}
		some := func(below int32) (chosen []int32) {
			for q := range below {
				if random.IntN(3) == 0 {
					chosen = append(chosen, q)
				}
			}
			return chosen
		}
		var edges digraph.Edges
		for p := range begun {
			needs[p] = some(p)
			for _, q := range needs[p] {
				edges.Add(q, p)
			}
		}
		g := groupGraph{begun: edges.Graph(int(begun), false)}
		require.Nil(t, g.waiting(0))
		require.Nil(t, g.takeWaiting(0))
		require.False(t, g.waits(0, begun-1))
		n := begun + int32(random.IntN(4))
		waiting := map[int32][]int32{}
		since := func(q int32) int32 { return begun + q%3 } // since when nodes wait for it: it is ready, and was asked to end
		for p := begun; p < n; p++ {
			if !g.hasGrown() {
				g.grow()
			}
			needs[p] = some(p)
			g.add(needs[p])
			for _, q := range needs[p] {
				if p >= since(q) {
					g.wait(q, p)
					waiting[q] = append(waiting[q], p)
				}
			}
		}
		require.Equal(t, n > begun, g.hasGrown())
		for p := range n {
			var frees []int32
			for q := range begun {
				if slices.Contains(needs[q], p) {
					frees = append(frees, q)
				}
				require.False(t, g.waits(p, q), "it was there at the beginning")
			}
			require.True(t, slices.Equal(needs[p], g.required(p)))
			require.True(t, slices.Equal(frees, g.frees(p)))
			require.Equal(t, p >= begun, g.wasAdded(p))
			for q := begun; q < n; q++ {
				if slices.Contains(needs[q], p) {
					require.Equal(t, slices.Contains(waiting[p], q), g.waits(p, q))
				}
			}
			require.Equal(t, waiting[p], g.waiting(p))
			require.Equal(t, waiting[p], g.takeWaiting(p))
			require.Nil(t, g.waiting(p))
		}
	}
}

// What a node holds is that of its slot once it has one, and is given back once.
func TestHoldings_against_a_map(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 13))
	l := NewLimiter(LimiterOptions{Capacity: 100})
	asker := claims.NewAsker(new(claims.Run), func(*claims.Ticket) {})
	const slots = 6
	var h holdings
	held, starting := map[int32]*claims.Holding{}, (*claims.Holding)(nil)
	for range 2000 {
		switch slot := random.Int32N(slots); random.IntN(4) {
		case 0:
			if starting == nil {
				ticket := newTicket(asker, nil, nil, []Claim{{Limiter: l, Weight: 1}})
				require.True(t, ticket.Ask())
				starting, _ = ticket.Take(0, never)
				require.NotNil(t, starting)
				h.start(starting)
			}
		case 1:
			h.release()
			starting = nil
		case 2:
			if held[slot] == nil {
				h.occupy(slot, slots)
				if starting != nil {
					held[slot], starting = starting, nil
				}
			}
		case 3:
			h.vacate(slot)
			delete(held, slot)
		}
		require.Equal(t, starting, h.of(noSlot))
		inUse := len(held)
		if starting != nil {
			inUse++
		}
		require.Equal(t, inUse, l.InUse())
		for slot := range int32(slots) {
			require.Same(t, held[slot], h.of(slot))
		}
	}
}

// growth keeps who waits for whom, in order, until that is taken.
func TestGrowth_against_maps(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 9))
	for range 100 {
		first := random.IntN(4)
		w := newGrowth(first)
		required, waiting := map[int32][]int32{}, map[int32][]int32{}
		live, most := 0, 0
		for p := int32(first); p < 60; p++ {
			var needs []int32
			for q := range p {
				if random.IntN(8) == 0 {
					needs = append(needs, q)
				}
			}
			w.add(needs)
			required[p] = needs
			for _, q := range needs {
				w.wait(q, p)
				waiting[q] = append(waiting[q], p)
				live++
			}
			most = max(most, live)
			for range random.IntN(3) {
				q := random.Int32N(p + 1)
				require.Equal(t, waiting[q], w.take(q))
				live -= len(waiting[q])
				delete(waiting, q)
			}
		}
		for p, needs := range required {
			require.True(t, slices.Equal(needs, w.required(p)))
			for _, q := range needs {
				require.Equal(t, slices.Contains(waiting[q], p), w.waits(q, p))
			}
		}
		require.Len(t, w.edges, most, "edges are used again")
	}
}

// A look at the stacks serves those who ask at the same time, and is not taken for
// nobody.
// waitingGoroutines returns the numbers of n goroutines that wait for the end of the test.
func waitingGoroutines(t *testing.T, n int) (ids []int64) {
	var ready, left sync.WaitGroup
	done := make(chan struct{})
	t.Cleanup(func() {
		close(done)
		left.Wait()
	})
	ids = make([]int64, n)
	for i := range ids {
		ready.Add(1)
		left.Go(func() {
			ids[i] = goroutineID()
			ready.Done()
			<-done
		})
	}
	ready.Wait()
	return ids
}

func TestGoroutineStacks(t *testing.T) {
	me := []int64{goroutineID()}
	var s goroutineStacks
	var always time.Time
	all := append(waitingGoroutines(t, 5), me[0])
	found := s.of(all, always)
	require.Len(t, found, len(all))
	for id, stack := range found {
		require.True(t, bytes.HasPrefix(stack, fmt.Appendf(nil, "goroutine %d [", id)), "%d has %q", id, stack)
		require.Contains(t, string(stack), "engine_parts_test.go")
	}
	s = goroutineStacks{}
	require.Empty(t, s.of(nil, always))
	require.Nil(t, s.text)
	require.Contains(t, string(s.of(me, always)[me[0]]), "TestGoroutineStacks")

	s.text = []byte("goroutine 1 [running]")
	s.places = map[int64][2]int{me[0]: {0, len(s.text)}}
	s.at = time.Now().Add(time.Hour) // began while this one waits
	require.Equal(t, s.text, s.of(me, always)[me[0]])
	require.Contains(t, string(s.of(me, s.at.Add(1))[me[0]]), "TestGoroutineStacks", "it did something else then")
	s.text = nil
	s.at = time.Now().Add(-stacksKept)
	require.Contains(t, string(s.of(me, always)[me[0]]), "TestGoroutineStacks")
	require.Empty(t, s.of([]int64{-1}, always))

	s.at, s.spent.spent = time.Time{}, time.Hour
	require.Empty(t, s.of(me, always))
	require.Nil(t, s.text)
}

// A look is good for those that ask within a moment, or that waited for it.
func TestGoroutineStacks_isGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, tt := range []struct {
			looked, asked time.Duration // after now
			want          bool
		}{
			{0, 1, true},
			{-1, 0, true},
			{-stacksKept + 1, 0, true},
			{-stacksKept, 0, false},
			{-2 * stacksKept, -3 * stacksKept, true},
			{1, 2, false},
			{2, 1, true},
		} {
			s := goroutineStacks{at: now.Add(tt.looked), places: map[int64][2]int{1: {}}}
			require.Equal(t, tt.want, s.isGood([]int64{1}, now.Add(tt.asked)), "%+v", tt)
			require.False(t, s.isGood([]int64{1, 2}, now.Add(tt.asked)))
		}
	})
}

// Of very many goroutines not all are seen, and a look at them ends.
func TestGoroutineStacks_of_very_many(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	for range 20_000 {
		go func() { <-done }()
	}
	var s goroutineStacks
	s.look()
	require.Len(t, s.text, stacksMost)
	require.NotEmpty(t, s.places)
}

// Looks take a tenth of the time, but for a second that is saved.
func TestLookBudget(t *testing.T) {
	now := time.Now()
	var b lookBudget
	for _, step := range []struct {
		after, took time.Duration
		allowed     bool
	}{
		{0, lookMost - 1, true},
		{0, time.Second, true},
		{0, 0, false},
		{9 * time.Second, 0, false},
		{time.Second, 0, true},
		{-time.Hour, 0, true}, // a clock that was set back
		{time.Hour, lookMost, true},
		{0, 0, false},
	} {
		now = now.Add(step.after)
		require.Equal(t, step.allowed, b.allows(now))
		if step.allowed {
			b.spend(step.took)
		}
	}
}

// The classes of claims know how many nobody uses, and are dropped once they are many.
func TestClasses_drop_what_nobody_uses(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	a, b := NewLimiter(LimiterOptions{Capacity: 1000}), NewLimiter(LimiterOptions{Capacity: 1000})
	var c classes
	const n = 2000
	var pending []int32
	most := 0
	for range 5 * n {
		p := int32(random.IntN(n))
		i := slices.Index(pending, p)
		if i < 0 && len(pending) == 20 {
			i = random.IntN(20)
		}
		if i >= 0 {
			c.forget(pending[i])
			pending = slices.Delete(pending, i, i+1)
		} else {
			_, err := c.find(p, n, nil, func(int32) []Claim {
				return []Claim{{Limiter: a, Weight: 1 + random.IntN(1000)}, {Limiter: b, Weight: 1 + random.IntN(1000)}}[:random.IntN(3)]
			})
			require.NoError(t, err)
			pending = append(pending, p)
		}
		unused := 0
		for set, of := range c.bySet {
			require.True(t, set.before == nil || set.before.users > 0, "what a class builds on is used")
			if of.users == 0 {
				unused++
			}
		}
		require.Equal(t, unused, c.unused)
		most = max(most, len(c.bySet))
	}
	// Two for each pending node, and as many or 64 that nobody uses.
	require.LessOrEqual(t, most, 140)
}

// Which failures each report has, by what is known of them.
func TestFailures_of_each_kind(t *testing.T) {
	t.Parallel()
	list := []failure{
		{err: errors.New("thrown"), node: noNode, thrown: true},
		{err: errors.New("kept"), node: 1, kept: true},
		{err: errors.New("inside"), node: 2, inside: true},
		{err: errors.New("skip"), node: 3, kept: true, isSkip: true},
		{err: errors.New("first"), node: 4},
		{err: errors.New("second"), node: 5},
		{err: errors.New("aborted"), node: 6, aborts: true},
		{err: errors.New("closed"), node: 7, kept: true, closed: true},
		{err: errors.New("other inside"), node: 8, inside: true},
		{err: errors.New("other closed"), node: 9, kept: true, closed: true},
	}
	var f failures
	for _, failed := range list {
		f.add(failed)
	}
	of := func(err error) string {
		if err == nil {
			return ""
		}
		if group, ok := err.(*ExceptionGroup); ok { //nolint:errorlint // That very one.
			return joinedOf(group.Errors).Error()
		}
		return err.Error()
	}
	text := func(names ...string) string { return strings.Join(names, "\n") }
	require.Equal(t, "thrown", of(f.first()))
	require.Equal(t, "first", of(f.before()))
	require.Equal(t, text("inside", "other inside"), of(f.inside()))
	require.Equal(t, text("closed", "other closed"), of(f.ofClose()))
	require.Equal(t, text("second", "aborted"), of(f.later()))
	require.Equal(t, text("inside", "first", "second", "other inside"), of(f.beforePanic()))
	require.Equal(t, text("thrown", "inside", "first", "second", "aborted", "other inside"), of(f.group()))
	require.Equal(t, text("inside", "first", "second", "aborted", "other inside"), of(errors.Unwrap(f.beforeClose())))

	var inside failures
	inside.add(list[2])
	require.NoError(t, inside.first())
	require.NoError(t, inside.before())

	// What an amended failure has of nodes inside belongs into the result, unless it is the
	// first one anyway, or only kept.
	more := &TaskError{Key: "x", Err: &TaskError{Key: "y", Err: errors.New("more")}}
	for i, isInside := range map[int]bool{1: false, 2: true, 4: false, 5: true, 7: false} {
		var f failures
		for _, failed := range list[1:] {
			f.add(failed)
		}
		f.amend(i-1, more)
		require.Equal(t, isInside, f.list[i-1].inside, list[i].err)
		require.Equal(t, more, f.list[i-1].err)
		f.amend(i-1, errors.New("nothing of nodes"))
		require.Equal(t, isInside, f.list[i-1].inside, list[i].err)
	}
}

// The first notice counts, unless a final one comes after it.
func TestStopError_followedBy(t *testing.T) {
	t.Parallel()
	a, b := &StopError{Cause: ErrCancelled}, &StopError{Cause: ErrClosed}
	final, other := &StopError{Cause: ErrCancelled, final: true}, &StopError{Cause: ErrClosed, final: true}
	for _, tt := range []struct{ first, next, counts *StopError }{
		{nil, nil, nil},
		{nil, a, a},
		{a, nil, a},
		{a, b, a},
		{a, final, final},
		{final, a, final},
		{final, other, final},
		{final, nil, final},
	} {
		require.Same(t, tt.counts, tt.first.followedBy(tt.next))
	}
}

// Nodes that start one after the other share a class, even if nobody uses it between.
func TestClasses_nodes_in_turn_share_one(t *testing.T) {
	t.Parallel()
	ask := func(int32) []Claim { return []Claim{{Limiter: NewLimiter(LimiterOptions{Capacity: 1}), Weight: 1}} }
	same := ask(0)
	var c classes
	first, err := c.find(0, 2, nil, func(int32) []Claim { return same })
	require.NoError(t, err)
	c.forget(0)
	other, err := c.find(0, 2, nil, ask)
	require.NoError(t, err)
	require.NotSame(t, first, other)
	second, err := c.find(1, 2, nil, func(int32) []Claim { return same })
	require.NoError(t, err)
	require.Same(t, first, second)
}

// A call that has returned is not left behind, also if that was about to be done.
func TestAbandonment_of_a_call_that_has_returned(t *testing.T) {
	t.Parallel()
	a := abandonment{after: time.Second}
	a.decided.Store(true)
	a.endWaiting(nil)
	require.Nil(t, a.err)
}

// The end of a context cannot be taken back.
func TestEndSource_AfterFunc(t *testing.T) {
	t.Parallel()
	told := 0
	s := endSource{}
	stop := s.AfterFunc(func() { told++ })
	require.False(t, stop())
	s.child()
	require.Equal(t, 1, told)
}

// A function that has not begun when its call is left behind is not called.
func TestAbandonment_of_a_call_that_has_not_begun(t *testing.T) {
	called := false
	c := Blocking(func(context.Context) error {
		called = true
		return nil
	}).(*call)
	c.step, c.node = t.Context(), noNode
	a := &abandonment{call: c, returned: new(atomic.Bool)}
	c.told().abandonment = a
	a.endWaiting(nil)
	require.True(t, c.done.IsSet())
	c.run(nil)
	require.False(t, called)
	require.ErrorIs(t, c.finish(nil), a.err)
	require.True(t, a.err.Returned())
}

// A stream of nodes leaves no limits behind that calls have asked for.
func TestDeadlines_forget_the_limits_of_nodes_that_have_ended(t *testing.T) {
	t.Parallel()
	deps := NewDependencies[int]()
	for i := range 4 {
		deps.Add(i+1, i)
	}
	seen := 0
	var g *DependencyTaskGroup[int]
	g, err := NewDependencyTaskGroup(deps, func(i int) Task {
		call := Blocking(func(context.Context) error { return nil })
		if i == 1 {
			call = All(call, Func(func(context.Context) error { return errors.New("in its first step") }))
		}
		return Wrap(func(co *Coroutine) error {
			require.Empty(t, g.engine.deadlines.seen)
			err := co.Await(call)
			seen += len(g.engine.deadlines.seen)
			return err
		})
	}, &GroupOptions[int]{
		Timeout: func(int) time.Duration { return time.Hour },
		OnError: func(int, error) Disposition { return IgnoreError },
	})
	require.NoError(t, err)
	require.NoError(t, Run(t.Context(), g, nil))
	require.Equal(t, 5, seen)
}

// What is known of a node beside its state and slot is dropped when that is of no use
// any more.
func TestEngine_forgets_orders_and_claims(t *testing.T) {
	t.Parallel()
	deps := NewDependencies[int]()
	deps.Add(1)
	g, err := NewDependencyTaskGroup(deps, func(int) Task { return Pause(Rounds(9)) }, nil)
	require.NoError(t, err)
	_, err = g.Step(t.Context())
	require.NoError(t, err)
	require.True(t, g.StopNode(1, nil))
	_, err = g.Step(t.Context())
	require.ErrorIs(t, err, ErrCancelled)
	require.Empty(t, g.engine.orders.given)

	deps.Add(2)
	claim := []Claim{{Limiter: NewLimiter(LimiterOptions{Capacity: 1}), Weight: 1}}
	g, err = NewDependencyTaskGroup(deps, func(int) Task { return Pause(Rounds(9)) }, &GroupOptions[int]{
		Claims: func(int) []Claim { return claim },
	})
	require.NoError(t, err)
	_, err = g.Step(t.Context())
	require.NoError(t, err)
	require.NotNil(t, g.engine.claims.classes.of(1), "it waits")
	require.NoError(t, g.Close())
	require.Nil(t, g.engine.claims.classes.of(1))
}

// plainDemand is the nodes of a graph in which some have ended, and some are services.
type plainDemand struct {
	needs    [][]int32 // by node
	ended    []bool
	services []bool
}

func (d *plainDemand) required(p int32) []int32 { return d.needs[p] }
func (d *plainDemand) hasEnded(p int32) bool    { return d.ended[p] }
func (d *plainDemand) isServing(p int32) bool   { return d.services[p] && !d.ended[p] }

// isNeeded looks at all that require a node, directly or not.
func (d *plainDemand) isNeeded(p int32) bool {
	for q := range int32(len(d.needs)) {
		if slices.Contains(d.needs[q], p) && (!d.ended[q] || d.isNeeded(q)) {
			return true
		}
	}
	return false
}

func TestDemand_against_a_look_at_all(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 5))
		n := 1 + random.IntN(8)
		plain := &plainDemand{make([][]int32, n), make([]bool, n), make([]bool, n)}
		for p := range int32(n) {
			for q := range p {
				if random.IntN(3) == 0 {
					plain.needs[p] = append(plain.needs[p], q)
				}
			}
			plain.ended[p] = random.IntN(4) == 0
			plain.services[p] = random.IntN(2) == 0
		}
		var d demand
		require.False(t, d.isCounted())
		d.serve(0) // means nothing before it is counted
		d.count(n, plain)
		needed := make([]bool, n)
		for i := range needed {
			needed[i] = true
		}
		compare := func(became int32) {
			var want []int32
			for p := range int32(n) {
				isNeeded := plain.isNeeded(p)
				require.Equal(t, isNeeded, d.isNeeded(p), "seed %d node %d", seed, p)
				if plain.isServing(p) && !isNeeded && (needed[p] || p == became) {
					want = append(want, p)
				}
				needed[p] = isNeeded
				require.Equal(t, !slices.ContainsFunc(plain.needs, func(needs []int32) bool { return slices.Contains(needs, p) }), d.isLeaf(p))
			}
			freed := d.takeFreed()
			slices.Sort(freed)
			require.Equal(t, want, freed, "seed %d", seed)
		}
		compare(noNode)
		for range 20 {
			p := random.Int32N(int32(n))
			switch {
			case plain.ended[p]:
			case !plain.services[p] && random.IntN(2) == 0:
				plain.services[p] = true
				d.serve(p)
				compare(p)
			default:
				plain.ended[p] = true
				d.end(p, plain)
				compare(noNode)
			}
		}
		d.forget()
		require.False(t, d.isCounted())
	}
}

// Whether a run is counted decides whether anybody looks for its steps on the stack, so
// it must be counted from before its first step to after its last one.
func TestOpenRuns_whicheverWayARunEnds(t *testing.T) {
	before := openRuns.Load() // other tests leave runs behind that were not run to their end
	ctx := context.Background()
	under := StepFunc(func(context.Context) (Yield, error) {
		require.Equal(t, before+1, openRuns.Load())
		return Next, nil
	})
	group := func(task Task) *DependencyTaskGroup[int] {
		deps := NewDependencies[int]()
		deps.Add(1)
		g, err := NewDependencyTaskGroup(deps, func(int) Task { return task }, nil)
		require.NoError(t, err)
		return g
	}
	ends := func(end func()) Task {
		return StepFunc(func(ctx context.Context) (Yield, error) {
			_, _ = under(ctx)
			end()
			return Done, nil
		})
	}
	for name, run := range map[string]func(){
		"Run":            func() { require.NoError(t, Run(ctx, group(ends(func() {})), nil)) },
		"panic":          func() { require.Panics(t, func() { _ = Run(ctx, group(ends(func() { panic("no") })), nil) }) },
		"panic by hand":  func() { require.Panics(t, func() { _, _ = group(ends(func() { panic("no") })).Step(ctx) }) },
		"Goexit":         func() { goexits(func() { _ = Run(ctx, ends(runtime.Goexit), nil) }) },
		"Goexit by hand": func() { goexits(func() { _, _ = group(ends(runtime.Goexit)).Step(ctx) }) },
		"panic of Progress": func() {
			opts := &RunnerOptions{Progress: func(context.Context) error { panic("no") }}
			require.Panics(t, func() { _ = Run(ctx, group(under), opts) })
		},
		"Cancel": func() {
			r := NewTaskRunner(group(under), nil)
			require.NoError(t, r.Start(ctx, 0))
			require.NoError(t, r.Cancel())
		},
		"Close": func() {
			g := group(under)
			_, err := g.Step(ctx)
			require.NoError(t, err)
			require.Equal(t, before+1, openRuns.Load(), "between two steps")
			require.NoError(t, g.Close())
		},
		"Walk": func() {
			deps := NewDependencies[int]()
			deps.Add(2, 1)
			require.NoError(t, Walk(ctx, deps, func(context.Context, int) error { return nil }, nil))
		},
		"not begun": func() {
			r := NewTaskRunner(group(under), nil)
			require.NoError(t, r.Cancel())
			require.NoError(t, group(under).Close())
		},
	} {
		run()
		require.Equal(t, before, openRuns.Load(), name)
	}
}

func goexits(f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	<-ended
}

// A member that can be closed already, because it waits for nothing any more, says so
// when its group is asked to end once more.
func TestClosingTask_waits_for_nothing_any_more(t *testing.T) {
	t.Parallel()
	c := &closingTask{task: Func(func(context.Context) error { return nil })}
	require.Nil(t, c.BeginClose())
	require.NoError(t, c.Close())
}

// The number of a round may be too large for the tables of nodes, also in a group that
// starts its nodes in the fast way.
func TestGroup_rounds_of_any_number(t *testing.T) {
	t.Parallel()
	large := int64(math.MaxInt32) + 7
	if int64(int(large)) != large {
		t.Skip("no number of a round is too large")
	}
	deps := NewDependencies[int]()
	deps.Add(2, 1)
	g, err := NewDependencyTaskGroup(deps, func(int) Task { return Pause(Next) }, nil)
	require.NoError(t, err)
	_, err = g.Step(t.Context())
	require.NoError(t, err)
	g.engine.round = int(large)
	_, err = g.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, StateRunning, g.State(2))
	require.Equal(t, int(large)+1, g.engine.nodes.sinceRound(1))
}

// The tables of running nodes are made at once for all that can start, and have no more
// room than the group can use.
func TestGroup_makes_room_for_what_can_start(t *testing.T) {
	task := StepFunc(func(context.Context) (Yield, error) { return Next, nil })
	const n = 1000
	group := func(opts *GroupOptions[int]) *DependencyTaskGroup[int] {
		deps := NewDependencies[int]()
		for i := range n {
			deps.Add(i)
		}
		g, err := NewDependencyTaskGroup(deps, func(int) Task { return task }, opts)
		require.NoError(t, err)
		return g
	}
	var groups []*DependencyTaskGroup[int]
	for range 12 {
		groups = append(groups, group(nil))
	}
	require.Less(t, testing.AllocsPerRun(len(groups)-1, func() {
		_, _ = groups[0].Step(t.Context())
		groups = groups[1:]
	}), 10.0)
	for limit, want := range map[int]int{0: n, 7: 7} {
		g := group(&GroupOptions[int]{Limit: limit})
		_, err := g.Step(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, g.engine.parking.capacity())
	}
	const more = 4 // at a time, of what has a slot beside the Limit
	g := group(&GroupOptions[int]{Limit: 1})
	_, err := g.Step(t.Context())
	require.NoError(t, err)
	g.engine.becomeReady(0)
	_, err = g.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1+more, g.engine.parking.capacity())
}

// A small group, whose nodes start one after the other, has no slots that nothing uses.
func TestGroup_makes_no_room_for_more_than_its_nodes(t *testing.T) {
	t.Parallel()
	const n = 5
	deps := NewDependencies[int]()
	for i := range n {
		deps.Add(i+1, i) // of which all but the last are services
	}
	for _, limit := range []int{0, 1000} {
		g, err := NewDependencyTaskGroup(deps, func(i int) Task {
			return StepFunc(func(ctx context.Context) (Yield, error) {
				if i < n {
					Ready(ctx)
				}
				return Next, nil
			})
		}, &GroupOptions[int]{Limit: limit})
		require.NoError(t, err)
		for g.State(n) != StateRunning {
			_, err = g.Step(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, n, g.Count(StateReady))
		require.Equal(t, n+1, g.engine.parking.capacity())
		require.NoError(t, g.Close())
	}
}

// A member keeps the Timeout that it has got until it ends. The next one in its slot has
// none.
func TestDeadlines_afterTimeout(t *testing.T) {
	t.Parallel()
	var d deadlines
	d.limit(1, 2, 5, 5)
	require.Nil(t, d.afterTimeout(1))
	thrown := &Timeout{}
	d.goOn(1, 2, thrown, 9)
	d.grant(1, 2, closeCancel, 7)
	require.Equal(t, deadline{at: 7, span: 5, kind: closeTimedOut}, d.of(1))
	require.Same(t, thrown, d.afterTimeout(1))
	require.Nil(t, d.afterTimeout(0))
	d.clear(1)
	require.Nil(t, d.afterTimeout(1))
	require.True(t, d.none())
}

// The end of a context may come before a walk begins to make calls: it is not missed. Its
// group makes each call that is not under way, once.
func TestFastWalk_that_is_stopped_before_it_runs(t *testing.T) {
	for _, ends := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			deps := NewDependencies[string]()
			for _, k := range []string{"a", "b", "c"} {
				deps.Add(k)
			}
			plan, err := deps.plan(false)
			require.NoError(t, err)
			var mu sync.Mutex
			called := 0
			calls := &walkCalls[string]{fn: func(ctx context.Context, _ string) error {
				mu.Lock()
				called++
				mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
				}
				return nil
			}}
			f := calls.fast(plan, 2)
			f.stop()
			require.False(t, f.run(ctx))
			require.Zero(t, called)
			want := 3
			if ends {
				time.AfterFunc(time.Second, cancel)
				want = 2
			}
			err = calls.walk(ctx, deps, &GroupOptions[string]{Limit: 2}, f)
			require.Equal(t, ends, errors.Is(err, context.Canceled))
			require.Equal(t, want, called)
		})
	}
}

// A walk whose context has ended makes a step, even if the goroutine of Walk takes the signal
// of that for another one.
func TestWalker_that_is_asked_for_a_step_is_due_until_it_is_made(t *testing.T) {
	t.Parallel()
	w := &walker{r: NewTaskRunner(Func(func(context.Context) error { return nil }), nil), loop: newAlarm(t.Context())}
	require.False(t, w.isDue())
	w.loop.signal()
	w.ask()
	<-w.loop.wake
	require.True(t, w.isDue())
	w.ctx = t.Context()
	require.True(t, w.drive(false))
	require.False(t, w.isDue())
	<-w.loop.wake // the goroutine of Walk, which may wait for that very step
}
