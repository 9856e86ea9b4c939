package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
	"github.com/steptask/scheduler/otel"
	"github.com/steptask/scheduler/progress"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/timeline"
)

// TestWatched: a watched run and an unwatched one are the same run: they make the
// same calls, with the same results, at the same times. So it is with each
// watcher, and with all of them together.
func TestWatched(t *testing.T) {
	t.Parallel()
	runs := uint64(300)
	if testing.Short() {
		runs = 30
	}
	watchers := map[string]func(t *testing.T) scheduler.Observer{
		"log": func(*testing.T) scheduler.Observer {
			return scheduler.NewLogObserver(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug})))
		},
		"page": func(*testing.T) scheduler.Observer {
			return inspect.New(&inspect.Options{TraceURL: func(ctx context.Context) string {
				return "/" + trace.SpanContextFromContext(ctx).TraceID().String()
			}})
		},
		"otel": func(t *testing.T) scheduler.Observer {
			observer, err := otel.New(&otel.Options{
				TracerProvider: sdktrace.NewTracerProvider(),
				MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
			})
			require.NoError(t, err)
			return observer
		},
		"progress": func(*testing.T) scheduler.Observer { return progress.New(io.Discard, nil) },
		"timeline": func(*testing.T) scheduler.Observer { return timeline.NewRecorder() },
		"recorder": func(*testing.T) scheduler.Observer {
			return schedulertest.NewRecorder(schedulertest.NewClock(time.Time{}))
		},
	}
	names := []string{"otel", "page", "log", "progress", "timeline", "recorder"}
	all := func(t *testing.T) scheduler.Observer {
		var list []scheduler.Observer
		for _, name := range names {
			list = append(list, watchers[name](t))
		}
		return scheduler.Observers(list...)
	}
	require.Len(t, watchers, len(names))
	watchers["all"] = all
	for name, watch := range watchers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range runs {
				want := newRandomRun(seed, nil).record()
				require.NotEmpty(t, want)
				require.Equal(t, want, newRandomRun(seed, watch(t)).record(), "seed %d", seed)
			}
		})
	}
}

// randomRun is a run of random tasks in a group inside a group, which is ended in
// some random way.
type randomRun struct {
	rand   *rand.Rand
	clock  *schedulertest.Clock
	text   string
	group  *scheduler.DependencyTaskGroup[int]
	runner *scheduler.TaskRunner
	page   http.Handler // looks at it between two steps, if there is one
}

func newRandomRun(seed uint64, watch scheduler.Observer) *randomRun {
	r := &randomRun{rand: rand.New(rand.NewPCG(seed, 1)), clock: schedulertest.NewClock(time.Time{})}
	r.page, _ = watch.(http.Handler)
	r.group = r.inner()
	around := scheduler.NewDependencies[string]()
	around.Add("group")
	around.Add("beside")
	around.Add("after", "group")
	outer, err := scheduler.NewDependencyTaskGroup(around, func(k string) scheduler.Task {
		if k == "group" {
			return r.around(r.group)
		}
		return r.task(k)
	}, &scheduler.GroupOptions[string]{
		Observer: watch, Grace: r.seconds(3), AggregateErrors: r.one(2), SlowStep: time.Hour,
		Timeout: func(string) time.Duration { return 4 * time.Second },
	})
	if err != nil {
		panic(err)
	}
	r.runner = scheduler.NewTaskRunner(outer, &scheduler.RunnerOptions{
		Clock: r.clock, Grace: r.seconds(3), Timeout: time.Second + r.seconds(9),
	})
	return r
}

func (r *randomRun) one(of int) bool { return r.rand.IntN(of) == 0 }

func (r *randomRun) seconds(n int) time.Duration { return time.Duration(r.rand.IntN(n)) * time.Second }

// around puts something around a group, or nothing.
func (r *randomRun) around(group scheduler.Task) scheduler.Task {
	switch r.rand.IntN(5) {
	case 0:
		return scheduler.Sequence(group)
	case 1:
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(group) })
	case 2:
		return named{group}
	case 3:
		return scheduler.Finally(group, r.task("finally"))
	}
	return group
}

// named is a wrapper that only has a name.
type named struct{ scheduler.Task }

func (n named) Unwrap() scheduler.Task { return n.Task }

func (r *randomRun) inner() *scheduler.DependencyTaskGroup[int] {
	n := 2 + r.rand.IntN(8)
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
		for j := range i {
			if r.one(4) {
				deps.Add(i, j)
			}
		}
	}
	one := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 2})
	opts := &scheduler.GroupOptions[int]{
		Name: "inner", AggregateErrors: r.one(2), Reverse: r.one(3), Grace: r.seconds(4), Limit: r.rand.IntN(4),
		Completed: func(k int) bool { return k == 0 },
	}
	if r.one(3) {
		opts.Timeout = func(k int) time.Duration { return time.Duration(k+1) * 700 * time.Millisecond }
	}
	if r.one(3) {
		opts.Claims = func(k int) []scheduler.Claim { return []scheduler.Claim{{Limiter: one, Weight: 1 + k%2}} }
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task { return r.task(fmt.Sprint(k)) }, opts)
	if err != nil {
		panic(err)
	}
	return group
}

func (r *randomRun) task(name string) scheduler.Task {
	if r.one(4) {
		return scheduler.Retry(scheduler.BackOffFunc(func(attempt int, _ error) scheduler.Yield {
			if attempt > 2 {
				return scheduler.Done
			}
			return scheduler.After(r.seconds(2))
		}), func(int, error) scheduler.Task { return &randomTask{r: r, name: name, left: 1 + r.rand.IntN(6)} })
	}
	return &randomTask{r: r, name: name, left: 1 + r.rand.IntN(6)}
}

// record drives the run to its end and returns all that its tasks saw.
func (r *randomRun) record() string {
	ctx := context.Background()
	_ = r.runner.Start(ctx, 0)
	for i := 0; !r.runner.Done() && i < 1000; i++ {
		r.clock.Advance(100 * time.Millisecond)
		if r.page != nil && i%10 == 0 {
			r.page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost/run?id=1", nil))
		}
		switch r.rand.IntN(60) {
		case 0:
			r.runner.Interrupt(errors.New("interrupt"))
		case 1:
			r.runner.Stop(errors.New("stop"))
		case 2:
			r.group.Drain()
		case 3:
			_ = r.runner.Cancel()
		case 4:
			r.runner.Kill()
		}
		if !r.runner.Done() {
			y, err := r.runner.Step(ctx)
			r.text += fmt.Sprintln(y, err)
		}
	}
	for k, state := range r.group.All() {
		r.text += fmt.Sprintln(k, state, r.group.Err(k))
	}
	return r.text + fmt.Sprint(r.runner.Err())
}

// randomTask writes down how it is called.
type randomTask struct {
	r    *randomRun
	name string
	left int
	told bool
}

func (z *randomTask) says(what string) {
	z.r.text += fmt.Sprintln(z.r.clock.Now().UnixMilli(), z.name, what)
}

func (z *randomTask) Step(ctx context.Context) (scheduler.Yield, error) {
	z.says("step")
	scheduler.Note(ctx, fmt.Sprint(z.left, " left"))
	z.left--
	if z.told && z.left%2 == 0 {
		return scheduler.Yield{}, errors.New("told")
	}
	if z.left <= 0 {
		switch z.r.rand.IntN(60) {
		case 0, 1, 2, 3, 4, 5:
			return scheduler.Yield{}, errors.New("boom")
		case 6:
			return scheduler.Yield{}, scheduler.ErrSkip
		}
		return scheduler.Done, nil
	}
	switch z.r.rand.IntN(3) {
	case 0:
		return scheduler.Next, nil
	case 1:
		return scheduler.Rounds(2), nil
	}
	return scheduler.After(time.Duration(z.r.rand.IntN(3000)) * time.Millisecond), nil
}

func (z *randomTask) Close() error {
	z.says("close")
	if z.r.one(4) {
		return errors.New("close failed")
	}
	return nil
}

func (z *randomTask) Stop(_ context.Context, cause error) {
	z.told = true
	z.says("stop " + cause.Error())
}

func (z *randomTask) Throw(_ context.Context, err error) (scheduler.Yield, error) {
	z.says("throw " + err.Error())
	if z.r.one(2) {
		return scheduler.Next, nil
	}
	return scheduler.Yield{}, err
}
