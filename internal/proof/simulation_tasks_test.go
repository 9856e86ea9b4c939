package proof_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
)

// simTask is a task of any kind under observation.
type simTask struct {
	s       *simulation
	id      int
	task    scheduler.Task
	started bool
	ended   bool
	running bool
	asked   bool // to close
}

// enter begins a call of the task; what it returns ends it.
func (t *simTask) enter(what string) func(y scheduler.Yield, err error) {
	s := t.s
	s.taskSteps++
	s.note("task %d: %s", t.id, what)
	s.require(!t.ended, "task %d was called after its end: %s", t.id, what)
	s.require(!t.running, "task %d was called inside its own call: %s", t.id, what)
	s.require(t.started || what == "step", "task %d was called before its start: %s", t.id, what)
	s.require(!t.asked || what == "begin close" || what == "close", "task %d was called after it was asked to close: %s", t.id, what)
	t.started, t.running = true, true
	return func(y scheduler.Yield, err error) {
		t.running = false
		t.ended = t.ended || err != nil || y == scheduler.Done || y == scheduler.Yield{} && what == "panic"
		s.note("task %d: = %v %v", t.id, y.Rounds(), err)
	}
}

// call calls the task. A panic is its end.
func (t *simTask) call(what string, code func() (scheduler.Yield, error)) (y scheduler.Yield, err error) {
	leave, returned := t.enter(what), false
	defer func() {
		if !returned {
			t.ended, t.running = true, false
			s := t.s
			s.unwound = true
			return
		}
		leave(y, err)
	}()
	y, err = code()
	returned = true
	return y, err
}

func (t *simTask) Step(ctx context.Context) (scheduler.Yield, error) {
	t.s.read(scheduler.Now(ctx))
	return t.call("step", func() (scheduler.Yield, error) { return t.task.Step(ctx) })
}

// simThrower is one that can be thrown into.
type simThrower struct {
	*simTask
	thrower scheduler.Thrower
}

func (t simThrower) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	t.s.read(scheduler.Now(ctx))
	return t.call("throw", func() (scheduler.Yield, error) { return t.thrower.Throw(ctx, err) })
}

func (t *simTask) Stop(ctx context.Context, cause error) {
	_, _ = t.call("stop", func() (scheduler.Yield, error) {
		if stopper, ok := simLook[scheduler.Stopper](t.task); ok {
			stopper.Stop(ctx, cause)
		}
		return scheduler.Next, nil
	})
}

func (t *simTask) Close() error {
	_, err := t.call("close", func() (scheduler.Yield, error) {
		return scheduler.Done, t.task.Close()
	})
	t.ended = true
	return err
}

func (t *simTask) BeginClose() (e *scheduler.Event) {
	_, _ = t.call("begin close", func() (scheduler.Yield, error) {
		t.asked = true
		if closer, ok := simLook[scheduler.Closer](t.task); ok {
			e = closer.BeginClose()
		}
		return scheduler.Next, nil
	})
	return e
}

func (t *simTask) String() string { return fmt.Sprint("task ", t.id) }

// simLook looks for an ability as drivers do.
func simLook[T scheduler.Task](task scheduler.Task) (t T, ok bool) {
	for {
		if t, ok = task.(T); ok {
			return t, true
		}
		wrapper, wraps := task.(interface{ Unwrap() scheduler.Task })
		if !wraps {
			return t, false
		}
		task = wrapper.Unwrap()
	}
}

// simWrapper adds nothing but a name.
type simWrapper struct{ scheduler.Task }

func (w simWrapper) Unwrap() scheduler.Task { return w.Task }
func (w simWrapper) String() string         { return "wrapped" }

type simBackOff struct{ s *simulation }

func (b simBackOff) NextBackOff() time.Duration {
	if b.s.c.one(3) {
		return b.s.span()
	}
	return -1
}

func (s *simulation) observed(task scheduler.Task) scheduler.Task {
	t := &simTask{s: s, id: len(s.tasks), task: task}
	s.tasks = append(s.tasks, t)
	if thrower, ok := simLook[scheduler.Thrower](task); ok {
		return simThrower{t, thrower}
	}
	return t
}

// simPlace is where a task stands.
type simPlace struct {
	depth    int
	shielded bool      // the notice of a stop does not get there
	group    *simGroup // whose node it is, or is a part of; nil for the outermost
	node     int
	passes   bool // what it fails with is what the node fails with, or a part of that
	inAll    bool // there is a group between, which keeps errors of Close
}

// serves reports whether a node around the place is ready: it hears of a stop only
// when nothing needs it any more, and until then what is added inside starts.
func (at simPlace) serves() bool {
	for ; at.group != nil; at = at.group.place {
		if at.group.state[at.node] == scheduler.StateReady {
			return true
		}
	}
	return false
}

func (at simPlace) inside() simPlace {
	at.depth--
	return at
}

// behindShield is inside of a Shield.
func (at simPlace) behindShield() simPlace {
	at.shielded = true
	return at.inside()
}

// swallowed is inside of something that may keep what it fails with.
func (at simPlace) swallowed() simPlace {
	at.passes = false
	return at.inside()
}

// task makes a task of a random kind, each of its parts under observation.
func (s *simulation) task(at simPlace) scheduler.Task {
	kinds := 9
	if at.depth >= 0 {
		kinds = 26
	}
	switch s.c.pick(kinds) {
	case 1:
		return s.observed(scheduler.Pause(s.yield()))
	case 2:
		return s.observed(s.blockingTask(at))
	case 3:
		return s.blockingTask(at) // as it is: those are closed side by side
	case 4:
		return s.observed(s.poll())
	case 5:
		return s.observed(&simSlow{s: s})
	case 6:
		return &simSlow{s: s}
	case 7:
		return s.runInCall()
	case 8:
		return s.walkInCall(at)
	case 9:
		return s.group(at).task()
	case 10:
		g := s.group(at)
		return g.g // as it is
	case 11:
		return s.observed(s.runnerOf(at.inside()).AsTask(0))
	case 12:
		return s.observed(scheduler.Sequence(s.task(at.inside()), s.task(at.inside())))
	case 13:
		return s.observed(scheduler.Finally(s.task(at.inside()), s.task(at.behindShield())))
	case 14:
		return s.observed(scheduler.Retry(simBackOff{s}, func(int, error) scheduler.Task { return s.task(at.swallowed()) }))
	case 15:
		return s.observed(scheduler.Claiming(s.claims(), s.task(at.inside())))
	case 16:
		return s.observed(s.coroutine(at))
	case 17:
		return scheduler.Subrun(s.runnerOf(at.inside()))
	case 18:
		return simWrapper{s.task(at.inside())}
	case 19:
		return scheduler.Named("named", s.task(at.inside()))
	case 20:
		in := at.inside()
		in.inAll = true
		return scheduler.All(s.task(in))
	case 21:
		return scheduler.Shield(s.task(at.behindShield()))
	case 22:
		return scheduler.Reserve(s.span()/2, s.task(at.inside()))
	case 24:
		in := at.swallowed()
		in.inAll = true
		return s.observed(scheduler.First(s.task(in), s.task(in)))
	case 25:
		return scheduler.WithTimeout(s.span()*time.Duration(s.c.pick(2)), s.task(at.inside()))
	case 23:
		r := s.runnerOf(at.swallowed())
		s.inner = append(s.inner, r) // somebody may kill it
		return s.observed(scheduler.Subrun(r))
	}
	return s.observed(&simLeaf{s: s, acts: s.c.pick(7)})
}

func (s *simulation) runnerOf(at simPlace) *scheduler.TaskRunner {
	return scheduler.NewTaskRunner(s.task(at), &scheduler.RunnerOptions{
		Timeout: s.span() * time.Duration(s.c.pick(2)), Grace: s.span() * time.Duration(s.c.pick(2)),
		EndCalls: s.c.one(6),
	})
}

func (s *simulation) poll() scheduler.Task {
	delay := s.callDelay()
	left := 1 + s.c.pick(3) // only its calls touch it, one after the other
	return scheduler.Poll(s.span(), func(context.Context) (bool, error) {
		time.Sleep(delay) //nolint:forbidigo // in a bubble
		left--
		return left == 0, nil
	})
}

// coroutine yields, awaits and calls, and treats the errors as it likes.
func (s *simulation) coroutine(at simPlace) scheduler.Task {
	parts := s.c.pick(4)
	ignores := s.c.one(8)
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for range parts {
			var err error
			switch s.c.pick(6) {
			case 5:
				every, delay, left := s.span(), s.callDelay(), 1+s.c.pick(3)
				_, err = scheduler.PollCall(co, every, func(context.Context) (int, bool, error) {
					time.Sleep(delay) //nolint:forbidigo // in a bubble
					left--
					return left, left == 0, nil
				})
			case 1:
				err = co.Await(s.task(at.swallowed()))
			case 2:
				err = co.Await(s.coroutine(at.swallowed()))
			case 3:
				span := s.span() + s.callDelay()
				_, err = scheduler.Call(co, func(context.Context) (int, error) {
					time.Sleep(span) //nolint:forbidigo // in a bubble
					return 0, nil
				})
			case 4:
				err = co.Yield(s.yield().Or(scheduler.On(co.Stopping())))
			default:
				err = co.Yield(s.yield())
			}
			if errors.Is(err, scheduler.ErrClosed) {
				s.unwound = true // what it begins now is waited for
			}
			if err != nil && !ignores && !s.c.one(4) {
				return err
			}
			if errors.Is(err, scheduler.ErrClosed) && !ignores {
				return s.err("closing")
			}
			if s.c.one(40) {
				panic("simulated in a coroutine")
			}
		}
		return nil
	})
}
