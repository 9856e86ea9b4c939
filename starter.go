package scheduler

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/steptask/scheduler/internal/bitset"
	"github.com/steptask/scheduler/internal/digraph"
)

// starter says which node of a group starts next.
//
// It has the pending nodes of which all that they require is done, by rank,
// except those that wait for claims. Rank is position, or with Priority or
// Estimate the place in the order of those. Either way what a node frees has a
// higher rank than the node.
type starter struct {
	ready     bitset.Set
	ranks     []int32         // rank by position; beyond: the same
	byRank    []int32         // position by rank; beyond: the same
	estimates []time.Duration // by position; nil: there are none
}

func (s *starter) init(n int) { s.ready = bitset.New(n) }

// rankBy orders the nodes by priority, then by the longest remaining path. Either
// may be nil. A node is as urgent as the most urgent one that waits for it.
func (s *starter) rankBy(graph *digraph.Graph, priority func(int32) int, estimate func(int32) time.Duration) {
	n := graph.Len()
	urgency, remaining := make([]int, n), make([]int64, n)
	s.byRank = make([]int32, n)
	if estimate != nil {
		s.estimates = make([]time.Duration, n)
	}
	for p := int32(n) - 1; p >= 0; p-- {
		s.byRank[p] = p
		if priority != nil {
			urgency[p] = priority(p)
		}
		for _, q := range graph.Row(p) {
			urgency[p] = max(urgency[p], urgency[q])
			remaining[p] = max(remaining[p], remaining[q])
		}
		if estimate != nil {
			s.estimates[p] = max(estimate(p), 0)
			remaining[p] = later(remaining[p], s.estimates[p])
		}
	}
	slices.SortFunc(s.byRank, func(a, b int32) int {
		return cmp.Or(cmp.Compare(urgency[b], urgency[a]), cmp.Compare(remaining[b], remaining[a]), cmp.Compare(a, b))
	})
	s.ranks = make([]int32, n)
	for r, p := range s.byRank {
		s.ranks[p] = int32(r)
	}
}

// addRank makes the node of a rank ready, and remove takes that back.
func (s *starter) addRank(rank int32) { s.ready.Add(rank) }
func (s *starter) remove(rank int32)  { s.ready.Remove(rank) }

// len returns how many nodes are ready.
func (s *starter) len() int { return s.ready.Len() }

// rankOf returns the rank of a node, and nodeAt the node of a rank.
func (s *starter) rankOf(p int32) int32 {
	if int(p) >= len(s.ranks) {
		return p
	}
	return s.ranks[p]
}

func (s *starter) nodeAt(rank int32) int32 {
	if int(rank) >= len(s.byRank) {
		return rank
	}
	return s.byRank[rank]
}

// estimateOf returns what was estimated of a node.
func (s *starter) estimateOf(p int32) time.Duration {
	if s.estimates == nil {
		return 0
	}
	return s.estimates[p]
}

// grow makes room for the last one of so many nodes, of which so much is estimated.
func (s *starter) grow(nodes int, estimate time.Duration) {
	s.ready.Grow(nodes)
	if s.estimates != nil {
		s.estimates = append(s.estimates, estimate)
	}
}

// addWord makes the nodes of a word ready.
func (s *starter) addWord(w int, nodes uint64) {
	if s.ranks == nil {
		s.ready.AddWord(w, nodes)
		return
	}
	for ; nodes != 0; nodes &= nodes - 1 {
		s.add(int32(w<<6 | bits.TrailingZeros64(nodes)))
	}
}

// add makes a node ready.
func (s *starter) add(p int32) { s.ready.Add(s.rankOf(p)) }
