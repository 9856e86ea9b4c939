package scheduler_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// readyTask is a task that says Ready in one of its steps, and goes on for ever.
func readyTask(inStep int) *fakeTask {
	f := new(fakeTask)
	f.step = func(ctx context.Context) (scheduler.Yield, error) {
		if f.steps == inStep {
			scheduler.Ready(ctx)
		}
		return scheduler.Next, nil
	}
	return f
}

// A panic of what is asked, or told, as a service has become ready, or as what it
// frees starts, ends the run, and the service is closed like the others.
func TestReady_and_a_panic_at_what_it_frees(t *testing.T) {
	type key = string
	type options = scheduler.GroupOptions[key]
	at := func(k key) {
		if k == "d" {
			panicForTest("of " + k)
		}
	}
	changed := func(node key, to scheduler.State) func(o *options) {
		return func(o *options) {
			o.Observer = scheduler.ObserverFunc(func(r scheduler.Record) {
				if r.Kind == scheduler.NodeChanged && r.Key() == node && r.To == to {
					panicForTest("of an Observer")
				}
			})
		}
	}
	inReady := []string{"When", "Observer of Ready", "Observer of the verdict"} // called before Ready returns
	for name, set := range map[string]func(o *options){
		"When": func(o *options) {
			o.When = func(k key, _ iter.Seq2[key, scheduler.State]) scheduler.Verdict { at(k); return scheduler.Usual }
		},
		"Claims": func(o *options) {
			o.Claims = func(k key) []scheduler.Claim { at(k); return nil }
		},
		"Timeout": func(o *options) {
			o.Timeout = func(k key) time.Duration { at(k); return 0 }
		},
		"Context": func(o *options) {
			o.Context = func(ctx context.Context, k key) context.Context { at(k); return ctx }
		},
		"Observer of Ready":     changed("s", scheduler.StateReady),
		"Observer of the start": changed("d", scheduler.StateRunning),
		"Observer of the verdict": func(o *options) {
			changed("d", scheduler.StateSkipped)(o)
			o.When = func(k key, _ iter.Seq2[key, scheduler.State]) scheduler.Verdict {
				if k == "d" {
					return scheduler.Skip
				}
				return scheduler.Usual
			}
		},
	} {
		for _, recovers := range []bool{false, true} {
			for inStep := 1; inStep <= 2; inStep++ {
				t.Run(name, func(t *testing.T) {
					service, other := readyTask(inStep), &fakeTask{step: forever}
					o := &options{RecoverPanics: recovers}
					set(o)
					g := newGroup(t, "other s d:s e:d", func(k key) scheduler.Task {
						switch k {
						case "s":
							return service.task()
						case "other":
							return other.task()
						}
						return scheduler.Pause(scheduler.Next)
					}, o)
					ran, v := onGoroutine(func() { _ = scheduler.Run(t.Context(), g, nil) })
					isOwn := inStep == 2 && name == "When" // it goes through the step that says Ready
					require.Equal(t, isOwn && recovers, ran)
					if !ran {
						require.Contains(t, []any{"of d", "of an Observer"}, panickedWith(v))
					}
					closes := 1
					if inStep == 2 && slices.Contains(inReady, name) {
						closes = 0 // nothing more is called of a task out of whose step a panic came
					}
					require.Equal(t, closes, service.closes)
					require.Equal(t, 1, other.closes)
					for _, k := range []key{"other", "s", "d", "e"} {
						require.True(t, g.State(k).Ended(), k)
					}

					// The same in a group inside: there it is a panic of the node.
					service2, besides := readyTask(inStep), &fakeTask{step: forever}
					outer := newGroup(t, "besides in", func(k key) scheduler.Task {
						if k == "besides" {
							return besides.task()
						}
						return newGroup(t, "s d:s", func(k key) scheduler.Task {
							if k == "s" {
								return service2.task()
							}
							return scheduler.Pause(scheduler.Next)
						}, o)
					}, &options{RecoverPanics: true})
					_, panicked := onGoroutine(func() { _ = scheduler.Run(t.Context(), outer, nil) })
					require.Equal(t, o.Observer != nil, panicked != nil, "only that of an Observer goes up")
					require.Equal(t, closes, service2.closes)
					require.Equal(t, 1, besides.closes)
				})
			}
		}
	}
}
