package scheduler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
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
		deps := scheduler.NewDependencies[string]()
		deps.Add("d", "c", "b", "d", "a")
		require.Equal(t, "c d b a", joined(deps.Nodes()))
		require.Equal(t, "c b d a", joined(deps.Requires("d")))
	})
	t.Run("drops what was computed before", func(t *testing.T) {
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
	// Many keys are numbered together, few at once.
	for _, before := range []int{0, 300} {
		t.Run(fmt.Sprintf("a key that is not equal to itself is a new node each time, after %d others", before), func(t *testing.T) {
			deps := scheduler.NewDependencies[float64]()
			for i := range before {
				deps.Add(float64(-i - 1))
			}
			deps.Add(math.NaN(), 1)
			deps.Add(math.NaN(), 1, 1)
			require.Equal(t, before+4, deps.Len())
			require.False(t, deps.Contains(math.NaN()))
			require.Empty(t, slices.Collect(deps.Requires(math.NaN())))
			require.Zero(t, deps.From(math.NaN()).Len())
			require.Len(t, slices.Collect(deps.RequiredBy(1)), 3)
		})
		t.Run(fmt.Sprintf("panics for a key that is not comparable, after %d others", before), func(t *testing.T) {
			deps := scheduler.NewDependencies[any]()
			for i := range before {
				deps.Add(-i - 1)
			}
			deps.Add("a", 1)
			bad := []int{1}
			require.Panics(t, func() { deps.Add(bad) })
			require.Panics(t, func() { deps.Add("x", bad) })
			require.Panics(t, func() { deps.Add(bad, "x") })
			require.Panics(t, func() { deps.Add("a", bad) })
			require.Panics(t, func() { deps.Contains(bad) })
			require.Equal(t, []any{1, "a"}, slices.Collect(deps.All())[before:])

			require.Panics(t, func() { deps.Add("b", 2, bad, 3) })
			require.Panics(t, func() { deps.Add("b", 2, 3, bad) })
			require.Panics(t, func() { deps.Add("b", append(slices.Repeat([]any{7}, 100), bad)...) })
			require.Panics(t, func() { deps.Add(bad, 2, 3) })
			require.Equal(t, []any{1, "a"}, slices.Collect(deps.All())[before:])
			deps.Add("a", 2, 1)
			require.Equal(t, []any{1, 2, "a"}, slices.Collect(deps.All())[before:])
		})
	}
	t.Run("the same after many others", func(t *testing.T) {
		random := rand.New(rand.NewPCG(4, 2))
		for range 200 {
			few, many := scheduler.NewDependencies[int](), scheduler.NewDependencies[int]()
			for i := range 200 + random.IntN(100) { // the last of them make few many
				many.Add(-i - 1)
			}
			for range random.IntN(120) {
				requirer, required := random.IntN(20), make([]int, random.IntN(4))
				for i := range required {
					required[i] = random.IntN(20)
				}
				few.Add(requirer, required...)
				many.Add(requirer, required...)
				if random.IntN(20) == 0 {
					require.Equal(t, few.Contains(requirer), many.Contains(requirer))
				}
			}
			many = many.Subset(func(k int) bool { return k >= 0 })
			require.Equal(t, few.String(), many.String())
			require.Equal(t, slices.Collect(few.Undeclared()), slices.Collect(many.Undeclared()))
		}
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
		deps := edgesOf("z, k<-c, m, k<-b, x<-c, b<-c, c<-a, q<-a")
		part := deps.From("k")
		require.Equal(t, "k c b a", joined(part.Nodes()))
		require.Equal(t, "c>k c>b b>k a>c", pairs(part))
		require.Equal(t, "k b c a", joined(part.All()))
		part.Add("new", "k")
		require.False(t, deps.Contains("new"))
	})
	t.Run("many paths", func(t *testing.T) {
		// Two to the power of a hundred thousand paths lead to the first node.
		rungs := 100_000
		if testing.Short() {
			rungs = 10_000
		}
		deps := scheduler.NewDependencies[int]()
		for i := 2; i < 2*rungs; i += 2 {
			deps.Add(i, i-2, i-1)
			deps.Add(i+1, i-2, i-1)
		}
		require.Equal(t, 2*rungs-1, deps.From(0).Len())
		require.Equal(t, 2*rungs-1, deps.From(1).Len())
	})
	t.Run("a cycle above", func(t *testing.T) {
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
			n := tt.n
			if testing.Short() {
				n = 20_000
			}
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

func TestDependenciesOf(t *testing.T) {
	t.Parallel()
	for range 20 { // whatever order the map has today
		deps := scheduler.DependenciesOf(map[string][]string{
			"web": {"db", "cache", "db"}, "cache": nil, "app": {"web", "zoo", "bus"}, "db": {}, "bar": {"bus"},
		})
		require.Equal(t, "app bar cache db web zoo bus", joined(deps.Nodes()))
		require.Equal(t, "app>web app>zoo app>bus bar>bus web>db web>cache", pairs(deps))
		require.Equal(t, "zoo bus", joined(deps.Undeclared()))
	}
	require.Zero(t, scheduler.DependenciesOf[string](nil).Len())
	require.ErrorIs(t, scheduler.DependenciesOf(map[int][]int{1: {2}, 2: {1}}).Validate(), scheduler.ErrCircularDependency)
	require.ErrorIs(t, scheduler.DependenciesOf(map[int][]int{1: {1}}).Validate(), scheduler.ErrCircularDependency)
	nan := math.NaN() // no key is equal to it: each mention is a node
	require.Equal(t, 3, scheduler.DependenciesOf(map[float64][]float64{nan: {1}}).Len())
}

func TestDependencies_String(t *testing.T) {
	t.Parallel()
	require.Empty(t, scheduler.NewDependencies[int]().String())
	require.Equal(t, "a", graph("a").String())
	deps := graph("web:db,cache db cache:db:x")
	require.Equal(t, "db\nweb -> db, cache\ncache\ndb:x -> db:x", edgesOf("db<-web,cache<-web,db:x<-db:x").String())
	require.Equal(t, deps.String(), fmt.Sprint(deps))
	require.Equal(t, "1 -> 2\n2", strings.Join(slices.Sorted(strings.SplitSeq(scheduler.DependenciesOf(map[int][]int{1: {2}}).String(), "\n")), "\n"))
	var zero scheduler.Dependencies[int]
	require.Empty(t, zero.String())
	for i := range 100 { // over several batches, and added to after it was asked
		zero.Add(i, i+1)
		require.Equal(t, i+2, strings.Count(zero.String(), "\n")+1)
	}
}

func TestDependencies_Undeclared(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		add  func(d *scheduler.Dependencies[string])
		want string
	}{
		{"empty", func(*scheduler.Dependencies[string]) {}, ""},
		{"alone", func(d *scheduler.Dependencies[string]) { d.Add("a") }, ""},
		{"required", func(d *scheduler.Dependencies[string]) { d.Add("a", "b", "c") }, "b c"},
		{"declared before", func(d *scheduler.Dependencies[string]) { d.Add("b"); d.Add("a", "b") }, ""},
		{"declared later", func(d *scheduler.Dependencies[string]) { d.Add("a", "b"); d.Add("b") }, ""},
		{"requires something", func(d *scheduler.Dependencies[string]) { d.Add("a", "b"); d.Add("b", "c") }, "c"},
		{"requires itself", func(d *scheduler.Dependencies[string]) { d.Add("a", "a") }, ""},
		{"asked between", func(d *scheduler.Dependencies[string]) {
			d.Add("a", "b", "c")
			_ = joined(d.Undeclared())
			d.Add("c")
		}, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := scheduler.NewDependencies[string]()
			tt.add(d)
			require.Equal(t, tt.want, joined(d.Undeclared()))
		})
	}
	many := scheduler.NewDependencies[int]()
	for i := range 1000 {
		many.Add(i, i+1000)
		if i%2 == 0 {
			many.Add(i + 1000)
		}
	}
	want := make([]int, 0, 500)
	for i := 1001; i < 2000; i += 2 {
		want = append(want, i)
	}
	require.Equal(t, want, slices.Collect(many.Undeclared()))
	same := scheduler.Translate(many, func(k int) string { return fmt.Sprint(k) })
	require.Len(t, slices.Collect(same.Undeclared()), 500)
	half := scheduler.Translate(many, func(k int) int { return k &^ 1 })
	require.Empty(t, slices.Collect(half.Undeclared()), "declared is who is so under one of its names")
	for k := range many.Undeclared() { // a loop may end early
		require.Equal(t, 1001, k)
		break
	}
}

// A part declares what the whole does, also where it has none of its requirements.
func TestDependencies_parts_declare(t *testing.T) {
	t.Parallel()
	deps := graph("a:b,x c:a b")
	require.Equal(t, "x", joined(deps.Undeclared()))
	require.Empty(t, joined(deps.From("a").Undeclared()))
	require.Equal(t, "a", joined(deps.Subset(func(k string) bool { return k == "a" }).Nodes()))
	require.Empty(t, joined(deps.Subset(func(k string) bool { return k == "a" }).Undeclared()))
	require.Equal(t, "x", joined(deps.Closure("a").Undeclared()))
	require.Equal(t, "xx", joined(scheduler.Translate(deps, func(k string) string { return k + k }).Undeclared()))
}

func TestDependencies_Closure_and_From(t *testing.T) {
	t.Parallel()
	const cycle = "a:b b:c c:a d:a e:d f"
	for _, tt := range []struct {
		graph, keys, closure, from string
	}{
		{"a:b b:c d:b e", "", "", ""},
		{"a:b b:c d:b e", "x", "", ""},
		{"a:b b:c d:b e", "a", "b a c", "a"},
		{"a:b b:c d:b e", "c", "c", "b a c d"},
		{"a:b b:c d:b e", "c e c x", "c e", "b a c d e"},
		{"a:b b:c d:b e", "d a", "b a c d", "a d"},
		{cycle, "a", "b a c", "b a c d e"},
		{cycle, "e f", "b a c d e f", "e f"},
	} {
		deps := graph(tt.graph)
		closure, from := deps.Closure(strings.Fields(tt.keys)...), deps.From(strings.Fields(tt.keys)...)
		require.Equal(t, tt.closure, joined(closure.Nodes()), tt)
		require.Equal(t, tt.from, joined(from.Nodes()), tt)
		require.Equal(t, 0, deps.From().Len())
		from.Add("new", "a") // they are copies
		require.False(t, deps.Contains("new"))
	}
}

func TestDependencies_Subset(t *testing.T) {
	t.Parallel()
	deps := graph("a:b b:c d:a,c e:e")
	var asked []string
	part := deps.Subset(func(k string) bool {
		asked = append(asked, k)
		return k != "b"
	})
	require.Equal(t, slices.Collect(deps.Nodes()), asked)
	require.Equal(t, "a c d e", joined(part.Nodes()))
	require.Equal(t, "d>a d>c e>e", pairs(part))
	require.Zero(t, deps.Subset(func(string) bool { return false }).Len())
	require.Equal(t, deps.String(), deps.Subset(func(string) bool { return true }).String())
}

// Closure and From of random graphs are what a search by hand finds, and Subset of
// these nodes is the same.
func TestDependencies_parts_of_random_graphs(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		n := 1 + random.IntN(20)
		deps := scheduler.NewDependencies[int]()
		for range random.IntN(3 * n) {
			deps.Add(random.IntN(n), random.IntN(n))
		}
		starts := []int{random.IntN(n), random.IntN(n)}
		for _, way := range []struct {
			part *scheduler.Dependencies[int]
			next func(k int) []int
		}{
			{deps.Closure(starts...), func(k int) []int { return slices.Collect(deps.Requires(k)) }},
			{deps.From(starts...), func(k int) []int { return slices.Collect(deps.RequiredBy(k)) }},
		} {
			found := map[int]bool{}
			var visit func(k int)
			visit = func(k int) {
				if !found[k] && deps.Contains(k) {
					found[k] = true
					for _, next := range way.next(k) {
						visit(next)
					}
				}
			}
			for _, k := range starts {
				visit(k)
			}
			require.Equal(t, deps.Subset(func(k int) bool { return found[k] }).String(), way.part.String())
		}
	}
}

func ExampleDependenciesOf() {
	deps := scheduler.DependenciesOf(map[string][]string{
		"server":  {"network", "volume"},
		"volume":  {"pool"},
		"network": {},
	})
	fmt.Println(slices.Collect(deps.All()))
	// Output:
	// [network pool volume server]
}

func ExampleDependencies_String() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("db")
	deps.Add("web", "db", "cache")
	fmt.Println(deps)
	// Output:
	// db
	// web -> db, cache
	// cache
}

func ExampleDependencies_Undeclared() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("web", "db", "cahce") // as a file has it
	deps.Add("db")
	deps.Add("cache")
	for k := range deps.Undeclared() {
		fmt.Println("nothing is called", k)
	}
	// Output:
	// nothing is called cahce
}

func ExampleDependencies_Subset() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("web", "db", "cache")
	deps.Add("db", "disk")
	fmt.Println(deps.Subset(func(k string) bool { return k != "cache" }))
	// Output:
	// db -> disk
	// web -> db
	// disk
}

func ExampleDependencies_Closure() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("web", "db", "cache")
	deps.Add("db", "disk")
	deps.Add("mail", "disk")

	fmt.Println("db needs:", slices.Collect(deps.Closure("db").All()))
	fmt.Println("disk affects:", slices.Collect(deps.From("disk").All()))
	// Output:
	// db needs: [disk db]
	// disk affects: [disk db web mail]
}

func TestDependencies_diagrams_escape_names(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[any]()
	deps.Add(`a "quoted" \N back\slash`, "<b>&#35;`x`")
	deps.Add("two\nlines\x00\xff\u202e", 1)
	deps.Add("1", "größe")
	var dot, mermaid strings.Builder
	require.NoError(t, deps.WriteDOT(&dot))
	require.NoError(t, deps.WriteMermaid(&mermaid))
	require.Equal(t, `digraph dependencies {
	n0 [label="<b>&amp;#35;`+"`x`"+`"]
	n1 [label="a \"quoted\" \\N back\\slash"]
	n2 [label="1"]
	n3 [label="two\\nlines\\x00\\xff\\u202e"]
	n4 [label="größe"]
	n5 [label="1"]
	n1 -> n0
	n3 -> n2
	n5 -> n4
}
`, dot.String())
	require.Equal(t, `flowchart TD
	n0["#60;b#62;#38;#35;35;#96;x#96;"]
	n1["a #34;quoted#34; #92;N back#92;slash"]
	n2["1"]
	n3["two#92;nlines#92;x00#92;xff#92;u202e"]
	n4["größe"]
	n5["1"]
	n1 --> n0
	n3 --> n2
	n5 --> n4
`, mermaid.String())
}

// failingWriter takes no more than so many bytes.
type failingWriter int

var errFull = errors.New("full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > int(*w) {
		return 0, errFull
	}
	*w -= failingWriter(len(p))
	return len(p), nil
}

func TestDiagrams_return_the_error_of_the_writer(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[int]()
	for i := range 10_000 {
		deps.Add(i+1, i)
	}
	group := groupOver(t, deps, func(int) scheduler.Task { return nil }, nil)
	for _, room := range []failingWriter{0, 10_000} {
		w := room
		require.ErrorIs(t, deps.WriteDOT(&w), errFull)
		w = room
		require.ErrorIs(t, deps.WriteMermaid(&w), errFull)
		w = room
		require.ErrorIs(t, group.WriteDOT(&w), errFull)
		w = room
		require.ErrorIs(t, group.WriteMermaid(&w), errFull)
	}
}

// office is the graph of docs/graphs.md.
func office() *scheduler.Dependencies[string] {
	return graph("server:network,volume dns:server backup:volume console:network monitor:network alerts:monitor")
}

// officeGroup returns a group that has nodes in six states after a minute.
func officeGroup(t *testing.T, opts scheduler.GroupOptions[string]) (*scheduler.DependencyTaskGroup[string], *schedulertest.Driver) {
	t.Helper()
	opts.Name, opts.AggregateErrors = "office", true
	opts.Timeout = byKey(map[string]time.Duration{"console": time.Second})
	group := groupOver(t, office(), func(name string) scheduler.Task {
		switch name {
		case "network":
			return scheduler.Func(func(context.Context) error { return nil })
		case "volume":
			return scheduler.Func(func(context.Context) error { return errOops })
		}
		return scheduler.Pause(scheduler.After(time.Hour))
	}, &opts)
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	d.Clock.Advance(time.Minute)
	d.Step()
	return group, d
}

// The pictures of docs/graphs.md are what is written, byte for byte.
func TestDiagrams_of_the_page(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/graphs.md")
	require.NoError(t, err)
	block := func(heading, language string) string {
		_, section, found := strings.Cut(string(page), "\n## "+heading+"\n")
		require.True(t, found, heading)
		_, text, found := strings.Cut(section, "\n```"+language+"\n")
		require.True(t, found, heading)
		text, _, _ = strings.Cut(text, "```\n")
		return text
	}
	written := func(write func(w io.Writer) error) string {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		return b.String()
	}
	group, d := officeGroup(t, scheduler.GroupOptions[string]{})
	looped := office()
	looped.Add("network", "dns")

	require.Equal(t, block("A graph", "mermaid"), written(office().WriteMermaid))
	require.Equal(t, block("A cycle", "mermaid"), written(looped.WriteMermaid))
	require.Equal(t, block("A run", "mermaid"), written(group.WriteMermaid))
	require.Equal(t, block("Graphviz", "dot"), written(group.WriteDOT))
	require.NoError(t, d.Runner.Cancel())
	require.Equal(t, block("A run that was cancelled", "mermaid"), written(group.WriteMermaid))
}

// A reverse group has the same arrows: from requirer to required.
func TestDependencyTaskGroup_diagrams_in_reverse(t *testing.T) {
	t.Parallel()
	for _, reverse := range []bool{false, true} {
		group := newGroup(t, "b:a c:a,b", func(string) scheduler.Task { return nil },
			&scheduler.GroupOptions[string]{Name: `a "name"`, Reverse: reverse})
		var dot strings.Builder
		require.NoError(t, group.WriteDOT(&dot))
		text := dot.String()
		require.True(t, strings.HasPrefix(text, "digraph \"a \\\"name\\\"\" {\n"), text)
		for i := range 3 { // numbers are by key order: put the names in their place
			_, label, _ := strings.Cut(text, fmt.Sprintf("n%d [label=\"", i))
			text = strings.ReplaceAll(text, fmt.Sprintf("n%d ->", i), label[:1]+" ->")
			text = strings.ReplaceAll(text, fmt.Sprintf("-> n%d\n", i), "-> "+label[:1]+"\n")
		}
		for _, edge := range []string{"\tb -> a\n", "\tc -> a\n", "\tc -> b\n"} {
			require.Contains(t, text, edge)
		}
		require.Equal(t, 3, strings.Count(text, "->"))
	}
}

// Only edges within a cycle are shown as such, not those that lead out of one.
func TestDependencies_diagrams_mark_the_edges_of_cycles(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	require.NoError(t, edgesOf("b<-a,a<-b,c<-a,d<-c,c<-d,x<-a").WriteDOT(&text))
	var marked []string
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, "->") && strings.Contains(line, "[") {
			marked = append(marked, strings.Fields(line)[0]+strings.Fields(line)[2])
		}
	}
	require.Len(t, marked, 4, text.String())
	text.Reset()
	require.NoError(t, edgesOf("\uFFFD<-a").WriteDOT(&text))
	require.Contains(t, text.String(), "\uFFFD", "it is valid, and printable")
}
