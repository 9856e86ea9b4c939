package inspect

import (
	"slices"
	"time"

	"github.com/steptask/scheduler"
)

// forecast is what made the run as long as it is, and what may remain of it.
type forecast struct {
	// Remaining is in milliseconds; nil if nothing can be said.
	Remaining *float64 `json:"remaining"`
	Basis     string   `json:"basis,omitempty"`
	// Path is the longest path, from its first node on.
	Path []int32 `json:"path"`
}

// What Remaining is made of.
const (
	basisEstimate = "estimates" // GroupOptions.Estimate
	basisMean     = "mean"      // how long the nodes took that have succeeded
)

// newForecast computes it in time proportional to the graph.
func newForecast(g *graph, states []nodeState, s summary) forecast {
	now := int64(s.Now * float64(time.Millisecond))
	f := forecast{Path: longestPath(g, states)}
	if s.Ended != 0 {
		return f
	}
	estimate, basis := estimates(g, states)
	if estimate == nil {
		return f
	}
	left := ms(remaining(g, states, now, estimate))
	f.Remaining, f.Basis = &left, basis
	return f
}

// estimates returns how long a node takes, and how that is known; nil if it is
// not.
func estimates(g *graph, states []nodeState) (func(node int) int64, string) {
	if g.estimates != nil {
		return func(node int) int64 { return g.estimates[node] }, basisEstimate
	}
	var sum, n int64
	for _, s := range states {
		if s.state == scheduler.StateSucceeded && s.started != 0 {
			sum += s.ended - s.started
			n++
		}
	}
	if n == 0 {
		return nil, ""
	}
	return func(int) int64 { return sum / n }, basisMean
}

// remaining is how long the nodes that have not ended will take: the longest
// path through them or, with a limit, all of it shared out, whichever is longer.
func remaining(g *graph, states []nodeState, now int64, estimate func(int) int64) int64 {
	finish := make([]int64, len(states)) // from now on
	var longest, sum int64
	for i, s := range states {
		if s.state.Ended() {
			continue
		}
		left := estimate(i)
		if s.started != 0 {
			left = max(0, left-(now-s.started))
		}
		sum += left
		for _, q := range g.requires[i] {
			finish[i] = max(finish[i], finish[q])
		}
		finish[i] += left
		longest = max(longest, finish[i])
	}
	if g.limit > 0 {
		return max(longest, sum/int64(g.limit))
	}
	return longest
}

// longestPath is the chain of nodes that made the run as long as it is: it ends
// with the node that ended last, or the one that runs for longest, and leads
// from each node to the one of those it requires that ended last.
func longestPath(g *graph, states []nodeState) []int32 {
	last, ran := -1, func(i int) bool { return states[i].started != 0 }
	for i := range states {
		if ran(i) && (last < 0 || isLater(states[i], states[last])) {
			last = i
		}
	}
	path := []int32{}
	for last >= 0 {
		path = append(path, int32(last))
		next := -1
		for _, q := range g.requires[last] {
			if ran(int(q)) && (next < 0 || states[q].ended > states[next].ended) {
				next = int(q)
			}
		}
		last = next
	}
	slices.Reverse(path)
	return path
}

// isLater: a running node is later than all that have ended.
func isLater(a, b nodeState) bool {
	switch {
	case a.ended == 0 && b.ended == 0:
		return a.started < b.started
	case a.ended == 0 || b.ended == 0:
		return a.ended == 0
	}
	return a.ended > b.ended
}
