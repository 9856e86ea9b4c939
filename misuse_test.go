package scheduler_test

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// callbackRun is a run in which a callback misuses what drives it.
type callbackRun struct {
	r *scheduler.TaskRunner
	g *scheduler.DependencyTaskGroup[string]
}

// misuses are what no code of a run may do while it is being stepped.
var misuses = map[string]func(s callbackRun) error{
	"Run": func(callbackRun) error {
		return scheduler.Run(context.Background(), scheduler.Pause(scheduler.Next), nil)
	},
	"Walk": func(callbackRun) error {
		return scheduler.Walk(context.Background(), graph("a"), func(context.Context, string) error { return nil }, nil)
	},
	"its runner's Run":    func(s callbackRun) error { return s.r.Run(context.Background()) },
	"its runner's Start":  func(s callbackRun) error { return s.r.Start(context.Background(), 0) },
	"its runner's Step":   func(s callbackRun) error { _, err := s.r.Step(context.Background()); return err },
	"its runner's Cancel": func(s callbackRun) error { return s.r.Cancel() },
	"its group's Step":    func(s callbackRun) error { _, err := s.g.Step(context.Background()); return err },
	"its group's Throw":   func(s callbackRun) error { _, err := s.g.Throw(context.Background(), errOops); return err },
	"its group's Stop":    func(s callbackRun) error { s.g.Stop(context.Background(), errOops); return nil },
	"its group's Close":   func(s callbackRun) error { return s.g.Close() },
}

// callbacks are where the code of a run is called: they set what is called in the
// options or the task of the node "a".
var callbacks = map[string]func(o *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) (task scheduler.Task){
	"task": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return called(do)
	},
	"coroutine": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return scheduler.Wrap(func(*scheduler.Coroutine) error { do(); return nil })
	},
	"Close": func(_ *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Timeout = time.Second
		return (&fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, close: func() error { do(); return nil }}).task()
	},
	"clean-up of a coroutine": func(_ *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Timeout = time.Second
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			defer do()
			return co.Yield(scheduler.After(time.Hour))
		})
	},
	"Throw": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Timeout = func(string) time.Duration { return time.Second }
		return (&fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, throw: func(ctx context.Context, err error) (scheduler.Yield, error) {
			do()
			return passOn(ctx, err)
		}}).task()
	},
	"Stop": func(o *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Timeout, r.Grace = time.Second, time.Second
		return (&fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, stop: func(context.Context, error) { do() }}).task()
	},
	"then of a Fetch": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return scheduler.Fetch(func(context.Context) (int, error) { return 0, nil }, func(int, error) error { do(); return nil })
	},
	"BackOff": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return scheduler.Retry(scheduler.BackOffFunc(func(int, error) scheduler.Yield { do(); return scheduler.Done }),
			func(int, error) scheduler.Task { return lasting(0, errSpace) })
	},
	"attempt": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return scheduler.Retry(constant(-1), func(int, error) scheduler.Task { do(); return lasting0 })
	},
	"Progress": func(_ *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Progress = func(context.Context) error { do(); return nil }
		return lasting(1, nil)
	},
	"Observer": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Observer = scheduler.ObserverFunc(func(r scheduler.Record) {
			if r.Kind == scheduler.NodeChanged {
				do()
			}
		})
		return lasting0
	},
	"When": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.When = func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict { do(); return scheduler.Usual }
		return lasting0
	},
	"Timeout": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Timeout = func(string) time.Duration { do(); return 0 }
		return lasting0
	},
	"Context": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Context = func(ctx context.Context, _ string) context.Context { do(); return ctx }
		return lasting0
	},
	"Claims": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Claims = func(string) []scheduler.Claim { do(); return nil }
		return lasting0
	},
	"OnError": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.OnError = func(string, error) scheduler.Disposition { do(); return scheduler.StopGroup }
		return lasting(0, errSpace)
	},
	"GraceFor": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.GraceFor = func(string) time.Duration { do(); return 0 }
		o.Timeout = func(string) time.Duration { return time.Second }
		return lasting(2, nil)
	},
}

// ownStack is what runs as a coroutine: another run with another context is not found
// there. Progress is called between two steps, where all of it is allowed.
var ownStack = map[string]bool{"coroutine": true, "clean-up of a coroutine": true, "BackOff": true, "attempt": true}

func called(do func()) scheduler.Task {
	return scheduler.Func(func(context.Context) error { do(); return nil })
}

// Code of a run that drives what it is a part of, or runs another, gets an error or a
// panic with a sentence, wherever it is called, and the run ends.
func TestMisuse_inside_callbacks(t *testing.T) {
	isRun := map[string]bool{"Run": true, "Walk": true}
	for where, set := range callbacks {
		onStack := ownStack[where]
		for what, misuse := range misuses {
			inBubble(t, where+"/"+what, func(t *testing.T) {
				var s callbackRun
				var opts scheduler.GroupOptions[string]
				var runner scheduler.RunnerOptions
				done, answer := false, error(nil)
				task := set(&opts, &runner, func() {
					if done || s.r == nil {
						return
					}
					done = true
					defer func() {
						if v := recover(); v != nil {
							answer = asSentence(t, v)
							panic(v)
						}
					}()
					answer = misuse(s)
				})
				opts.Name = "G"
				s.g = newGroup(t, "a", func(string) scheduler.Task { return task }, &opts)
				s.r = scheduler.NewTaskRunner(s.g, &runner)
				onGoroutine(func() { _ = s.r.Run(t.Context()) })
				require.True(t, done, "it was not called")
				require.True(t, s.r.Done(), "the run has not ended")
				if where == "Progress" || onStack && isRun[what] {
					return
				}
				require.Error(t, answer, "it was let through")
				require.Contains(t, answer.Error(), "scheduler: ")
				if method, ok := strings.CutPrefix(what, "its group's "); ok {
					require.EqualError(t, answer, "scheduler: DependencyTaskGroup."+method+" of G called during a step")
				}
			})
		}
	}
	for i := range reflect.TypeFor[scheduler.GroupOptions[string]]().NumField() {
		field := reflect.TypeFor[scheduler.GroupOptions[string]]().Field(i)
		switch field.Name {
		case "Completed", "Priority", "Estimate": // called by NewDependencyTaskGroup, before there is a run
		default:
			_, ok := callbacks[field.Name]
			require.True(t, ok || field.Type.Kind() != reflect.Func, "no misuse inside %s is tried", field.Name)
		}
	}
}

// asSentence returns the text that code panicked with.
func asSentence(t *testing.T, v any) error {
	t.Helper()
	switch v := v.(type) {
	case string:
		return errors.New(v)
	case error:
		return v
	}
	require.Fail(t, "a panic without a sentence")
	return nil
}

// What is for the driving goroutine panics on another one while Run sleeps on it, and
// the run goes on. What is for any goroutine does not.
func TestMisuse_from_another_goroutine(t *testing.T) {
	for name, do := range map[string]func(r *scheduler.TaskRunner){
		"Start":           func(r *scheduler.TaskRunner) { _ = r.Start(t.Context(), 0) },
		"Step":            func(r *scheduler.TaskRunner) { _, _ = r.Step(t.Context()) },
		"RunWith":         func(r *scheduler.TaskRunner) { _ = r.RunWith(context.Background(), 0, 0) },
		"RunToCompletion": func(r *scheduler.TaskRunner) { _ = r.RunToCompletion(context.Background(), 0) },
		"Cancel":          func(r *scheduler.TaskRunner) { _ = r.Cancel() },
		"Stop":            func(r *scheduler.TaskRunner) { r.Stop(errOops) },
		"CancelAfter":     func(r *scheduler.TaskRunner) { r.CancelAfter(0) },
		"Close":           func(r *scheduler.TaskRunner) { _ = r.AsTask(0).Close() },
	} {
		inBubble(t, name, func(t *testing.T) {
			r := scheduler.NewTaskRunner(lasting(10, nil), &scheduler.RunnerOptions{Name: "web"})
			time.AfterFunc(time.Second, func() {
				require.Contains(t, asSentence(t, panicOf(t, func() { do(r) })).Error(), "of web called while Run drives it")
			})
			require.NoError(t, r.Run(t.Context()))
		})
	}
}

// A second Run of a runner, by what Run calls between two steps, is refused and leaves
// the first one its wake-ups.
func TestMisuse_Run_between_two_steps(t *testing.T) {
	for _, where := range []string{"Progress", "Post"} {
		inBubble(t, where, func(t *testing.T) {
			var r *scheduler.TaskRunner
			var said []error
			again := func() { said = append(said, r.Run(t.Context())) }
			e := new(scheduler.Event)
			task := scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), scheduler.Pause(scheduler.On(e)))
			opts := &scheduler.RunnerOptions{}
			if where == "Progress" {
				opts.Progress = func(context.Context) error { again(); return nil }
			}
			r = scheduler.NewTaskRunner(task, opts)
			time.AfterFunc(2*time.Second, func() {
				if where == "Post" {
					r.Post(again)
				}
			})
			time.AfterFunc(time.Minute, e.Set)
			require.NoError(t, r.Run(t.Context()))
			require.NotEmpty(t, said)
			for _, err := range said {
				require.ErrorIs(t, err, scheduler.ErrStarted)
			}
		})
	}
}
