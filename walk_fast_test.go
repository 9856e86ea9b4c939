package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// A Walk without options that are asked when nodes start makes its calls without a group,
// until something else than success happens. These tests compare it with one that has an
// Observer, and so has a group from its beginning.

// deed is what a call of a story does.
type deed int

const (
	sleeps      deed = iota // for its time
	fails                   // after its time
	heeds                   // its context, and says so
	hears                   // its context, and succeeds
	ignores                 // everything, for ten times as long
	panics                  // after its time
	exits                   // its goroutine, after its time
	serves                  // those that require it, after its time, until it is stopped
	servesFails             // fails instead after its time
	walks                   // a graph of its own
	walksBy                 // one, call by call
	cancels                 // the context of the walk, after its time, and succeeds
	adds                    // an error of its own to what it is told
	pretends                // that its context has ended, after its time
	deeds
)

// story is a walk of calls that do all kinds of things, at instants of their own.
type story struct {
	deps  *scheduler.Dependencies[int]
	deeds []deed
	takes []time.Duration
	end   time.Duration // of the context; 0: none
	limit bool          // that is its deadline
	own   bool          // it is of no type of package context
	in    *runAround    // nil: no run
	opts  scheduler.GroupOptions[int]
}

// runAround is a run in which a walk is made, by a call, and how it ends.
type runAround struct {
	opts  scheduler.RunnerOptions
	ends  time.Duration
	endBy func(r *scheduler.TaskRunner)
}

func newRunAround(rnd *rand.Rand) *runAround {
	in := &runAround{ends: time.Duration(rnd.Int64N(int64(3 * time.Minute)))}
	in.opts = scheduler.RunnerOptions{
		Name:     "around",
		EndCalls: rnd.IntN(2) == 0,
		Grace:    time.Duration(rnd.Int64N(2) * rnd.Int64N(int64(time.Minute))),
		Timeout:  time.Duration(rnd.Int64N(2) * rnd.Int64N(int64(3*time.Minute))),
	}
	in.endBy = []func(r *scheduler.TaskRunner){
		func(*scheduler.TaskRunner) {},
		func(r *scheduler.TaskRunner) { r.Post(func() { r.Stop(errOther) }) },
		func(r *scheduler.TaskRunner) { r.Interrupt(errOther) },
		(*scheduler.TaskRunner).Kill,
	}[rnd.IntN(4)]
	return in
}

// run makes the walk in the run, and returns the results of both.
func (in *runAround) run(ctx context.Context, walk func(ctx context.Context) error) error {
	var inner error
	r := scheduler.NewTaskRunner(scheduler.Blocking(func(ctx context.Context) error {
		inner = walk(ctx)
		return inner
	}), &in.opts)
	defer time.AfterFunc(in.ends, func() { in.endBy(r) }).Stop()
	err := r.Run(ctx)
	return fmt.Errorf("%v, of a walk with %v", err, inner) //nolint:errorlint // only told
}

// ownContext ends with another, and package context knows neither its type nor when.
type ownContext struct {
	context.Context
	done chan struct{}
}

func (c ownContext) Done() <-chan struct{} { return c.done }

func newOwnContext(ctx context.Context) ownContext {
	c := ownContext{ctx, make(chan struct{})}
	context.AfterFunc(ctx, func() { close(c.done) })
	return c
}

func newStory(rnd *rand.Rand) *story {
	s := &story{deps: scheduler.NewDependencies[int]()}
	calm := rnd.IntN(10) // so many of ten calls only sleep
	for k := range 1 + rnd.IntN(12) {
		s.deps.Add(k)
		for range rnd.IntN(3) {
			if k > 0 {
				s.deps.Add(k, rnd.IntN(k))
			}
		}
		d := sleeps
		if rnd.IntN(10) >= calm {
			d = deed(rnd.IntN(int(deeds)))
		}
		s.deeds = append(s.deeds, d)
		s.takes = append(s.takes, time.Duration(rnd.Int64N(int64(time.Minute))))
	}
	if rnd.IntN(2) == 0 {
		s.end = time.Duration(rnd.Int64N(int64(3 * time.Minute)))
		s.limit = rnd.IntN(2) == 0
	}
	if s.own = rnd.IntN(3) == 0; rnd.IntN(4) == 0 {
		s.in = newRunAround(rnd)
	}
	s.opts = scheduler.GroupOptions[int]{
		Name:            "story",
		Reverse:         rnd.IntN(4) == 0,
		AggregateErrors: rnd.IntN(3) == 0,
		RecoverPanics:   rnd.IntN(3) == 0,
		Limit:           rnd.IntN(2) * rnd.IntN(5),
	}
	if !s.opts.AggregateErrors && rnd.IntN(3) == 0 {
		s.opts.OnError = func(k int, _ error) scheduler.Disposition {
			if k == 7 {
				panic(errOops)
			}
			return []scheduler.Disposition{scheduler.StopGroup, scheduler.SkipDependents, scheduler.IgnoreError}[k%3]
		}
	}
	return s
}

// tell makes the walk, and returns what happened in it.
func (s *story) tell(t *testing.T, opts scheduler.GroupOptions[int]) (told string) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		switch {
		case s.limit:
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, s.end)
			defer stop()
		case s.end > 0:
			time.AfterFunc(s.end, func() { cancel(errOther) })
		}
		if s.own {
			ctx = newOwnContext(ctx)
		}
		w := telling{story: s, began: time.Now(), cancel: func() { cancel(errBoom) }}
		walk := func(ctx context.Context) error { return w.walk(ctx, &opts) }
		var err error
		if s.in != nil {
			err = s.in.run(ctx, walk)
		} else {
			err = walk(ctx)
		}
		require.Zero(t, w.running.Load(), "all calls have returned")
		told = fmt.Sprintf("%s\nat %v: %v", strings.ReplaceAll(w.book.sorted(), "; ", "\n"), time.Since(w.began), err)
	})
	return told
}

// telling is a walk of a story.
type telling struct {
	story   *story
	book    notebook
	began   time.Time
	cancel  func() // ends the context of the walk
	running atomic.Int64
}

func (w *telling) walk(ctx context.Context, opts *scheduler.GroupOptions[int]) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %w", v.(error))
		}
	}()
	return scheduler.Walk(ctx, w.story.deps, w.call, opts)
}

func (w *telling) call(ctx context.Context, k int) error {
	w.running.Add(1)
	defer w.running.Add(-1)
	w.note(ctx, "%d begins", k)
	err := scheduler.ErrGoexit
	defer func() {
		if err == nil && w.story.deeds[k] == cancels && w.story.in == nil { // else that gets here at some time
			w.cancel()
		}
	}()
	defer func() { w.note(ctx, "%d ends with %v", k, err) }()
	err = w.story.do(ctx, k)
	return err
}

// note writes down what happens in a call, when, and what its context says.
func (w *telling) note(ctx context.Context, what string, args ...any) {
	limit := "none"
	if at, ok := ctx.Deadline(); ok {
		limit = at.Sub(w.began).String()
	}
	w.book.add("%012d %s: limit %s, context %v by %v, told %v", time.Since(w.began), fmt.Sprintf(what, args...),
		limit, ctx.Err(), context.Cause(ctx), scheduler.StopCause(ctx))
}

func (s *story) do(ctx context.Context, k int) error {
	took := s.takes[k]
	switch s.deeds[k] {
	case fails:
		sleep(took)
		return fmt.Errorf("%d has failed", k)
	case heeds:
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d: %w", k, context.Cause(ctx))
		case <-time.After(took):
		}
	case hears:
		select {
		case <-scheduler.Stopping(ctx):
		case <-ctx.Done():
		case <-time.After(took):
		}
	case ignores:
		sleep(10 * took)
	case panics:
		sleep(took)
		panic(errOops)
	case exits:
		sleep(took)
		runtime.Goexit()
	case serves, servesFails:
		sleep(took)
		scheduler.Ready(ctx)
		sleep(1) // until it has taken effect
		if s.deeds[k] == servesFails {
			sleep(took)
			return fmt.Errorf("service %d has failed", k)
		}
		select {
		case <-scheduler.Stopping(ctx):
		case <-ctx.Done():
		}
		return scheduler.StopCause(ctx)
	case walks:
		return scheduler.Walk(ctx, graph("a b:a"), func(ctx context.Context, inner string) error {
			if inner == "b" && k%3 == 0 {
				return fmt.Errorf("%d has failed inside", k)
			}
			sleep(took / 2)
			return ctx.Err()
		}, nil)
	case walksBy:
		return scheduler.Walk(ctx, graph("a b c d:a"), func(ctx context.Context, inner string) error {
			if inner == "d" && k%3 == 0 {
				scheduler.Ready(ctx)
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s of %d: %w", inner, k, ctx.Err())
			case <-time.After(took / 3):
				return nil
			}
		}, &scheduler.GroupOptions[string]{Limit: 1 + k%2, AggregateErrors: k%5 == 0})
	case adds:
		select {
		case <-ctx.Done():
			sleep(time.Duration(k)) // one after the other
			return errors.Join(ctx.Err(), fmt.Errorf("%d has failed besides", k), scheduler.StopCause(ctx))
		case <-time.After(took):
		}
	case pretends:
		sleep(took)
		return fmt.Errorf("%d: %w", k, &scheduler.StopError{Cause: context.Canceled})
	default:
		sleep(took)
	}
	return nil
}

// Whatever calls do, a walk is the same.
func TestWalk_is_the_same_with_and_without_a_group(t *testing.T) {
	seeds := 10_000
	if testing.Short() {
		seeds = 1000
	}
	for seed := range seeds {
		s := newStory(rand.New(rand.NewPCG(uint64(seed), 7)))
		watched := s.opts
		watched.Observer = scheduler.ObserverFunc(func(scheduler.Record) {})
		want, got := s.tell(t, watched), s.tell(t, s.opts)
		if want != got {
			t.Fatalf("seed %d, deeds %v, options %+v\nwith a group:\n%s\nwithout:\n%s", seed, s.deeds, s.opts, want, got)
		}
	}
}

// What calls say of themselves has somebody to hear it only once there is a group.
func TestWalk_calls_that_say_something_without_a_group(t *testing.T) {
	for name, tt := range map[string]struct {
		fails  bool // the first node, and so there is a group
		called string
	}{
		"all succeed": {false, "first; job; tunnel"},
		"one fails":   {true, "first; tunnel"}, // whichever comes first
	} {
		inBubble(t, name, func(t *testing.T) {
			var called notebook
			var contexts []context.Context
			err := scheduler.Walk(t.Context(), graph("first tunnel job:tunnel"), func(ctx context.Context, k string) error {
				called.add("%s", k)
				scheduler.Note(ctx, "at work")
				switch k {
				case "first":
					contexts = append(contexts, ctx)
					if tt.fails {
						return errOops
					}
				case "tunnel":
					sleep(time.Second)
					scheduler.Note(ctx, "ready")
					scheduler.Ready(ctx)
					scheduler.Ready(ctx)
					select {
					case <-scheduler.Stopping(ctx):
					case <-ctx.Done():
					}
					return scheduler.StopCause(ctx)
				}
				return nil
			}, nil)
			if tt.fails {
				require.ErrorIs(t, err, errOops)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, tt.called, called.sorted())
			for _, ctx := range contexts { // which is too late
				scheduler.Note(ctx, "still here")
				scheduler.Ready(ctx)
				require.NoError(t, ctx.Err())
			}
		})
	}
}

// A call that has returned may say that it is ready: that does nothing.
func TestWalk_ready_after_the_end_of_the_call(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first context.Context
		require.NoError(t, scheduler.Walk(t.Context(), graph("a b:a c:b"), func(ctx context.Context, k string) error {
			if k == "a" {
				first = ctx
			} else {
				scheduler.Ready(first)
			}
			sleep(time.Second)
			return nil
		}, nil))
	})
}

// A walk is one of the graph as it was when it began.
func TestWalk_of_a_graph_that_grows_meanwhile(t *testing.T) {
	for _, fails := range []bool{false, true} {
		deps := graph("a b:a")
		var called []string
		err := scheduler.Walk(t.Context(), deps, func(_ context.Context, k string) error {
			called = append(called, k) // one after the other
			deps.Add("new", k)
			if fails && k == "a" {
				return errOops
			}
			return nil
		}, &scheduler.GroupOptions[string]{
			OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError },
		})
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, called)
	}
}

// Where one node follows the other, one goroutine makes all calls.
func TestWalk_of_a_chain_takes_one_goroutine(t *testing.T) {
	deps := scheduler.NewDependencies[int]()
	for k := range 100 {
		deps.Add(k+1, k)
	}
	goroutines := map[string]bool{}
	require.NoError(t, scheduler.Walk(t.Context(), deps, func(context.Context, int) error {
		buf := make([]byte, 64)
		id, _, _ := strings.Cut(string(buf[:runtime.Stack(buf, false)]), " [")
		goroutines[id] = true // one after the other
		return nil
	}, nil))
	require.Len(t, goroutines, 1)
}

// After a failure no call begins, also if there is room for it.
func TestWalk_begins_no_call_after_a_failure(t *testing.T) {
	for _, limit := range []int{1, 2, 3} {
		inBubble(t, fmt.Sprint("Limit ", limit), func(t *testing.T) {
			var running, most int
			var called []string
			var mu sync.Mutex
			count := func(by int) {
				mu.Lock()
				defer mu.Unlock()
				running += by
				most = max(most, running)
			}
			err := scheduler.Walk(t.Context(), graph("a b c d e f g h"), func(_ context.Context, k string) error {
				count(1)
				defer count(-1)
				mu.Lock()
				called = append(called, k)
				mu.Unlock()
				sleep(time.Second)
				if k == "d" {
					return errOops
				}
				sleep(time.Millisecond)
				return nil
			}, &scheduler.GroupOptions[string]{Limit: limit})
			require.EqualError(t, err, "d: oops")
			require.Equal(t, limit, most)
			slices.Sort(called)
			last := map[int]string{1: "d", 2: "d", 3: "f"}[limit]
			require.Equal(t, last, called[len(called)-1])
		})
	}
}

// Whatever option asks or tells something when nodes start and end does so in a Walk, and
// a new option is thought of here.
func TestWalk_asks_the_functions_of_each_option(t *testing.T) {
	asked := map[string]int{}
	limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
	all := map[string]scheduler.GroupOptions[string]{
		"OnError": {OnError: func(string, error) scheduler.Disposition {
			asked["OnError"]++
			return scheduler.IgnoreError
		}},
		"GraceFor": {GraceFor: func(string) time.Duration {
			asked["GraceFor"]++
			return scheduler.NoLimit
		}},
		"Timeout": {Timeout: func(string) time.Duration {
			asked["Timeout"]++
			return time.Hour
		}},
		"When": {When: func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			asked["When"]++
			return scheduler.Start
		}},
		"Claims": {Claims: func(string) []scheduler.Claim {
			asked["Claims"]++
			return []scheduler.Claim{{Limiter: limiter, Weight: 1}}
		}},
		"Priority": {Limit: 1, Priority: func(string) int {
			asked["Priority"]++
			return 0
		}},
		"Estimate": {Limit: 1, Estimate: func(string) time.Duration {
			asked["Estimate"]++
			return 0
		}},
		"Completed": {Completed: func(string) bool {
			asked["Completed"]++
			return false
		}},
		"Context": {Context: func(ctx context.Context, _ string) context.Context {
			asked["Context"]++
			return ctx
		}},
		"Observer": {Observer: scheduler.ObserverFunc(func(scheduler.Record) { asked["Observer"]++ })},
	}
	for name, opts := range all {
		_ = scheduler.Walk(t.Context(), graph("fails a b:a"), func(_ context.Context, k string) error {
			if k == "fails" && (name == "OnError" || name == "GraceFor") { // which are asked then alone
				return errOops
			}
			return nil
		}, &opts)
		require.NotZero(t, asked[name], name)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[scheduler.GroupOptions[string]]()) {
		switch field.Name {
		case "Name", "Reverse", "AggregateErrors", "KeepOpen", "Limit", "Grace", "Budget", "SlowStep", "EndCalls", "Abandon", "RecoverPanics":
			require.Contains(t, []reflect.Kind{reflect.String, reflect.Bool, reflect.Int, reflect.Int64}, field.Type.Kind())
		default:
			require.Contains(t, all, field.Name, "does a Walk without a group know it?")
		}
	}
}

// A call that ends the context of the walk and returns nil is the last one, and the
// result says so even if there is no other.
func TestWalk_ended_by_its_own_call(t *testing.T) {
	for _, last := range []string{"a", "b", "c"} {
		for name, wrap := range map[string]func(ctx context.Context) context.Context{
			"a context of package context": func(ctx context.Context) context.Context { return ctx },
			"another":                      func(ctx context.Context) context.Context { return newOwnContext(ctx) },
		} {
			inBubble(t, last+", "+name, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				var called string
				err := scheduler.Walk(wrap(ctx), graph("a b:a c:b"), func(_ context.Context, k string) error {
					called += k // one after the other
					if k == last {
						cancel(errBoom)
					}
					return nil
				}, nil)
				require.Equal(t, errBoom, err)
				require.Equal(t, "abc"[:strings.Index("abc", last)+1], called)
			})
		}
	}
}

// What was to be begun is begun before a failure counts, whatever goroutines are on their
// way by then, and nothing else.
func TestWalk_of_a_call_that_fails_at_once(t *testing.T) {
	for range 100 {
		var called notebook
		err := scheduler.Walk(t.Context(), graph("a b c d"), func(ctx context.Context, k string) error {
			called.add("%s", k)
			if k == "a" {
				return errOops
			}
			<-ctx.Done()
			return nil
		}, &scheduler.GroupOptions[string]{Limit: 2})
		require.EqualError(t, err, "a: oops")
		require.Equal(t, "a; b", called.sorted())
	}
}

// Options that are not valid are refused before any call.
func TestWalk_refuses_options_before_any_call(t *testing.T) {
	ignore := func(string, error) scheduler.Disposition { return scheduler.IgnoreError }
	for option, opts := range map[string]scheduler.GroupOptions[string]{
		"Limit":           {Limit: -1},
		"Budget":          {Budget: -1},
		"SlowStep":        {SlowStep: -1},
		"Abandon":         {Abandon: -1},
		"Grace":           {Grace: -3},
		"AggregateErrors": {OnError: ignore, AggregateErrors: true},
	} {
		called := false
		err := scheduler.Walk(t.Context(), graph("a"), func(context.Context, string) error {
			called = true
			return nil
		}, &opts)
		var invalid *scheduler.OptionError
		require.ErrorAs(t, err, &invalid, option)
		require.Contains(t, invalid.Option, option)
		require.False(t, called, option)
	}
}

// The context of a step is one of its run, on whatever goroutine.
func TestWalk_in_the_context_of_a_step_on_another_goroutine(t *testing.T) {
	var of context.Context
	require.NoError(t, scheduler.Run(t.Context(), scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
		of = ctx
		return scheduler.Done, nil
	}), &scheduler.RunnerOptions{Name: "outer"}))
	for _, opts := range []*scheduler.GroupOptions[string]{nil, {Observer: scheduler.ObserverFunc(func(scheduler.Record) {})}} {
		err := scheduler.Walk(of, graph("a"), func(context.Context, string) error { return nil }, opts)
		var nested *scheduler.NestedRunError
		require.ErrorAs(t, err, &nested)
		require.Equal(t, "outer", nested.Outer)
	}
}

// A call in a call that holds something uses what that holds.
func TestWalk_in_a_call_that_claims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
		claims := &scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim {
			return []scheduler.Claim{{Limiter: limiter, Weight: 1}}
		}}
		walk := func(ctx context.Context, opts *scheduler.GroupOptions[string], then func(ctx context.Context) error) error {
			return scheduler.Walk(ctx, graph("a"), func(ctx context.Context, _ string) error { return then(ctx) }, opts)
		}
		require.NoError(t, walk(t.Context(), claims, func(ctx context.Context) error {
			return walk(ctx, nil, func(ctx context.Context) error {
				return walk(ctx, claims, func(context.Context) error { return nil })
			})
		}))
	})
}

// A clock that makes the calls makes those of a Walk.
func TestWalk_by_a_Caller(t *testing.T) {
	clock := newLastFirst()
	var called notebook
	require.NoError(t, scheduler.Walk(scheduler.WithClock(t.Context(), clock), graph("a b c"), func(_ context.Context, k string) error {
		called.add("%s", k)
		return nil
	}, nil))
	require.Equal(t, []string{"a", "b", "c"}, clock.paths)
	require.Equal(t, "a; b; c", called.sorted())
}
