package timeline_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/timeline"
)

// small is a random graph of a few nodes, numbered in an order of their own.
type small struct {
	n        int
	requires [][]int // in the walked direction
	took     []time.Duration
	deps     *scheduler.Dependencies[int]
	opts     scheduler.GroupOptions[int]
	order    []int // key order
	unrun    map[int]bool
}

func newSmall(rnd *rand.Rand) *small {
	g := &small{n: 1 + rnd.IntN(7), deps: scheduler.NewDependencies[int](), unrun: map[int]bool{}}
	g.requires = make([][]int, g.n)
	g.opts = scheduler.GroupOptions[int]{Name: "small", Reverse: rnd.IntN(2) == 0, Limit: rnd.IntN(4)}
	for range g.n {
		g.took = append(g.took, time.Duration(rnd.IntN(5))*time.Second)
	}
	if g.opts.Limit > 0 && rnd.IntN(2) == 0 {
		g.opts.Estimate = func(k int) time.Duration { return g.took[k] }
	}
	if rnd.IntN(3) == 0 {
		g.unrun[rnd.IntN(g.n)] = true
		g.opts.Completed = func(k int) bool { return g.unrun[k] }
	}
	for _, k := range rnd.Perm(g.n) {
		g.deps.Add(k)
	}
	place := rnd.Perm(g.n) // what is required comes earlier here
	for a := range g.n {
		for b := range g.n {
			if place[a] >= place[b] || rnd.IntN(3) > 0 {
				continue
			}
			g.requires[b] = append(g.requires[b], a)
			if g.opts.Reverse {
				g.deps.Add(a, b)
			} else {
				g.deps.Add(b, a)
			}
		}
	}
	walk := g.deps.All()
	if g.opts.Reverse {
		walk = g.deps.Backward()
	}
	for k := range walk {
		g.order = append(g.order, k)
		for i := 0; i < len(g.requires[k]); i++ { // what does not run hands on what it waits for
			if q := g.requires[k][i]; g.unrun[q] {
				g.requires[k] = append(g.requires[k], g.requires[q]...)
			}
		}
	}
	return g
}

// run runs the graph under the clock and returns what was recorded.
func (g *small) run(t *testing.T) []timeline.Span {
	rec := timeline.NewRecorder()
	opts := g.opts
	opts.Observer = rec
	group, err := scheduler.NewDependencyTaskGroup(g.deps, func(k int) scheduler.Task {
		if g.took[k] == 0 {
			return scheduler.Func(func(context.Context) error { return nil })
		}
		return scheduler.Pause(scheduler.After(g.took[k]))
	}, &opts)
	require.NoError(t, err)
	clock := schedulertest.NewClock(time.Time{}).Alone()
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	return rec.Spans()
}

// paths calls visit for every path that cannot be made longer at its end.
func (g *small) paths(visit func(path []int, took time.Duration)) {
	var extend func(path []int, took time.Duration)
	extend = func(path []int, took time.Duration) {
		visit(path, took)
		for b := range g.n {
			if g.unrun[b] {
				continue
			}
			for _, a := range g.requires[b] {
				if a == path[len(path)-1] {
					extend(append(slices.Clip(path), b), took+g.took[b])
				}
			}
		}
	}
	for k := range g.n {
		if !g.unrun[k] {
			extend([]int{k}, g.took[k])
		}
	}
}

// longest returns the longest of all paths, and of those through each node.
func (g *small) longest() (longest time.Duration, through []time.Duration) {
	through = make([]time.Duration, g.n)
	g.paths(func(path []int, took time.Duration) {
		longest = max(longest, took)
		for _, k := range path {
			through[k] = max(through[k], took)
		}
	})
	return longest, through
}

// remaining is the longest path from a node on.
func (g *small) remaining(k int) time.Duration {
	var longest time.Duration
	for b := range g.n {
		for _, a := range g.requires[b] {
			if a == k {
				longest = max(longest, g.remaining(b))
			}
		}
	}
	return longest + g.took[k]
}

// makespan lists what to do second by second, as one would with pencil and
// paper: what is ready starts in key order, or with estimates that with the
// longest remaining path first, as long as there is room.
func (g *small) makespan(limit int, estimates bool) time.Duration {
	const never = -1
	end := map[int]time.Duration{}
	for k := range g.n {
		end[k] = never
	}
	for k := range g.unrun {
		end[k] = 0
	}
	var now, last time.Duration
	for left := g.n - len(g.unrun); left > 0; now += time.Second {
		for {
			running, best := 0, -1
			for _, k := range g.order {
				if end[k] > now {
					running++
				}
				if end[k] != never {
					continue
				}
				ready := true
				for _, a := range g.requires[k] {
					ready = ready && end[a] != never && end[a] <= now
				}
				if ready && (best < 0 || estimates && g.remaining(k) > g.remaining(best)) {
					best = k
				}
			}
			if best < 0 || limit > 0 && running >= limit {
				break
			}
			end[best] = now + g.took[best]
			last = max(last, end[best])
			left--
		}
	}
	return last
}

// held counts the seconds in which something was ready and had not started.
func (g *small) held(spans []timeline.Span) time.Duration {
	if len(spans) == 0 {
		return 0
	}
	began := spans[0].Start
	at := map[int]timeline.Span{}
	for _, s := range spans {
		at[s.Key.(int)] = s
	}
	var held time.Duration
	for now := began; now.Before(began.Add(time.Minute)); now = now.Add(time.Second) {
		for k, s := range at {
			waits := s.Start.After(now)
			for _, a := range g.requires[k] {
				waits = waits && !at[a].End.After(now) // the zero Span is no hindrance
			}
			if waits {
				held += time.Second
				break
			}
		}
	}
	return held
}

// On thousands of small graphs the report says what trying everything says.
func TestReport_against_brute_force(t *testing.T) {
	t.Parallel()
	seeds := 2000
	if testing.Short() {
		seeds = 200
	}
	chains, limited := 0, 0
	for seed := range uint64(seeds) {
		g := newSmall(rand.New(rand.NewPCG(seed, 1)))
		spans := g.run(t)
		r, err := timeline.NewReport(spans, g.deps, &g.opts)
		require.NoError(t, err)
		name := fmt.Sprint("seed ", seed)
		estimates := g.opts.Estimate != nil

		longest, through := g.longest()
		require.Equal(t, longest, r.LongestTook, name)
		var took time.Duration
		for i, k := range r.Longest {
			took += g.took[k]
			if i > 0 {
				require.Contains(t, g.requires[k], r.Longest[i-1], name)
			}
		}
		require.Equal(t, longest, took, name)
		for k := range g.n {
			if g.unrun[k] {
				require.Zero(t, r.Slack(k), name)
				continue
			}
			require.Equal(t, longest-through[k], r.Slack(k), "%s: slack of %d", name, k)
		}

		require.Equal(t, g.makespan(g.opts.Limit, estimates), r.Took, name)
		require.Equal(t, g.held(spans), r.Held, name)
		for limit := range 5 {
			under, err := r.Under(limit)
			require.NoError(t, err)
			require.Equal(t, g.makespan(limit, estimates && limit > 0), under, "%s: under %d", name, limit)
		}
		under, err := r.Under(0)
		require.NoError(t, err)
		require.Equal(t, longest, under, name)

		chains += len(r.Chain)
		limited += checkChain(t, g, r, name)
	}
	require.Greater(t, chains, seeds)
	require.Greater(t, limited, seeds/20, "limits are what many chains are made of")
}

// checkChain checks that the links of a chain follow each other without a gap
// from the beginning to the end of the run, each for the reason given.
func checkChain(t *testing.T, g *small, r *timeline.Report[int], name string) (limited int) {
	var at time.Duration
	for i, l := range r.Chain {
		require.Equal(t, at, l.Start, name)
		require.Equal(t, g.took[l.Key], l.End-l.Start, name)
		at = l.End
		if l.Limited {
			require.NotZero(t, i, name)
			require.NotZero(t, g.opts.Limit, name)
			require.Greater(t, l.Start, l.Ready, name)
			limited++
			continue
		}
		require.Equal(t, l.Ready, l.Start, name)
		if i > 0 {
			require.Contains(t, g.requires[l.Key], r.Chain[i-1].Key, name)
		}
	}
	require.Equal(t, r.Took, at, name)
	return limited
}
