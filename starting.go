package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/steptask/scheduler/internal/bitset"
)

// This file is about which node of a group starts next.

// starting is the part of a group that it stands on.
type starting struct {
	// Pending nodes of which all that they require is done, by rank, unless
	// they wait in a class. Rank is position, or with Estimate the place in
	// the order of the longest remaining path. Either way what a node frees
	// has a higher rank.
	ready  *bitset.Set
	ranks  []int32 // rank by position; nil: the same
	byRank []int32 // position by rank
}

// rankBy orders nodes by the longest remaining path.
func (g *engine) rankBy(estimate func(int32) time.Duration) {
	n := len(g.state)
	remaining := make([]int64, n)
	g.byRank = make([]int32, n)
	for p := n - 1; p >= 0; p-- {
		g.byRank[p] = int32(p)
		for _, q := range g.frees(int32(p)) {
			remaining[p] = max(remaining[p], remaining[q])
		}
		remaining[p] = later(remaining[p], max(estimate(int32(p)), 0))
	}
	slices.SortFunc(g.byRank, func(a, b int32) int {
		return cmp.Or(cmp.Compare(remaining[b], remaining[a]), cmp.Compare(a, b))
	})
	g.ranks = make([]int32, n)
	for r, p := range g.byRank {
		g.ranks[p] = int32(r)
	}
}

func (g *engine) rankOf(p int32) int32 {
	if g.ranks == nil {
		return p
	}
	return g.ranks[p]
}

func (g *engine) nodeAt(rank int32) int32 {
	if g.byRank == nil {
		return rank
	}
	return g.byRank[rank]
}

// isFull reports whether the Limit is reached.
func (g *engine) isFull() bool {
	return g.opts.Limit > 0 && g.counts[StateRunning] >= g.opts.Limit
}

// startReady is the start pass: each node that is ready is started, lowest rank
// first. It reports whether it got to the end before its budget did.
//
// What a node frees has a higher rank, so one sweep upwards finds all that
// become ready on the way; only what was waiting for claims can come from
// behind.
func (g *engine) startReady(ctx context.Context) bool {
	completed := g.sweep(ctx)
	if g.isFull() {
		for _, c := range g.inOrder {
			c.ticket.pause() // what runs here may need what is kept for it
		}
	}
	return completed
}

func (g *engine) sweep(ctx context.Context) bool {
	g.intervalAt = never
	if len(g.waiting) > 0 && !g.isFull() {
		g.serve()
	}
	plain := g.startsPlainly()
	for w := g.ready.NextWord(0); w >= 0; w = g.ready.NextWord(w) {
		if plain {
			g.startPlainly(ctx, w)
		}
		for word := g.ready.Word(w); word != 0; word = g.ready.Word(w) {
			rank := int32(w<<6 | bits.TrailingZeros64(word))
			if g.stopping || g.isFull() {
				return true
			}
			if g.opts.Budget > 0 && g.budget == 0 {
				return false
			}
			g.ready.Drop(rank)
			p := g.nodeAt(rank)
			if g.opts.Claims != nil && !g.claim(ctx, p, rank) {
				continue
			}
			g.budget--
			g.start(ctx, p)
			if g.recheck && len(g.waiting) > 0 && !g.isFull() {
				if first := g.serve(); first < w {
					g.ready.Leave(w)
					w = first
				}
			}
		}
		g.ready.Leave(w)
	}
	return true
}

// startsPlainly reports whether nothing is asked and nobody told at a start.
func (g *engine) startsPlainly() bool {
	o := &g.opts
	return o.Timeout == nil && o.Context == nil && o.Claims == nil &&
		!o.RecoverPanics && o.SlowStep == 0 && o.Budget == 0 && o.Limit == 0
}

// startPlainly is start for such a group, for all ready nodes of a word and in
// one piece: a large group of short tasks spends most of its time here.
func (g *engine) startPlainly(ctx context.Context, w int) {
	// Of slices that are known to be as long as each other only the first is checked.
	n := uint(len(g.state))
	state, since, cell := g.state[:n], g.since[:n], g.cell[:n]
	start, to := g.graph.Start[:n+1], g.graph.To
	words, told := g.ready.Words(), g.opts.Observer != nil
	for words[w] != 0 && !g.stopping {
		p := int32(w<<6 | bits.TrailingZeros64(words[w]))
		i := uint(p)
		words[w] &= words[w] - 1 // as Drop does
		state[i] = StateRunning | hasStarted
		since[i] = int32(g.round)
		cell[i] = noNode
		g.counts[StatePending]--
		g.counts[StateRunning]++
		if told {
			g.observe(p, StatePending, StateRunning, nil, nil)
		}
		g.current = p
		task := g.task(p)
		if task == nil {
			g.current = noNode
			g.handle(ctx, p, nil, ErrNilTask)
			continue
		}
		y, err := task.Step(ctx)
		g.current = noNode
		if y.code != yieldDone || err != nil {
			g.started(ctx, p, task, y, err, limitAt{}, nil)
			continue
		}
		state[i] = StateSucceeded | hasStarted
		g.counts[StateRunning]--
		g.counts[StateSucceeded]++
		if told {
			g.observe(p, StateRunning, StateSucceeded, task, nil)
		}
		for _, q := range to[start[i]:start[i+1]] {
			if cell[q]--; cell[q] == 0 && state[q] == StatePending {
				if int(q>>6) == w { // marked above until Leave
					words[w] |= 1 << (q & 63)
				} else {
					g.ready.Add(q)
				}
			}
		}
	}
}

// start makes a node's task and gives it its first step. Many tasks end in
// that: they get no slot.
func (g *engine) start(ctx context.Context, p int32) {
	g.state[p] |= hasStarted
	g.cell[p] = noNode // before anybody is told, who may ask for more
	g.set(p, StateRunning, nil, nil)
	limit := g.limitOf(p)
	if limit.span < 0 {
		g.giveBack()
		g.handle(ctx, p, nil, &Timeout{Task: fmt.Sprint(g.key(p)), Limit: limit.span, at: limit.at})
		return
	}
	var values context.Context
	if g.opts.Context != nil {
		g.current = p
		values = g.opts.Context(ctx, p)
		ctx = &memberScope{Context: ctx, values: values}
	}
	var task Task
	var y Yield
	var err error
	if g.opts.RecoverPanics {
		y, err = g.call(p, func() (y Yield, err error) {
			task, y, err = g.begin(ctx, p)
			return y, err
		})
	} else {
		g.current = p
		task, y, err = g.begin(ctx, p)
		g.current = noNode
	}
	g.started(ctx, p, task, y, err, limit, values)
}

// started does what the answer of a first step asks for.
func (g *engine) started(
	ctx context.Context, p int32, task Task, y Yield, err error, limit limitAt, values context.Context,
) {
	switch {
	case y.code == yieldDone && err == nil:
		g.giveBack()
		g.succeed(p, task)
	case err != nil:
		g.giveBack()
		g.handle(ctx, p, task, err)
	default:
		g.occupy(p, task, limit, values)
		g.settle(ctx, p, y, nil)
		if g.notice != nil && g.cell[p] != noNode {
			g.tell(ctx, p, g.notice)
		}
	}
}

// begin makes the task and steps it.
func (g *engine) begin(ctx context.Context, p int32) (Task, Yield, error) {
	task := g.task(p)
	if task == nil {
		return nil, Yield{}, ErrNilTask
	}
	if g.opts.SlowStep > 0 {
		defer g.timeStep(p, task)()
	}
	y, err := task.Step(ctx)
	return task, y, err
}

// limitOf returns the node's own deadline, with a span of 0 if it has none.
func (g *engine) limitOf(p int32) limitAt {
	if g.opts.Timeout == nil {
		return limitAt{}
	}
	span := g.opts.Timeout(p)
	if span == 0 {
		return limitAt{}
	}
	return limitAt{at: later(instantOf(g.clock), span), span: span}
}

// timeStep measures a step, from the call on to that of what it returns.
func (g *engine) timeStep(p int32, task Task) func() {
	from := instantOf(g.clock)
	return func() {
		took := time.Duration(instantOf(g.clock) - from)
		if took > g.opts.SlowStep {
			g.opts.Observer.(SlowStepObserver).ObserveSlowStep(SlowStep{
				Path: g.pathOf(p), Task: TaskDescription(task), Took: took,
			})
		}
	}
}
