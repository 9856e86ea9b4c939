package digraph_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/internal/digraph"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// edges is a graph as the models below see it.
type edges struct {
	n        int
	from, to []int32
}

func (e edges) graph() *digraph.Graph {
	return e.list().Graph(e.n, false)
}

func (e edges) list() *digraph.Edges {
	list := new(digraph.Edges)
	for i, from := range e.from {
		list.Add(from, e.to[i])
	}
	return list
}

func (e *edges) add(from, to int) {
	e.from, e.to = append(e.from, int32(from)), append(e.to, int32(to))
}

func (e edges) has(from, to int32) bool {
	for i := range e.from {
		if e.from[i] == from && e.to[i] == to {
			return true
		}
	}
	return false
}

// shuffled returns the same graph with its edges given in another order.
func (e edges) shuffled(random *rand.Rand) edges {
	s := edges{e.n, slices.Clone(e.from), slices.Clone(e.to)}
	random.Shuffle(len(s.from), func(i, j int) {
		s.from[i], s.from[j] = s.from[j], s.from[i]
		s.to[i], s.to[j] = s.to[j], s.to[i]
	})
	return s
}

// randomEdges returns a graph of up to n nodes: sparse or dense, with repeated
// edges, and with or without cycles.
func randomEdges(random *rand.Rand, n int) edges {
	e := edges{n: random.IntN(n) + 1}
	back := []float64{0, 0, 0.01, 0.1, 1}[random.IntN(5)]
	name := random.Perm(e.n)
	for range random.IntN(3*e.n + 1) {
		a, b := random.IntN(e.n), random.IntN(e.n)
		if random.Float64() >= back {
			if a == b {
				continue
			}
			a, b = min(a, b), max(a, b)
		}
		e.add(name[a], name[b])
	}
	return e
}

// order is the naive order: the search begins anew after each node.
func (e edges) order() []int32 {
	order := []int32{}
	out := make([]bool, e.n)
next:
	for i := range int32(e.n) {
		if out[i] {
			continue
		}
		ready := true
		for x := range e.from {
			ready = ready && (e.to[x] != i || out[e.from[x]])
		}
		if ready {
			out[i] = true
			order = append(order, i)
			goto next
		}
	}
	return order
}

// paths returns the lengths of the shortest paths of one edge or more (Floyd
// and Warshall).
func (e edges) paths() [][]int {
	const far = math.MaxInt / 2 // twice that is no overflow
	d := make([][]int, e.n)
	for i := range d {
		d[i] = slices.Repeat([]int{far}, e.n)
	}
	for x := range e.from {
		d[e.from[x]][e.to[x]] = 1
	}
	for k := range d {
		for i := range d {
			for j := range d {
				d[i][j] = min(d[i][j], d[i][k]+d[k][j])
			}
		}
	}
	for _, row := range d {
		for j := range row {
			if row[j] >= far {
				row[j] = 0
			}
		}
	}
	return d
}

func TestNew(t *testing.T) {
	t.Parallel()
	e := edges{n: 4}
	for _, x := range [][2]int{{2, 1}, {0, 3}, {2, 0}, {2, 1}, {3, 3}, {2, 0}} {
		e.add(x[0], x[1])
	}
	g := e.graph()
	require.Equal(t, 4, g.Len())
	require.Equal(t, []int32{3}, g.Row(0))
	require.Empty(t, g.Row(1))
	require.Equal(t, []int32{1, 0}, g.Row(2), "in the order given, each once")
	require.Equal(t, []int32{3}, g.Row(3))
	require.Equal(t, []int32{1, 1, 0, 2}, g.Degree)

	turned := g.Transpose()
	require.Equal(t, []int32{2}, turned.Row(0))
	require.Equal(t, []int32{2}, turned.Row(1))
	require.Empty(t, turned.Row(2))
	require.Equal(t, []int32{0, 3}, turned.Row(3))

	empty := edges{}.graph()
	require.Zero(t, empty.Len())
	sorted, place := empty.Sort()
	require.Zero(t, sorted.Len())
	require.Empty(t, place)
	require.Nil(t, empty.ShortestCycle())
	require.Empty(t, empty.Cycles())
}

func TestGraph_Sort(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	cases := 2000
	if testing.Short() {
		cases = 150
	}
	for seed := range cases {
		e := randomEdges(random, 200)
		checkSort(t, e, seed)
	}
}

func checkSort(t *testing.T, e edges, seed int) {
	t.Helper()
	g := e.graph()
	sorted, place := g.Sort()
	want := e.order()
	order := make([]int32, len(want))
	out := 0
	for i, p := range place {
		if p >= 0 {
			order[p] = int32(i)
			out++
		}
	}
	require.Equal(t, len(want), out, seed)
	require.Equal(t, want, order, seed)
	if len(want) < e.n {
		require.Nil(t, sorted)
		return
	}
	for i := range int32(e.n) {
		var row []int32
		for _, j := range g.Row(i) {
			row = append(row, place[j])
			require.Greater(t, place[j], place[i])
		}
		require.Equal(t, row, append([]int32(nil), sorted.Row(place[i])...))
		require.Equal(t, g.Degree[i], sorted.Degree[place[i]])
	}
}

// TestGraph_Sort_far goes from one end of a large graph to the other and back,
// over words of the front that are empty at all its levels.
func TestGraph_Sort_far(t *testing.T) {
	t.Parallel()
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	e := edges{n: n}
	for i := range n / 2 {
		e.add(n-1-i, i) // the upper half frees the lower half, from its end on
	}
	for i := range n/2 - 1 {
		e.add(i, n-2-i)
	}
	_, place := e.graph().Sort()
	for i := range n / 2 {
		if place[n-1-i] != int32(2*i) || place[i] != int32(2*i+1) {
			t.Fatalf("%d is at %d, and %d at %d", n-1-i, place[n-1-i], i, place[i])
		}
	}
}

func TestGraph_ShortestCycle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		edges [][2]int
		want  []int32
	}{
		{"none", [][2]int{{0, 1}, {1, 2}, {0, 2}}, nil},
		{"self", [][2]int{{0, 1}, {1, 0}, {2, 2}}, []int32{2}},
		{"two", [][2]int{{1, 0}, {0, 1}}, []int32{0, 1}},
		{"begins with the smallest", [][2]int{{3, 1}, {1, 2}, {2, 3}}, []int32{1, 2, 3}},
		{"the shorter one", [][2]int{{0, 1}, {1, 2}, {2, 0}, {2, 3}, {3, 2}}, []int32{2, 3}},
		{"not what leads to it or away", [][2]int{{0, 1}, {1, 2}, {2, 1}, {2, 3}, {3, 4}}, []int32{1, 2}},
		{"not what lies between two", [][2]int{{0, 1}, {1, 2}, {2, 0}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 4}}, []int32{0, 1, 2}},
		{"the first of equals", [][2]int{{2, 3}, {3, 2}, {0, 1}, {1, 0}}, []int32{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := edges{n: 7}
			for _, x := range tt.edges {
				e.add(x[0], x[1])
			}
			require.Equal(t, tt.want, e.graph().ShortestCycle())
		})
	}
}

func TestGraph_ShortestCycle_and_Cycles_random(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 2))
	cases := 3000
	if testing.Short() {
		cases = 1000
	}
	for range cases {
		checkCycles(t, randomEdges(random, 24), random)
	}
}

func checkCycles(t *testing.T, e edges, random *rand.Rand) {
	t.Helper()
	d := e.paths()
	shortest := 0
	for i := range d {
		if d[i][i] > 0 && (shortest == 0 || d[i][i] < shortest) {
			shortest = d[i][i]
		}
	}
	cycle := e.graph().ShortestCycle()
	require.Len(t, cycle, shortest)
	for x, i := range cycle {
		require.True(t, e.has(i, cycle[(x+1)%len(cycle)]))
		require.GreaterOrEqual(t, i, cycle[0])
	}
	number := e.graph().Cycles()
	for i := range d {
		require.Equal(t, d[i][i] > 0, number[i] != 0)
		for j := range d {
			together := i != j && d[i][j] > 0 && d[j][i] > 0
			require.Equal(t, together, i != j && number[i] != 0 && number[i] == number[j])
		}
	}
	require.Equal(t, cycle, e.shuffled(random).graph().ShortestCycle(), "the order of edges makes no difference")
}

// TestGraph_ShortestCycle_large has graphs that would take a search for each of
// a million edges if searches were not kept few and short.
func TestGraph_ShortestCycle_large(t *testing.T) {
	t.Parallel()
	const n = 200_000
	for _, tt := range []struct {
		name   string
		make   func(e *edges, name []int)
		length int
	}{
		{"one ring", func(e *edges, name []int) {
			for i := range n {
				e.add(name[i], name[(i+1)%n])
			}
		}, n},
		{"two rings with a common node", func(e *edges, name []int) {
			for i := range n / 2 {
				e.add(name[i], name[(i+1)%(n/2)])
				e.add(name[(n/2+i-1)%n], name[n/2+i])
			}
			e.add(name[n-1], name[0])
		}, n / 2},
		{"many small rings", func(e *edges, name []int) {
			for i := 0; i+3 <= n; i += 3 {
				e.add(name[i], name[i+1])
				e.add(name[i+1], name[i+2])
				e.add(name[i+2], name[i])
			}
		}, 3},
		{"one wrong edge across layers", func(e *edges, name []int) {
			layered(e, name)
			e.add(name[n-500], name[500])
		}, n / 1000},
		{"all of the last layer back to the first", func(e *edges, name []int) {
			layered(e, name)
			for i := range 1000 {
				e.add(name[n-1000+i], name[i])
			}
		}, n / 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(3, 3))
			e := edges{n: n}
			tt.make(&e, random.Perm(n))
			require.Len(t, e.graph().ShortestCycle(), tt.length)
		})
	}
}

// layered adds three edges from each node to the next layer of a thousand.
func layered(e *edges, name []int) {
	for i := range len(name) - 1000 {
		for k := range 3 {
			next := (i/1000 + 1) * 1000
			e.add(name[i], name[next+(i*7+k*331)%1000])
		}
	}
}

func TestGraph_Reach(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		e := randomEdges(random, 24)
		d := e.paths()
		start, other := random.IntN(e.n), random.IntN(e.n)
		for j, reached := range e.graph().Reach(int32(start)) {
			require.Equal(t, j == start || d[start][j] > 0, reached)
		}
		for j, reached := range e.graph().Reach(int32(start), int32(other)) {
			require.Equal(t, j == start || j == other || d[start][j] > 0 || d[other][j] > 0, reached)
		}
		require.NotContains(t, e.graph().Reach(), true)
	}
}

func FuzzGraph(f *testing.F) {
	f.Add([]byte{5, 0, 1, 1, 2, 2, 0, 3, 3})
	f.Add([]byte{30, 29, 28, 28, 27, 1, 29})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 200 {
			return
		}
		e := edges{n: int(data[0])%80 + 1}
		for data = data[1:]; len(data) >= 2; data = data[2:] {
			e.add(int(data[0])%e.n, int(data[1])%e.n)
		}
		checkSort(t, e, 0)
		checkCycles(t, e, rand.New(rand.NewPCG(5, 5)))
	})
}

func BenchmarkGraph_Sort(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		for _, entry := range []string{"down", "random"} {
			b.Run(fmt.Sprintf("entry=%s/n=%d", entry, n), func(b *testing.B) {
				name := rand.New(rand.NewPCG(6, 6)).Perm(n)
				if entry == "down" {
					slices.Sort(name)
					slices.Reverse(name)
				}
				e := edges{n: n}
				layered(&e, name)
				g := e.graph()
				for b.Loop() {
					g.Sort()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
			})
		}
	}
}

func TestEdges(t *testing.T) {
	t.Parallel()
	var list digraph.Edges
	require.Zero(t, list.Len())
	require.Empty(t, list.Graph(0, false).To)
	require.Equal(t, []int32{0, 0, 0, 0}, list.Graph(3, true).Start)
	for range list.All() {
		t.Fatal("an edge of none")
	}
	const n = 200_000
	var from, to []int32
	for i := range int32(n) { // more than some blocks
		list.Add(i%7, i)
		require.Equal(t, int(i)+1, list.Len())
		from, to = append(from, i%7), append(to, i)
	}
	var gotFrom, gotTo []int32
	for i, j := range list.All() {
		gotFrom, gotTo = append(gotFrom, i), append(gotTo, j)
	}
	require.True(t, slices.Equal(from, gotFrom) && slices.Equal(to, gotTo))
	graph := list.Graph(n, false)
	for i := range int32(7) {
		var row []int32
		for j := i; j < n; j += 7 {
			row = append(row, j)
		}
		require.True(t, slices.Equal(row, graph.Row(i)))
	}
	turned := list.Graph(n, true)
	require.True(t, slices.Equal(from, turned.To))
	require.Equal(t, graph.Transpose(), turned)
	require.Equal(t, turned.Transpose(), graph)
}
