package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// kinds keeps everything that it is told, a line each.
type kinds struct{ lines []string }

func (o *kinds) Observe(r scheduler.Record) {
	line := strings.TrimSpace(r.Group().Path() + " " + r.Kind.String())
	if r.Node() >= 0 {
		line += " " + fmt.Sprint(r.Key())
	} else if r.Path() != r.Group().Path() {
		line += " at " + r.Path()
	}
	if r.Now().Before(r.Time()) {
		line += " before its round"
	}
	if r.Kind == scheduler.NodeChanged {
		line += " " + r.To.String()
	}
	if r.Took() != 0 {
		line += " " + r.Took().String()
	}
	if r.Err != nil {
		line += ": " + strings.ReplaceAll(r.Err.Error(), "\n", " ")
	}
	o.lines = append(o.lines, line)
}

func (o *kinds) take() string {
	lines := strings.Join(o.lines, "\n")
	o.lines = nil
	return lines
}

func TestKinds(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := scheduler.GroupBegun; k <= scheduler.RoundBegun; k++ {
		require.NotEqual(t, "unknown", k.String())
		require.False(t, seen[k.String()])
		seen[k.String()] = true
		require.Equal(t, k < scheduler.NodeStepped, scheduler.AllKinds.Has(k))
		require.True(t, scheduler.KindsOf(scheduler.GroupEnded, k).Has(k))
	}
	require.Equal(t, "unknown", scheduler.Kind(0).String())
	require.Equal(t, "unknown", scheduler.Kind(200).String())
	require.False(t, scheduler.AllKinds.Has(0))
}

// What each way to end a group tells, from its begin to its end.
func TestObserver_ends(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		deps string
		opts scheduler.GroupOptions[string]
		act  func(d *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string])
		want string
	}{
		{
			name: "success", deps: "b:a",
			want: `group begun
node changed a running
node changed a succeeded
node changed b running
node changed b succeeded
group ended 2h0m0s`,
		},
		{
			name: "completed beforehand", deps: "b:a c:b",
			opts: scheduler.GroupOptions[string]{Completed: func(k string) bool { return k != "c" }},
			want: `group begun
node changed a succeeded
node changed b succeeded
node changed c running
node changed c succeeded
group ended 1h0m0s`,
		},
		{
			name: "thrown into, with a grace", deps: "a b:a", opts: scheduler.GroupOptions[string]{Grace: time.Minute},
			act: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				d.Runner.Interrupt(errOops)
			},
			want: `group begun
node changed a running
group stopping: oops
node changed b cancelled
node stopping a 1m0s: oops
node changed a cancelled
group ended 1m0.000000001s: oops`,
		},
		{
			name: "stopped", deps: "a b:a",
			act: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				d.Runner.Stop(errOops)
			},
			want: `group begun
node changed a running
group closing
node changed a cancelled
node changed b cancelled
group ended: scheduler: cancelled`,
		},
		{
			name: "drained", deps: "a b:a",
			act: func(d *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				g.Drain()
			},
			want: `group begun
node changed a running
group draining
node changed a succeeded
group ended 1h0m0s: scheduler: drained`,
		},
		{
			name: "drained before its begin", deps: "a",
			act: func(_ *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) { g.Drain() },
			want: `group begun
group draining
group ended: scheduler: drained`,
		},
		{
			name: "closed", deps: "a b:a",
			act: func(_ *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) {
				_, err := g.Step(t.Context())
				require.NoError(t, err)
				require.NoError(t, g.Close())
			},
			want: `group begun
node changed a running
group closing
node changed a cancelled
node changed b cancelled
group ended: scheduler: cancelled`,
		},
		{
			name: "never begun", deps: "a",
			act: func(_ *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) {
				require.NoError(t, g.Close())
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var told kinds
			test.opts.Observer = &told
			group := newGroup(t, test.deps, func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }, &test.opts)
			d := schedulertest.NewDriver(t, group, nil)
			if test.act != nil {
				test.act(d, group)
			}
			_ = d.RunToEnd()
			lines := told.take()
			if test.name == "closed" { // by hand, on the system's clock
				lines = lines[:strings.LastIndex(lines, " ended")] + " ended: scheduler: cancelled"
			}
			require.Equal(t, test.want, lines)
		})
	}
}

// A group passes on the notice of a failure around it, and hears of what it does.
func TestObserver_groups_inside(t *testing.T) {
	t.Parallel()
	var told kinds
	inner := func() scheduler.Task {
		return newGroup(t, "x y:x", func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Second)) },
			&scheduler.GroupOptions[string]{Observer: &told}) // once all the same
	}
	outer := newGroup(t, "a b", func(k string) scheduler.Task {
		if k == "a" {
			return scheduler.Named("wrapped", scheduler.Sequence(inner()))
		}
		return lasting(0, errOops)
	}, &scheduler.GroupOptions[string]{Observer: &told, Grace: time.Minute})
	require.ErrorIs(t, schedulertest.NewDriver(t, outer, nil).RunToEnd(), errOops)
	require.Equal(t, `group begun
node changed a running
a group begun
a node changed x running
node changed b running
node changed b failed: oops
group stopping: b: oops
node stopping a 1m0s: b: oops
a group noticed: b: oops
a node stopping x: b: oops
a node changed x succeeded
a node changed y running
a node changed y succeeded
a group ended 2s
node changed a succeeded
group ended 2s: b: oops`, told.take())
}

// groupWatcher has an Observer of its own for each group.
type groupWatcher struct {
	skip string // the name of a group that does not interest it
	all  []*oneGroup
}

type oneGroup struct {
	groupWatcher *groupWatcher
	kinds
	name string
}

func (w *groupWatcher) Observe(scheduler.Record) { panic("a GroupObserver is not told itself") }

func (w *groupWatcher) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if begun.Group().Name() == w.skip {
		return nil
	}
	one := &oneGroup{groupWatcher: w, name: begun.Group().Name()}
	w.all = append(w.all, one)
	return one
}

func (o *oneGroup) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	return o.groupWatcher.ObserveGroup(begun)
}

func TestGroupObserver(t *testing.T) {
	t.Parallel()
	run := func(skip string) (names []string) {
		w := &groupWatcher{skip: skip}
		leaf := func(string) scheduler.Task { return lasting(0, nil) }
		inside := func(name string, task func(string) scheduler.Task) scheduler.Task {
			return newGroup(t, "k", task, &scheduler.GroupOptions[string]{Name: name})
		}
		outer := newGroup(t, "a", func(string) scheduler.Task {
			return inside("middle", func(string) scheduler.Task { return inside("inner", leaf) })
		}, &scheduler.GroupOptions[string]{Name: "outer", Observer: w})
		require.NoError(t, schedulertest.NewDriver(t, outer, nil).RunToEnd())
		for _, one := range w.all {
			names = append(names, one.name)
			require.Equal(t, 3, len(one.lines), "start and end of the node, and of the group: %q", one.lines)
		}
		return names
	}
	require.Equal(t, []string{"outer", "middle", "inner"}, run(""))
	require.Equal(t, []string{"outer"}, run("middle"), "nobody is told of what is inside")
	require.Empty(t, run("outer"))
}

// contextGiver is a ContextObserver.
type contextGiver struct{ value string }

type givenKey struct{}

func (c contextGiver) Observe(scheduler.Record) {}

func (c contextGiver) Wants() scheduler.Kinds { return 0 }

func (c contextGiver) NodeContext(ctx context.Context, started scheduler.Record) context.Context {
	before, _ := ctx.Value(givenKey{}).(string)
	return context.WithValue(ctx, givenKey{}, fmt.Sprint(before, c.value, " of ", started.Key(), ", "))
}

func TestContextObserver(t *testing.T) {
	t.Parallel()
	var seen []string
	var innermost context.Context
	note := func(ctx context.Context) { seen = append(seen, fmt.Sprint(ctx.Value(givenKey{}))) }
	outer := newGroup(t, "a", func(string) scheduler.Task {
		return newGroup(t, "x", func(string) scheduler.Task {
			return scheduler.Func(func(ctx context.Context) error { note(ctx); return nil })
		}, &scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(r scheduler.Record) { innermost = r.Context() })})
	}, &scheduler.GroupOptions[string]{
		Observer: scheduler.Observers(contextGiver{"one"}, contextGiver{"two"}),
		Context: func(ctx context.Context, k string) context.Context {
			note(ctx)
			return ctx
		},
	})
	require.NoError(t, schedulertest.NewDriver(t, outer, nil).RunToEnd())
	require.Equal(t, []string{"one of a, two of a, ", "one of a, two of a, one of x, two of x, "}, seen)
	require.Equal(t, "one of a, two of a, ", innermost.Value(givenKey{}), "a record has what the node around it gives")
}

func TestGroupView(t *testing.T) {
	t.Parallel()
	type key struct{ name string }
	var views []scheduler.GroupView
	deps := scheduler.NewDependencies[key]()
	deps.Add(key{"c"}, key{"a"}, key{"b"})
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k key) scheduler.Task {
		if k.name == "b" {
			return newGroup(t, "x", func(string) scheduler.Task { return lasting(0, errOops) }, nil)
		}
		return lasting(0, nil)
	}, &scheduler.GroupOptions[key]{
		Name: "site", Limit: 2, AggregateErrors: true, Estimate: func(k key) time.Duration { return time.Duration(k.name[0]) },
		Observer: &groupsSeen{&views},
	})
	require.NoError(t, err)
	require.Error(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	require.Len(t, views, 2)
	v, inner := views[0], views[1]

	typed, ok := scheduler.Group[key](v)
	require.True(t, ok)
	require.Same(t, group, typed)
	_, ok = scheduler.Group[string](v)
	require.False(t, ok)
	_, ok = scheduler.Group[string](scheduler.GroupView{})
	require.False(t, ok)

	require.Equal(t, "site", v.Name())
	require.Equal(t, "site", v.String())
	require.Equal(t, 3, v.Len())
	require.Equal(t, 1, v.Count(scheduler.StateSucceeded))
	require.Equal(t, group.Rounds(), v.Rounds())
	var keys []any
	for p, k := range v.Keys() {
		require.Equal(t, k, v.Key(p))
		keys = append(keys, k)
	}
	require.Equal(t, []any{key{"a"}, key{"b"}, key{"c"}}, keys)
	for p := range v.Keys() {
		require.Zero(t, p)
		break
	}
	var edges []string
	for p, q := range v.Edges() {
		edges = append(edges, fmt.Sprint(v.Key(p), " needs ", v.Key(q)))
	}
	require.Equal(t, []string{"{c} needs {a}", "{c} needs {b}"}, edges)
	for range v.Edges() {
		break
	}
	require.Equal(t, []int{0, 1}, slices.Collect(v.Requires(2)))
	for range v.Requires(2) {
		break
	}
	require.Equal(t, scheduler.StateFailed, v.State(1))
	require.ErrorIs(t, v.Err(1), errOops)
	require.Equal(t, time.Duration('c'), v.Estimate(2))
	require.Zero(t, inner.Estimate(0))
	require.Contains(t, v.Explain(1), "failed")
	require.Equal(t, scheduler.GroupSettings{Limit: 2, AggregateErrors: true}, v.Settings())
	require.Equal(t, "{b}/x", inner.NodePath(0))
	require.Equal(t, "{b}", inner.Path())
	require.Empty(t, v.Path())
	around, node, ok := inner.Around()
	require.True(t, ok)
	require.Equal(t, v, around)
	require.Equal(t, 1, node)
	_, _, ok = v.Around()
	require.False(t, ok)
}

// Edges and Requires of a group that has grown have the nodes that were added.
func TestGroupView_of_added_nodes(t *testing.T) {
	t.Parallel()
	var views []scheduler.GroupView
	group := newGroup(t, "b:a", func(string) scheduler.Task { return lasting(0, nil) },
		&scheduler.GroupOptions[string]{KeepOpen: true, Observer: &groupsSeen{&views}})
	mustStep(t, t.Context(), group)
	require.NoError(t, group.Add("c", "a", "b"))
	v := views[0]
	var edges []string
	for p, q := range v.Edges() {
		edges = append(edges, fmt.Sprint(v.Key(p), " needs ", v.Key(q)))
	}
	require.Equal(t, []string{"b needs a", "c needs a", "c needs b"}, edges)
	require.Equal(t, []int{0, 1}, slices.Collect(v.Requires(2)))
	edges = nil
	for p, q := range v.Edges() {
		if edges = append(edges, fmt.Sprint(v.Key(p), " needs ", v.Key(q))); len(edges) == 2 {
			break
		}
	}
	require.Equal(t, []string{"b needs a", "c needs a"}, edges, "it can be left in the middle")
	group.CloseInput()
	require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
}

// groupsSeen keeps the views of groups, also of those inside.
type groupsSeen struct{ views *[]scheduler.GroupView }

func (g *groupsSeen) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.GroupBegun) }

func (g *groupsSeen) Observe(r scheduler.Record) {
	*g.views = append(*g.views, r.Group())
	if r.Key() != nil || r.Task() != "" {
		panic("a record of a group has no node")
	}
}

// Post of a view is that of the outermost runner.
func TestGroupView_Post(t *testing.T) {
	t.Parallel()
	var views []scheduler.GroupView
	posted := 0
	group := newGroup(t, "a", func(string) scheduler.Task {
		return newGroup(t, "x", func(string) scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				require.True(t, views[1].Post(func() { posted++ }))
				return nil
			})
		}, nil)
	}, &scheduler.GroupOptions[string]{Observer: &groupsSeen{&views}})
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Equal(t, 1, posted)
	require.False(t, views[0].Post(func() { posted++ }), "the run has ended")

	views = nil
	alone := newGroup(t, "a", second, &scheduler.GroupOptions[string]{Observer: &groupsSeen{&views}})
	_, err := alone.Step(t.Context())
	require.NoError(t, err)
	require.False(t, views[0].Post(func() {}), "there is no runner")
	require.NoError(t, alone.Close())
}

// Steps and rounds are measured for those who want it, and for nobody else.
func TestObserver_measures(t *testing.T) {
	t.Parallel()
	var told []string
	o := kindWatcher{"", scheduler.KindsOf(scheduler.NodeStepped, scheduler.RoundBegun), &told}
	clock := schedulertest.NewClock(time.Time{}).Alone()
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), scheduler.Func(func(context.Context) error {
			clock.Advance(time.Minute)
			return nil
		}))
	}, &scheduler.GroupOptions[string]{Observer: o})
	d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: clock})
	d.Step()
	clock.Advance(3 * time.Second)
	d.Step()
	require.True(t, d.Runner.Done())
	require.Equal(t, []string{" node stepped", " round begun", " node stepped"}, told)
}

// panicking is an Observer that panics at the nth record.
type panicking struct {
	kinds
	at int
}

var errPanic = errors.New("panic of an observer")

func (o *panicking) Observe(r scheduler.Record) {
	o.kinds.Observe(r)
	if o.at--; o.at == 0 {
		panic(errPanic)
	}
}

// An Observer that panics ends the run wherever that is: all tasks are closed, it
// hears no more, the others hear how each group ends, and the panic goes up past
// RecoverPanics.
func TestObserver_that_panics_anywhere(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		bad, good := &panicking{at: n}, &kinds{}
		closed, running := 0, 0
		leaf := func(k string) scheduler.Task {
			steps := 0
			return &fakeTask{
				step: func(context.Context) (scheduler.Yield, error) {
					if steps++; steps == 1 {
						running++
						return scheduler.Next, nil
					}
					running--
					if k == "f" {
						return scheduler.Yield{}, errOops
					}
					return scheduler.Done, nil
				},
				close: func() error { running--; closed++; return nil },
			}
		}
		outer := newGroup(t, "a b f c:a", func(k string) scheduler.Task {
			if k == "b" {
				return newGroup(t, "x y:x", leaf, &scheduler.GroupOptions[string]{RecoverPanics: true})
			}
			return leaf(k)
		}, &scheduler.GroupOptions[string]{Observer: scheduler.Observers(bad, good), RecoverPanics: true})
		d := schedulertest.NewDriver(t, outer, nil)
		var panicked any
		func() {
			defer func() { panicked = recover() }()
			_ = d.RunToEnd()
		}()
		require.Zero(t, running, "at %d: a task is left", n)
		ends := 0
		for _, line := range good.lines {
			if strings.Contains(line, "group begun") {
				ends--
			}
			if strings.Contains(line, "group ended") {
				ends++
			}
		}
		require.True(t, ends == 0 || n <= 2 && ends == 1, "at %d: %q", n, good.lines)
		if panicked == nil {
			require.Positive(t, bad.at, "at %d: the panic is lost", n)
			require.Greater(t, n, 10)
			return
		}
		require.Len(t, bad.lines, n, "it hears no more")
		if err, ok := panicked.(error); ok {
			require.ErrorIs(t, err, errPanic)
		} else {
			require.Contains(t, fmt.Sprint(panicked), errPanic.Error())
		}
	}
}

// A call that does not end when it is told to is named while it lasts.
func TestObserver_still_closing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		o := kindsFunc{scheduler.KindsOf(scheduler.NodeStillClosing), func(r scheduler.Record) {
			lines = append(lines, fmt.Sprint(r.Path(), " ", r.Took(), " ", r.Err))
		}}
		group := newGroup(t, "a", func(string) scheduler.Task {
			return newGroup(t, "deaf", func(string) scheduler.Task {
				return scheduler.Blocking(func(context.Context) error {
					time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble
					return nil
				})
			}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }})
		}, &scheduler.GroupOptions[string]{Observer: o})
		require.ErrorIs(t, scheduler.Run(t.Context(), group, nil), context.DeadlineExceeded)
		require.Len(t, lines, 3)
		for i, took := range []string{"1s", "3s", "7s"} {
			require.Contains(t, lines[i], "a/deaf "+took)
			require.Contains(t, lines[i], "timed out after 1s")
		}
	})
}

// kindsFunc is told of some kinds.
type kindsFunc struct {
	kinds scheduler.Kinds
	told  func(scheduler.Record)
}

func (o kindsFunc) Wants() scheduler.Kinds     { return o.kinds }
func (o kindsFunc) Observe(r scheduler.Record) { o.told(r) }
