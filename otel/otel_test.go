package otel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/otel"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
)

var errBoom = errors.New("boom")

type tasks = map[string]func() scheduler.Task

// site is a small graph: a server that requires a network and a volume, and its
// name.
func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("name", "server")
	return deps
}

// TestGroup_spans: who is whose parent, who links to whom, and all times.
func TestGroup_spans(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	group := r.group(site(), tasks{
		"network": takes(time.Second, nil),
		"volume":  takes(3*time.Second, nil),
		"server":  takes(2*time.Second, nil),
		"name":    takes(0, nil),
	}, &scheduler.GroupOptions[string]{Name: "site"})
	require.NoError(t, r.run(group, nil))
	require.Equal(t, `run 0s-5s
  site 0s-5s
    network 0s-1s succeeded
    volume 0s-3s succeeded
    server 3s-5s succeeded <- network volume
    name 5s-5s succeeded <- server
`, r.trace())

	spans := r.spans.GetSpans()
	require.Equal(t, "scheduler.node", spans[0].Name, "names are of low cardinality")
	require.Equal(t, "network", nameOf(spans[0]), "the first to end")
	require.Equal(t, "scheduler.group", spans[4].Name)
	require.Equal(t, "github.com/steptask/scheduler/otel", spans[0].InstrumentationScope.Name)
	require.NotEmpty(t, spans[0].InstrumentationScope.SchemaURL)
	attributes := map[string]string{}
	for _, a := range spans[0].Attributes {
		attributes[string(a.Key)] = a.Value.String()
	}
	require.Equal(t, map[string]string{
		"scheduler.group.name": "site", "scheduler.node.key": "network", "scheduler.node.path": "network",
		"scheduler.node.state": "succeeded", "scheduler.task": "work",
	}, attributes)
}

// TestGroup_spans_reverse: what is deleted links to what required it.
func TestGroup_spans_reverse(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	all := tasks{}
	for _, k := range []string{"network", "volume", "server", "name"} {
		all[k] = takes(time.Second, nil)
	}
	group := r.group(site(), all, &scheduler.GroupOptions[string]{
		Name: "site", Reverse: true, Completed: func(k string) bool { return k == "name" },
	})
	require.NoError(t, r.run(group, nil))
	require.Equal(t, `run 0s-2s
  site 0s-2s
    server 0s-1s succeeded
    network 1s-2s succeeded <- server
    volume 1s-2s succeeded <- server
`, sorted(r.trace()))
}

// sorted puts the nodes that began together into one order: which of them ends
// first is the graph's.
func sorted(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i := range lines[1:] {
		if a, b := lines[i], lines[i+1]; strings.HasPrefix(a, "    volume") && strings.HasPrefix(b, "    network") {
			lines[i], lines[i+1] = b, a
		}
	}
	return strings.Join(lines, "")
}

// TestGroup_inside: the spans of a group inside a group are below the node that
// runs it, and so is what an SDK makes of its calls.
func TestGroup_inside(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	call := func(ctx context.Context) error { // of an SDK
		_, span := r.tracer.Start(ctx, "POST", trace.WithTimestamp(scheduler.Now(ctx)))
		r.clock.Advance(250 * time.Millisecond)
		span.End(trace.WithTimestamp(scheduler.Now(ctx)))
		return nil
	}
	inner := scheduler.NewDependencies[string]()
	inner.Add("b", "a")
	group := r.group(site(), tasks{
		"network": func() scheduler.Task { return scheduler.Func(call) },
		"volume":  takes(0, nil),
		"server": func() scheduler.Task {
			group := r.group(inner, tasks{
				"a": takes(time.Second, nil), "b": func() scheduler.Task { return scheduler.Func(call) },
			}, &scheduler.GroupOptions[string]{Name: "parts"})
			return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), group)
		},
		"name": takes(0, nil),
	}, &scheduler.GroupOptions[string]{Name: "site"})
	require.NoError(t, r.run(group, nil))
	require.Equal(t, `run 0s-2.5s
  site 0s-2.5s
    network 0s-250ms succeeded
      POST 0s-250ms
    volume 250ms-250ms succeeded
    server 250ms-2.5s succeeded <- network volume
      parts 1.25s-2.5s
        a 1.25s-2.25s succeeded
        b 2.25s-2.5s succeeded <- a
          POST 2.25s-2.5s
    name 2.5s-2.5s succeeded <- server
`, r.trace())
	for _, s := range r.spans.GetSpans() {
		if nameOf(s) == "b" {
			require.Contains(t, values(s.Attributes), " server/b ", "the path")
		}
	}
}

// TestGroup_failure: the status of what failed, and what its failure does to the
// others.
func TestGroup_failure(t *testing.T) {
	t.Parallel()
	failing := func() (*scheduler.Dependencies[string], tasks) {
		deps := scheduler.NewDependencies[string]()
		for _, k := range []string{"bad", "quick", "slow"} {
			deps.Add(k)
		}
		deps.Add("after", "bad")
		return deps, tasks{
			"bad": takes(time.Second, errBoom), "quick": takes(2*time.Second, nil),
			"slow": takes(time.Hour, nil), "after": takes(0, nil),
		}
	}
	for name, c := range map[string]struct {
		opts scheduler.GroupOptions[string]
		want string
	}{
		"closed at once": {
			scheduler.GroupOptions[string]{},
			`run 0s-1s
  site 0s-1s *errors.errorString Error: bad: boom
    ! 1s scheduler.stop bad: boom
    ! 1s exception bad: boom
    bad 0s-1s failed *errors.errorString Error: boom
      ! 1s exception boom
    quick 0s-1s cancelled
      ! 1s scheduler.stop bad: boom
    slow 0s-1s cancelled
      ! 1s scheduler.stop bad: boom
`,
		},
		"grace": {
			scheduler.GroupOptions[string]{Grace: time.Minute},
			`run 0s-1m1.000000001s
  site 0s-1m1.000000001s *errors.errorString Error: bad: boom
    ! 1s scheduler.stop bad: boom
    ! 1m1.000000001s exception bad: boom
    bad 0s-1s failed *errors.errorString Error: boom
      ! 1s exception boom
    quick 0s-2s succeeded
      ! 1s scheduler.stop bad: boom
      ! 1s scheduler.grace 60
    slow 0s-1m1.000000001s cancelled
      ! 1s scheduler.stop bad: boom
      ! 1s scheduler.grace 60
`,
		},
		"a grace for each": {
			scheduler.GroupOptions[string]{
				GraceFor: func(k string) time.Duration { return map[string]time.Duration{"slow": time.Minute}[k] },
			},
			`run 0s-1m1.000000001s
  site 0s-1m1.000000001s *errors.errorString Error: bad: boom
    ! 1s scheduler.stop bad: boom
    ! 1m1.000000001s exception bad: boom
    bad 0s-1s failed *errors.errorString Error: boom
      ! 1s exception boom
    quick 0s-1s cancelled
      ! 1s scheduler.stop bad: boom
    slow 0s-1m1.000000001s cancelled
      ! 1s scheduler.stop bad: boom
      ! 1s scheduler.grace 60
`,
		},
		"go on": {
			scheduler.GroupOptions[string]{AggregateErrors: true},
			`run 0s-1h0m0s
  site 0s-1h0m0s *errors.errorString Error: 1 task failed: bad: boom
    ! 1h0m0s exception 1 task failed: bad: boom
    bad 0s-1s failed *errors.errorString Error: boom
      ! 1s exception boom
    quick 0s-2s succeeded
    slow 0s-1h0m0s succeeded
`,
		},
		"ignore": {
			scheduler.GroupOptions[string]{OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError }},
			`run 0s-1h0m0s
  site 0s-1h0m0s
    bad 0s-1s failed *errors.errorString Error: boom
      ! 1s exception boom
    quick 0s-2s succeeded
    slow 0s-1h0m0s succeeded
    after 1s-1s succeeded <- bad
`,
		},
		"stop on error": {
			scheduler.GroupOptions[string]{OnError: func(string, error) scheduler.Disposition { return scheduler.StopGroup }},
			`run 0s-1s
  site 0s-1s *errors.errorString Error: 1 task failed: bad: boom
    ! 1s scheduler.stop bad: boom
    ! 1s exception 1 task failed: bad: boom
    bad 0s-1s failed *errors.errorString Error: boom
      ! 1s exception boom
    quick 0s-1s cancelled
      ! 1s scheduler.stop bad: boom
    slow 0s-1s cancelled
      ! 1s scheduler.stop bad: boom
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecord(t)
			c.opts.Name = "site"
			deps, all := failing()
			_ = r.run(r.group(deps, all, &c.opts), nil) // the trace has it
			require.Equal(t, c.want, r.trace())
		})
	}
}

// TestGroup_ends has the other ways to end.
func TestGroup_ends(t *testing.T) {
	t.Parallel()
	two := func() *scheduler.Dependencies[string] {
		deps := scheduler.NewDependencies[string]()
		deps.Add("b", "a")
		return deps
	}
	for name, c := range map[string]struct {
		opts scheduler.GroupOptions[string]
		a    func() scheduler.Task
		test func(d *schedulertest.Driver, group *scheduler.DependencyTaskGroup[string])
		want string
	}{
		"time limit of a node": {
			opts: scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }},
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) { _ = d.RunToEnd() },
			want: `site 0s-1.000000001s *scheduler.Timeout Error: a: timed out after 1s
  ! 1.000000001s scheduler.stop a: timed out after 1s
  ! 1.000000001s exception a: timed out after 1s
  a 0s-1.000000001s timed out *scheduler.Timeout Error: a: timed out after 1s
    ! 1.000000001s exception a: timed out after 1s
`,
		},
		"no time at all": {
			opts: scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return -1 }},
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) { _ = d.RunToEnd() },
			want: `site 0s-0s *scheduler.Timeout Error: a: timed out before it started
  ! 0s scheduler.stop a: timed out before it started
  ! 0s exception a: timed out before it started
  a 0s-0s timed out *scheduler.Timeout Error: a: timed out before it started
    ! 0s exception a: timed out before it started
`,
		},
		"impossible claim": {
			opts: scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim {
				return []scheduler.Claim{{Limiter: scheduler.NewLimiter(scheduler.LimiterOptions{Name: "cpu", Capacity: 1}), Weight: 2}}
			}},
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) { _ = d.RunToEnd() },
			want: `site 0s-0s *scheduler.OptionError Error: a: scheduler: GroupOptions.Claims: weight 2 of cpu exceeds its capacity 1
  ! 0s scheduler.stop a: scheduler: GroupOptions.Claims: weight 2 of cpu exceeds its capacity 1
  ! 0s exception a: scheduler: GroupOptions.Claims: weight 2 of cpu exceeds its capacity 1
  a 0s-0s failed *scheduler.OptionError Error: scheduler: GroupOptions.Claims: weight 2 of cpu exceeds its capacity 1
    ! 0s exception scheduler: GroupOptions.Claims: weight 2 of cpu exceeds its capacity 1
`,
		},
		"stopped run": {
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				d.Clock.Advance(time.Minute)
				d.Runner.Stop(errBoom)
				_ = d.RunToEnd()
			},
			want: `site 0s-1m2.000000001s
  ! 1m0s scheduler.stop boom
  ! 1m2.000000001s scheduler.close
  a 0s-1m2.000000001s cancelled
    ! 1m0s scheduler.stop boom
`,
		},
		"interrupt": {
			opts: scheduler.GroupOptions[string]{Grace: time.Second},
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				d.Clock.Advance(time.Minute)
				d.Runner.Interrupt(errBoom)
				_ = d.RunToEnd()
			},
			want: `site 0s-1m1.000000001s *errors.errorString Error: boom
  ! 1m0s scheduler.stop boom
  ! 1m1.000000001s exception boom
  a 0s-1m1.000000001s cancelled
    ! 1m0s scheduler.stop boom
    ! 1m0s scheduler.grace 1
`,
		},
		"close": {
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				d.Clock.Advance(time.Minute)
				_ = d.Runner.Cancel()
			},
			want: `site 0s-1m0s
  ! 1m0s scheduler.close
  a 0s-1m0s cancelled
`,
		},
		"drain": {
			test: func(d *schedulertest.Driver, group *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				group.Drain()
				require.ErrorIs(t, d.RunToEnd(), scheduler.ErrDrained)
			},
			want: `site 0s-1h0m0s
  ! 0s scheduler.drain
  a 0s-1h0m0s succeeded
`,
		},
		"panic": {
			a: func() scheduler.Task { return scheduler.Func(func(context.Context) error { panic(errBoom) }) },
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				requirePanic(t, func() { d.Step() })
			},
			want: `site 0s-0s *errors.errorString Error: scheduler: task panicked or ended its goroutine
  ! 0s scheduler.stop scheduler: task panicked or ended its goroutine
  ! 0s exception scheduler: task panicked or ended its goroutine
  a 0s-0s failed *errors.errorString Error: scheduler: task panicked or ended its goroutine
    ! 0s exception scheduler: task panicked or ended its goroutine
`,
		},
		"close of a task fails": {
			a: func() scheduler.Task { return failsToClose{} },
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				_ = d.Runner.Cancel()
			},
			want: `site 0s-0s
  ! 0s scheduler.close
  a 0s-0s cancelled
    ! 0s exception boom
`,
		},
		"asked to be skipped": {
			a:    func() scheduler.Task { return scheduler.Func(func(context.Context) error { return scheduler.ErrSkip }) },
			test: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) { _ = d.RunToEnd() },
			want: `site 0s-0s
  a 0s-0s skipped
    ! 0s exception scheduler: skip
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecord(t)
			c.opts.Name = "site"
			if c.a == nil {
				c.a = takes(time.Hour, nil)
			}
			group := r.group(two(), tasks{"a": c.a, "b": takes(time.Hour, nil)}, &c.opts)
			d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: r.clock, Grace: 2 * time.Second})
			c.test(d, group)
			require.Equal(t, c.want, r.trace())
			for _, line := range r.metric("scheduler.node.count") {
				require.Regexp(t, "^0 ", line, "nothing is left")
			}
		})
	}
}

// requirePanic calls f, which must panic with errBoom, said of a node or not.
func requirePanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		v := recover()
		if p, ok := v.(*scheduler.PanicError); ok {
			v = p.Value
		}
		require.Equal(t, errBoom, v)
	}()
	f()
}

type failsToClose struct{}

func (failsToClose) Step(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil }
func (failsToClose) Close() error                                  { return errBoom }

// TestGroup_ends_by_its_time_limit: that of the runner is thrown into the group.
func TestGroup_ends_by_its_time_limit(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	group := r.group(deps, tasks{"a": takes(time.Hour, nil)},
		&scheduler.GroupOptions[string]{Name: "site", Grace: time.Minute})
	require.Error(t, r.run(group, &scheduler.RunnerOptions{Timeout: time.Second}))
	require.Equal(t, `run 0s-1.000000001s
  site 0s-1.000000001s *scheduler.Timeout Error: site: timed out after 1s
    ! 1.000000001s scheduler.stop site: timed out after 1s
    ! 1.000000001s exception site: timed out after 1s
    a 0s-1.000000001s cancelled
      ! 1.000000001s scheduler.stop site: timed out after 1s
`, r.trace())
}

// TestGroup_Stop tells of the notice also those that start after it.
func TestGroup_Stop(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	inner := scheduler.NewDependencies[string]()
	inner.Add("second", "first")
	group := r.group(inner, tasks{"first": takes(time.Second, nil), "second": takes(time.Second, nil)},
		&scheduler.GroupOptions[string]{Name: "site"})
	d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: r.clock})
	d.Step()
	group.Stop(t.Context(), errBoom) // and not the whole run: the group goes on
	require.NoError(t, d.RunToEnd())
	require.Equal(t, `site 0s-2s
  ! 0s scheduler.stop boom
  first 0s-1s succeeded
    ! 0s scheduler.stop boom
  second 1s-2s succeeded <- first
    ! 1s scheduler.stop boom
`, r.trace())
}

// TestGroup_before_and_after: a group that does not run has no span.
func TestGroup_before_and_after(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	empty := func() *scheduler.DependencyTaskGroup[string] {
		return r.group(scheduler.NewDependencies[string](), nil, nil)
	}
	group := empty()
	group.Stop(t.Context(), errBoom)
	_, err := group.Throw(t.Context(), errBoom)
	require.ErrorIs(t, err, errBoom)
	_, err = group.Step(t.Context())
	require.ErrorIs(t, err, scheduler.ErrEnded)

	group = empty()
	group.Drain()
	require.NoError(t, group.Close())
	require.Empty(t, r.trace())

	group = empty()
	require.NoError(t, r.run(group, nil))
	_, err = group.Step(t.Context())
	require.ErrorIs(t, err, scheduler.ErrEnded)
	require.NoError(t, group.Close())
	require.Equal(t, "run 0s-0s\n  DependencyTaskGroup 0s-0s\n", r.trace(), "once")
}

// TestGroup_drained_beforehand tells that it was.
func TestGroup_drained_beforehand(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	group := r.group(site(), nil, &scheduler.GroupOptions[string]{Name: "site"})
	group.Drain()
	require.ErrorIs(t, r.run(group, nil), scheduler.ErrDrained)
	require.Equal(t, "run 0s-0s\n  site 0s-0s\n    ! 0s scheduler.drain\n", r.trace())
	require.Equal(t, []string{"0 site pending"}, r.metric("scheduler.node.count"))
}

// TestNew_error is that of the MeterProvider.
func TestNew_error(t *testing.T) {
	t.Parallel()
	o, err := otel.New(&otel.Options{MeterProvider: brokenMeters{}})
	require.ErrorIs(t, err, errBoom)
	require.Nil(t, o)
}

// brokenMeters make no histograms.
type brokenMeters struct{ noop.MeterProvider }

func (brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

type brokenMeter struct{ noop.Meter }

func (brokenMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errBoom
}

// TestGroup_retries: which attempts have failed, when, and with what.
func TestGroup_retries(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	group := r.group(deps, tasks{"a": func() scheduler.Task {
		return scheduler.Retry(every(10*time.Second), func(attempt int, _ error) scheduler.Task {
			if attempt == 4 {
				return nil
			}
			return takes(time.Second, errors.New([]string{"one", "two", "three"}[attempt-1]))()
		})
	}}, &scheduler.GroupOptions[string]{Name: "site"})
	require.Error(t, r.run(group, nil))
	require.Equal(t, `run 0s-33s
  site 0s-33s *errors.errorString Error: a: three
    ! 33s scheduler.stop a: three
    ! 33s exception a: three
    a 0s-33s failed *errors.errorString Error: three
      ! 1s scheduler.retry 2 one
      ! 12s scheduler.retry 3 two
      ! 23s scheduler.retry 4 three
      ! 33s exception three
`, r.trace())
}

// TestGroup_notes: what a node says of itself.
func TestGroup_notes(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	group := r.group(deps, tasks{"a": func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Note("building")
			err := co.Yield(scheduler.After(time.Second))
			co.Note("attaching")
			return err
		})
	}}, &scheduler.GroupOptions[string]{Name: "site"})
	require.NoError(t, r.run(group, nil))
	require.Equal(t, `run 0s-1s
  site 0s-1s
    a 0s-1s succeeded
      ! 0s scheduler.note building
      ! 1s scheduler.note attaching
`, r.trace())
}

// TestGroup_clock_that_panics: it is not asked again, and the spans end.
func TestGroup_clock_that_panics(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	clock := &sickClock{Clock: r.clock}
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	group := r.group(deps, tasks{"a": func() scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			clock.sick = true
			return scheduler.After(time.Second), nil
		})
	}}, &scheduler.GroupOptions[string]{Name: "site", Limit: 1})
	require.Panics(t, func() {
		_ = scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock})
	})
	require.Equal(t, 1, clock.panics)
	require.Len(t, r.spans.GetSpans(), 2)
}

// sickClock is a clock that panics from some time on.
type sickClock struct {
	scheduler.Clock
	sick   bool
	panics int
}

func (c *sickClock) Now() time.Time {
	if c.sick {
		c.panics++
		panic("the clock is sick")
	}
	return c.Clock.Now()
}

type every time.Duration

func (e every) NextBackOff() time.Duration { return time.Duration(e) }

// TestGroup_metrics: in the middle of a run, and at its end.
func TestGroup_metrics(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	group := r.group(site(), tasks{
		"network": takes(time.Second, nil),
		"volume": func() scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.After(3 * time.Second)); err != nil {
					return err
				}
				r.clock.Advance(500 * time.Millisecond) // a step that takes long
				return nil
			})
		},
		"server": takes(2*time.Second, errBoom),
	}, &scheduler.GroupOptions[string]{Name: "site", AggregateErrors: true})
	d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: r.clock})
	d.Step()
	require.Equal(t, []string{"2 site pending", "2 site running"}, r.metric("scheduler.node.count"))
	require.Empty(t, r.metric("scheduler.node.ended"))

	r.clock.Advance(1250 * time.Millisecond) // a quarter of a second more than asked for
	d.Step()
	require.Equal(t, []string{"1 site running", "2 site pending"}, r.metric("scheduler.node.count"))
	require.Equal(t, []string{"1, 0.25s site"}, r.metric("scheduler.round.lateness"))

	require.Error(t, d.RunToEnd())
	require.Equal(t, []string{"0 site pending", "0 site running"}, r.metric("scheduler.node.count"))
	require.Equal(t, []string{"1 *errors.errorString site failed", "1 site skipped", "2 site succeeded"},
		r.metric("scheduler.node.ended"))
	require.Equal(t, []string{"1, 2s *errors.errorString site failed", "2, 4.75s site succeeded"},
		r.metric("scheduler.node.duration"))
	require.Equal(t, []string{"6, 0.5s site"}, r.metric("scheduler.step.duration"))
	require.Equal(t, []string{"3, 0.25s site"}, r.metric("scheduler.round.lateness"))
}

// TestGroup_composes: what the options had is asked and told as ever.
func TestGroup_composes(t *testing.T) {
	t.Parallel()
	type key struct{}
	r := newRecord(t)
	watcher := &slowSteps{}
	group := r.group(site(), tasks{
		"network": func() scheduler.Task {
			return scheduler.Func(func(ctx context.Context) error {
				require.Equal(t, "value of network", ctx.Value(key{}))
				r.clock.Advance(time.Second)
				return nil
			})
		},
		"volume": func() scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				r.clock.Advance(time.Millisecond)
				return nil
			})
		},
		"server": takes(0, nil), "name": takes(0, nil),
	}, &scheduler.GroupOptions[string]{
		Observer: watcher, SlowStep: 10 * time.Millisecond,
		Context: func(ctx context.Context, k string) context.Context {
			require.True(t, trace.SpanFromContext(ctx).SpanContext().IsValid(), "the node's span is in it")
			return context.WithValue(ctx, key{}, "value of "+k)
		},
	})
	require.NoError(t, r.run(group, nil))
	require.Equal(t, 8, watcher.transitions)
	require.Equal(t, []string{"network 1s"}, watcher.steps)
	require.Equal(t, []string{"6, 1.001s DependencyTaskGroup"}, r.metric("scheduler.step.duration"))
}

type slowSteps struct {
	transitions int
	steps       []string
}

func (s *slowSteps) Observe(r scheduler.Record) {
	switch r.Kind {
	case scheduler.NodeChanged:
		s.transitions++
	case scheduler.SlowStep:
		s.steps = append(s.steps, fmt.Sprint(r.Path(), " ", r.Took()))
	default:
	}
}

// TestGroup_found: groups inside have spans though nothing of otel is in their
// options: in a coroutine, and behind a runner.
func TestGroup_found(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	one := func(key, name string, task func() scheduler.Task, o scheduler.Observer) scheduler.Task {
		deps := scheduler.NewDependencies[string]()
		deps.Add(key)
		group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return task() },
			&scheduler.GroupOptions[string]{Name: name, Observer: o})
		require.NoError(t, err)
		return group
	}
	call := func() scheduler.Task {
		return scheduler.Func(func(ctx context.Context) error {
			_, span := r.tracer.Start(ctx, "POST", trace.WithTimestamp(scheduler.Now(ctx)))
			span.End(trace.WithTimestamp(scheduler.Now(ctx)))
			return nil
		})
	}
	third := func() scheduler.Task { return one("z", "third", call, r.observer) } // which is told once
	second := func() scheduler.Task {
		return one("y", "second", func() scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.After(time.Second)); err != nil {
					return err
				}
				return co.Await(scheduler.NewTaskRunner(third(), nil).AsTask(0))
			})
		}, nil)
	}
	require.NoError(t, r.run(one("x", "first", second, r.observer), nil))
	require.Equal(t, `run 0s-1s
  first 0s-1s
    x 0s-1s succeeded
      second 0s-1s
        y 0s-1s succeeded
          third 1s-1s
            z 1s-1s succeeded
              POST 1s-1s
`, r.trace())
	for _, s := range r.spans.GetSpans() {
		if nameOf(s) == "third" {
			require.Contains(t, values(s.Attributes), " x/y", "the path of a group")
		}
	}
	require.Equal(t, []string{"1 first succeeded", "1 second succeeded", "1 third succeeded"}, r.metric("scheduler.node.ended"))
}

// TestObserver_shared by groups that run side by side: no spans mix.
func TestObserver_shared(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	deps := scheduler.NewDependencies[string]()
	deps.Add("b", "a")
	var drivers []*schedulertest.Driver
	for _, name := range []string{"one", "two"} {
		group := r.group(deps, tasks{"a": takes(time.Second, nil), "b": takes(time.Second, nil)},
			&scheduler.GroupOptions[string]{Name: name})
		drivers = append(drivers, schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: r.clock}))
	}
	for range 2 {
		for _, d := range drivers {
			d.Step()
		}
		r.clock.Advance(time.Second)
	}
	for _, d := range drivers {
		require.NoError(t, d.RunToEnd())
	}
	require.Equal(t, `one 0s-2s
  a 0s-1s succeeded
  b 1s-2s succeeded <- a
two 0s-2s
  a 0s-1s succeeded
  b 1s-2s succeeded <- a
`, r.trace())
}

// TestGroup_Close_tells_all_calls_first: also those in groups inside, so that
// they end side by side. If one were waited for before the other is told, the
// bubble would find that it waits for ever.
func TestGroup_Close_tells_all_calls_first(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecord(t)
		var told sync.WaitGroup
		told.Add(2)
		call := func() scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				told.Done()
				told.Wait()
				return nil
			})
		}
		one := scheduler.NewDependencies[string]()
		one.Add("call")
		two := scheduler.NewDependencies[string]()
		two.Add("a")
		two.Add("b")
		group := func() scheduler.Task { return r.group(one, tasks{"call": call}, nil) }
		d := schedulertest.NewDriver(t, r.group(two, tasks{"a": group, "b": group}, nil), nil)
		d.Step()
		require.NoError(t, d.Runner.Cancel())
	})
}

// TestGroup_notice_and_failure: a grace that comes after the notice is told too,
// once.
func TestGroup_notice_and_failure(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	deps := scheduler.NewDependencies[string]()
	for _, k := range []string{"bad", "worse", "slow"} {
		deps.Add(k)
	}
	group := r.group(deps, tasks{
		"bad": takes(2*time.Second, errBoom), "worse": takes(3*time.Second, errBoom), "slow": takes(time.Hour, nil),
	}, &scheduler.GroupOptions[string]{Name: "site", Grace: 10 * time.Second})
	d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: r.clock})
	d.Step()
	group.Stop(t.Context(), errors.New("enough"))
	require.ErrorIs(t, d.RunToEnd(), errBoom)
	require.Equal(t, `site 0s-12.000000001s *errors.errorString Error: bad: boom
  ! 0s scheduler.stop enough
  ! 12.000000001s exception bad: boom
  bad 0s-2s failed *errors.errorString Error: boom
    ! 0s scheduler.stop enough
    ! 2s exception boom
  worse 0s-3s failed *errors.errorString Error: boom
    ! 0s scheduler.stop enough
    ! 2s scheduler.grace 10
    ! 3s exception boom
  slow 0s-12.000000001s cancelled
    ! 0s scheduler.stop enough
    ! 2s scheduler.grace 10
`, r.trace())
}

// TestGroup_later_failure: a further failure asks for each grace again, and one
// that does not come earlier changes nothing.
func TestGroup_later_failure(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	deps := scheduler.NewDependencies[string]()
	for _, k := range []string{"bad", "worse", "slow", "slower"} {
		deps.Add(k)
	}
	waits := map[string][]time.Duration{
		"worse": {time.Minute}, "slow": {time.Minute, time.Minute}, "slower": {time.Minute, time.Second},
	}
	group := r.group(deps, tasks{
		"bad": takes(2*time.Second, errBoom), "worse": takes(3*time.Second, errBoom),
		"slow": takes(10*time.Second, nil), "slower": takes(time.Hour, nil),
	}, &scheduler.GroupOptions[string]{Name: "site", GraceFor: func(k string) time.Duration {
		wait := waits[k][0]
		waits[k] = waits[k][1:]
		return wait
	}})
	require.ErrorIs(t, r.run(group, nil), errBoom)
	require.Equal(t, `run 0s-10s
  site 0s-10s *errors.errorString Error: bad: boom
    ! 2s scheduler.stop bad: boom
    ! 10s exception bad: boom
    bad 0s-2s failed *errors.errorString Error: boom
      ! 2s exception boom
    worse 0s-3s failed *errors.errorString Error: boom
      ! 2s scheduler.stop bad: boom
      ! 2s scheduler.grace 60
      ! 3s exception boom
    slower 0s-4.000000001s cancelled
      ! 2s scheduler.stop bad: boom
      ! 2s scheduler.grace 60
      ! 3s scheduler.grace 1
    slow 0s-10s succeeded
      ! 2s scheduler.stop bad: boom
      ! 2s scheduler.grace 60
`, r.trace())
}

// asking notes what an Observer is told by.
type asking struct {
	*otel.Observer
	told scheduler.Observer
}

func (a *asking) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	a.told = a.Observer.ObserveGroup(begun)
	return a.told
}

// TestObserver_without_a_provider: a group costs nothing if nobody wants its
// traces and metrics, and what is in the context stays in it.
func TestObserver_without_a_provider(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts   *otel.Options
		told   bool
		traced bool // nodes have spans of their own in the context
	}{
		"global ones":    {nil, false, false},
		"no-op ones":     {&otel.Options{TracerProvider: nooptrace.NewTracerProvider(), MeterProvider: noop.NewMeterProvider()}, false, false},
		"metrics only":   {&otel.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))}, true, false},
		"traces only":    {&otel.Options{TracerProvider: sdktrace.NewTracerProvider()}, true, true},
		"traces of none": {&otel.Options{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := otel.New(c.opts)
			require.NoError(t, err)
			ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true,
			}))
			a := &asking{Observer: o}
			group, err := scheduler.NewDependencyTaskGroup(site(), func(string) scheduler.Task {
				return scheduler.Func(func(ctx context.Context) error {
					span := trace.SpanContextFromContext(ctx)
					require.Equal(t, trace.TraceID{1}, span.TraceID())
					require.Equal(t, c.traced, span.SpanID() != trace.SpanID{2})
					return nil
				})
			}, &scheduler.GroupOptions[string]{Observer: a})
			require.NoError(t, err)
			clock := schedulertest.NewClock(time.Time{}).Alone()
			require.NoError(t, scheduler.Run(ctx, group, &scheduler.RunnerOptions{Clock: clock}))
			require.Equal(t, 4, group.Count(scheduler.StateSucceeded))
			require.Equal(t, c.told, a.told != nil)
		})
	}
}

// TestObserver_wants the times of steps and rounds only for who measures them.
func TestObserver_wants(t *testing.T) {
	t.Parallel()
	for _, dropped := range []string{"scheduler.step.duration", "scheduler.round.lateness"} {
		view := sdkmetric.NewView(sdkmetric.Instrument{Name: dropped}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})
		o, err := otel.New(&otel.Options{MeterProvider: sdkmetric.NewMeterProvider(
			sdkmetric.WithReader(sdkmetric.NewManualReader()), sdkmetric.WithView(view))})
		require.NoError(t, err)
		a := &asking{Observer: o}
		group, err := scheduler.NewDependencyTaskGroup(site(), func(string) scheduler.Task { return takes(0, nil)() },
			&scheduler.GroupOptions[string]{Observer: a})
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), group, nil))
		wanted := a.told.(scheduler.SelectiveObserver).Wants()
		require.Equal(t, dropped != "scheduler.step.duration", wanted.Has(scheduler.NodeStepped))
		require.Equal(t, dropped != "scheduler.round.lateness", wanted.Has(scheduler.RoundBegun))
	}
}

// uncomparable is a context that == panics for.
type uncomparable struct {
	context.Context
	_ []int
}

// TestGroup_Step_takes_any_context, also one that cannot be compared.
func TestGroup_Step_takes_any_context(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	group := r.group(site(), tasks{
		"network": takes(0, nil), "volume": takes(0, nil), "server": takes(0, nil), "name": takes(0, nil),
	}, nil)
	ctx := scheduler.WithClock(t.Context(), r.clock)
	for y := (scheduler.Yield{}); y != scheduler.Done; {
		var err error
		y, err = group.Step(uncomparable{Context: ctx})
		require.NoError(t, err)
	}
	require.Equal(t, 4, group.Count(scheduler.StateSucceeded))
}

// TestGroup_ends_by_a_panic of what is no task: no span stays open.
func TestGroup_ends_by_a_panic(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts scheduler.GroupOptions[string]
		task func() scheduler.Task
		test func(d *schedulertest.Driver, group *scheduler.DependencyTaskGroup[string])
		want string
	}{
		"of the Observer": {
			scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(scheduler.Record) { panic(errBoom) })},
			takes(time.Second, nil),
			func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) { d.Step() },
			`site 0s-0s *errors.errorString Error: scheduler: task panicked or ended its goroutine
  ! 0s exception scheduler: task panicked or ended its goroutine
  a 0s-0s failed *errors.errorString Error: scheduler: task panicked or ended its goroutine
    ! 0s exception scheduler: task panicked or ended its goroutine
`,
		},
		"of a Stopper": {
			scheduler.GroupOptions[string]{},
			func() scheduler.Task { return panicsWhenStopped{} },
			func(d *schedulertest.Driver, group *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				group.Stop(t.Context(), errBoom)
			},
			`site 0s-0s *errors.errorString Error: scheduler: task panicked or ended its goroutine
  ! 0s scheduler.stop boom
  ! 0s exception scheduler: task panicked or ended its goroutine
  a 0s-0s failed *errors.errorString Error: scheduler: task panicked or ended its goroutine
    ! 0s scheduler.stop boom
    ! 0s exception scheduler: task panicked or ended its goroutine
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecord(t)
			deps := scheduler.NewDependencies[string]()
			deps.Add("a")
			c.opts.Name = "site"
			group := r.group(deps, tasks{"a": c.task}, &c.opts)
			d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: r.clock})
			requirePanic(t, func() { c.test(d, group) })
			require.Equal(t, c.want, r.trace())
			require.Equal(t, []string{"0 site pending", "0 site running"}, r.metric("scheduler.node.count"))
		})
	}
}

type panicsWhenStopped struct{ failsToClose }

func (panicsWhenStopped) Close() error                { return nil }
func (panicsWhenStopped) Stop(context.Context, error) { panic(errBoom) }

// TestGroup_lateness_of_a_rest: the rest of a round that was cut short by its
// budget is no round, however late it comes.
func TestGroup_lateness_of_a_rest(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	nothing := func() scheduler.Task { return scheduler.Func(func(context.Context) error { return nil }) }
	group := r.group(site(), tasks{
		"network": nothing, "volume": nothing, "server": nothing, "name": takes(2*time.Second, nil),
	}, &scheduler.GroupOptions[string]{Name: "site", Budget: 2})
	d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: r.clock})
	d.Step()
	require.Equal(t, 2, group.Count(scheduler.StateSucceeded))
	r.clock.Advance(time.Second)
	d.Step()
	require.Equal(t, scheduler.StateRunning, group.State("name"))
	require.Empty(t, r.metric("scheduler.round.lateness"))
	d.Step() // nothing is due
	r.clock.Advance(2500 * time.Millisecond)
	require.NoError(t, d.RunToEnd())
	require.Equal(t, []string{"1, 0.5s site"}, r.metric("scheduler.round.lateness"))
}

// Nodes that are added while a group runs have spans, and are counted.
func TestGroup_grows(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	var g *scheduler.DependencyTaskGroup[string]
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	second := func() scheduler.Task { return scheduler.Pause(scheduler.After(time.Second)) }
	g = r.group(deps, map[string]func() scheduler.Task{
		"a": func() scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				require.NoError(t, g.Add("done"))
				require.NoError(t, g.Add("b", "a"))
				require.NoError(t, g.Add("c", "b"))
				g.CloseInput()
				return errors.New("broken")
			})
		},
		"b": second, "c": second,
	}, &scheduler.GroupOptions[string]{
		KeepOpen: true, Completed: func(k string) bool { return k == "done" },
		OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError },
	})
	require.NoError(t, r.run(g, nil))
	text := r.trace()
	require.Contains(t, text, "\n    b 0s-1s")
	require.Contains(t, text, "\n    c 1s-2s")
	require.NotContains(t, text, "done")
	require.Equal(t, []string{"0 DependencyTaskGroup pending", "0 DependencyTaskGroup running"}, r.metric("scheduler.node.count"))
	require.Equal(t, []string{"1 *errors.errorString DependencyTaskGroup failed", "2 DependencyTaskGroup succeeded"}, r.metric("scheduler.node.ended"))
}

// An error whose methods panic is recorded as fmt shows it, and ends nothing.
func TestGroup_error_that_panics(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	fails := func() scheduler.Task { return scheduler.Func(func(context.Context) error { return panicky{} }) }
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	deps.Add("b")
	group := r.group(deps, tasks{
		"a": func() scheduler.Task {
			return scheduler.Retry(every(time.Second), func(n int, _ error) scheduler.Task {
				if n == 3 {
					return nil
				}
				return fails()
			})
		},
		"b": takes(time.Hour, nil),
	}, &scheduler.GroupOptions[string]{Name: "g", Grace: time.Minute})
	require.ErrorIs(t, r.run(group, nil), panicky{})
	require.Contains(t, r.trace(), "%!v(PANIC=Error method: in Error)")
}

type panicky struct{}

func (panicky) Error() string { panic("in Error") }
func (panicky) As(any) bool   { panic("in As") }
