package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// notebook is what calls write down.
type notebook struct {
	mu    sync.Mutex
	lines []string
}

func (j *notebook) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *notebook) sorted() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	slices.Sort(j.lines)
	return strings.Join(j.lines, "; ")
}

// The graces say how late a call may succeed.
func TestWalk_graces(t *testing.T) {
	graceFor := func(d time.Duration) func(string) time.Duration {
		return func(string) time.Duration { return d }
	}
	for name, tt := range map[string]struct {
		opts scheduler.GroupOptions[string]
		want scheduler.State
	}{
		"none":           {scheduler.GroupOptions[string]{}, scheduler.StateSucceeded},
		"short":          {scheduler.GroupOptions[string]{Grace: time.Second}, scheduler.StateCancelled},
		"long":           {scheduler.GroupOptions[string]{Grace: time.Hour}, scheduler.StateSucceeded},
		"short GraceFor": {scheduler.GroupOptions[string]{GraceFor: graceFor(time.Second)}, scheduler.StateCancelled},
		"long GraceFor":  {scheduler.GroupOptions[string]{GraceFor: graceFor(time.Hour)}, scheduler.StateSucceeded},
		"GraceFor of 0":  {scheduler.GroupOptions[string]{GraceFor: graceFor(0)}, scheduler.StateCancelled},
	} {
		inBubble(t, name, func(t *testing.T) {
			var got scheduler.State
			tt.opts.Observer = kindsFunc{scheduler.KindsOf(scheduler.NodeChanged), func(r scheduler.Record) {
				if r.Key() == "late" {
					got = r.To
				}
			}}
			err := scheduler.Walk(t.Context(), graph("fails late"), func(_ context.Context, k string) error {
				if k == "fails" {
					return errBoom
				}
				sleep(time.Minute)
				return nil
			}, &tt.opts)
			require.ErrorIs(t, err, errBoom)
			require.Equal(t, tt.want, got)
		})
	}
}

// The end of a context that comes when all is over is no matter.
func TestWalk_end_of_the_context_after_its_own(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := scheduler.Walk(ctx, graph("a b"), func(ctx context.Context, k string) error {
			if k == "a" {
				return errBoom
			}
			<-ctx.Done()
			return fmt.Errorf("b: %w", ctx.Err())
		}, &scheduler.GroupOptions[string]{
			Observer: kindsFunc{scheduler.KindsOf(scheduler.GroupEnded), func(scheduler.Record) { cancel() }},
		})
		require.EqualError(t, err, "a: boom")
	})
}

func TestWalk_order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, reverse := range []bool{false, true} {
			begin := time.Now()
			var j notebook
			require.NoError(t, scheduler.Walk(t.Context(), graph("a b:a c:a d:b,c e"), func(_ context.Context, k string) error {
				j.add("%v %s", time.Since(begin), k)
				sleep(time.Second)
				return nil
			}, &scheduler.GroupOptions[string]{Reverse: reverse}))
			want := "0s a; 0s e; 1s b; 1s c; 2s d"
			if reverse {
				want = "0s d; 0s e; 1s b; 1s c; 2s a"
			}
			require.Equal(t, want, j.sorted())
			require.Equal(t, 3*time.Second, time.Since(begin))
		}
	})
}

func TestWalk_first_failure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var j notebook
		var cause, err2 error
		err := scheduler.Walk(t.Context(), graph("fails deaf slow after:deaf last:fails"), func(ctx context.Context, k string) error {
			switch k {
			case "fails":
				sleep(time.Second)
				return errOops
			case "deaf":
				sleep(time.Minute)
			case "slow":
				<-ctx.Done()
				cause, err2 = context.Cause(ctx), ctx.Err()
				j.add("slow ended after %v", time.Since(begin))
				return fmt.Errorf("slow: %w", ctx.Err())
			}
			j.add("%s returned", k)
			return nil
		}, nil)
		require.EqualError(t, err, "fails: oops\nlate: deaf: call scheduler_test.TestWalk_first_failure.func1.1 returned 59s after its context had ended")
		e := asError[*scheduler.TaskError](t, err)
		require.Equal(t, "fails", e.Key)
		require.Equal(t, "deaf returned; slow ended after 1s", j.sorted(), "nothing new begins, and all is waited for")
		require.Equal(t, time.Minute, time.Since(begin))
		require.Equal(t, context.Canceled, err2)
		stop := asError[*scheduler.StopError](t, cause)
		require.Same(t, e, stop.Cause, "the failure itself is the cause")
	})
}

// A grace neither delays the end of a call's context nor ends the wait for the call.
// It says how late after a failure a success counts.
func TestWalk_grace(t *testing.T) {
	for grace, want := range map[time.Duration]scheduler.State{
		0:                 scheduler.StateSucceeded,
		2 * time.Minute:   scheduler.StateSucceeded,
		30 * time.Second:  scheduler.StateCancelled,
		scheduler.NoGrace: scheduler.StateCancelled,
		scheduler.NoLimit: scheduler.StateSucceeded,
		time.Minute - 1:   scheduler.StateCancelled,
		61 * time.Second:  scheduler.StateSucceeded,
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var noticed time.Duration
			fn := func(ctx context.Context, name string) error {
				if name == "fails" {
					sleep(time.Second)
					return errOops
				}
				<-ctx.Done()
				noticed = time.Since(start)
				sleep(time.Minute)
				return nil
			}
			var got scheduler.State
			observer := scheduler.ObserverFunc(func(r scheduler.Record) {
				if r.Key() == "late" && r.To.Ended() {
					got = r.To
				}
			})
			err := scheduler.Walk(t.Context(), graph("fails late"), fn,
				&scheduler.GroupOptions[string]{Grace: grace, Observer: observer})
			require.ErrorIs(t, err, errOops)
			require.Equal(t, time.Second, noticed, grace)
			require.Equal(t, 61*time.Second, time.Since(start), grace)
			require.Equal(t, want, got, grace)
		})
	}
}

// What a call fails with after the first failure is joined to it, however late it comes
// and whatever grace there is: it has failed, if it does not only say that it was ended.
func TestWalk_late_failures(t *testing.T) {
	type options = scheduler.GroupOptions[string]
	for name, opts := range map[string]options{
		"grace without end":        {},
		"within the grace":         {Grace: time.Minute},
		"after the grace":          {Grace: time.Second},
		"without grace":            {Grace: scheduler.NoGrace},
		"without grace, GraceFor":  {GraceFor: func(string) time.Duration { return 0 }},
		"after GraceFor":           {GraceFor: func(string) time.Duration { return time.Second }},
		"within one from GraceFor": {GraceFor: func(string) time.Duration { return time.Minute }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := map[any]scheduler.State{}
				opts.Observer = scheduler.ObserverFunc(func(r scheduler.Record) { got[r.Key()] = r.To })
				err := scheduler.Walk(t.Context(), graph("fails late slow"), func(ctx context.Context, k string) error {
					if k == "fails" {
						sleep(time.Second)
						return errOops
					}
					<-ctx.Done()
					sleep(10 * time.Second)
					if k == "late" {
						return errSpace
					}
					return fmt.Errorf("slow: %w", ctx.Err())
				}, &opts)
				var late *scheduler.LateError
				require.ErrorAs(t, err, &late)
				require.EqualError(t, late.Err, "fails: oops\nlate: no space")
				require.Equal(t, scheduler.StateFailed, got["late"])
				require.Equal(t, scheduler.StateCancelled, got["slow"])
			})
		})
	}
}

// The calls of a Walk inside a call hear of the failure outside, whose text the errors
// do not repeat.
func TestWalk_inside_another(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := func(ctx context.Context, k string) error {
			<-ctx.Done()
			return fmt.Errorf("pulling %s: %w", k, ctx.Err())
		}
		var hit error
		err := scheduler.Walk(t.Context(), graph("fails walks"), func(ctx context.Context, k string) error {
			if k == "fails" {
				sleep(time.Second)
				return errOops
			}
			return scheduler.Walk(ctx, graph("x y"), inner, nil)
		}, &scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(r scheduler.Record) {
			if r.Kind == scheduler.NodeChanged && r.To == scheduler.StateCancelled {
				hit = r.Err
			}
		})})
		require.EqualError(t, err, "fails: oops")
		require.EqualError(t, hit, "x: pulling x: context canceled\ny: pulling y: context canceled")
		require.ErrorIs(t, hit, errOops, "why it was ended")
		require.ErrorIs(t, hit, context.Canceled)

		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errOther) })
		err = scheduler.Walk(ctx, graph("a b"), func(ctx context.Context, _ string) error {
			return scheduler.Walk(ctx, graph("x"), inner, nil)
		}, nil)
		require.EqualError(t, err, "other\na: x: pulling x: context canceled\nb: x: pulling x: context canceled")
		require.ErrorIs(t, err, errOther)
	})
}

// A call that serves others is ended only after them, and not at the deadline.
func TestWalk_deadline_of_a_service(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var before, after bool
		var took time.Duration
		begin := time.Now()
		err := scheduler.Walk(ctx, graph("tunnel job:tunnel"), func(ctx context.Context, k string) error {
			if k == "job" {
				<-ctx.Done()
				sleep(time.Minute)
				return nil
			}
			_, before = ctx.Deadline()
			scheduler.Ready(ctx)
			_, after = ctx.Deadline()
			<-ctx.Done()
			took = time.Since(begin)
			return nil
		}, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, before)
		require.False(t, after)
		require.Equal(t, 2*time.Minute, took)
	})
}

func TestWalk_all_failures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := scheduler.Walk(t.Context(), graph("a b c:a d:b,c e"), func(ctx context.Context, k string) error {
			if k == "a" || k == "e" {
				return fmt.Errorf("no %s", k)
			}
			sleep(time.Second)
			return ctx.Err()
		}, &scheduler.GroupOptions[string]{AggregateErrors: true})
		all := asError[*scheduler.ExceptionGroup](t, err)
		require.Len(t, all.Errors, 2)
		require.ErrorContains(t, err, "a: no a")
		require.ErrorContains(t, err, "e: no e")
	})
}

// The result has each failure once, whatever OnError says.
func TestWalk_OnError(t *testing.T) {
	for want, stops := range map[string]bool{
		"3 tasks failed:\n- a: no a\n- b: no b\n- c: no c": false,
		"2 tasks failed:\n- a: no a\n- b: no b":            true,
	} {
		inBubble(t, fmt.Sprint(stops), func(t *testing.T) {
			err := scheduler.Walk(t.Context(), graph("a b c d:a"), func(ctx context.Context, k string) error {
				select {
				case <-time.After(time.Duration(k[0]-'a') * time.Second):
					return fmt.Errorf("no %s", k)
				case <-ctx.Done():
					return nil
				}
			}, &scheduler.GroupOptions[string]{OnError: func(k string, _ error) scheduler.Disposition {
				if stops && k == "b" {
					return scheduler.StopGroup
				}
				return scheduler.SkipDependents
			}})
			require.EqualError(t, err, want)
		})
	}
}

// A time limit that passes while a step of a walk takes long is kept, and so is the next.
func TestWalk_limits_of_nodes_beside_a_slow_Observer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ended := map[string]time.Duration{}
		var mu sync.Mutex
		err := scheduler.Walk(t.Context(), graph("quick a b"), func(ctx context.Context, k string) error {
			if k == "quick" {
				sleep(time.Second)
				return nil
			}
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			ended[k] = time.Since(begin).Truncate(time.Millisecond)
			return nil
		}, &scheduler.GroupOptions[string]{
			Timeout:         byKey(map[string]time.Duration{"a": 5 * time.Second, "b": 20 * time.Second}),
			AggregateErrors: true,
			Observer: scheduler.ObserverFunc(func(r scheduler.Record) {
				if r.Key() == "quick" && r.To == scheduler.StateSucceeded {
					sleep(9 * time.Second)
				}
			}),
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, map[string]time.Duration{"a": 10 * time.Second, "b": 20 * time.Second}, ended)
	})
}

// When the context ends the result says so, and which calls it hit.
func TestWalk_end_of_the_context(t *testing.T) {
	fn := func(ctx context.Context, k string) error {
		switch k {
		case "done":
			return nil
		case "late":
			<-ctx.Done()
			sleep(time.Second)
			return nil // it could complete what it had begun
		case "other":
			<-ctx.Done()
			return errOops
		}
		<-ctx.Done()
		return fmt.Errorf("pulling %s: %w", k, ctx.Err())
	}
	for name, tt := range map[string]struct {
		end  func(ctx context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		"deadline": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			}, context.DeadlineExceeded,
		},
		"cancelled": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			}, context.Canceled,
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			for _, aggregate := range []bool{false, true} {
				ctx, cancel := tt.end(t.Context())
				err := scheduler.Walk(ctx, graph("done late s0 s1:done s2 after:s0"), fn,
					&scheduler.GroupOptions[string]{AggregateErrors: aggregate})
				cancel()
				require.ErrorIs(t, err, tt.want)
				require.EqualError(t, err, strings.ReplaceAll("X\ns0: pulling s0: X\ns1: pulling s1: X\ns2: pulling s2: X", "X", tt.want.Error())+
					"\nlate: late: call scheduler_test.TestWalk_end_of_the_context.func1 returned 1s after its context had ended")
				require.ErrorAs(t, err, new(*scheduler.TaskError))

				ctx, cancel = tt.end(t.Context())
				err = scheduler.Walk(ctx, graph("other s0"), fn, &scheduler.GroupOptions[string]{AggregateErrors: aggregate})
				cancel()
				require.ErrorIs(t, err, tt.want)
				require.ErrorIs(t, err, errOops, "its own failure counts")
				require.ErrorContains(t, err, "s0: pulling s0: "+tt.want.Error())
				require.Equal(t, 1, strings.Count(err.Error(), "oops"))
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, scheduler.Walk(ended, graph("a"), func(context.Context, string) error { panic("called") }, nil))
}

func TestWalk_limits_of_nodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := scheduler.Walk(t.Context(), graph("a"), func(ctx context.Context, k string) error {
			<-ctx.Done()
			return fmt.Errorf("pulling %s: %w", k, ctx.Err())
		}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }})
		require.ErrorAs(t, err, new(*scheduler.Timeout))
		require.ErrorContains(t, err, "pulling a: context deadline exceeded")
		require.Equal(t, time.Minute+1, time.Since(begin))
	})
}

func TestWalk_panics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		p := panicOf(t, func() {
			_ = scheduler.Walk(t.Context(), graph("a b"), func(ctx context.Context, k string) error {
				if k == "a" {
					sleep(time.Second)
					panicForTest(errOops)
				}
				<-ctx.Done()
				sleep(time.Second)
				ended = true
				return nil
			}, nil)
		})
		require.ErrorIs(t, p.(error), errOops)
		require.True(t, ended)
	})
}

func TestWalk_refuses(t *testing.T) {
	nothing := func(context.Context, string) error { panic("called") }
	option := asError[*scheduler.OptionError](t, scheduler.Walk[string](t.Context(), graph("a"), nil, nil))
	require.EqualError(t, option, "scheduler: fn: nil function")
	require.ErrorAs(t, scheduler.Walk(t.Context(), nil, nothing, nil), &option)
	require.ErrorAs(t, scheduler.Walk(t.Context(), graph("a"), nothing, &scheduler.GroupOptions[string]{Limit: -1}), &option)
	require.ErrorIs(t, scheduler.Walk(t.Context(), graph("a:b b:a"), nothing, nil), scheduler.ErrCircularDependency)
	require.NoError(t, scheduler.Walk(t.Context(), graph(""), nothing, nil))
	err := scheduler.Run(t.Context(), scheduler.Func(func(ctx context.Context) error {
		return scheduler.Walk(ctx, graph("a"), nothing, nil)
	}), nil)
	require.ErrorAs(t, err, new(*scheduler.NestedRunError))
}

// A walk inside a call of another one ends with it, and its errors come through.
func TestWalk_inside_a_walk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := scheduler.Walk(t.Context(), graph("fails outer"), func(ctx context.Context, k string) error {
			if k == "fails" {
				sleep(time.Second)
				return errOops
			}
			err := scheduler.Walk(ctx, graph("x y"), func(ctx context.Context, k string) error {
				<-ctx.Done()
				return fmt.Errorf("inner %s: %w", k, ctx.Err())
			}, nil)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "x: inner x: context canceled")
			require.ErrorContains(t, err, "y: inner y: context canceled")
			return err
		}, nil)
		require.EqualError(t, err, "fails: oops")
	})
}

// Every shape of graph, with calls of all lengths, and nothing left of it.
func TestWalk_of_many(t *testing.T) {
	const n = 2000
	for _, requires := range []int{0, 1, 3} {
		deps := scheduler.NewDependencies[int]()
		for i := range n {
			deps.Add(i)
			for j := range min(requires, i) {
				deps.Add(i, max(i-1-j*j, 0))
			}
		}
		var mu sync.Mutex
		done := map[int]bool{}
		require.NoError(t, scheduler.Walk(t.Context(), deps, func(_ context.Context, k int) error {
			mu.Lock()
			defer mu.Unlock()
			for required := range deps.Requires(k) {
				if !done[required] {
					return fmt.Errorf("%d began before %d had ended", k, required)
				}
			}
			done[k] = true
			return nil
		}, nil))
		require.Equal(t, n, len(done)) //nolint:testifylint // Len would print all.
		goleak.VerifyNone(t)
	}
}

// The calls of a walk are made side by side: each waits for all others of its
// layer.
func TestWalk_side_by_side(t *testing.T) {
	const wide, deep = 50, 20
	deps := scheduler.NewDependencies[int]()
	for i := range wide * deep {
		deps.Add(i)
		for j := 0; i >= wide && j < wide; j++ {
			deps.Add(i, i/wide*wide-wide+j)
		}
	}
	begun := make([]sync.WaitGroup, deep)
	for i := range begun {
		begun[i].Add(wide)
	}
	require.NoError(t, scheduler.Walk(t.Context(), deps, func(_ context.Context, k int) error {
		begun[k/wide].Done()
		begun[k/wide].Wait()
		return nil
	}, nil))
}

func ExampleWalk() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("network")
	deps.Add("volume")

	create := func(_ context.Context, name string) error {
		if name == "volume" {
			return errors.New("quota exceeded")
		}
		return nil
	}
	err := scheduler.Walk(context.Background(), deps, create, nil)
	fmt.Println(err)
	// Output:
	// volume: quota exceeded
}

// A panic, and a Goexit, of a function of the options go up from Walk, whichever
// goroutine of the walk has called it; all calls are waited for.
func TestWalk_functions_that_do_not_return(t *testing.T) {
	for _, from := range []scheduler.State{scheduler.StatePending, scheduler.StateRunning} {
		for name, leave := range map[string]func(){
			"panic":  func() { panicForTest(errOops) },
			"Goexit": runtime.Goexit,
		} {
			inBubble(t, fmt.Sprint(name, " from ", from), func(t *testing.T) {
				ended, returned := false, false
				var got any
				walked := make(chan struct{})
				go func() {
					defer close(walked)
					defer func() { got = recover() }()
					_ = scheduler.Walk(t.Context(), graph("slow a b:a"), func(ctx context.Context, k string) error {
						if k == "slow" {
							<-ctx.Done()
							sleep(time.Second)
							ended = true
						}
						return nil
					}, &scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
						if tr.Key() == "b" && tr.From == from {
							leave()
						}
					})})
					returned = true
				}()
				<-walked
				require.False(t, returned)
				require.True(t, ended, "the call that was under way has ended")
				if name == "Goexit" {
					require.Nil(t, got)
					return
				}
				p := asError[*scheduler.PanicError](t, got.(error))
				require.Equal(t, errOops, p.Value)
				require.Contains(t, string(p.Stack), "panicForTest")
			})
		}
	}
}

// An Observer learns which calls a walk waits for.
func TestWalk_explained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		require.NoError(t, scheduler.Walk(t.Context(), graph("slow a b:a"), sleepsByName, &scheduler.GroupOptions[string]{
			Timeout: func(string) time.Duration { return time.Hour },
			Observer: kindsFunc{scheduler.KindsOf(scheduler.NodeChanged), func(r scheduler.Record) {
				if r.Key() == "b" && r.To == scheduler.StateSucceeded {
					for node := range r.Group().Keys() {
						got = append(got, r.Group().Explain(node))
					}
				}
			}},
		}))
		require.Equal(t, []string{
			"slow: running since round 1, waits: call scheduler_test.sleepsByName, until 2000-01-01T01:00:00Z",
			"a: succeeded since round 2",
			"b: succeeded since round 3",
		}, got)
	})
}

// sleepsByName takes long for "slow".
func sleepsByName(_ context.Context, name string) error {
	if sleep(time.Second); name == "slow" {
		sleep(time.Minute)
	}
	return nil
}

// Under a clock of the context a walk is driven as Run does.
func TestWalk_with_a_clock(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{})
	var seen time.Time
	require.NoError(t, scheduler.Walk(scheduler.WithClock(t.Context(), waitingClock{clock}), graph("a b:a"),
		func(ctx context.Context, _ string) error {
			seen = scheduler.Now(ctx)
			return nil
		}, nil))
	require.Equal(t, clock.Now(), seen)
}

// waitingClock waits for the calls.
type waitingClock struct{ scheduler.Clock }

func (c waitingClock) Wait(_ time.Time, wake <-chan struct{}) { <-wake }

// randomWalk is a walk of calls that do all kinds of things.
type randomWalk struct {
	deps    *scheduler.Dependencies[int]
	kinds   []int // by node
	limiter *scheduler.Limiter
	timeout time.Duration

	mu      sync.Mutex
	ended   map[int]bool
	broken  error // the first thing that should not be
	running atomic.Int64
}

func newRandomWalk(rnd *rand.Rand, limiter *scheduler.Limiter, panics bool) *randomWalk {
	w := &randomWalk{deps: scheduler.NewDependencies[int](), limiter: limiter, ended: map[int]bool{}}
	n := 1 + rnd.IntN(60)
	for k := range n {
		w.deps.Add(k)
		for range rnd.IntN(3) {
			if k > 0 {
				w.deps.Add(k, rnd.IntN(k))
			}
		}
		kind := rnd.IntN(5)
		if rnd.IntN(20) == 0 {
			kind = 5 + rnd.IntN(2)
		}
		if panics && rnd.IntN(20) == 0 {
			kind = 7
		}
		w.kinds = append(w.kinds, kind)
	}
	if rnd.IntN(3) == 0 {
		w.timeout = time.Duration(rnd.IntN(20)) * time.Second
	}
	return w
}

func (w *randomWalk) call(ctx context.Context, k int) error {
	w.running.Add(1)
	defer w.running.Add(-1)
	w.mu.Lock()
	for required := range w.deps.Requires(k) {
		if !w.ended[required] && w.broken == nil {
			w.broken = fmt.Errorf("%d began before %d had ended", k, required)
		}
	}
	w.mu.Unlock()
	err := w.behave(ctx, k)
	if err == nil {
		w.mu.Lock()
		w.ended[k] = true
		w.mu.Unlock()
	}
	return err
}

func (w *randomWalk) behave(ctx context.Context, k int) error {
	switch w.kinds[k] {
	case 1:
		runtime.Gosched()
	case 2:
		sleep(time.Duration(k) * time.Second)
	case 3: // one that knows its context
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %d: %w", k, ctx.Err())
		case <-time.After(time.Duration(k) * time.Second):
		}
	case 4:
		sleep(time.Duration(k%3) * time.Second)
	case 5:
		return errOops
	case 6:
		runtime.Goexit()
	case 7:
		panic(errOther)
	}
	return nil
}

// run makes the walk and checks what can be said of every one.
func (w *randomWalk) run(ctx context.Context, rnd *rand.Rand) (err error) {
	opts := &scheduler.GroupOptions[int]{
		AggregateErrors: rnd.IntN(2) == 0,
		Limit:           rnd.IntN(3) * rnd.IntN(4),
		Budget:          rnd.IntN(2) * rnd.IntN(4),
		Claims: func(k int) []scheduler.Claim {
			if k%4 == 0 {
				return []scheduler.Claim{{Limiter: w.limiter, Weight: 1}}
			}
			return nil
		},
	}
	if w.timeout > 0 {
		opts.Timeout = func(int) time.Duration { return w.timeout }
	}
	defer func() {
		if v := recover(); v != nil {
			p, ok := v.(*scheduler.PanicError)
			if !ok || !errors.Is(p, errOther) {
				panic(v)
			}
			err = p
		}
		switch {
		case w.running.Load() != 0:
			w.broken = errors.New("a call was left behind")
		case err == nil && len(w.ended) != len(w.kinds):
			w.broken = errors.New("not all calls were made")
		case err != nil && len(w.ended) == len(w.kinds) && w.timeout == 0 && ctx.Err() == nil:
			w.broken = fmt.Errorf("all calls have succeeded, but: %w", err)
		}
	}()
	return scheduler.Walk(ctx, w.deps, w.call, opts)
}

// Whatever calls do, and however the context ends, a walk comes to its end: nothing
// waits for a goroutine that nobody sends for. (A bubble panics if all wait.) Others
// use the same Limiter meanwhile.
func TestWalk_random(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 60
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(seed), 1))
			limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1 + rnd.IntN(2)})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if rnd.IntN(3) == 0 {
				time.AfterFunc(time.Duration(rnd.IntN(30))*time.Second, cancel)
			}
			var wg sync.WaitGroup
			for range 3 {
				w, own := newRandomWalk(rnd, limiter, seed%4 == 0), rand.New(rand.NewPCG(rnd.Uint64(), 2))
				wg.Go(func() {
					_ = w.run(ctx, own)
					if w.broken != nil {
						t.Errorf("seed %d: %v", seed, w.broken)
					}
				})
			}
			wg.Wait()
			require.Zero(t, limiter.InUse())
		})
	}
}
