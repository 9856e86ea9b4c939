package scheduler_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// logTo returns a logger that writes lines without times into b.
func logTo(b *bytes.Buffer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestLogObserver(t *testing.T) {
	t.Parallel()
	hour := part{steps: "next*5"}
	for _, test := range []struct {
		name  string
		deps  string
		parts map[string]part
		opts  scheduler.GroupOptions[string]
		level slog.Level
		act   func(s *stage, round int)
		want  string
	}{
		{
			name: "quiet at info", deps: "b:a c", parts: map[string]part{"a": {steps: "next"}},
			want: `
level=INFO msg="group started" group.name=site group.nodes=3 group.completed=0
level=INFO msg="group ended" group.name=site group.rounds=2 group.took=1s group.succeeded=3`,
		},
		{
			name: "failures at info", deps: "a b c:a d:c", level: slog.LevelInfo,
			parts: map[string]part{"a": {steps: "next*3", close: "fail"}, "b": {steps: "next fail"}},
			want: `
level=INFO msg="group started" group.name=site group.nodes=4 group.completed=0
level=WARN msg="node failed" group.name=site group.round=2 node.path=b node.from=running node.task="player b" error="oops b"
level=INFO msg="group stopping" group.name=site error="b: oops b"
level=INFO msg="node cancelled" group.name=site group.round=2 node.path=a node.from=running node.task="player a" error="close a"
level=INFO msg="group ended" group.name=site group.rounds=2 group.took=1s group.failed=1 group.cancelled=3 error="b: oops b"`,
		},
		{
			name: "warnings alone", deps: "a b", level: slog.LevelWarn, parts: map[string]part{"a": {steps: "fail"}},
			want: `
level=WARN msg="node failed" group.name=site group.round=1 node.path=a node.from=running node.task="player a" error="oops a"`,
		},
		{
			name: "every change for debugging", deps: "b:a c", level: slog.LevelDebug,
			opts:  scheduler.GroupOptions[string]{AggregateErrors: true, Timeout: func(string) time.Duration { return time.Second }},
			parts: map[string]part{"a": hour},
			want: `
level=INFO msg="group started" group.name=site group.nodes=3 group.completed=0
level=DEBUG msg="node running" group.name=site group.round=1 node.path=a node.from=pending
level=DEBUG msg="node running" group.name=site group.round=1 node.path=c node.from=pending
level=DEBUG msg="node succeeded" group.name=site group.round=1 node.path=c node.from=running node.task="player c"
level=WARN msg="node timed out" group.name=site group.round=3 node.path=a node.from=running node.task="player a" error="a: timed out after 1s"
level=DEBUG msg="node skipped" group.name=site group.round=3 node.path=b node.from=pending
level=INFO msg="group ended" group.name=site group.rounds=3 group.took=2s group.succeeded=1 group.timed_out=1 group.skipped=1 error="1 task failed:\n- a: timed out after 1s"`,
		},
		{
			name: "in reverse", deps: "b:a", level: slog.LevelDebug, opts: scheduler.GroupOptions[string]{Reverse: true},
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=DEBUG msg="node running" group.name=site group.round=1 node.path=b node.from=pending
level=DEBUG msg="node succeeded" group.name=site group.round=1 node.path=b node.from=running node.task="player b"
level=DEBUG msg="node running" group.name=site group.round=1 node.path=a node.from=pending
level=DEBUG msg="node succeeded" group.name=site group.round=1 node.path=a node.from=running node.task="player a"
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.succeeded=2`,
		},
		{
			name: "resumed", deps: "b:a c:b",
			opts: scheduler.GroupOptions[string]{Completed: func(k string) bool { return k != "c" }},
			want: `
level=INFO msg="group started" group.name=site group.nodes=3 group.completed=2
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.succeeded=3`,
		},
		{
			name: "nothing to do", deps: "a", opts: scheduler.GroupOptions[string]{Completed: func(string) bool { return true }},
			want: `
level=INFO msg="group started" group.name=site group.nodes=1 group.completed=1
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.succeeded=1`,
		},
		{
			name: "drained", deps: "a b:a", parts: map[string]part{"a": {steps: "next next"}},
			act: func(s *stage, round int) {
				if round == 2 {
					s.group.Drain()
				}
			},
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=INFO msg="group draining" group.name=site
level=INFO msg="group ended" group.name=site group.rounds=3 group.took=2s group.pending=1 group.succeeded=1 error="scheduler: drained"`,
		},
		{
			name: "a grace", deps: "a b", level: slog.LevelDebug, opts: scheduler.GroupOptions[string]{Grace: 2 * time.Second},
			parts: map[string]part{"a": {steps: "next*2"}, "b": {steps: "fail"}},
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=DEBUG msg="node running" group.name=site group.round=1 node.path=a node.from=pending
level=DEBUG msg="node running" group.name=site group.round=1 node.path=b node.from=pending
level=WARN msg="node failed" group.name=site group.round=1 node.path=b node.from=running node.task="player b" error="oops b"
level=INFO msg="group stopping" group.name=site error="b: oops b"
level=DEBUG msg="node stopping" group.name=site group.round=1 node.path=a node.task="player a" grace=2s error="b: oops b"
level=DEBUG msg="node succeeded" group.name=site group.round=3 node.path=a node.from=running node.task="player a"
level=INFO msg="group ended" group.name=site group.rounds=3 group.took=2s group.succeeded=1 group.failed=1 error="b: oops b"`,
		},
		{
			name: "noticed", deps: "a", level: slog.LevelDebug, parts: map[string]part{"a": {steps: "next next"}},
			act: func(s *stage, round int) {
				if round == 2 {
					s.group.Stop(s.ctx, errOops)
				}
			},
			want: `
level=INFO msg="group started" group.name=site group.nodes=1 group.completed=0
level=DEBUG msg="node running" group.name=site group.round=1 node.path=a node.from=pending
level=DEBUG msg="group noticed" group.name=site error=oops
level=DEBUG msg="node stopping" group.name=site group.round=1 node.path=a node.task="player a" grace=0s error=oops
level=DEBUG msg="node succeeded" group.name=site group.round=3 node.path=a node.from=running node.task="player a"
level=INFO msg="group ended" group.name=site group.rounds=3 group.took=2s group.succeeded=1`,
		},
		{
			name: "closed", deps: "a b:a", parts: map[string]part{"a": hour},
			act: func(s *stage, round int) {
				if round == 2 {
					require.NoError(s, s.group.Close())
				}
			},
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=INFO msg="group closing" group.name=site
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=1s group.cancelled=2 error="scheduler: cancelled"`,
		},
		{
			name: "panic", deps: "a b:a", parts: map[string]part{"a": {steps: "panic"}},
			act: func(s *stage, _ int) { panicOf(s.T, func() { _, _ = s.group.Step(s.ctx) }) },
			want: `
level=INFO msg="group started" group.name=site group.nodes=2 group.completed=0
level=WARN msg="node failed" group.name=site group.round=1 node.path=a node.from=running error="` + scheduler.ErrAborted.Error() + `"
level=INFO msg="group stopping" group.name=site error="` + scheduler.ErrAborted.Error() + `"
level=INFO msg="group ended" group.name=site group.rounds=1 group.took=0s group.failed=1 group.cancelled=1 error="` + scheduler.ErrAborted.Error() + `"`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			s := newStage(t, test.parts)
			test.opts.Name, test.opts.Observer = "site", scheduler.NewLogObserver(logTo(&b, test.level))
			s.make(test.deps, &test.opts)
			for round := 1; ; round++ {
				if test.act != nil {
					test.act(s, round)
				}
				if y, _, err := s.round(); err != nil || y == scheduler.Done {
					break
				}
			}
			require.Equal(t, strings.TrimPrefix(test.want, "\n"), strings.TrimSuffix(b.String(), "\n"))
		})
	}
}

// A group inside a node has that node's path, and an end of its own.
func TestLogObserver_nested_groups(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := scheduler.NewLogObserver(logTo(&b, slog.LevelInfo))
	ran := 0
	group := func(name, deps string, task func(k string) scheduler.Task) scheduler.Task {
		g := newGroup(t, deps, task, &scheduler.GroupOptions[string]{Name: name, Observer: log})
		return g
	}
	leaf := func(string) scheduler.Task {
		ran++
		return scheduler.Pause(scheduler.After(time.Second))
	}
	outer := group("outer", "x y:x", func(k string) scheduler.Task {
		return group("middle", k, func(string) scheduler.Task { return group("", "a b", leaf) })
	})
	require.NoError(t, schedulertest.NewDriver(t, outer, nil).RunToEnd())
	require.Equal(t, 4, ran)
	require.Equal(t, `level=INFO msg="group started" group.name=outer group.nodes=2 group.completed=0
level=INFO msg="group started" group.name=middle group.path=x group.nodes=1 group.completed=0
level=INFO msg="group started" group.name=DependencyTaskGroup group.path=x/x group.nodes=2 group.completed=0
level=INFO msg="group ended" group.name=DependencyTaskGroup group.path=x/x group.rounds=2 group.took=1s group.succeeded=2
level=INFO msg="group ended" group.name=middle group.path=x group.rounds=2 group.took=1s group.succeeded=1
level=INFO msg="group started" group.name=middle group.path=y group.nodes=1 group.completed=0
level=INFO msg="group started" group.name=DependencyTaskGroup group.path=y/y group.nodes=2 group.completed=0
level=INFO msg="group ended" group.name=DependencyTaskGroup group.path=y/y group.rounds=2 group.took=1s group.succeeded=2
level=INFO msg="group ended" group.name=middle group.path=y group.rounds=2 group.took=1s group.succeeded=1
level=INFO msg="group ended" group.name=outer group.rounds=3 group.took=2s group.succeeded=2
`, b.String())
}

// Records have the time of the run.
func TestLogObserver_time(t *testing.T) {
	t.Parallel()
	var times []time.Time
	log := slog.New(slog.NewTextHandler(&bytes.Buffer{}, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				times = append(times, a.Value.Time())
			}
			return a
		},
	}))
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Pause(scheduler.After(24 * time.Hour))
	}, &scheduler.GroupOptions[string]{Observer: scheduler.NewLogObserver(log)})
	d := schedulertest.NewDriver(t, group, nil)
	began := d.Clock.Now()
	require.NoError(t, d.RunToEnd())
	require.Len(t, times, 2)
	require.True(t, began.Equal(times[0]))
	require.True(t, began.Add(24*time.Hour).Equal(times[1]))
}

// One LogObserver for runs on several goroutines.
func TestLogObserver_concurrent_use(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := scheduler.NewLogObserver(logTo(&b, slog.LevelDebug))
	var runs sync.WaitGroup
	for i := range 4 {
		group := newGroup(t, "b:a c", func(string) scheduler.Task {
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[string]{Name: fmt.Sprint(i), Observer: log})
		runs.Go(func() {
			if err := scheduler.Run(context.Background(), group, nil); err != nil {
				t.Error(err)
			}
		})
	}
	runs.Wait()
	for i := range 4 {
		require.Equal(t, 1, strings.Count(b.String(), fmt.Sprintf("\"group started\" group.name=%d", i)))
		require.Equal(t, 1, strings.Count(b.String(), fmt.Sprintf("\"group ended\" group.name=%d", i)))
	}
	require.Equal(t, 4*(2+6), strings.Count(b.String(), "\n"))
}

func TestLogObserver_slow_steps(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	clock := schedulertest.NewClock(time.Time{}).Alone()
	group := newGroup(t, "quick slow", func(k string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			if k == "slow" {
				clock.Advance(2 * time.Second)
			}
			return nil
		})
	}, &scheduler.GroupOptions[string]{Observer: scheduler.NewLogObserver(logTo(&b, slog.LevelWarn)), SlowStep: time.Second})
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, "level=WARN msg=\"slow step\" group.name=DependencyTaskGroup group.round=1 node.path=slow node.task=scheduler_test.TestLogObserver_slow_steps.func1.1 took=2s\n", b.String())
}

// Without a logger it is the default one that is written to. (Not parallel: that
// one is everybody's.)
func TestNewLogObserver_default(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var b bytes.Buffer
	slog.SetDefault(logTo(&b, slog.LevelInfo))
	group := newGroup(t, "a", func(string) scheduler.Task { return lasting(0, errOops) },
		&scheduler.GroupOptions[string]{Name: "site", Observer: scheduler.NewLogObserver(nil)})
	require.ErrorIs(t, scheduler.Run(t.Context(), group, nil), errOops)
	require.Contains(t, b.String(), "level=WARN msg=\"node failed\" group.name=site")
}

// A group that has ended is not held on to.
func TestLogObserver_forgets_groups(t *testing.T) {
	var b bytes.Buffer
	log := scheduler.NewLogObserver(logTo(&b, slog.LevelInfo))
	c := newCollector(t)
	func() {
		deps := scheduler.NewDependencies[*heavy]()
		deps.Add(c.task(nil), c.task(nil)) // the keys go when the group does
		group, err := scheduler.NewDependencyTaskGroup(deps, func(*heavy) scheduler.Task {
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[*heavy]{Observer: log})
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), group, nil))
	}()
	c.want(0)
	require.Equal(t, 2, strings.Count(b.String(), "\n"))
	runtime.KeepAlive(log)
}

// What the level leaves out allocates nothing, be it everything or the changes of
// nodes alone. (Not parallel: other tests' allocations would count.)
func TestLogObserver_does_not_allocate(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelError, slog.LevelInfo} {
		var b bytes.Buffer
		log := scheduler.NewLogObserver(logTo(&b, level))
		const changes = 200
		deps := scheduler.NewDependencies[int]()
		for i := range 2 * changes {
			deps.Add(i+1, i)
		}
		steps := 0 // of one node after another: each is done in its second one
		task := &fakeTask{step: func(context.Context) (scheduler.Yield, error) {
			if steps++; steps%2 == 0 {
				return scheduler.Done, nil
			}
			return scheduler.Next, nil
		}}
		group, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return task },
			&scheduler.GroupOptions[int]{Name: "chain", Observer: log})
		require.NoError(t, err)
		ctx := scheduler.WithClock(t.Context(), schedulertest.NewClock(time.Time{}))
		step := func() { // a node ends, and the next one starts
			if _, err := group.Step(ctx); err != nil {
				panic(err)
			}
		}
		require.Zero(t, testing.AllocsPerRun(changes, step), level)
		require.Equal(t, changes, group.Count(scheduler.StateSucceeded))
		started := ""
		if level == slog.LevelInfo {
			started = "level=INFO msg=\"group started\" group.name=chain group.nodes=401 group.completed=0\n"
		}
		require.Equal(t, started, b.String())
	}
}

func TestLogObserver_nodes_that_are_added(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	g := newGrown(t, "a", &scheduler.GroupOptions[string]{Name: "g", Observer: scheduler.NewLogObserver(logTo(&b, slog.LevelDebug))})
	g.does["a"] = once(func() {
		require.NoError(t, g.Add("b"))
		g.CloseInput()
	})
	require.NoError(t, g.run(t))
	require.Contains(t, b.String(), "level=DEBUG msg=\"node added\" group.name=g group.round=1 node.path=b\n")
}

// What a node says about itself, and its attempts, are debug lines.
func TestLogObserver_notes_and_attempts(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Named("create", scheduler.Retry(constant(time.Second), func(attempt int, _ error) scheduler.Task {
			return scheduler.Func(func(ctx context.Context) error {
				scheduler.Note(ctx, "building")
				if attempt == 1 {
					return errOops
				}
				return nil
			})
		}))
	}, &scheduler.GroupOptions[string]{Name: "site", Observer: scheduler.NewLogObserver(logTo(&b, slog.LevelDebug))})
	require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	require.Contains(t, b.String(), "level=DEBUG msg=\"node noted\" group.name=site group.round=1 node.path=a note=building\n")
	require.Contains(t, b.String(), "level=DEBUG msg=\"node retrying\" group.name=site group.round=1 node.path=a attempt=1 error=oops\n")
}
