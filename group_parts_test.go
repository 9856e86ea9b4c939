package scheduler_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// A group with services is closed in parts, none of which waits.

// servingFor returns a call that is ready at once and takes d to end.
func servingFor(d time.Duration, ends func()) scheduler.Task {
	return scheduler.Blocking(func(ctx context.Context) error {
		scheduler.Ready(ctx)
		<-ctx.Done()
		sleep(d)
		ends()
		return nil
	})
}

// zeroAfter forwards to a task, and yields nothing after some time.
type zeroAfter struct {
	scheduler.Task
	at time.Time
}

func (z *zeroAfter) Unwrap() scheduler.Task { return z.Task }

func (z *zeroAfter) Step(ctx context.Context) (scheduler.Yield, error) {
	if !time.Now().Before(z.at) {
		return scheduler.Yield{}, nil
	}
	y, err := z.Task.Step(ctx)
	return y.Or(scheduler.At(z.at)), err
}

// The services of a group that is closed end one after the other, each when what needs
// it has ended, and that holds up nobody, however deep the group is.
func TestGroup_services_of_a_closed_group(t *testing.T) {
	const after, takes = 500 * time.Millisecond, time.Second
	inside := maps.Clone(held)
	inside["in a group in a group"] = func(task scheduler.Task) scheduler.Task {
		return newGroup(t, "in", func(string) scheduler.Task {
			return newGroup(t, "more", func(string) scheduler.Task { return task }, nil)
		}, nil)
	}
	ways := []string{"StopNode", "limit", "end of a grace", "failure of another", "limit of a runner", "no yield", "no yield inside"}
	for name, in := range inside {
		for _, way := range ways {
			inBubble(t, fmt.Sprint(way, " ", name), func(t *testing.T) {
				var worst time.Duration
				var ended []string
				began := time.Now()
				note := func(k string) func() {
					return func() { ended = append(ended, fmt.Sprint(k, " ", time.Since(began).Round(10*time.Millisecond))) }
				}
				group := func() scheduler.Task {
					return newGroup(t, "R S:R J:S", func(k string) scheduler.Task {
						if k != "J" {
							return servingFor(takes, note(k))
						}
						return scheduler.Blocking(func(ctx context.Context) error {
							<-ctx.Done()
							sleep(takes)
							note(k)()
							return nil
						})
					}, nil)
				}
				first := after
				opts := &scheduler.GroupOptions[string]{AggregateErrors: true}
				switch way {
				case "limit":
					opts.Timeout = byKey(map[string]time.Duration{"node": after})
				case "end of a grace":
					const grace = 200 * time.Millisecond
					opts.Timeout = byKey(map[string]time.Duration{"node": after})
					opts.GraceFor = byKey(map[string]time.Duration{"node": grace})
					first += grace
				case "failure of another":
					opts = &scheduler.GroupOptions[string]{GraceFor: byKey(map[string]time.Duration{"sibling": time.Hour})}
				}
				g := newGroup(t, "node sibling fails", func(k string) scheduler.Task {
					switch {
					case k == "fails":
						return scheduler.Sequence(scheduler.Pause(scheduler.After(after)), failsWith(errSpace))
					case k != "node":
						return stepping(100, &worst)
					}
					switch way {
					case "limit of a runner":
						return scheduler.Subrun(scheduler.NewTaskRunner(in(group()), &scheduler.RunnerOptions{Timeout: after}))
					case "no yield":
						return &zeroAfter{in(group()), began.Add(after)}
					case "no yield inside":
						return in(scheduler.Sequence(&zeroAfter{group(), began.Add(after)}))
					}
					return in(group())
				}, opts)
				r := scheduler.NewTaskRunner(g, nil)
				if way == "StopNode" {
					time.AfterFunc(after, func() { r.Post(func() { g.StopNode("node", errOops) }) })
				}
				require.Error(t, r.Run(t.Context()))
				require.Less(t, worst, 60*time.Millisecond)
				at := func(k string, n time.Duration) string { return fmt.Sprint(k, " ", first+n*takes) }
				require.Equal(t, []string{at("J", 1), at("S", 2), at("R", 3)}, ended)
			})
		}
	}
}

// Once the services that were needed have been asked to end, each member still ends as
// soon as it can, and gives back what it holds.
func TestGroup_closed_in_parts_gives_back_early(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = time.Second
		l := limiter(1)
		inner := newGroup(t, "S J:S K", func(k string) scheduler.Task {
			switch k {
			case "S":
				return servingFor(takes, func() {})
			case "J":
				return deafFor(2*takes, nil)
			}
			return deafFor(10*takes, nil)
		}, &scheduler.GroupOptions[string]{Claims: byKey(map[string][]scheduler.Claim{"S": unit(l)})})
		r := scheduler.NewTaskRunner(newGroup(t, "in", func(string) scheduler.Task { return inner }, nil), nil)
		time.AfterFunc(takes, r.Kill)
		var used []int
		for _, at := range []time.Duration{5 * takes / 2, 7 * takes / 2} { // S has ended after 3
			time.AfterFunc(at, func() { used = append(used, l.InUse()) })
		}
		began := time.Now()
		require.Error(t, r.Run(t.Context()))
		require.Equal(t, 10*takes, time.Since(began))
		require.Equal(t, []int{1, 0}, used)
	})
}

// failsWith returns a task that fails.
func failsWith(err error) scheduler.Task {
	return scheduler.Func(func(context.Context) error { return err })
}

// What needs a service is closed before that is asked to end, also if it takes no time;
// a kill of the run, which nobody else is in, does so as well.
func TestGroup_services_of_a_closed_group_come_last(t *testing.T) {
	for _, way := range []string{"StopNode", "Kill", "Close"} {
		inBubble(t, way, func(t *testing.T) {
			var said []string
			say := func(what string) { said = append(said, what) }
			inner := newGroup(t, "S J:S", func(k string) scheduler.Task {
				if k == "S" {
					return scheduler.Blocking(func(ctx context.Context) error {
						scheduler.Ready(ctx)
						<-ctx.Done()
						say("S is told")
						sleep(time.Second)
						return nil
					})
				}
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					defer say("J has cleaned up")
					return co.Yield(scheduler.On(new(scheduler.Event)))
				})
			}, nil)
			var worst time.Duration
			g := newGroup(t, "node sibling", func(k string) scheduler.Task {
				if k == "node" {
					return inner
				}
				return stepping(30, &worst)
			}, &scheduler.GroupOptions[string]{AggregateErrors: true})
			r := scheduler.NewTaskRunner(g, nil)
			time.AfterFunc(100*time.Millisecond, func() {
				switch way {
				case "StopNode":
					r.Post(func() { g.StopNode("node", errOops) })
				case "Kill":
					r.Kill()
				case "Close":
					r.Post(func() { _ = g.Close() })
				}
			})
			require.Error(t, r.Run(t.Context()))
			require.Equal(t, []string{"J has cleaned up", "S is told"}, said)
			require.Less(t, worst, 60*time.Millisecond)
		})
	}
}

// A panic, or a Goexit, out of a part ends all around it.
func TestGroup_panic_while_it_is_closed_in_parts(t *testing.T) {
	ends := map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit}
	for name, end := range ends {
		for _, recovers := range []bool{false, true} {
			inBubble(t, fmt.Sprint(name, " recovered ", recovers), func(t *testing.T) {
				var said []string
				inner := newGroup(t, "S J:S", func(k string) scheduler.Task {
					if k == "S" {
						return servingFor(time.Second, func() { said = append(said, "S") })
					}
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer end()
						return co.Yield(scheduler.On(new(scheduler.Event)))
					})
				}, nil)
				g := newGroup(t, "node", func(string) scheduler.Task {
					return scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer func() { said = append(said, "around") }()
						return co.Await(inner)
					}), nil))
				}, &scheduler.GroupOptions[string]{RecoverPanics: recovers, AggregateErrors: true})
				r := scheduler.NewTaskRunner(g, nil)
				time.AfterFunc(100*time.Millisecond, func() { r.Post(func() { g.StopNode("node", errOops) }) })
				var err error
				var panicked any
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					defer func() { panicked = recover() }()
					err = r.Run(t.Context())
				}()
				<-ended
				require.Equal(t, []string{"S", "around"}, said)
				require.Equal(t, scheduler.StateFailed, inner.State("J"))
				require.Equal(t, scheduler.StateCancelled, inner.State("S"))
				switch {
				case name == "Goexit":
					require.Nil(t, panicked)
					require.ErrorIs(t, g.Err("node"), scheduler.ErrAborted)
				case recovers:
					require.Nil(t, panicked)
					require.ErrorIs(t, err, errOops)
					require.Equal(t, "J", asError[*scheduler.PanicError](t, err).Path)
				default:
					require.Equal(t, "node/J", panicked.(*scheduler.PanicError).Path)
					require.ErrorIs(t, g.Err("node"), scheduler.ErrAborted)
				}
			})
		}
	}
}

// asked is a task out of whose BeginClose, or Stop, comes a panic.
type asked struct {
	scheduler.Task
	stops bool
}

func (a asked) Unwrap() scheduler.Task { return a.Task }

func (a asked) BeginClose() *scheduler.Event {
	if !a.stops {
		panic("asked to end")
	}
	return nil
}

func (a asked) Stop(context.Context, error) {
	if a.stops {
		panic("told to stop")
	}
}

// A task that panics when it is asked to end has ended: what is around it ends, and what
// it claims is given back.
func TestGroup_panic_of_one_that_is_asked_to_end(t *testing.T) {
	for _, stops := range []bool{false, true} {
		for _, recovers := range []bool{false, true} {
			t.Run(fmt.Sprint("stop ", stops, " recovered ", recovers), func(t *testing.T) {
				var said []string
				l := limiter(1)
				grace := time.Duration(0)
				if stops {
					grace = time.Minute
				}
				g := newGroup(t, "node fails", func(k string) scheduler.Task {
					if k == "fails" {
						return failsWith(errSpace)
					}
					return scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer func() { said = append(said, "around") }()
						return co.Await(scheduler.Claiming(unit(l), asked{scheduler.Pause(scheduler.On(new(scheduler.Event))), stops}))
					}), nil))
				}, &scheduler.GroupOptions[string]{RecoverPanics: recovers, Grace: grace})
				run := func() error { return scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: newClock()}) }
				if recovers {
					require.ErrorIs(t, run(), errSpace)
					require.Len(t, g.Errors(), 2)
					_ = asError[*scheduler.PanicError](t, g.Errors()[1])
				} else {
					require.Panics(t, func() { _ = run() })
				}
				require.Equal(t, []string{"around"}, said)
				require.Zero(t, l.InUse())
			})
		}
	}
}

// partly is a group inside a task that answers by itself what comes after the first part.
type partly struct {
	scheduler.Task
	asked bool
	then  func(inside scheduler.Task) *scheduler.Event
}

func (p *partly) BeginClose() *scheduler.Event {
	if p.asked {
		return p.then(p.Task)
	}
	p.asked = true
	return p.Task.(scheduler.Closer).BeginClose()
}

// What a member says when it is asked for its next part is its own: an event that is set
// already ends it at once, and a panic is its failure and no longer its wait.
func TestGroup_member_that_answers_its_next_part(t *testing.T) {
	for name, then := range map[string]func(scheduler.Task) *scheduler.Event{
		"event that is set": func(scheduler.Task) *scheduler.Event {
			e := new(scheduler.Event)
			e.Set()
			return e
		},
		"panic": func(inside scheduler.Task) *scheduler.Event {
			defer panic("asked once more")
			_ = inside.Close()
			return nil
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			const takes = time.Second
			began := time.Now()
			var ended []string
			note := func(k string) func() {
				return func() { ended = append(ended, fmt.Sprint(k, " ", time.Since(began).Round(10*time.Millisecond))) }
			}
			served := newGroup(t, "S J:S", func(k string) scheduler.Task {
				if k == "S" {
					return servingFor(takes, note("S"))
				}
				return deafFor(takes, nil)
			}, nil)
			inner := newGroup(t, "R K:R node", func(k string) scheduler.Task {
				switch k {
				case "R":
					return servingFor(takes, note("R"))
				case "K":
					return deafFor(3*takes, nil)
				}
				return &partly{Task: served, then: then}
			}, &scheduler.GroupOptions[string]{RecoverPanics: true})
			r := scheduler.NewTaskRunner(newGroup(t, "in", func(string) scheduler.Task { return inner }, nil), nil)
			time.AfterFunc(100*time.Millisecond, r.Kill)
			require.Error(t, r.Run(t.Context()))
			if name == "panic" {
				require.Len(t, inner.Errors(), 1)
				require.Equal(t, "asked once more", asError[*scheduler.PanicError](t, inner.Err("node")).Value)
			} else {
				require.Empty(t, inner.Errors())
			}
			require.Equal(t, scheduler.StateCancelled, inner.State("node"))
			require.Equal(t, []string{"S 2s", "R 4s"}, ended)
		})
	}
}

// A member that has panicked when it was asked to end is not asked again when the next
// part of its group is ended.
func TestGroup_member_that_panics_is_asked_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		inner := newGroup(t, "S J:S node", func(k string) scheduler.Task {
			switch k {
			case "S":
				return servingFor(time.Second, func() {})
			case "J":
				return deafFor(time.Second, nil)
			}
			return closer{fakeTask: &fakeTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event))}}, begin: func() *scheduler.Event {
				asked++
				panic("asked to end")
			}}
		}, &scheduler.GroupOptions[string]{RecoverPanics: true})
		r := scheduler.NewTaskRunner(newGroup(t, "in", func(string) scheduler.Task { return inner }, nil), nil)
		time.AfterFunc(100*time.Millisecond, r.Kill)
		require.Error(t, r.Run(t.Context()))
		require.Equal(t, 1, asked)
		require.Equal(t, "asked to end", asError[*scheduler.PanicError](t, inner.Err("node")).Value)
	})
}
