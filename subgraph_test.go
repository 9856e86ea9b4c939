package scheduler_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

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
			t.Parallel()
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
