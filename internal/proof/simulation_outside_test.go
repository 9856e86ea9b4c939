package proof_test

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
)

// fromOutside does something to the run between two steps.
func (s *simulation) fromOutside(cancel context.CancelCauseFunc) {
	s.outside++
	what := s.c.pick(18)
	s.note("from outside: %d", what)
	switch what {
	case 0:
		s.events[s.c.pick(len(s.events))].Set()
	case 1:
		s.runner.Interrupt(s.err("interrupt"))
	case 2:
		s.stop(s.err("stop"))
	case 3:
		cancel(s.err("context"))
	case 4:
		s.groups[s.c.pick(len(s.groups))].g.Drain()
	case 5:
		s.runner.CancelAfter(s.span())
	case 6:
		e := &s.events[s.c.pick(len(s.events))]
		go e.Set()
	case 7:
		s.meanwhile(s.runner.Kill)
		s.killed = s.steps + 1
	case 16, 17:
		s.otherRun()
	case 13, 14:
		s.growing().add()
	case 15:
		s.groups[s.c.pick(len(s.groups))].closeInput()
	case 8:
		i := s.c.pick(len(s.limiters))
		s.limiters[i].SetCapacity(s.c.pick(s.capacity[i] + 1))
	case 9:
		s.meanwhile(func() { s.runner.Post(s.check) })
		s.require(s.runner.Post(func() { s.note("posted") }), "a Post was refused")
	case 10:
		cause := s.err("posted")
		s.meanwhile(func() { s.runner.Post(func() { s.stop(cause) }) })
	case 11:
		if len(s.inner) > 0 {
			r, kill, err := s.inner[s.c.pick(len(s.inner))], s.c.one(2), s.err("interrupted inside")
			s.meanwhile(func() {
				if kill {
					r.Kill()
				} else {
					r.Interrupt(err)
				}
			})
		}
	default:
		s.recovered(func() { _ = s.runner.Cancel() })
	}
}

// wakeAll is for a run that sleeps: nobody but us sets its events. It reports
// whether that has not helped either.
func (s *simulation) wakeAll(asleep *int) bool {
	*asleep++
	for i := range s.events {
		s.events[i].Set()
	}
	s.restore()
	for _, g := range s.groups {
		g.closeInput()
	}
	return *asleep > 20
}

// restore gives the Limiters back the capacities that they had.
func (s *simulation) restore() {
	for i, l := range s.limiters {
		if s.capacity[i] == 0 {
			l.SetCapacity(1000) // one without a bound may have been paused
		} else {
			l.SetCapacity(s.capacity[i])
		}
	}
}

// otherRun begins a run of its own, which claims something of the same Limiters once.
func (s *simulation) otherRun() {
	claims, span, delay := s.claims(), s.span(), s.callDelay()
	s.others.Go(func() {
		time.Sleep(delay) //nolint:forbidigo // in a bubble
		deps := scheduler.NewDependencies[int]()
		deps.Add(0)
		g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task {
			return scheduler.Pause(scheduler.After(span + delay))
		}, &scheduler.GroupOptions[int]{Claims: func(int) []scheduler.Claim { return claims }})
		if err == nil {
			err = scheduler.Run(context.Background(), g, nil)
		}
		s.require(err == nil || errors.As(err, new(*scheduler.DeadlockError)), "another run has ended with %v", err)
	})
}

// meanwhile does something on another goroutine while a step is under way.
func (s *simulation) meanwhile(do func()) {
	go do()
	synctest.Wait()
}

// stop stops the run, between two steps. A runner that is closing its task ignores it.
func (s *simulation) stop(cause error) {
	if s.stopped == 0 && !s.runner.Done() && !s.tasks[0].asked {
		s.stopped = s.steps + 1
	}
	s.runner.Stop(cause)
}

// isStopped reports whether the run was stopped before this step.
func (s *simulation) isStopped() bool { return s.stopped != 0 && s.steps >= s.stopped }

func (s *simulation) isKilled() bool { return s.killed != 0 && s.steps >= s.killed }
