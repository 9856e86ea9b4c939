package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
	"github.com/steptask/scheduler/schedulertest"
)

// What the endpoints answer, as far as the tests look at it.
type (
	runList struct {
		Runs []summary
		Gone []int
	}
	summary struct {
		ID, Parent, Nodes, SlowSteps, Version int
		ParentNode                            *int
		Name, Path, Status                    string
		Reverse, Live                         bool
		Began, Ended, Now, Last               float64
		Counts                                map[string]int
		Error, Cause                          *failure
		Slow                                  []struct{ Path string }
	}
	failure struct {
		Text, Stack string
		Chain       []struct {
			Depth      int
			Type, Text string
		}
	}
	wholeRun struct {
		Run      summary
		Nodes    []shownNode
		Forecast forecast
	}
	shownNode struct {
		Name, State, Error, Note     string
		Layer, Attempt               int
		Requires                     []int
		Completed                    bool
		Started, Ended, Since, Until float64
		Ready                        float64
	}
	forecast struct {
		Remaining *float64
		AtLeast   float64
		Overdue   int
		Basis     string
		Path      []int
	}
	nodePage struct {
		Name, State, Note, Trace               string
		Requires, RequiredBy, WaitsFor, Inside []int
		Completed, Busy                        bool
		Error, Notice, LastError               *failure
		Until                                  float64
		Attempt, More                          int
		Explanation                            *struct{ Text string }
		History                                []struct {
			State string
			At    float64
			Round int
		}
	}
	changes struct {
		Run, Version int
		Changes      []struct {
			Node         int
			State, Error string
		}
		Forecast forecast
	}
)

// request is one of a browser on this machine.
func request(path string) *http.Request {
	return httptest.NewRequest(http.MethodGet, "http://localhost:8080"+path, nil)
}

// get asks the page.
func get(page http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	page.ServeHTTP(w, request(base+path))
	return w
}

// ask returns a JSON answer of the page.
func ask[T any](t *testing.T, page http.Handler, path string) (answer T) {
	t.Helper()
	w := get(page, path)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer
}

// graph makes dependencies of words "node" or "node:required,required".
func graph(words string) *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for word := range strings.FieldsSeq(words) {
		name, required, _ := strings.Cut(word, ":")
		deps.Add(name)
		for q := range strings.SplitSeq(required, ",") {
			if q != "" {
				deps.Add(name, q)
			}
		}
	}
	return deps
}

// lasting returns tasks that take some seconds: as many as the last letter of
// the node's name says.
func lasting(name string) scheduler.Task {
	return scheduler.Pause(scheduler.After(time.Duration(name[len(name)-1]-'0') * time.Second))
}

func newGroup(
	t *testing.T, page *inspect.Page, words string, task func(string) scheduler.Task, opts *scheduler.GroupOptions[string],
) *scheduler.DependencyTaskGroup[string] {
	t.Helper()
	return watchedGroup(t, page, graph(words), task, opts)
}

// watchedGroup makes a group that a page shows.
func watchedGroup[K comparable](
	t *testing.T, page *inspect.Page, deps *scheduler.Dependencies[K], task func(K) scheduler.Task, opts *scheduler.GroupOptions[K],
) *scheduler.DependencyTaskGroup[K] {
	t.Helper()
	var o scheduler.GroupOptions[K]
	if opts != nil {
		o = *opts
	}
	o.Observer = scheduler.Observers(page, o.Observer)
	group, err := scheduler.NewDependencyTaskGroup(deps, task, &o)
	require.NoError(t, err)
	return group
}

// askBetween asks, in a bubble, while the runner answers between two steps.
func askBetween[T any](t *testing.T, runner *scheduler.TaskRunner, page http.Handler, path string) T {
	t.Helper()
	answers := make(chan T)
	go func() { answers <- ask[T](t, page, path) }()
	time.Sleep(60 * time.Millisecond) //nolint:forbidigo // in a bubble: until the question is posted
	runner.RunPosted()
	return <-answers
}

func states(w wholeRun) (text []string) {
	for _, n := range w.Nodes {
		text = append(text, n.Name+" "+n.State)
	}
	return text
}

func TestPage_of_a_run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble: the simulated clock is another one
		page := inspect.New(nil)
		require.Empty(t, ask[runList](t, page, "runs").Runs)
		group := newGroup(t, page, "a1 b3 c2:a1 d1:b3,c2 done", lasting,
			&scheduler.GroupOptions[string]{Name: "site", Completed: func(k string) bool { return k == "done" }})
		require.Empty(t, ask[runList](t, page, "runs").Runs, "a group is shown from its first step on")
		d := schedulertest.NewDriver(t, group, nil)
		start := float64(d.Clock.Now().UnixMilli())
		d.Step()

		runs := ask[runList](t, page, "runs").Runs
		require.Len(t, runs, 1)
		require.Equal(t, summary{
			ID: 1, Name: "site", Status: "running", Nodes: 5, Began: start, Now: start, Last: start, Version: 2,
			Counts: map[string]int{"pending": 2, "running": 2, "succeeded": 1},
		}, runs[0], "the clock is simulated, so it is not live")

		d.StepUntil(func() bool { return group.State("a1") == scheduler.StateSucceeded })
		d.Step()
		w := ask[wholeRun](t, page, "run?id=1")
		require.Equal(t, []string{"a1 succeeded", "b3 running", "c2 running", "d1 pending", "done succeeded"}, states(w))
		require.True(t, w.Nodes[4].Completed)
		require.Equal(t, []int{1, 2}, w.Nodes[3].Requires)
		require.Equal(t, []int{0, 0, 1, 2, 0}, []int{w.Nodes[0].Layer, w.Nodes[1].Layer, w.Nodes[2].Layer, w.Nodes[3].Layer, w.Nodes[4].Layer})
		require.Equal(t, start+1000, w.Nodes[0].Ended)
		require.Equal(t, start+1000, w.Nodes[2].Started)

		n := askBetween[nodePage](t, d.Runner, page, "node?id=1&node=3")
		require.Equal(t, "d1", n.Name)
		require.Equal(t, []int{1, 2}, n.WaitsFor)
		require.Equal(t, "d1: pending since round 0, requires b3, c2", n.Explanation.Text)
		n = askBetween[nodePage](t, d.Runner, page, "node?id=1&node=2")
		require.Equal(t, []int{0}, n.Requires)
		require.Equal(t, []int{3}, n.RequiredBy)
		require.Empty(t, n.WaitsFor)
		require.Equal(t, "c2: running since round 2, waits: at 2000-01-01T00:00:03Z", n.Explanation.Text)
		require.True(t, ask[nodePage](t, page, "node?id=1&node=4").Completed)

		require.NoError(t, d.RunToEnd())
		n = ask[nodePage](t, page, "node?id=1&node=2")
		require.Nil(t, n.Explanation, "the group has ended")
		require.Len(t, n.History, 2)
		require.Equal(t, "succeeded", n.History[1].State)
		require.Equal(t, start+3000, n.History[1].At)
		w = ask[wholeRun](t, page, "run?id=1")
		require.Equal(t, "succeeded", w.Run.Status)
		require.Equal(t, start+4000, w.Run.Ended)
		require.Nil(t, w.Forecast.Remaining)
	})
}

func TestPage_of_a_live_run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		go func() {
			_ = scheduler.Run(context.Background(), newGroup(t, page, "a2 b9", lasting, nil), nil)
		}()
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
		w := ask[wholeRun](t, page, "run?id=1")
		require.True(t, w.Run.Live)
		require.Equal(t, 5000.0, w.Run.Now-w.Run.Began)
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
		w = ask[wholeRun](t, page, "run?id=1")
		require.False(t, w.Run.Live)
		require.Equal(t, 9000.0, w.Run.Ended-w.Run.Began)
	})
}

func TestPage_forecast(t *testing.T) {
	digits := func(k string) time.Duration { return time.Duration(k[1]-'0') * time.Second }
	for name, c := range map[string]struct {
		opts  scheduler.GroupOptions[string]
		until string // this one has started
		basis string
		left  float64 // seconds
	}{
		"nothing is known":   {until: "a1"},
		"by what nodes took": {until: "e3", basis: "mean", left: 0 + 1 + 1}, // b4 is as old as a1 became
		"by estimates":       {scheduler.GroupOptions[string]{Limit: 2, Estimate: digits}, "e3", "estimates", 3 + 2 + 3},
		"by a limit":         {scheduler.GroupOptions[string]{Limit: 1, Estimate: digits}, "b4", "estimates", 4 + 2 + 3 + 1 + 3},
	} {
		t.Run(name, func(t *testing.T) {
			page := inspect.New(nil)
			group := newGroup(t, page, "a1 b4 c2:b4 d3:c2 e3:a1", lasting, &c.opts)
			d := schedulertest.NewDriver(t, group, nil)
			d.StepUntil(func() bool { return group.Started(c.until) })
			f := ask[wholeRun](t, page, "run?id=1").Forecast
			require.Equal(t, c.basis, f.Basis)
			if c.basis != "" {
				require.Equal(t, c.left*1000, *f.Remaining)
			}
			require.Len(t, f.Path, 1)
			require.NoError(t, d.RunToEnd())
			if c.opts.Limit != 1 {
				require.Equal(t, []int{1, 2, 3}, ask[wholeRun](t, page, "run?id=1").Forecast.Path, "the longest path")
			}
		})
	}
}

func TestPage_statuses(t *testing.T) {
	fails := func(string) scheduler.Task { return scheduler.Func(func(context.Context) error { return errSpace }) }
	for name, c := range map[string]struct {
		task   func(string) scheduler.Task
		opts   *scheduler.GroupOptions[string]
		do     func(d *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string])
		want   string
		states string
	}{
		"succeeded": {task: lasting, want: "succeeded", states: "a1 succeeded, b1 succeeded, c1 succeeded"},
		"failed":    {task: fails, want: "failed", states: "a1 failed, b1 cancelled, c1 cancelled"},
		"skipped": {
			task: fails, opts: &scheduler.GroupOptions[string]{AggregateErrors: true},
			want: "failed", states: "a1 failed, b1 skipped, c1 failed",
		},
		"node's time": {
			task: lasting, opts: &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Millisecond }},
			want: "failed", states: "a1 timed out, b1 cancelled, c1 cancelled",
		},
		"interrupted": {
			task: lasting, do: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) { d.Runner.Interrupt(errSpace) },
			want: "cancelled", states: "a1 cancelled, b1 cancelled, c1 cancelled",
		},
		"timed out": {
			task: lasting, do: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Runner.Interrupt(&scheduler.Timeout{Limit: time.Second})
			},
			want: "timed out", states: "a1 cancelled, b1 cancelled, c1 cancelled",
		},
		"closed": {
			task: lasting, do: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) { _ = d.Runner.Cancel() },
			want: "cancelled", states: "a1 cancelled, b1 cancelled, c1 cancelled",
		},
		"stopped": {
			task: lasting, do: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) { d.Runner.Stop(errSpace) },
			want: "cancelled", states: "a1 cancelled, b1 cancelled, c1 cancelled",
		},
		"drained": {
			task: lasting, do: func(_ *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) { g.Drain() },
			want: "drained", states: "a1 succeeded, b1 pending, c1 succeeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			page := inspect.New(nil)
			group := newGroup(t, page, "a1 b1:a1 c1", c.task, c.opts)
			d := schedulertest.NewDriver(t, group, nil)
			d.Step()
			if c.do != nil {
				c.do(d, group)
			}
			if !d.Runner.Done() {
				_ = d.RunToEnd()
			}
			w := ask[wholeRun](t, page, "run?id=1")
			require.Equal(t, c.want, w.Run.Status)
			require.Equal(t, c.states, strings.Join(sorted(w), ", "))
			for k, state := range group.All() {
				require.Contains(t, c.states, fmt.Sprint(k, " ", state))
			}
		})
	}
}

// sorted returns the states in the order of names.
func sorted(w wholeRun) []string {
	var text []string
	for _, name := range []string{"a1", "b1", "c1"} {
		for _, n := range w.Nodes {
			if n.Name == name {
				text = append(text, name+" "+n.State)
			}
		}
	}
	return text
}

func TestPage_after_a_panic(t *testing.T) {
	page := inspect.New(nil)
	observe := scheduler.ObserverFunc(func(tr scheduler.Record) {
		if tr.Key() == "b" {
			panic("observer")
		}
	})
	group := newGroup(t, page, "a b c", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Observer: observe})
	require.PanicsWithValue(t, "observer", func() { _, _ = group.Step(t.Context()) })
	w := ask[wholeRun](t, page, "run?id=1")
	require.Equal(t, "failed", w.Run.Status)
	for _, n := range w.Nodes {
		require.Equal(t, group.State(n.Name).String(), n.State, n.Name)
		require.NotEqual(t, "running", n.State)
	}
}

func TestPage_of_errors(t *testing.T) {
	page := inspect.New(nil)
	tasks := map[string]error{
		"chain": fmt.Errorf("create: %w", errors.Join(errSpace, scheduler.ErrDrained)),
		"long":  errors.New(strings.Repeat("long ", 10_000)),
		"panic": &scheduler.PanicError{Value: "boom", Stack: []byte("the stack")},
		"sick":  sick{},
	}
	group := newGroup(t, page, "chain victim:chain other:chain long panic sick", func(k string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return tasks[k] })
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	require.Error(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	node := func(name string) nodePage {
		for i, n := range ask[wholeRun](t, page, "run?id=1").Nodes {
			if n.Name == name {
				return ask[nodePage](t, page, fmt.Sprintf("node?id=1&node=%d", i))
			}
		}
		t.Fatal("no node", name)
		return nodePage{}
	}
	f := node("chain").Error
	require.Equal(t, "create: no space left on device scheduler: drained", f.Text)
	var chain []string
	for _, e := range f.Chain {
		chain = append(chain, fmt.Sprint(e.Depth, " ", e.Type, " ", strings.ReplaceAll(e.Text, "\n", "; ")))
	}
	require.Equal(t, []string{
		"0 *fmt.wrapError create: no space left on device; scheduler: drained",
		"1 *errors.joinError no space left on device; scheduler: drained",
		"2 *errors.errorString no space left on device",
		"2 *errors.errorString scheduler: drained",
	}, chain)
	require.Equal(t, "skipped", node("victim").State)
	require.Contains(t, node("victim").Error.Text, "chain: create: no space left")
	require.Equal(t, node("victim").Error, node("other").Error)
	require.Equal(t, "the stack", node("panic").Error.Stack)
	require.Less(t, len(node("long").Error.Chain[0].Text), 5000)
	require.Contains(t, node("sick").Error.Text, "PANIC")
}

// sick is an error that cannot be asked.
type sick struct{}

func (sick) Error() string { panic("sick") }

// TestPage_room_of_errors: the texts of a run's errors have a limit together.
func TestPage_room_of_errors(t *testing.T) {
	page := inspect.New(nil)
	deps := scheduler.NewDependencies[int]()
	const n = 2000
	for k := range n {
		deps.Add(k)
	}
	text := strings.Repeat("x", 10_000)
	group := watchedGroup(t, page, deps, func(k int) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return fmt.Errorf("%d: %s", k, text) })
	}, &scheduler.GroupOptions[int]{AggregateErrors: true})
	require.Error(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	require.NotEmpty(t, ask[nodePage](t, page, "node?id=1&node=0").Error.Chain)
	last := ask[nodePage](t, page, fmt.Sprintf("node?id=1&node=%d", n-1)).Error
	require.Empty(t, last.Chain)
	require.Contains(t, last.Text, "1999: xxx")
}

func TestPage_of_groups_inside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble: the simulated clock is another one
		page := inspect.New(nil)
		outer := newGroup(t, page, "x web", func(k string) scheduler.Task {
			if k == "x" {
				return scheduler.Pause(scheduler.After(time.Hour))
			}
			inner, err := scheduler.NewDependencyTaskGroup(graph("x y1:x"),
				func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Minute)) },
				&scheduler.GroupOptions[string]{Name: "inner"})
			require.NoError(t, err)
			return scheduler.Sequence(inner)
		}, &scheduler.GroupOptions[string]{Name: "outer"})
		d := schedulertest.NewDriver(t, outer, nil)
		d.Step()
		runs := ask[runList](t, page, "runs").Runs
		require.Len(t, runs, 2)
		require.Equal(t, 1, runs[1].Parent)
		require.Equal(t, 1, *runs[1].ParentNode)
		require.Equal(t, "web", runs[1].Path)
		require.Equal(t, []string{"x running", "y1 pending"}, states(ask[wholeRun](t, page, "run?id=2")))
		n := askBetween[nodePage](t, d.Runner, page, "node?id=1&node=1")
		require.Contains(t, n.Explanation.Text, "web: running since round 1")
		require.Equal(t, []int{2}, n.Inside)
		n = askBetween[nodePage](t, d.Runner, page, "node?id=2&node=1")
		require.Equal(t, "y1: pending since round 0, requires x", n.Explanation.Text)
		require.NoError(t, d.RunToEnd())
		require.Equal(t, "succeeded", ask[runList](t, page, "runs").Runs[1].Status)
	})
}

func TestPage_in_reverse(t *testing.T) {
	page := inspect.New(nil)
	group := newGroup(t, page, "a1 b1:a1", lasting, &scheduler.GroupOptions[string]{Reverse: true})
	schedulertest.NewDriver(t, group, nil).Step()
	w := ask[wholeRun](t, page, "run?id=1")
	require.True(t, w.Run.Reverse)
	require.Equal(t, []string{"b1 running", "a1 pending"}, states(w))
	require.Equal(t, []int{0}, w.Nodes[1].Requires)
}

func TestPage_that_is_nil(t *testing.T) {
	var page *inspect.Page
	require.NoError(t, schedulertest.NewDriver(t, newGroup(t, page, "a1", lasting, nil), nil).RunToEnd())
}

func TestPage_of_a_group_that_is_never_run(t *testing.T) {
	page := inspect.New(nil)
	group := newGroup(t, page, "a1", lasting, nil)
	group.Stop(t.Context(), errSpace)
	require.NoError(t, group.Close())
	require.Empty(t, ask[runList](t, page, "runs").Runs)
}

func TestPage_beside_an_observer(t *testing.T) {
	page := inspect.New(nil)
	var own, plain slowObserver
	opts := scheduler.GroupOptions[string]{SlowStep: time.Millisecond, Observer: &own}
	clock := schedulertest.NewClock(time.Time{})
	slow := func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { clock.Advance(time.Second); return nil })
	}
	group := newGroup(t, page, "a b", slow, &opts)
	run := func(task scheduler.Task) {
		require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: clock}))
	}
	run(group)
	opts.Observer = &plain
	same, err := scheduler.NewDependencyTaskGroup(graph("a b"), slow, &opts)
	require.NoError(t, err)
	run(same)
	require.Equal(t, plain, own)
	s := ask[runList](t, page, "runs").Runs[0]
	require.Equal(t, 2, s.SlowSteps)
	require.Equal(t, "a", s.Slow[0].Path)
}

// slowObserver keeps what it is told.
type slowObserver struct{ lines []string }

func (o *slowObserver) Observe(t scheduler.Record) {
	o.lines = append(o.lines, fmt.Sprint(t.Kind, t.Path(), t.To, t.Round()))
}

func TestPage_memory(t *testing.T) {
	page := inspect.New(&inspect.Options{Ended: 3})
	active := newGroup(t, page, "a9", lasting, nil)
	schedulertest.NewDriver(t, active, nil).Step()
	for range 100 {
		group := newGroup(t, page, "a1 b1 c1", lasting, nil)
		require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	}
	var ids []int
	for _, r := range ask[runList](t, page, "runs").Runs {
		ids = append(ids, r.ID)
	}
	require.Equal(t, []int{1, 99, 100, 101}, ids, "what has not ended stays")
	require.Equal(t, http.StatusNotFound, get(page, "run?id=2").Code)
}

// TestPage_keeps_no_task: of a run that has ended the page keeps what it shows,
// and neither the group nor its tasks.
func TestPage_keeps_no_task(t *testing.T) {
	page := inspect.New(nil)
	pointer := func() weak.Pointer[scheduler.DependencyTaskGroup[string]] {
		group := newGroup(t, page, "a b", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) }, nil)
		require.NoError(t, scheduler.Run(t.Context(), group, nil))
		return weak.Make(group)
	}()
	runtime.GC()
	require.Nil(t, pointer.Value())
	require.Equal(t, "succeeded", ask[wholeRun](t, page, "run?id=1").Nodes[0].State)
}

func TestHandler(t *testing.T) {
	page := inspect.New(nil)
	schedulertest.NewDriver(t, newGroup(t, page, "a1", lasting, nil), nil).Step()
	for path, want := range map[string]string{
		"": "text/html; charset=utf-8", "page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8",
		"icon.svg": "image/svg+xml", "runs": "application/json", "run?id=1": "application/json", "node?id=1&node=0": "application/json",
	} {
		for _, prefix := range []string{"/", "/x/", base} {
			w := httptest.NewRecorder()
			page.ServeHTTP(w, request(prefix+path))
			require.Equal(t, http.StatusOK, w.Code, prefix+path)
			h := w.Header()
			require.Equal(t, want, h.Get("Content-Type"), path)
			require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';")
			require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe")
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
			require.Equal(t, "no-store", h.Get("Cache-Control"))
		}
	}
	for _, path := range []string{"none", "web", "run", "run?id=2", "run?id=x", "node?id=1", "node?id=1&node=1", "node?id=1&node=-1", "node?id=7&node=0", "../go.mod"} {
		require.Equal(t, http.StatusNotFound, get(page, path).Code, path)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest(method, "http://localhost"+base+"run?id=1", nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}
}

// TestPage_assets: the page has no script and no style in it and asks for
// nothing from elsewhere; what makes HTML of text is not used.
func TestPage_assets(t *testing.T) {
	page := inspect.New(nil)
	for _, name := range []string{
		"", "page.css", "icon.svg", "page.js", "dom.js", "model.js", "virtual.js", "runs.js", "list.js", "layout.js", "folds.js",
		"graph.js", "timeline.js", "node.js",
	} {
		w := get(page, name)
		require.Equal(t, http.StatusOK, w.Code, name)
		text := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		for _, word := range []string{"http://", "https://", "//cdn", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "<style", "style=", "onclick=\"", "@import"} {
			require.NotContains(t, text, word, name)
		}
		if name == "" {
			require.Equal(t, 1, strings.Count(text, "<script"))
			require.Contains(t, text, `<script type="module" src="page.js"></script>`)
		}
	}
}

// TestPage_escapes: no name or error gets out as it is, not even in JSON.
func TestPage_escapes(t *testing.T) {
	page := inspect.New(nil)
	deps := scheduler.NewDependencies[string]()
	deps.Add(script)
	deps.Add("bad\xff\x00\u2028", script)
	group := watchedGroup(t, page, deps, func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return errors.New(script) })
	}, &scheduler.GroupOptions[string]{Name: script, AggregateErrors: true})
	require.Error(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	for _, path := range []string{"runs", "run?id=1", "node?id=1&node=0", "node?id=1&node=1"} {
		w := get(page, path)
		require.NotContains(t, w.Body.String(), "<")
		require.True(t, json.Valid(w.Body.Bytes()))
	}
	require.Equal(t, script, ask[wholeRun](t, page, "run?id=1").Nodes[0].Name)
}

// TestPage_during_a_step: a step that does not end does not hold up the page.
func TestPage_during_a_step(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, release := inspect.New(nil), make(chan struct{})
		group := newGroup(t, page, "a b:a", func(string) scheduler.Task {
			return scheduler.Func(func(context.Context) error { <-release; return nil })
		}, nil)
		go func() { _ = scheduler.Run(context.Background(), group, nil) }()
		synctest.Wait()
		n := ask[nodePage](t, page, "node?id=1&node=1")
		require.True(t, n.Busy)
		require.Nil(t, n.Explanation)
		require.Equal(t, "pending", n.State)
		require.Equal(t, []int{0}, n.WaitsFor)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/node?id=1&node=1", nil))
		require.Empty(t, w.Body.String(), "nobody is there any more")
		close(release)
	})
}

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	out, err := cmd.Output()
	require.NoError(t, err)
	for path := range strings.FieldsSeq(string(out)) {
		require.True(t, strings.HasPrefix(path, "github.com/steptask/scheduler"), "the package links the standard library and the core only, not %s", path)
		require.NotContains(t, path, "schedulertest")
	}
}
