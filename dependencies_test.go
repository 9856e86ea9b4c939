package scheduler_test

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// edgesOf makes Dependencies from edges in the form "a<-b c": a is required by
// b and c; "a" alone is a node.
func edgesOf(text string) *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for line := range strings.SplitSeq(text, ",") {
		required, requirers, _ := strings.Cut(strings.TrimSpace(line), "<-")
		if required == "" {
			continue
		}
		if requirers == "" {
			deps.Add(required)
		}
		for requirer := range strings.FieldsSeq(requirers) {
			deps.Add(requirer, required)
		}
	}
	return deps
}

func joined(sequence iter.Seq[string]) string { return strings.Join(slices.Collect(sequence), " ") }

func pairs(deps *scheduler.Dependencies[string]) string {
	var b []string
	for requirer, required := range deps.Edges() {
		b = append(b, requirer+">"+required)
	}
	return strings.Join(b, " ")
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, edges                           string
		nodes, all, backward                  string
		leaves, roots, pairs                  string
		key, requires, requiredBy, from, mark string
	}{
		{name: "empty", key: "a"},
		{
			name: "one node", edges: "a",
			nodes: "a", all: "a", backward: "a", leaves: "a", roots: "a",
			key: "a", from: "a",
		},
		{
			name: "required is entered before requirer", edges: "a<-b",
			nodes: "a b", all: "a b", backward: "b a", leaves: "a", roots: "b", pairs: "b>a",
			key: "a", requiredBy: "b", from: "a b",
		},
		{
			name: "from a root", edges: "a<-b",
			nodes: "a b", all: "a b", backward: "b a", leaves: "a", roots: "b", pairs: "b>a",
			key: "b", requires: "a", from: "b",
		},
		{
			name: "an edge given twice is one", edges: "a<-b b, c<-b, a<-b",
			nodes: "a b c", all: "a c b", backward: "b a c", leaves: "a c", roots: "b", pairs: "b>a b>c",
			key: "b", requires: "a c", from: "b",
		},
		{
			name: "backward is not all read backwards", edges: "a<-c, b",
			nodes: "a c b", all: "a c b", backward: "c a b", leaves: "a b", roots: "c b", pairs: "c>a",
			key: "a", requiredBy: "c", from: "a c",
		},
		{
			name: "diamond; other requirements are left out", edges: "a<-b c, b<-d, c<-d, x<-d",
			nodes: "a b c d x", all: "a b c x d", backward: "d b c a x", leaves: "a x", roots: "d",
			pairs: "b>a c>a d>b d>c d>x",
			key:   "b", requires: "a", requiredBy: "d", from: "b d",
		},
		{
			name: "a node that requires itself", edges: "a<-a, b<-a, c",
			nodes: "a b c", all: "b c", backward: "c", leaves: "b c", roots: "c", pairs: "a>a a>b",
			key: "a", requires: "a b", requiredBy: "a", from: "a",
			mark: "a -> a",
		},
		{
			name: "cycle between order and rest", edges: "a<-b, b<-c, c<-b, c<-d, e",
			nodes: "a b c d e", all: "a e", backward: "d e", leaves: "a e", roots: "d e",
			pairs: "b>a b>c c>b d>c",
			key:   "c", requires: "b", requiredBy: "b d", from: "b c d",
			mark: "b -> c -> b",
		},
		{
			name: "unknown key", edges: "a<-b",
			nodes: "a b", all: "a b", backward: "b a", leaves: "a", roots: "b", pairs: "b>a",
			key: "x",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			deps := edgesOf(tt.edges)
			require.Equal(t, tt.nodes, joined(deps.Nodes()))
			require.Equal(t, len(strings.Fields(tt.nodes)), deps.Len())
			require.Equal(t, tt.all, joined(deps.All()))
			require.Equal(t, tt.backward, joined(deps.Backward()))
			require.Equal(t, tt.leaves, joined(deps.Leaves()))
			require.Equal(t, tt.roots, joined(deps.Roots()))
			require.Equal(t, tt.pairs, pairs(deps))
			require.Equal(t, slices.Contains(strings.Fields(tt.nodes), tt.key), deps.Contains(tt.key))
			require.Equal(t, tt.requires, joined(deps.Requires(tt.key)))
			require.Equal(t, tt.requiredBy, joined(deps.RequiredBy(tt.key)))
			require.Equal(t, tt.from, joined(deps.From(tt.key).Nodes()))
			if tt.mark == "" {
				require.NoError(t, deps.Validate())
			} else {
				require.EqualError(t, deps.Validate(), "scheduler: circular dependency: "+tt.mark)
			}
		})
	}
}

func TestDependencies_zero_value(t *testing.T) {
	t.Parallel()
	var deps scheduler.Dependencies[string]
	require.Zero(t, deps.Len())
	require.False(t, deps.Contains("a"))
	require.NoError(t, deps.Validate())
	require.Empty(t, slices.Collect(deps.All()))
	require.Zero(t, deps.From("a").Len())
	require.Zero(t, scheduler.Translate(&deps, strings.ToUpper).Len())
	var text strings.Builder
	require.NoError(t, deps.WriteDOT(&text))
	require.Equal(t, "digraph dependencies {\n}\n", text.String())
	deps.Add("b", "a")
	require.Equal(t, "a b", joined(deps.All()))
}

func TestDependencies_Add(t *testing.T) {
	t.Parallel()
	t.Run("several at once are the same as one after another", func(t *testing.T) {
		t.Parallel()
		deps := scheduler.NewDependencies[string]()
		deps.Add("d", "c", "b", "d", "a")
		require.Equal(t, "c d b a", joined(deps.Nodes()))
		require.Equal(t, "c b d a", joined(deps.Requires("d")))
	})
	t.Run("drops what was computed before", func(t *testing.T) {
		t.Parallel()
		deps := edgesOf("b<-a")
		require.Equal(t, "b a", joined(deps.All()))
		require.Equal(t, "b", joined(deps.Leaves()))
		deps.Add("b", "c")
		require.Equal(t, "c b a", joined(deps.All()))
		require.Equal(t, "c", joined(deps.Leaves()))
		deps.Add("c", "a")
		require.EqualError(t, deps.Validate(), "scheduler: circular dependency: b -> c -> a -> b")
		deps.Add("a", "a")
		require.EqualError(t, deps.Validate(), "scheduler: circular dependency: a -> a")
	})
	t.Run("a loop goes on over what it began with", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"nodes", "all", "requires", "leaves"} {
			deps := edgesOf("a<-b, c<-b")
			sequence := map[string]iter.Seq[string]{
				"nodes": deps.Nodes(), "all": deps.All(), "requires": deps.Requires("b"), "leaves": deps.Leaves(),
			}[name]
			want := joined(sequence)
			var got []string
			for k := range sequence {
				got = append(got, k)
				for i := range 20 {
					deps.Add(fmt.Sprint(k, i))
					deps.Add("b", fmt.Sprint(k, i))
				}
			}
			require.Equal(t, want, strings.Join(got, " "), name)
			require.NotEqual(t, want, joined(sequence), "used again, it shows what was added")
		}
	})
	t.Run("many at once and one by one are the same", func(t *testing.T) {
		t.Parallel()
		for _, n := range []int{1, 2, 14, 15, 16, 17, 30, 31, 32, 33, 100, 1000} {
			required := make([]int, n)
			for i := range required {
				required[i] = i * 7 % n // some twice
			}
			together, apart := scheduler.NewDependencies[int](), scheduler.NewDependencies[int]()
			together.Add(-1, required...)
			for _, k := range required {
				apart.Add(-1, k)
			}
			require.Equal(t, slices.Collect(together.Nodes()), slices.Collect(apart.Nodes()))
			require.Equal(t, slices.Collect(together.Requires(-1)), slices.Collect(apart.Requires(-1)))
			require.Equal(t, slices.Collect(together.All()), slices.Collect(apart.All()))
			require.Equal(t, []int{0, -1}, slices.Collect(together.Nodes())[:2])
		}
	})
	t.Run("a key that is not equal to itself is a new node each time", func(t *testing.T) {
		t.Parallel()
		deps := scheduler.NewDependencies[float64]()
		deps.Add(math.NaN(), 1)
		deps.Add(math.NaN(), 1)
		require.Equal(t, 3, deps.Len())
		require.False(t, deps.Contains(math.NaN()))
		require.Empty(t, slices.Collect(deps.Requires(math.NaN())))
		require.Zero(t, deps.From(math.NaN()).Len())
		require.Len(t, slices.Collect(deps.RequiredBy(1)), 2)
	})
	t.Run("panics for a key that is not comparable", func(t *testing.T) {
		t.Parallel()
		deps := scheduler.NewDependencies[any]()
		deps.Add("a", 1)
		bad := []int{1}
		require.Panics(t, func() { deps.Add(bad) })
		require.Panics(t, func() { deps.Add("x", bad) })
		require.Panics(t, func() { deps.Add(bad, "x") })
		require.Panics(t, func() { deps.Add("a", bad) })
		require.Panics(t, func() { deps.Contains(bad) })
		require.Equal(t, []any{1, "a"}, slices.Collect(deps.All()))

		require.Panics(t, func() { deps.Add("b", 2, bad, 3) })
		require.Equal(t, []any{1, "a", 2, "b"}, slices.Collect(deps.All()), "what came before it was added")
	})
}

// Sequences end when their loop does.
func TestDependencies_break(t *testing.T) {
	t.Parallel()
	deps := edgesOf("a<-c d, b<-c d")
	for _, sequence := range []iter.Seq[string]{
		deps.Nodes(), deps.All(), deps.Backward(), deps.Leaves(), deps.Roots(), deps.Requires("c"), deps.RequiredBy("a"),
	} {
		count := 0
		for range sequence {
			count++
			break
		}
		require.Equal(t, 1, count)
	}
	for requirer, required := range deps.Edges() {
		require.Equal(t, "c a", requirer+" "+required)
		break
	}
}

// Everything but Add may be called from many goroutines at once.
func TestDependencies_concurrent_queries(t *testing.T) {
	t.Parallel()
	for range 50 {
		deps := edgesOf("a<-b c, b<-d, c<-d, x<-d, d<-e")
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if joined(deps.All()) != "a b c x d e" || joined(deps.Backward()) != "e d b c a x" {
					t.Error("wrong order")
				}
				if deps.Validate() != nil || deps.Len() != 6 || joined(deps.From("b").Nodes()) != "b d e" {
					t.Error("wrong answer")
				}
				if joined(deps.Requires("d")) != "b c x" || joined(deps.RequiredBy("a")) != "b c" {
					t.Error("wrong neighbours")
				}
			})
		}
		group.Wait()
	}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	lower := func(k string) string { return strings.ToLower(k[:1]) }

	deps := edgesOf("a1<-b1, a2<-b2, c<-b1, a1<-d")
	translated := scheduler.Translate(deps, lower)
	require.Equal(t, "a b c d", joined(translated.Nodes()), "in order of entry")
	require.Equal(t, "b>a b>c d>a", pairs(translated))
	require.NoError(t, translated.Validate())

	require.EqualError(t, scheduler.Translate(edgesOf("a1<-a2"), lower).Validate(),
		"scheduler: circular dependency: a -> a", "merged nodes may require themselves")
	require.EqualError(t, scheduler.Translate(edgesOf("a1<-b1, b2<-a2"), lower).Validate(),
		"scheduler: circular dependency: a -> b -> a", "or each other")

	calls := []string{}
	scheduler.Translate(deps, func(k string) int { calls = append(calls, k); return len(calls) })
	require.Equal(t, joined(deps.Nodes()), strings.Join(calls, " "), "once a node, in order of entry")

	translated.Add("z", "b")
	require.False(t, deps.Contains("z"))
}

func TestDependencies_From(t *testing.T) {
	t.Parallel()
	t.Run("keeps the order of entry and of edges", func(t *testing.T) {
		t.Parallel()
		deps := edgesOf("z, k<-c, m, k<-b, x<-c, b<-c, c<-a, q<-a")
		part := deps.From("k")
		require.Equal(t, "k c b a", joined(part.Nodes()))
		require.Equal(t, "c>k c>b b>k a>c", pairs(part))
		require.Equal(t, "k b c a", joined(part.All()))
		part.Add("new", "k")
		require.False(t, deps.Contains("new"))
	})
	t.Run("many paths", func(t *testing.T) {
		t.Parallel()
		// Two to the power of a hundred thousand paths lead to the first node.
		const rungs = 100_000
		deps := scheduler.NewDependencies[int]()
		for i := 2; i < 2*rungs; i += 2 {
			deps.Add(i, i-2, i-1)
			deps.Add(i+1, i-2, i-1)
		}
		require.Equal(t, 2*rungs-1, deps.From(0).Len())
		require.Equal(t, 2*rungs-1, deps.From(1).Len())
	})
	t.Run("a cycle above", func(t *testing.T) {
		t.Parallel()
		part := edgesOf("a<-b, b<-c, c<-b, x<-c").From("a")
		require.Equal(t, "a b c", joined(part.Nodes()))
		require.Equal(t, "b>a b>c c>b", pairs(part))
	})
}

// A chain as long as memory allows: nothing recurses.
func TestDependencies_long_chain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		n    int
		key  func(i, n int) int
	}{
		{"listed upwards", 100_000, func(i, _ int) int { return i }},
		{"listed downwards", 1_000_000, func(i, n int) int { return n - 1 - i }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := tt.n
			deps := scheduler.NewDependencies[int]()
			for i := range n {
				deps.Add(tt.key(i, n))
			}
			for k := 1; k < n; k++ {
				deps.Add(k, k-1)
			}
			require.NoError(t, deps.Validate())
			want := 0
			for k := range deps.All() {
				if k != want {
					require.Equal(t, want, k)
				}
				want++
			}
			require.Equal(t, n, want)
			for k := range deps.Backward() {
				want--
				if k != want {
					require.Equal(t, want, k)
				}
			}
			require.Zero(t, want)
			require.Equal(t, n-10, deps.From(10).Len())

			deps.Add(0, n-1)
			circular := asError[*scheduler.CircularDependencyError[int]](t, deps.Validate())
			require.Len(t, circular.Path, n+1)
			require.Less(t, len(circular.Error()), 200)
		})
	}
}

func TestCircularDependencyError(t *testing.T) {
	t.Parallel()
	path := func(n int) []int {
		p := []int{}
		for i := range n {
			p = append(p, i)
		}
		return append(p, 0)
	}
	for _, tt := range []struct {
		nodes int
		want  string
	}{
		{1, "0 -> 0"},
		{2, "0 -> 1 -> 0"},
		{11, "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> 6 -> 7 -> 8 -> 9 -> 10 -> 0"},
		{12, "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> 6 -> 7 -> 8 -> 9 -> ... (2 more) ... -> 0"},
		{1000, "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> 6 -> 7 -> 8 -> 9 -> ... (990 more) ... -> 0"},
	} {
		err := &scheduler.CircularDependencyError[int]{Path: path(tt.nodes)}
		require.EqualError(t, err, "scheduler: circular dependency: "+tt.want)
	}

	wrapped := fmt.Errorf("stack: %w", edgesOf("a<-a").Validate())
	require.ErrorIs(t, wrapped, scheduler.ErrCircularDependency)
	require.NotErrorIs(t, wrapped, scheduler.ErrClosed)
	circular := asError[*scheduler.CircularDependencyError[string]](t, wrapped)
	require.Equal(t, []string{"a", "a"}, circular.Path)
}

// The same nodes in the same order with the same edges give the same error,
// whatever the order of the edges and whatever was asked before.
func TestDependencies_Validate_same_text_every_time(t *testing.T) {
	t.Parallel()
	edges := [][2]string{
		{"a", "b"},
		{"b", "c"},
		{"c", "a"},
		{"d", "e"},
		{"e", "f"},
		{"f", "d"},
		{"f", "e"},
		{"g", "h"},
		{"h", "g"},
		{"a", "g"},
		{"h", "d"},
		{"i", "a"},
		{"c", "j"},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		deps := scheduler.NewDependencies[string]()
		for k := range strings.FieldsSeq("i a b c d e f g h j") {
			deps.Add(k)
		}
		random.Shuffle(len(edges), func(i, j int) { edges[i], edges[j] = edges[j], edges[i] })
		for _, e := range edges {
			deps.Add(e[0], e[1])
		}
		if random.IntN(2) == 0 {
			joined(deps.Backward())
		}
		require.EqualError(t, deps.Validate(), "scheduler: circular dependency: e -> f -> e")
	}
}

// graphOfSize has the edges of a shape, as requirer and required, and no more
// than n nodes.
func graphOfSize(shape string, n int) (edges [][2]int) {
	switch shape {
	case "chain":
		for i := 1; i < n; i++ {
			edges = append(edges, [2]int{i, i - 1})
		}
		return edges
	case "layered", "shuffled":
		for i := 1000; i < n; i++ {
			for k := range 3 {
				edges = append(edges, [2]int{i, (i/1000-1)*1000 + (i*7+k*331)%1000})
			}
		}
	}
	if shape == "shuffled" {
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(edges), func(i, j int) { edges[i], edges[j] = edges[j], edges[i] })
	}
	return edges
}

// BenchmarkDependencies_build is given per edge, beside what a Go map takes for
// both ends of each.
func BenchmarkDependencies_build(b *testing.B) {
	for _, shape := range []string{"chain", "layered", "shuffled"} {
		n := 333_333
		if shape == "chain" {
			n = 1_000_000
		}
		edges := graphOfSize(shape, n)
		ints, names := make([]int, n), make([]string, n)
		for i := range n {
			ints[i], names[i] = i, fmt.Sprintf("resource-%07d", i)
		}
		b.Run("keys=int/shape="+shape, func(b *testing.B) { benchmarkBuild(b, edges, ints) })
		b.Run("keys=string/shape="+shape, func(b *testing.B) { benchmarkBuild(b, edges, names) })
	}
}

func benchmarkBuild[K comparable](b *testing.B, edges [][2]int, keys []K) {
	perEdge := func(b *testing.B, fill func()) {
		for b.Loop() {
			fill()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(edges)), "ns/edge")
	}
	b.Run("what=map", func(b *testing.B) {
		perEdge(b, func() {
			m := map[K]int32{}
			for i, e := range edges {
				m[keys[e[1]]], m[keys[e[0]]] = int32(i), int32(i)
			}
		})
	})
	b.Run("what=dependencies", func(b *testing.B) {
		perEdge(b, func() {
			deps := scheduler.NewDependencies[K]()
			for _, e := range edges {
				deps.Add(keys[e[0]], keys[e[1]])
			}
			deps.Leaves()(func(K) bool { return false }) // puts the edges together
		})
	})
}

// A key that the graph does not have is no mistake, whatever is asked about it.
func TestDependencies_never_panics_for_an_unknown_key(t *testing.T) {
	t.Parallel()
	for name, deps := range map[string]*scheduler.Dependencies[string]{
		"empty": scheduler.NewDependencies[string](), "of others": graph("b:a"), "zero": {},
	} {
		t.Run(name, func(t *testing.T) {
			require.False(t, deps.Contains("x"))
			require.Empty(t, slices.Collect(deps.Requires("x")))
			require.Empty(t, slices.Collect(deps.RequiredBy("x")))
			require.Zero(t, deps.From("x").Len())
		})
	}
}
