package proof_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// naive is Dependencies that does the obvious.
type naive struct {
	nodes []int
	edges [][2]int // requirer, required
}

func (m *naive) enter(k int) {
	if !slices.Contains(m.nodes, k) {
		m.nodes = append(m.nodes, k)
	}
}

func (m *naive) add(requirer, required int) {
	m.enter(required)
	m.enter(requirer)
	if e := [2]int{requirer, required}; !slices.Contains(m.edges, e) {
		m.edges = append(m.edges, e)
	}
}

// order begins its search anew after each node. end is the end of an edge that
// waits: 0 the requirer, 1 the required.
func (m *naive) order(end int) []int {
	var order []int
next:
	for _, k := range m.nodes {
		ready := !slices.Contains(order, k)
		for _, e := range m.edges {
			ready = ready && (e[end] != k || slices.Contains(order, e[1-end]))
		}
		if ready {
			order = append(order, k)
			goto next
		}
	}
	return order
}

func (m *naive) neighbours(k, end int) []int {
	var next []int
	for _, e := range m.edges {
		if e[end] == k {
			next = append(next, e[1-end])
		}
	}
	return next
}

// above returns the nodes from which a path of edges leads to k, and k.
func (m *naive) above(k int) map[int]bool {
	above := map[int]bool{k: true}
	for range m.nodes {
		for _, e := range m.edges {
			if above[e[1]] {
				above[e[0]] = true
			}
		}
	}
	return above
}

func (m *naive) from(k int) *naive {
	part := &naive{}
	above := m.above(k)
	for _, k := range m.nodes {
		if above[k] {
			part.enter(k)
		}
	}
	for _, e := range m.edges {
		if above[e[1]] {
			part.add(e[0], e[1])
		}
	}
	return part
}

// circle returns the length of a shortest cycle, or 0.
func (m *naive) circle() int {
	for length := 1; length <= len(m.nodes); length++ {
		for _, start := range m.nodes {
			at := map[int]bool{start: true}
			for range length {
				next := map[int]bool{}
				for _, e := range m.edges {
					if at[e[0]] {
						next[e[1]] = true
					}
				}
				at = next
			}
			if at[start] {
				return length
			}
		}
	}
	return 0
}

func requireSame(t *testing.T, m *naive, deps *scheduler.Dependencies[int]) {
	t.Helper()
	equal := func(want []int, got iter.Seq[int]) {
		t.Helper()
		require.Equal(t, append([]int{}, want...), slices.AppendSeq([]int{}, got))
	}
	equal(m.nodes, deps.Nodes())
	equal(m.order(0), deps.All())
	equal(m.order(1), deps.Backward())
	var leaves, roots []int
	for _, k := range m.nodes {
		equal(m.neighbours(k, 0), deps.Requires(k))
		equal(m.neighbours(k, 1), deps.RequiredBy(k))
		if len(m.neighbours(k, 0)) == 0 {
			leaves = append(leaves, k)
		}
		if len(m.neighbours(k, 1)) == 0 {
			roots = append(roots, k)
		}
	}
	equal(leaves, deps.Leaves())
	equal(roots, deps.Roots())
	count := 0
	for requirer, required := range deps.Edges() {
		count++
		require.Contains(t, m.edges, [2]int{requirer, required})
	}
	require.Len(t, m.edges, count)
	requireSameCycle(t, m, deps)
}

func requireSameCycle(t *testing.T, m *naive, deps *scheduler.Dependencies[int]) {
	t.Helper()
	length := m.circle()
	err := deps.Validate()
	if length == 0 {
		require.NoError(t, err)
		return
	}
	var circular *scheduler.CircularDependencyError[int]
	require.ErrorAs(t, err, &circular)
	require.Len(t, circular.Path, length+1)
	require.Equal(t, circular.Path[0], circular.Path[length])
	for i, k := range circular.Path[:length] {
		require.Contains(t, m.edges, [2]int{k, circular.Path[i+1]})
		require.LessOrEqual(t, slices.Index(m.nodes, circular.Path[0]), slices.Index(m.nodes, k))
	}
}

func TestDependencies_random(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		n := random.IntN(12) + 1
		program := make([]byte, random.IntN(8*n)+1)
		for i := range program {
			program[i] = byte(random.IntN(n))
		}
		program[0] |= byte(random.IntN(2) * 32)
		compare(t, program)
	}
}

// compare makes a graph both ways from pairs of bytes, of which two equal ones
// mostly stand for a node alone, and asks all there is to ask, in between too if
// the first byte says so.
func compare(t *testing.T, program []byte) {
	t.Helper()
	m, deps := &naive{}, scheduler.NewDependencies[int]()
	for i := 0; i+1 < len(program); i += 2 {
		a, b := int(program[i]&15), int(program[i+1]&15)
		if a == b && program[i]&16 == 0 {
			m.enter(a)
			deps.Add(a)
		} else {
			m.add(a, b)
			deps.Add(a, b)
		}
		if i%14 == 6 && program[0]&32 == 0 {
			requireSame(t, m, deps)
		}
	}
	requireSame(t, m, deps)
	for _, k := range m.nodes {
		requireSame(t, m.from(k), deps.From(k))
	}
	merged := &naive{}
	for _, k := range m.nodes {
		merged.enter(k / 2)
	}
	for _, e := range m.edges {
		merged.add(e[0]/2, e[1]/2)
	}
	requireSame(t, merged, scheduler.Translate(deps, func(k int) int { return k / 2 }))
}

func FuzzDependencies(f *testing.F) {
	f.Add([]byte{1, 0, 2, 1, 3, 1, 3, 2})
	f.Add([]byte{1, 0, 0, 1, 17, 17, 5, 5})
	f.Add([]byte{0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 2, 4})
	f.Add(append([]byte{32}, "a graph that is asked nothing before it is whole, though it is long"...))
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) <= 120 {
			compare(t, program)
		}
	})
}
