package claims_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/internal/claims"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is Limiters beside their model.
type world struct {
	t        *testing.T
	seed     uint64
	rng      *rand.Rand
	model    plain
	limiters []*claims.Limiter
	runs     []*claims.Run
	askers   []*claims.Asker
	tickets  map[*person]*claims.Ticket
	holdings map[*person]*claims.Holding
	told     []*claims.Ticket
	asked    int
	log      []string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)),
		tickets: map[*person]*claims.Ticket{}, holdings: map[*person]*claims.Holding{},
	}
	for range 1 + w.rng.IntN(3) {
		capacity := 1 + w.rng.IntN(4)
		w.model.capacity = append(w.model.capacity, capacity)
		w.limiters = append(w.limiters, claims.NewLimiter(capacity, 0))
	}
	for range 1 + w.rng.IntN(3) {
		run := new(claims.Run)
		w.runs = append(w.runs, run)
		w.askers = append(w.askers, claims.NewAsker(run, func(t *claims.Ticket) { w.told = append(w.told, t) }))
	}
	return w
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) require(ok bool, what string, args ...any) {
	if !ok {
		for _, line := range w.log {
			w.t.Log(line)
		}
		require.FailNow(w.t, fmt.Sprintf("seed %d: ", w.seed)+fmt.Sprintf(what, args...))
	}
}

// pick returns one of the people of whom ok says so, or nil.
func (w *world) pick(ok func(*person) bool) *person {
	var some []*person
	for _, p := range w.model.people {
		if ok(p) {
			some = append(some, p)
		}
	}
	if some == nil {
		return nil
	}
	return some[w.rng.IntN(len(some))]
}

func (w *world) ask(places bool) {
	w.asked++
	p := &person{name: w.asked, run: w.rng.IntN(len(w.runs)), weights: make([]int, len(w.limiters)), order: w.asked}
	if places && w.rng.IntN(2) == 0 {
		if p.inside = w.pick(func(q *person) bool { return q.has }); p.inside != nil {
			p.run = p.inside.run
		}
	}
	var wants []claims.Claim
	for l := range w.limiters {
		if l == w.rng.IntN(len(w.limiters)) || w.rng.IntN(2) == 0 {
			_, most := w.limiters[l].Capacity()
			p.weights[l] = 1 + w.rng.IntN(most)
			wants = append(wants, claims.Claim{Limiter: w.limiters[l], Weight: p.weights[l]})
		}
	}
	if wants == nil {
		return
	}
	w.note("%d asks for %v, inside %v", p.name, p.weights, w.nameOf(p.inside))
	p.waits = true
	w.model.people = append(w.model.people, p)
	w.tickets[p] = claims.NewTicket(w.askers[p.run], w.holdings[p.inside], wants)
	if w.tickets[p].Ask() {
		w.told = append(w.told, w.tickets[p])
	}
}

func (w *world) nameOf(p *person) int {
	if p == nil {
		return 0
	}
	return p.name
}

// act does something at random, and compares.
func (w *world) act(places bool) {
	switch w.rng.IntN(8) {
	case 0, 1, 2:
		w.ask(places)
	case 3, 4, 5:
		if p := w.pick(func(p *person) bool { return p.has && !w.model.hasInside(p) }); p != nil {
			w.note("%d ends", p.name)
			w.model.forget(p)
			w.note("%d ends", p.name)
			w.holdings[p].Release()
		}
	case 6:
		if p := w.pick(func(p *person) bool { return p.waits }); p != nil {
			w.note("%d leaves", p.name)
			w.model.forget(p)
			claims.Leave(w.tickets[p])
		}
	default:
		if w.rng.IntN(3) == 0 {
			l, n := w.rng.IntN(len(w.limiters)), w.rng.IntN(6)
			w.note("the capacity of %d is %d", l, n)
			w.model.capacity[l] = n
			w.limiters[l].SetCapacity(n)
		}
	}
	w.compare()
}

// compare takes what was given, and finds that it was given in the order of asking, at
// each moment to the first for whom there was enough, and that nothing more is to be given.
func (w *world) compare() {
	for _, ticket := range w.told { // in the order of giving
		i := slices.IndexFunc(w.model.people, func(p *person) bool { return p.waits && w.tickets[p] == ticket })
		if i < 0 {
			continue
		}
		p := w.model.people[i]
		h, _ := ticket.Take(int32(p.name), 0)
		if h == nil {
			continue
		}
		w.note("%d gets it", p.name)
		i = slices.IndexFunc(w.model.people, w.model.fits)
		w.require(i >= 0 && w.model.people[i] == p, "not the first that is to be served")
		w.holdings[p] = h
		w.model.give(p)
	}
	w.told = nil
	for _, p := range w.model.people {
		w.require(!w.model.fits(p), "%d is to be served", p.name)
	}
	for l, limiter := range w.limiters {
		used, waits := 0, 0
		for _, p := range w.model.people {
			used += p.own(l)
			if p.waits && p.weights[l] > 0 {
				waits++
			}
		}
		w.require(used == limiter.InUse(), "in use of %d: %d, not %d", l, limiter.InUse(), used)
		w.require(waits == limiter.Waiting(), "waiting for %d: %d, not %d", l, limiter.Waiting(), waits)
	}
}

// end lets everybody leave: then everything is as in the beginning.
func (w *world) end() {
	for len(w.model.people) > 0 {
		if p := w.pick(func(p *person) bool { return p.waits }); p != nil {
			claims.Leave(w.tickets[p])
			w.model.forget(p)
		} else {
			p := w.pick(func(p *person) bool { return !w.model.hasInside(p) })
			w.model.forget(p)
			w.note("%d ends", p.name)
			w.holdings[p].Release()
		}
		w.compare()
	}
}

// Random askers against a plain model, with places inside of holdings and without.
func TestTickets_model(t *testing.T) {
	cases := uint64(3000)
	if testing.Short() {
		cases = 300
	}
	for seed := range cases {
		w := newWorld(t, seed)
		for range 60 {
			w.act(seed%2 == 1)
		}
		w.end()
	}
}

// Random situations in which some runs are stuck: those are dead that a simulation
// by the plain model finds to be.
func TestRun_IsDead_model(t *testing.T) {
	cases := uint64(20_000)
	if testing.Short() {
		cases = 2000
	}
	dead, alive := 0, 0
	for seed := range cases {
		w := newWorld(t, seed)
		for range 5 + w.rng.IntN(15) {
			w.act(true)
		}
		stuck := make([]bool, len(w.runs))
		for i := range w.runs {
			stuck[i] = w.rng.IntN(3) > 0
		}
		want := w.model.dead(stuck)
		for i, run := range w.runs {
			if stuck[i] {
				run.IsDead() // which makes it stuck
			}
		}
		for i, run := range w.runs {
			holds := slices.ContainsFunc(w.model.people, func(p *person) bool { return p.has && p.run == i })
			if !stuck[i] || !holds {
				continue
			}
			got := run.IsDead()
			w.require(want[i] == got, "run %d: dead %v, not %v; stuck %v", i, got, want[i], stuck)
			if got {
				dead++
			} else {
				alive++
			}
		}
	}
	t.Logf("%d dead, %d alive", dead, alive)
	require.Positive(t, dead)
	require.Positive(t, alive)
}

// Starts that an interval keeps apart go in the order in which they are served, over
// several Limiters at once.
func TestTicket_interval(t *testing.T) {
	var run claims.Run
	var told []*claims.Ticket
	a := claims.NewAsker(&run, func(t *claims.Ticket) { told = append(told, t) })
	slow, fast := claims.NewLimiter(0, 10), claims.NewLimiter(0, 3)
	ask := func(wants ...claims.Claim) *claims.Ticket {
		ticket := claims.NewTicket(a, nil, wants)
		require.True(t, ticket.Ask())
		return ticket
	}
	first := ask(claims.Claim{Limiter: slow, Weight: 2})
	both := ask(claims.Claim{Limiter: slow, Weight: 1}, claims.Claim{Limiter: fast, Weight: 1})
	last := ask(claims.Claim{Limiter: fast, Weight: 1})
	h, at := last.Take(0, 100)
	require.Nil(t, h)
	require.Equal(t, int64(math.MaxInt64), at, "it is behind both")
	h, _ = first.Take(0, 100)
	require.NotNil(t, h)
	require.Equal(t, []*claims.Ticket{both}, told, "it is the first everywhere")
	h, at = both.Take(0, 100)
	require.Nil(t, h)
	require.Equal(t, int64(120), at, "a weight of 2 counts twice")
	h, _ = both.Take(0, 120)
	require.NotNil(t, h)
	require.Equal(t, []*claims.Ticket{both, last}, told)
	_, at = last.Take(0, 120)
	require.Equal(t, int64(123), at)
	require.Equal(t, 1, fast.Waiting())
	require.Equal(t, 1, fast.InUse(), "what is not started is not in use")
	claims.Leave(last)
	require.Zero(t, fast.Waiting())
}

// A full asker can start nothing: the next one is served.
func TestAsker_full(t *testing.T) {
	var run claims.Run
	var told []*claims.Ticket
	tell := func(t *claims.Ticket) { told = append(told, t) }
	full, other := claims.NewAsker(&run, tell), claims.NewAsker(&run, tell)
	l := claims.NewLimiter(1, 0)
	one := []claims.Claim{{Limiter: l, Weight: 1}}
	a, b := claims.NewTicket(full, nil, one), claims.NewTicket(other, nil, one)
	require.True(t, a.Ask())
	require.False(t, b.Ask())
	full.SetFull()
	require.Equal(t, []*claims.Ticket{b}, told)
	require.Equal(t, []*claims.Ticket{a}, full.SetRoom())
	require.False(t, a.Ask(), "behind b")
	h, _ := b.Take(0, 0)
	full.SetFull()
	h.Release()
	require.Zero(t, l.InUse())
	require.Zero(t, l.Waiting())
	require.Equal(t, []*claims.Ticket{a}, full.SetRoom())
}

// A full asker gives up what it was served in the order of asking.
func TestAsker_full_ofMany(t *testing.T) {
	asker := claims.NewAsker(new(claims.Run), func(*claims.Ticket) {})
	var tickets []*claims.Ticket
	for range 5 {
		ticket := claims.NewTicket(asker, nil, []claims.Claim{{Limiter: claims.NewLimiter(1, 0), Weight: 1}})
		require.True(t, ticket.Ask())
		tickets = append(tickets, ticket)
	}
	asker.SetFull()
	require.Equal(t, tickets, asker.SetRoom())
}

// Sums of weights and times are as large as they can be, and come back.
func TestSums(t *testing.T) {
	require.Equal(t, math.MaxInt, claims.Sum(math.MaxInt, 1))
	require.Equal(t, 3, claims.Sum(1, 2))
	require.Equal(t, math.MaxInt, claims.Weights([]int{math.MaxInt, math.MaxInt, math.MaxInt, 5}, nil))
	require.Equal(t, 5, claims.Weights([]int{math.MaxInt, math.MaxInt, math.MaxInt, 5}, []int{math.MaxInt, math.MaxInt, math.MaxInt}))
	require.Equal(t, time.Duration(math.MaxInt64), claims.Times(time.Hour, math.MaxInt))
	require.Equal(t, 6*time.Hour, claims.Times(time.Hour, 6))
	require.Zero(t, claims.Times(0, math.MaxInt))

	run := new(claims.Run)
	a := claims.NewAsker(run, func(*claims.Ticket) {})
	l := claims.NewLimiter(0, time.Hour)
	most := []claims.Claim{{Limiter: l, Weight: math.MaxInt}}
	first, second := claims.NewTicket(a, nil, most), claims.NewTicket(a, nil, most)
	require.True(t, first.Ask())
	h, _ := first.Take(0, 5)
	require.NotNil(t, h)
	require.True(t, second.Ask())
	_, at := second.Take(0, 5)
	require.Equal(t, int64(math.MaxInt64), at)
	require.Equal(t, math.MaxInt, l.InUse())
	h.Release()
	claims.Leave(second)
	require.Zero(t, l.InUse())
}

// Of two that can be served at the same moment the one that has asked first has what is
// lent, also if what it waited for is given back last.
func TestTicket_loans_inOrder(t *testing.T) {
	asker := claims.NewAsker(new(claims.Run), func(*claims.Ticket) {})
	one, two := claims.NewLimiter(1, 0), claims.NewLimiter(2, 0)
	ask := func(place *claims.Holding, limiters ...*claims.Limiter) *claims.Ticket {
		var wants []claims.Claim
		for _, l := range limiters {
			wants = append(wants, claims.Claim{Limiter: l, Weight: 1})
		}
		ticket := claims.NewTicket(asker, place, wants)
		ticket.Ask()
		return ticket
	}
	take := func(ticket *claims.Ticket) *claims.Holding {
		h, _ := ticket.Take(0, 0)
		require.NotNil(t, h)
		return h
	}
	around := take(ask(nil, two))
	inside := take(ask(around, one, two))
	first, second := ask(around, one, two), ask(around, two)
	inside.Release()
	a, b := take(first), take(second)
	require.Equal(t, 2, two.InUse())
	b.Release()
	require.Equal(t, 1, two.InUse(), "the first one has the loan")
	a.Release()
	around.Release()
	require.Zero(t, two.InUse())
}

// Tickets at different Limiters, which are given back at once, are served in the order of
// asking.
func TestTicket_severalLimiters_inOrder(t *testing.T) {
	var told []*claims.Ticket
	asker := claims.NewAsker(new(claims.Run), func(t *claims.Ticket) { told = append(told, t) })
	var all []claims.Claim
	for range 4 {
		all = append(all, claims.Claim{Limiter: claims.NewLimiter(1, 0), Weight: 1})
	}
	holds := claims.NewTicket(asker, nil, all)
	require.True(t, holds.Ask())
	held, _ := holds.Take(0, 0)
	var tickets []*claims.Ticket
	for _, at := range []int{2, 0, 3, 1} {
		ticket := claims.NewTicket(asker, nil, all[at:at+1])
		require.False(t, ticket.Ask())
		tickets = append(tickets, ticket)
	}
	held.Release()
	require.Equal(t, tickets, told)
	claims.Leave(tickets...)
}
