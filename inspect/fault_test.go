package inspect_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
	"github.com/steptask/scheduler/schedulertest"
)

// onlyOn is a key and an error whose texts may be asked for on one goroutine only.
type onlyOn struct {
	t    *testing.T
	on   string
	name string
}

func (o *onlyOn) check() {
	if !strings.HasPrefix(goroutine(), o.on) {
		o.t.Error("called on a viewer's goroutine")
	}
}

func (o *onlyOn) String() string { o.check(); return o.name }

func (o *onlyOn) Error() string { o.check(); return "error of " + o.name }

// goroutine returns "goroutine 12 ".
func goroutine() string {
	buf := make([]byte, 40)
	buf = buf[:runtime.Stack(buf, false)]
	return string(buf[:bytes.IndexByte(buf, '[')])
}

// Keys and errors are asked for their texts by the run alone, whatever is looked
// at and whenever.
func TestPage_calls_nothing_on_a_viewers_goroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		keys := make([]*onlyOn, 5)
		deps := scheduler.NewDependencies[*onlyOn]()
		for i := range keys {
			keys[i] = &onlyOn{t: t, on: goroutine(), name: fmt.Sprint("n", i)}
			deps.Add(keys[i])
		}
		deps.Add(keys[4], keys[3])
		group := watchedGroup(t, page, deps, func(k *onlyOn) scheduler.Task {
			if k == keys[1] {
				return scheduler.Func(func(context.Context) error { return k })
			}
			if k == keys[2] {
				inside, err := scheduler.NewDependencyTaskGroup(deps, func(*onlyOn) scheduler.Task {
					return scheduler.Pause(scheduler.After(time.Hour))
				}, nil)
				require.NoError(t, err)
				return inside
			}
			return scheduler.Pause(scheduler.After(time.Hour))
		}, &scheduler.GroupOptions[*onlyOn]{AggregateErrors: true})
		runner := scheduler.NewTaskRunner(group, nil)
		require.NoError(t, runner.Start(t.Context(), 0))
		var viewers sync.WaitGroup
		for _, path := range []string{"runs", "run?id=1", "run?id=2", "node?id=1&node=0", "node?id=1&node=1", "node?id=1&node=2", "node?id=1&node=4", "node?id=2&node=4"} {
			viewers.Go(func() { get(page, path) })
		}
		for range 20 {
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // in a bubble
			runner.RunPosted()
		}
		viewers.Wait()
		_ = runner.Cancel()
		viewers.Go(func() { get(page, "node?id=1&node=1") })
		viewers.Wait()
	})
}

// However many ask, a run is asked one question at a time, with a pause after each.
func TestPage_asks_seldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		asked := 0
		deps := scheduler.NewDependencies[counted]()
		deps.Add(counted{"b", &asked}, counted{"a", &asked})
		group := watchedGroup(t, page, deps, func(counted) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }, nil)
		end := drive(t, group)
		synctest.Wait()
		asked = 0
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var viewers sync.WaitGroup
		answers := 0
		var mu sync.Mutex
		for range 20 {
			viewers.Go(func() {
				for ctx.Err() == nil {
					n := ask[nodePage](t, page, "node?id=1&node=1")
					mu.Lock()
					if n.Explanation != nil {
						answers++
					}
					mu.Unlock()
				}
			})
		}
		viewers.Wait()
		require.LessOrEqual(t, answers, 205, "one in 50 ms, for 10 s and a little")
		require.GreaterOrEqual(t, answers, 100, "viewers that give up at the moment of their turn let it pass")
		require.LessOrEqual(t, asked, 3*answers, "nothing was asked for nobody")
		require.Empty(t, end)
	})
}

// Who asks for everything in a loop is answered as often as can be had for a small
// share of the processor.
func TestPage_answers_seldom(t *testing.T) {
	for _, path := range []string{"runs", "run?id=1", "node?id=1&node=0"} {
		synctest.Test(t, func(t *testing.T) {
			page := inspect.New(nil)
			require.NoError(t, scheduler.Run(t.Context(), newGroup(t, page, "a", lastingNothing, nil), nil))
			began := time.Now()
			for range 200 {
				require.Equal(t, http.StatusOK, get(page, path).Code)
			}
			require.Equal(t, 199*5*time.Millisecond, time.Since(began))
		})
	}
}

// counted is a key that counts how often it is asked for its name.
type counted struct {
	name  string
	asked *int
}

func (c counted) String() string { *c.asked++; return c.name }

// A question that was given up is not asked in vain, and no further one is put to
// a group that is in a long step.
func TestPage_gives_a_question_up(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		asked := 0
		deps := scheduler.NewDependencies[counted]()
		deps.Add(counted{"b", &asked}, counted{"a", &asked})
		release := make(chan struct{})
		end := drive(t, watchedGroup(t, page, deps, func(counted) scheduler.Task {
			return scheduler.Func(func(context.Context) error { <-release; return nil })
		}, nil))
		synctest.Wait()
		asked = 0
		for range 50 {
			began := time.Now()
			n := ask[nodePage](t, page, "node?id=1&node=1")
			require.True(t, n.Busy)
			require.Equal(t, []int{0}, n.WaitsFor, "the rest is there")
			require.Equal(t, 100*time.Millisecond, time.Since(began))
		}
		close(release)
		require.NoError(t, <-end)
		require.Zero(t, asked)
	})
}

// named is a key whose name may take long, or end its goroutine.
type named struct {
	name string
	says func()
}

func (n *named) String() string { n.says(); return n.name }

// A viewer that has gone does not wait for the name of a key that takes for ever, and none
// waits for an answer that never comes.
func TestPage_of_a_key_that_does_not_answer(t *testing.T) {
	for name, says := range map[string]func(release chan struct{}){
		"blocks": func(release chan struct{}) { <-release },
		"ends":   func(chan struct{}) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				page := inspect.New(nil)
				release := make(chan struct{})
				key := &named{"a", func() {}}
				deps := scheduler.NewDependencies[*named]()
				deps.Add(key)
				group := watchedGroup(t, page, deps, func(*named) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }, nil)
				drive(t, group)
				synctest.Wait()
				key.says = func() { says(release) }
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				page.ServeHTTP(httptest.NewRecorder(), request(base+"node?id=1&node=0").WithContext(ctx))
				require.LessOrEqual(t, time.Since(began), time.Second)
				close(release)
			})
		})
	}
}

// An explanation that panics harms the page only.
func TestPage_of_a_key_that_panics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		var sick scheduler.Event
		group := newGroup(t, page, "a", func(string) scheduler.Task { return scheduler.Pause(scheduler.On(&sick)) }, nil)
		end := drive(t, group)
		synctest.Wait()
		require.Contains(t, ask[nodePage](t, page, "node?id=1&node=0").Explanation.Text, "a: running")
		sick.Set()
		require.NoError(t, <-end)
	})
}

// wait is a task that waits for an event for as long as it may.
func wait(e *scheduler.Event) scheduler.Task { return scheduler.Pause(scheduler.On(e)) }

// What remains is said only if it is known.
func TestPage_forecast_is_honest(t *testing.T) {
	hour := func(string) time.Duration { return time.Hour }
	t.Run("of a group that is drained", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			page := inspect.New(nil)
			var e scheduler.Event
			group := newGroup(t, page, "now a:now b:now c:now", func(string) scheduler.Task { return wait(&e) },
				&scheduler.GroupOptions[string]{Limit: 1, Estimate: hour})
			schedulertest.NewDriver(t, group, nil).Step()
			require.InDelta(t, 4*time.Hour.Milliseconds(), *ask[wholeRun](t, page, "run?id=1").Forecast.Remaining, 1)
			group.Drain()
			w := ask[wholeRun](t, page, "run?id=1")
			require.Equal(t, "draining", w.Run.Status)
			require.Equal(t, 4*time.Hour.Milliseconds(), int64(*w.Forecast.Remaining), "made once a second at most")
			time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
			require.InDelta(t, 3595*time.Second.Milliseconds(), *ask[wholeRun](t, page, "run?id=1").Forecast.Remaining, 10)
		})
	})
	t.Run("of nodes that hang", func(t *testing.T) {
		page := inspect.New(nil)
		var never scheduler.Event
		group := newGroup(t, page, "a1 b1 hangs", func(k string) scheduler.Task {
			if k == "hangs" {
				return wait(&never)
			}
			return lasting(k)
		}, nil)
		d := schedulertest.NewDriver(t, group, nil)
		d.StepUntil(func() bool { return group.Count(scheduler.StateSucceeded) == 2 })
		d.Clock.Advance(10 * time.Second)
		d.Runner.Stop(errSpace) // the page hears of the time by what happens
		d.Step()
		f := ask[wholeRun](t, page, "run?id=1").Forecast
		require.Nil(t, f.Remaining)
	})
	t.Run("of a node that takes longer than its estimate", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			page := inspect.New(nil)
			end := drive(t, newGroup(t, page, "a9 b1:a9", lasting, &scheduler.GroupOptions[string]{
				Limit: 5, Estimate: func(string) time.Duration { return 2 * time.Second },
			}))
			time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
			f := ask[wholeRun](t, page, "run?id=1").Forecast
			require.Nil(t, f.Remaining)
			require.Equal(t, 1, f.Overdue)
			require.Equal(t, 2000.0, f.AtLeast)
			require.NoError(t, <-end)
			require.Zero(t, ask[wholeRun](t, page, "run?id=1").Forecast.Overdue)
		})
	})
	t.Run("of claims", func(t *testing.T) {
		page := inspect.New(nil)
		one := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
		group := newGroup(t, page, "a b c d", func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) },
			&scheduler.GroupOptions[string]{Estimate: hour, Claims: func(string) []scheduler.Claim {
				return []scheduler.Claim{{Limiter: one, Weight: 1}}
			}})
		schedulertest.NewDriver(t, group, nil).Step()
		f := ask[wholeRun](t, page, "run?id=1").Forecast
		require.Nil(t, f.Remaining)
		require.InDelta(t, time.Hour.Milliseconds(), f.AtLeast, 1)
	})
}

// A run is kept, or dropped, with the groups inside it.
func TestPage_keeps_families(t *testing.T) {
	page := inspect.New(&inspect.Options{Ended: 2})
	var never scheduler.Event
	family := func(inside int, last scheduler.Task) *scheduler.DependencyTaskGroup[int] {
		deps := scheduler.NewDependencies[int]()
		for i := range inside {
			deps.Add(i)
		}
		return watchedGroup(t, page, deps, func(i int) scheduler.Task {
			if i == inside-1 {
				return last
			}
			group, err := scheduler.NewDependencyTaskGroup(graph("x"), func(string) scheduler.Task {
				return scheduler.Func(func(context.Context) error {
					if i == 0 {
						return errSpace
					}
					return nil
				})
			}, nil)
			require.NoError(t, err)
			return group
		}, &scheduler.GroupOptions[int]{AggregateErrors: true})
	}
	d := schedulertest.NewDriver(t, family(61, wait(&never)), nil)
	d.Step()
	require.Len(t, ask[runList](t, page, "runs").Runs, 61, "what goes on is all there, also what failed and ended first")
	require.Equal(t, "failed", ask[wholeRun](t, page, "run?id=2").Run.Status)
	for range 3 {
		require.Error(t, schedulertest.NewDriver(t, family(4, scheduler.Pause(scheduler.Next)), nil).RunToEnd())
	}
	var ids []int
	for _, r := range ask[runList](t, page, "runs").Runs {
		if r.ID > 61 {
			ids = append(ids, r.ID)
		}
	}
	require.Equal(t, []int{66, 67, 68, 69, 70, 71, 72, 73}, ids)
}

// A family that lives for long does not grow for ever: what went well goes first.
func TestPage_of_a_family_that_is_too_large(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	page := inspect.New(nil)
	large := scheduler.NewDependencies[int]()
	for i := range 400_000 {
		large.Add(i)
	}
	i := 0
	group := newGroup(t, page, "again", func(string) scheduler.Task {
		return scheduler.Retry(scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.Next }), func(attempt int, _ error) scheduler.Task {
			i = attempt
			inside, err := scheduler.NewDependencyTaskGroup(large, func(k int) scheduler.Task {
				return scheduler.Func(func(context.Context) error {
					if k == 0 && i == 1 {
						return errSpace
					}
					return nil
				})
			}, nil)
			require.NoError(t, err)
			return scheduler.Sequence(inside, scheduler.Func(func(context.Context) error {
				if i < 5 {
					return errors.New("again")
				}
				return nil
			}))
		})
	}, nil)
	require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	var ids []int
	for _, r := range ask[runList](t, page, "runs").Runs {
		ids = append(ids, r.ID)
	}
	require.Equal(t, []int{1, 2, 6}, ids, "the failed one stays")
	require.Equal(t, []int{2, 6}, ask[nodePage](t, page, "node?id=1&node=0").Inside)
}

// A group that was dropped between two steps neither stays in memory nor goes on
// for ever.
func TestPage_of_a_group_that_was_dropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(&inspect.Options{Ended: 1})
		viewer := watch(t, page, "events?id=1")
		func() {
			runner := scheduler.NewTaskRunner(newGroup(t, page, "a b", func(string) scheduler.Task {
				return scheduler.Pause(scheduler.Next)
			}, nil), nil)
			require.NoError(t, runner.Start(t.Context(), 0))
		}()
		require.Equal(t, "running", ask[runList](t, page, "runs").Runs[0].Status)
		time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble
		runtime.GC()
		time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble
		s := ask[runList](t, page, "runs").Runs[0]
		require.Equal(t, "lost", s.Status)
		require.Equal(t, s.Began, s.Last)
		require.Equal(t, s.Began, s.Ended)
		n := ask[nodePage](t, page, "node?id=1&node=0")
		require.Equal(t, "running", n.State)
		require.False(t, n.Busy)
		require.Equal(t, "lost", last[runList](t, viewer.events(), "runs").Runs[0].Status)
		require.NoError(t, scheduler.Run(t.Context(), newGroup(t, page, "a", lastingNothing, nil), nil))
		require.Equal(t, http.StatusNotFound, get(page, "run?id=1").Code)
	})
}

func lastingNothing(string) scheduler.Task {
	return scheduler.Func(func(context.Context) error { return nil })
}

// Names of hosts are checked, so that no page elsewhere can read this one.
func TestHandler_hosts(t *testing.T) {
	for host, allowed := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LOCALHOST.:1": true, "a.localhost": true, "127.0.0.1:8080": true, "10.1.2.3": true,
		"[::1]:8080": true, "[::1]": true, "[fe80::1%25eth0]:1": true,
		"example.com": false, "example.com:8080": false, "localhost.example.com": false, "127.0.0.1.example.com": false,
		"notlocalhost": false, "": false, "::": true, "127.1": false, "0x7f000001": false,
		"debug.example.org": true, "Debug.Example.Org:443": true, "x.debug.example.org": false,
	} {
		page := inspect.New(&inspect.Options{Hosts: []string{"debug.example.org"}})
		for _, path := range []string{"/", "/page.js", "/runs", "/events"} {
			r := httptest.NewRequest(http.MethodHead, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			page.ServeHTTP(w, r)
			if allowed {
				require.Equal(t, http.StatusOK, w.Code, host)
			} else {
				require.Equal(t, http.StatusForbidden, w.Code, host)
				require.Contains(t, w.Body.String(), "Options.Hosts", host)
			}
		}
		r := httptest.NewRequest(http.MethodHead, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		inspect.New(&inspect.Options{Hosts: []string{"*"}}).ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, host)
	}
}

func TestNew_of_bad_options(t *testing.T) {
	require.PanicsWithValue(t, "inspect: New: Options.Ended is -1, less than none", func() { inspect.New(&inspect.Options{Ended: -1}) })
}

// A server's own limits of time do not end a stream.
func TestEvents_under_time_limits(t *testing.T) {
	for version, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				page := inspect.New(nil)
				defer page.Close()
				client := serveBy(t, &http.Server{
					Handler: page, ReadTimeout: 2 * time.Second, WriteTimeout: 3 * time.Second, IdleTimeout: 4 * time.Second,
				}, http2, 0)
				response, err := client.Get("http://localhost/events")
				require.NoError(t, err)
				defer response.Body.Close()
				start, lines := time.Now(), bufio.NewReader(response.Body)
				for time.Since(start) < 3*time.Hour {
					_, err := lines.ReadString('\n')
					require.NoError(t, err, "after %v", time.Since(start))
				}
			})
		})
	}
}

// 300,000 nodes arrive on a line of 500 kB/s, over both versions of HTTP.
func TestEvents_of_a_large_run_on_a_slow_line(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	const n = 300_000
	deps := scheduler.NewDependencies[string]()
	for i := range n {
		deps.Add(fmt.Sprintf("production/eu-central-1/cluster-7/service-%06d", i))
	}
	for version, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				page := inspect.New(nil)
				defer page.Close()
				require.NoError(t, scheduler.Run(t.Context(), watchedGroup(t, page, deps, lastingNothing, nil), nil))
				client := serveBy(t, &http.Server{Handler: page, WriteTimeout: 5 * time.Second}, http2, 8*time.Millisecond)
				response, err := client.Get("http://localhost/events?id=1")
				require.NoError(t, err)
				defer response.Body.Close()
				arrived, lines := 0, bufio.NewReaderSize(response.Body, 1<<20)
				for arrived < n {
					line, err := lines.ReadBytes('\n')
					require.NoError(t, err)
					require.Less(t, len(line), 100<<10, "in pieces")
					if data, is := bytes.CutPrefix(line, []byte("data: ")); is {
						var piece struct{ Nodes []struct{ State string } }
						require.NoError(t, json.Unmarshal(data, &piece))
						arrived += len(piece.Nodes)
					}
				}
			})
		})
	}
}

// Viewers who do not read take no memory to speak of.
func TestEvents_of_viewers_who_do_not_read_take_no_memory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	const n = 300_000
	page := inspect.New(nil)
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
	}
	none := scheduler.Func(func(context.Context) error { return nil })
	require.NoError(t, scheduler.Run(t.Context(), watchedGroup(t, page, deps, func(int) scheduler.Task { return none }, nil), nil))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for _, path := range []string{"run?id=1", "events?id=1", "run?id=1", "events?id=1", "run?id=1"} {
		v := &stuck{release: make(chan struct{}), writing: make(chan struct{}, 1), stream: stream{header: http.Header{}, ended: make(chan struct{})}}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(v.ended)
			page.ServeHTTP(v, request("/"+path).WithContext(ctx))
		}()
		<-v.writing
		defer func() {
			cancel()
			go func() {
				for range v.writing { // takes what else is written
				}
			}()
			close(v.release)
			<-v.ended
			close(v.writing)
		}()
	}
	require.Less(t, int64(heap())-int64(before), int64(1<<20))
	runtime.KeepAlive(page)
}

// What a viewer is sent after a change does not grow with the graph.
func TestEvents_cost_what_has_changed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		const n = 50_000
		deps := scheduler.NewDependencies[int]()
		for i := range n {
			deps.Add(i+1, i)
		}
		none := scheduler.Func(func(context.Context) error { return nil })
		drive(t, watchedGroup(t, page, deps, func(i int) scheduler.Task {
			if i < n-100 {
				return none
			}
			return scheduler.Pause(scheduler.After(time.Second))
		}, nil))
		synctest.Wait()
		viewer := watch(t, page, "events?id=1")
		require.Greater(t, len(viewer.events()), 100)
		for range 20 {
			size := 0
			for _, e := range viewer.events() {
				size += len(e.data)
			}
			require.Positive(t, size)
			require.Less(t, size, 5000)
		}
		require.InDelta(t, n-100+22, len(ask[wholeRun](t, page, "run?id=1").Forecast.Path), 1)
	})
}

// With many groups inside, a look at what has changed costs only that.
func TestEvents_of_a_list_of_many_runs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		deps := scheduler.NewDependencies[int]()
		for i := range 5000 {
			deps.Add(i)
		}
		drive(t, watchedGroup(t, page, deps, func(i int) scheduler.Task {
			inside, err := scheduler.NewDependencyTaskGroup(graph("a b:a"), func(string) scheduler.Task {
				return scheduler.Pause(scheduler.After(time.Duration(i+100) * time.Second))
			}, nil)
			require.NoError(t, err)
			return inside
		}, nil))
		synctest.Wait()
		others := watch(t, page, "events")
		require.Len(t, last[runList](t, others.events(), "runs").Runs, 1, "the outermost ones")
		viewer := watch(t, page, "events?id=1")
		all := map[int]bool{}
		for _, e := range viewer.events() {
			if e.name == "runs" {
				var some runList
				require.NoError(t, json.Unmarshal([]byte(e.data), &some))
				require.LessOrEqual(t, len(some.Runs), 100)
				for _, r := range some.Runs {
					all[r.ID] = true
				}
			}
		}
		require.Len(t, all, 5001)
		time.Sleep(100 * time.Second) //nolint:forbidigo // in a bubble
		viewer.events()
		require.LessOrEqual(t, len(last[runList](t, viewer.events(), "runs").Runs), 5)
	})
}

// A page says what nodes say of themselves, why they are to end, and for how long
// they have been closing.
func TestPage_of_nodes_that_say_something(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		release := make(chan struct{})
		var attempts int
		end := drive(t, newGroup(t, page, "deaf talks tries", func(k string) scheduler.Task {
			switch k {
			case "deaf":
				return scheduler.Blocking(func(context.Context) error { <-release; return nil })
			case "talks":
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					co.Note("still building")
					return co.Yield(scheduler.After(time.Hour))
				})
			}
			return scheduler.Retry(scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.After(time.Minute) }), func(int, error) scheduler.Task {
				return scheduler.Func(func(context.Context) error { attempts++; return fmt.Errorf("503 the %d.", attempts) })
			})
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			Timeout: func(k string) time.Duration {
				return map[string]time.Duration{"deaf": time.Second}[k]
			},
		}))
		time.Sleep(90 * time.Second) //nolint:forbidigo // in a bubble
		w := ask[wholeRun](t, page, "run?id=1")
		require.Equal(t, []string{"deaf closing", "talks running", "tries running"}, states(w))
		require.Equal(t, w.Run.Began+1000, w.Nodes[0].Since)
		require.Equal(t, "still building", w.Nodes[1].Note)
		require.Equal(t, 3, w.Nodes[2].Attempt)
		n := ask[nodePage](t, page, "node?id=1&node=2")
		require.Equal(t, 3, n.Attempt)
		require.Equal(t, "503 the 2.", n.LastError.Text)
		require.Equal(t, "closing", ask[nodePage](t, page, "node?id=1&node=0").History[1].State)
		close(release)
		synctest.Wait()
		require.Equal(t, "timed out", ask[nodePage](t, page, "node?id=1&node=0").State)
		require.Empty(t, end)
	})
}

// A service is ready, which is no end, and nobody knows how long it goes on.
func TestPage_of_a_service(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		began := time.Now()
		var never scheduler.Event
		end := drive(t, newGroup(t, page, "service done1 needs9:service,done1 last1:service,needs9", func(k string) scheduler.Task {
			if k != "service" {
				return lasting(k)
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.After(2 * time.Second)); err != nil {
					return err
				}
				co.Ready()
				return co.Yield(scheduler.On(&never))
			})
		}, nil))
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
		w := ask[wholeRun](t, page, "run?id=1")
		require.Equal(t, []string{"service ready", "done1 succeeded", "needs9 running", "last1 pending"}, states(w))
		require.Equal(t, map[string]int{"ready": 1, "succeeded": 1, "running": 1, "pending": 1}, w.Run.Counts)
		require.Equal(t, float64(began.Add(2*time.Second).UnixMilli()), w.Nodes[0].Since, "since when it is ready")
		require.Equal(t, []int{2}, ask[nodePage](t, page, "node?id=1&node=3").WaitsFor, "not for the service")
		require.Equal(t, 1, w.Forecast.Overdue, "not the service")
		require.NoError(t, <-end)
		w = ask[wholeRun](t, page, "run?id=1")
		require.Equal(t, "succeeded", w.Run.Status)
		require.Equal(t, []float64{2000, 0}, []float64{w.Nodes[0].Ready - w.Nodes[0].Started, w.Nodes[1].Ready})
		require.GreaterOrEqual(t, w.Nodes[0].Ended, w.Nodes[3].Ended, "it ends last")
		require.Equal(t, []int{0, 2, 3}, w.Forecast.Path, "the service counts until it is ready")
	})
}

// Nodes that are added to a group are on the page, for viewers who look already too.
func TestPage_of_a_group_that_grows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		group := newGroup(t, page, "a1 b9:a1", lasting, &scheduler.GroupOptions[string]{KeepOpen: true})
		runner := scheduler.NewTaskRunner(group, nil)
		end := make(chan error, 1)
		go func() { end <- runner.Run(t.Context()) }()
		synctest.Wait()
		viewer := watch(t, page, "events?id=1")
		require.Len(t, whole(t, viewer.events()).Nodes, 2)
		runner.Post(func() {
			require.NoError(t, group.Add("c5", "a1"))
			require.NoError(t, group.Add("d1", "c5", "b9"))
			group.CloseInput()
		})
		events := viewer.events()
		require.Contains(t, names(events), "nodes")
		w := ask[wholeRun](t, page, "run?id=1")
		require.Equal(t, []string{"a1 succeeded", "b9 running", "c5 running", "d1 pending"}, states(w))
		require.Equal(t, []int{1, 2}, w.Nodes[3].Requires)
		require.Equal(t, 2, w.Nodes[3].Layer)
		require.Equal(t, map[string]int{"succeeded": 1, "running": 2, "pending": 1}, w.Run.Counts)
		require.NoError(t, <-end)
		require.Equal(t, map[string]int{"succeeded": 4}, ask[wholeRun](t, page, "run?id=1").Run.Counts)
	})
}

// TestEvents_of_a_group_that_grows_meanwhile: a forecast is about nodes that the viewer
// was sent before, also if the group has more of them by then. With some of these sizes
// the last node is the last thing that one write has room for.
func TestEvents_of_a_group_that_grows_meanwhile(t *testing.T) {
	for size := 350; size < 380; size++ {
		synctest.Test(t, func(t *testing.T) { growMeanwhile(t, size) })
	}
}

// growMeanwhile adds a node to a run while its last one is being written to a viewer.
func growMeanwhile(t *testing.T, size int) {
	page := inspect.New(nil)
	deps := scheduler.NewDependencies[int]()
	for n := range size {
		deps.Add(n)
	}
	group := watchedGroup(t, page, deps, func(int) scheduler.Task { return scheduler.Pause(scheduler.After(time.Minute)) },
		&scheduler.GroupOptions[int]{KeepOpen: true})
	runner := scheduler.NewTaskRunner(group, nil)
	end := make(chan error, 1)
	go func() { end <- runner.Run(t.Context()) }()
	time.Sleep(time.Hour) //nolint:forbidigo // in a bubble

	added, ended := make(chan error, 1), make(chan error, 1)
	grow := sync.OnceFunc(func() {
		runner.Post(func() {
			added <- group.Add(size, size-1)
			group.CloseInput()
		})
		ended <- <-end
	})
	last := fmt.Appendf(nil, `"name":"%d"`, size-1)
	viewer := watchWrites(t, page, "events?id=1", func(text []byte) {
		if bytes.Contains(text, last) {
			grow()
		}
	})
	time.Sleep(2 * time.Minute) //nolint:forbidigo // in a bubble
	sent := 0
	for _, e := range viewer.events() {
		if e.data == "" {
			continue // a heartbeat
		}
		var data struct {
			Nodes    []json.RawMessage
			Forecast struct{ Path []int }
		}
		require.NoError(t, json.Unmarshal([]byte(e.data), &data))
		sent += len(data.Nodes)
		for _, node := range data.Forecast.Path {
			require.Less(t, node, sent, "of a node that the viewer does not know")
		}
	}
	require.Equal(t, size+1, sent)
	require.NoError(t, <-added)
	require.NoError(t, <-ended)
}

func TestPage_of_a_group_that_is_stopped(t *testing.T) {
	page := inspect.New(nil)
	d := schedulertest.NewDriver(t, newGroup(t, page, "a b:a bad", func(k string) scheduler.Task {
		if k == "bad" {
			return scheduler.Func(func(context.Context) error { return errSpace })
		}
		return scheduler.Pause(scheduler.After(time.Hour))
	}, &scheduler.GroupOptions[string]{Grace: time.Minute}), nil)
	d.Step()
	w := ask[wholeRun](t, page, "run?id=1")
	require.Equal(t, "stopping", w.Run.Status)
	require.Contains(t, w.Run.Cause.Text, "no space left")
	n := ask[nodePage](t, page, "node?id=1&node=0")
	require.Contains(t, n.Notice.Text, "no space left")
	require.InDelta(t, w.Run.Now+60000, n.Until, 1)
	require.Equal(t, n.Until, w.Nodes[0].Until)
	require.Error(t, d.RunToEnd())
	n = ask[nodePage](t, page, "node?id=1&node=0")
	require.Zero(t, n.Until)
	require.NotNil(t, n.Notice)
}

// TestPage_traces: each node has a link to its trace, if somebody knows it.
func TestPage_traces(t *testing.T) {
	page := inspect.New(&inspect.Options{TraceURL: func(ctx context.Context) string {
		id, _ := ctx.Value(traceKey{}).(string)
		return id
	}})
	deps := graph("good none bad relative")
	group, err := scheduler.NewDependencyTaskGroup(deps, lastingNothing, &scheduler.GroupOptions[string]{
		Observer: scheduler.Observers(traces{
			"good": "https://traces.example.com/trace/1", "bad": "javascript:alert(1)", "relative": "/trace/1",
		}, page),
	})
	require.NoError(t, err)
	require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	for i, want := range []string{"https://traces.example.com/trace/1", "", "", "/trace/1"} {
		require.Equal(t, want, ask[nodePage](t, page, fmt.Sprintf("node?id=1&node=%d", i)).Trace)
	}
}

type traceKey struct{}

// traces gives the contexts of nodes addresses of traces.
type traces map[string]string

func (traces) Observe(scheduler.Record) {}

func (tr traces) NodeContext(ctx context.Context, started scheduler.Record) context.Context {
	return context.WithValue(ctx, traceKey{}, tr[started.Key().(string)])
}

// An error whose methods panic is shown as fmt shows it, and ends nothing.
func TestPage_of_an_error_that_panics(t *testing.T) {
	page := inspect.New(nil)
	group := newGroup(t, page, "a", func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return panicky{} })
	}, &scheduler.GroupOptions[string]{OnError: func(string, error) scheduler.Disposition { return scheduler.StopGroup }})
	require.ErrorIs(t, scheduler.Run(t.Context(), group, nil), panicky{})
	stopped := newGroup(t, page, "a", func(string) scheduler.Task { return scheduler.Pause(scheduler.On(new(scheduler.Event))) }, nil)
	r := scheduler.NewTaskRunner(stopped, nil)
	require.NoError(t, r.Start(t.Context(), 0))
	r.Interrupt(panicky{})
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), panicky{})
}

type panicky struct{}

func (panicky) Error() string { panic("in Error") }
func (panicky) As(any) bool   { panic("in As") }
func (panicky) Unwrap() error { panic("in Unwrap") }
