package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// endSeen is what a run of the table of ends looked like from inside.
type endSeen struct {
	noticed bool
	lasted  time.Duration // of the task, from the end on
	started bool          // a node that became ready after the end
	call    time.Duration // how long the context of a call lasted
}

// The table "How a run ends" of the package's documentation, row by row, with a
// grace of a minute.
func TestEnds_table(t *testing.T) {
	const grace, end = time.Minute, time.Second
	type run struct {
		r      *scheduler.TaskRunner
		g      *scheduler.DependencyTaskGroup[string]
		cancel context.CancelCauseFunc
	}
	post := func(do func(r run)) func(r run) {
		return func(r run) { time.AfterFunc(end, func() { r.r.Post(func() { do(r) }) }) }
	}
	after := func(do func(r run)) func(r run) {
		return func(r run) { time.AfterFunc(end, func() { do(r) }) }
	}
	for name, c := range map[string]struct {
		end    func(r run)
		opts   scheduler.RunnerOptions
		want   endSeen
		result []error
		left   int // pending nodes
	}{
		"Drain": {
			end: post(func(r run) { r.g.Drain() }), want: endSeen{lasted: time.Hour - end, call: -1},
			result: []error{scheduler.ErrDrained}, left: 1,
		},
		"Stop": {
			end: post(func(r run) { r.r.Stop(errOops) }), want: endSeen{noticed: true, lasted: grace, call: grace}, result: []error{errOops},
		},
		"end of the context": {
			end: after(func(r run) { r.cancel(errOops) }), want: endSeen{noticed: true, lasted: grace, call: grace}, result: []error{errOops},
		},
		"Timeout": {
			opts: scheduler.RunnerOptions{Timeout: end},
			want: endSeen{noticed: true, lasted: grace, call: grace}, result: []error{context.DeadlineExceeded},
		},
		"Interrupt": {
			end:  after(func(r run) { r.r.Interrupt(errOops) }),
			want: endSeen{noticed: true, lasted: grace, call: grace}, result: []error{errOops},
		},
		"Kill": {
			end: after(func(r run) { r.r.Kill() }), want: endSeen{}, result: []error{scheduler.ErrCancelled},
		},
		"Cancel": {
			end: post(func(r run) { _ = r.r.Cancel() }), want: endSeen{}, result: []error{scheduler.ErrCancelled},
		},
		"CancelAfter": {
			end:    post(func(r run) { r.r.CancelAfter(2 * grace) }),
			want:   endSeen{lasted: 2 * grace, started: true, call: 2 * grace},
			result: []error{scheduler.ErrCancelled},
		},
		"Kill in the grace of Stop": {
			end: func(r run) {
				post(func(r run) { r.r.Stop(errOops) })(r)
				time.AfterFunc(10*time.Second, r.r.Kill)
			},
			want: endSeen{noticed: true, lasted: 9 * time.Second, call: 9 * time.Second}, result: []error{errOops, scheduler.ErrCancelled},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var seen endSeen
				since := func() time.Duration { return (time.Since(begin) - end).Truncate(time.Second) }
				g := groupOf(t, "runs call later:soon", func(k string) scheduler.Task {
					switch k {
					case "call":
						return scheduler.Blocking(func(ctx context.Context) error {
							select {
							case <-ctx.Done():
								seen.call = since()
							case <-time.After(30 * time.Minute):
								seen.call = -1
							}
							return nil
						})
					case "soon":
						return scheduler.Pause(scheduler.After(3 * time.Second))
					case "later":
						seen.started = true
						return scheduler.Func(func(context.Context) error { return nil })
					}
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer func() { seen.lasted, seen.noticed = since(), co.Stopping().IsSet() }()
						return co.Yield(scheduler.After(time.Hour))
					})
				}, nil)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				opts := c.opts
				opts.Grace = grace
				r := scheduler.NewTaskRunner(g, &opts)
				if c.end != nil {
					c.end(run{r, g, cancel})
				}
				err := r.Run(ctx)
				for _, want := range c.result {
					require.ErrorIs(t, err, want)
				}
				require.Equal(t, c.want, seen)
				require.Equal(t, c.left, g.Count(scheduler.StatePending))
				require.Zero(t, g.Count(scheduler.StateRunning))
			})
		})
	}
}

// Whatever is in between, the same task ends in the same way.
func TestWrapping_changes_nothing(t *testing.T) {
	bare := func(task scheduler.Task) scheduler.Task { return task }
	around := map[string]func(task scheduler.Task) scheduler.Task{
		"renamed":      func(task scheduler.Task) scheduler.Task { return renamed{task, "r"} },
		"twice":        func(task scheduler.Task) scheduler.Task { return renamed{renamed{task, "r"}, "s"} },
		"Named":        func(task scheduler.Task) scheduler.Task { return scheduler.Named("n", task) },
		"Subrun":       func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
		"AsTask":       func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
		"group of one": func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"Wrap": func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		},
	}
	tasks := map[string]func(log func(string)) scheduler.Task{
		"coroutine": func(log func(string)) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for {
					err := co.Yield(scheduler.After(5 * time.Second).Or(scheduler.On(co.Stopping())))
					log(fmt.Sprint("yield ", scheduler.Interrupted(err), " ", co.Stopping().IsSet()))
					if errors.Is(err, scheduler.ErrClosed) {
						return err
					}
					if err := co.Yield(scheduler.After(5 * time.Second)); errors.Is(err, scheduler.ErrClosed) {
						return err
					}
				}
			})
		},
		"calls": func(log func(string)) scheduler.Task {
			return scheduler.Sequence(scheduler.Blocking(func(ctx context.Context) error {
				select {
				case <-scheduler.Stopping(ctx):
					log("stopping")
				case <-ctx.Done():
				}
				<-ctx.Done()
				log("done")
				sleep(3 * time.Second)
				return nil
			}))
		},
		"retries": func(log func(string)) scheduler.Task {
			return scheduler.Retry(constant(time.Second), func(int, error) scheduler.Task {
				log("attempt")
				return scheduler.Sequence(scheduler.Pause(scheduler.After(4*time.Second)), scheduler.Func(func(context.Context) error { return errSpace }))
			})
		},
	}
	run := func(t *testing.T, task func(log func(string)) scheduler.Task, put func(scheduler.Task) scheduler.Task, end string, grace time.Duration) (log []string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			note := func(text string) {
				log = append(log, fmt.Sprint(time.Since(begin).Truncate(time.Millisecond), " ", text))
			}
			opts := &scheduler.RunnerOptions{Grace: grace}
			if end == "timeout" {
				opts.Timeout = 12 * time.Second
			}
			r := scheduler.NewTaskRunner(put(task(note)), opts)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			switch end {
			case "stop":
				time.AfterFunc(12*time.Second, cancel)
			case "kill":
				time.AfterFunc(12*time.Second, r.Kill)
			}
			err := r.Run(ctx)
			note(fmt.Sprint("end ", err != nil))
		})
		return log
	}
	for taskName, task := range tasks {
		for _, end := range []string{"timeout", "stop", "kill"} {
			for _, grace := range []time.Duration{0, 7 * time.Second} {
				want := run(t, task, bare, end, grace)
				for name, put := range around {
					if name == "group of one" && end == "timeout" {
						continue // a group makes a notice of it for its members
					}
					require.Equal(t, want, run(t, task, put, end, grace), "%s %s: %s, grace %v", taskName, name, end, grace)
				}
			}
		}
	}
}

// holders are the ways of holding a task that are tried with everything.
var holders = map[string]func(scheduler.Task) scheduler.Task{
	"bare":    func(task scheduler.Task) scheduler.Task { return task },
	"Named":   func(task scheduler.Task) scheduler.Task { return scheduler.Named("n", task) },
	"opaque":  func(task scheduler.Task) scheduler.Task { return opaque{task} },
	"Shield":  scheduler.Shield,
	"All":     func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
	"All All": func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.All(task)) },
	"AsTask":  func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
	"AsTask, limited": func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, nil).AsTask(2 * time.Second)
	},
	"AsTask, limited for long": func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, nil).AsTask(30 * time.Second)
	},
	"Subrun": func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
	"Subrun with a grace": func(task scheduler.Task) scheduler.Task {
		return scheduler.Subrun(scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: 30 * time.Second, Grace: time.Second}))
	},
	"Reserve":  func(task scheduler.Task) scheduler.Task { return scheduler.Reserve(time.Second, task) },
	"Sequence": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
	"Finally": func(task scheduler.Task) scheduler.Task {
		return scheduler.Finally(task, scheduler.Pause(scheduler.After(time.Second)))
	},
	"Finally of a Reserve": func(task scheduler.Task) scheduler.Task {
		return scheduler.Finally(scheduler.Reserve(time.Second, task), scheduler.Pause(scheduler.Next))
	},
	"Retry": func(task scheduler.Task) scheduler.Task {
		return scheduler.Retry(constant(-1), func(int, error) scheduler.Task { return task })
	},
	"Claiming": func(task scheduler.Task) scheduler.Task {
		return scheduler.Claiming([]scheduler.Claim{{Limiter: limiter(1), Weight: 1}}, task)
	},
	"Wrap": func(task scheduler.Task) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
	},
	"run in a call": func(task scheduler.Task) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return scheduler.Run(ctx, task, nil) })
	},
	"run with a grace in a call": func(task scheduler.Task) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			return scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: time.Second})
		})
	},
}

// What a node has failed with is in the result of the run, however the group that it
// is in is held, and in whichever way that ends.
func TestComposition_loses_no_failure(t *testing.T) {
	type groupOptions = scheduler.GroupOptions[string]
	const second = time.Second
	failsAfter := func(d time.Duration, err error) scheduler.Task {
		return scheduler.Sequence(scheduler.Pause(scheduler.After(d)), scheduler.Func(func(context.Context) error { return err }))
	}
	inner := map[string]groupOptions{
		"aggregating":  {AggregateErrors: true},
		"OnError":      {OnError: func(string, error) scheduler.Disposition { return scheduler.SkipDependents }},
		"in its grace": {GraceFor: func(string) time.Duration { return time.Hour }},
	}
	limit := func(d time.Duration) func(string) time.Duration {
		return byKey(map[string]time.Duration{"in": d})
	}
	for name, tt := range map[string]struct {
		outer *groupOptions // nil: there is no group around; else another node of it fails after 3 s
		opts  scheduler.RunnerOptions
		at    time.Duration // when do is called, unless 0
		do    func(r *scheduler.TaskRunner, cancel func(), g *scheduler.DependencyTaskGroup[string])
	}{
		"sibling":                {outer: &groupOptions{}},
		"sibling, EndCalls":      {outer: &groupOptions{EndCalls: true}},
		"sibling, aggregating":   {outer: &groupOptions{AggregateErrors: true}, opts: scheduler.RunnerOptions{Timeout: time.Minute}},
		"sibling, OnError":       {outer: &groupOptions{OnError: func(string, error) scheduler.Disposition { return scheduler.StopGroup }}},
		"limit of the node":      {outer: &groupOptions{Timeout: limit(2 * second)}},
		"limit within the grace": {outer: &groupOptions{Timeout: limit(5 * second)}},
		"limit of the run":       {opts: scheduler.RunnerOptions{Timeout: 2 * second}},
		"Kill":                   {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) { r.Kill() }},
		"Kill within the grace":  {outer: &groupOptions{}, at: 4 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) { r.Kill() }},
		"Stop": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Post(func() { r.Stop(errOther) })
		}},
		"CancelAfter": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Post(func() { r.CancelAfter(second) })
		}},
		"Interrupt": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Interrupt(errOther)
		}},
		"Interrupt, group around": {outer: &groupOptions{}, at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Interrupt(errOther)
		}},
		"end of ctx":               {at: 2 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"end of ctx, group around": {outer: &groupOptions{}, at: 2 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"end of ctx in the grace":  {outer: &groupOptions{}, at: 4 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"Drain": {
			outer: &groupOptions{Limit: 1}, opts: scheduler.RunnerOptions{Timeout: time.Minute}, at: 2 * second,
			do: func(r *scheduler.TaskRunner, _ func(), g *scheduler.DependencyTaskGroup[string]) { r.Post(g.Drain) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			for as, hold := range holders {
				for kind, opts := range inner {
					for _, grace := range []time.Duration{0, 10 * second} {
						synctest.Test(t, func(t *testing.T) {
							held := hold(groupOf(t, "x y", func(k string) scheduler.Task {
								if k == "x" {
									return failsAfter(second, errSpace)
								}
								return scheduler.Pause(scheduler.After(time.Hour))
							}, &opts))
							task := held
							var g *scheduler.DependencyTaskGroup[string]
							if tt.outer != nil {
								g = groupOf(t, "in sibling", func(k string) scheduler.Task {
									if k == "in" {
										return held
									}
									return failsAfter(3*second, errBoom)
								}, tt.outer)
								task = g
							}
							runner := tt.opts
							runner.Grace = grace
							r := scheduler.NewTaskRunner(task, &runner)
							ctx, cancel := context.WithCancel(t.Context())
							defer cancel()
							if tt.do != nil {
								time.AfterFunc(tt.at, func() { tt.do(r, cancel, g) })
							}
							require.ErrorIs(t, r.Run(ctx), errSpace, "%s, %s, %v", as, kind, grace)
						})
					}
				}
			}
		})
	}
}
