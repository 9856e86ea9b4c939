package proof_test

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/steptask/scheduler"
)

// simLeaf takes a decision each time it is called.
type simLeaf struct {
	s    *simulation
	acts int
}

func (l *simLeaf) Step(ctx context.Context) (scheduler.Yield, error) {
	s := l.s
	if l.acts == 0 {
		return scheduler.Done, nil
	}
	l.acts--
	switch s.c.pick(28) {
	case 27:
		scheduler.Note(ctx, fmt.Sprint("of task with acts ", l.acts))
	case 26, 25:
		scheduler.Ready(ctx)
	case 24:
		g := s.groups[s.c.pick(len(s.groups))]
		if k := s.c.pick(6); s.c.one(2) {
			g.g.SkipNode(k, fmt.Errorf("%w: %w", scheduler.ErrSkip, s.err("skipped")))
		} else {
			g.g.StopNode(k, s.err("stopped"))
		}
	case 23:
		return scheduler.Yield{}, s.err("error")
	case 22:
		if s.c.one(4) {
			panic("simulated")
		}
	case 21:
		l.s.events[s.c.pick(len(s.events))].Set()
	case 20:
		l.s.events[s.c.pick(len(s.events))].Reset()
	case 19:
		s.takesLong(s.span() / 2)
	case 18:
		return scheduler.Yield{}, fmt.Errorf("%w: %w", scheduler.ErrSkip, s.err("skip"))
	case 17:
		s.groups[s.c.pick(len(s.groups))].look()
	case 16:
		if s.c.one(4) {
			return scheduler.Yield{}, nil
		}
	case 15:
		switch s.c.pick(8) {
		case 7:
			s.runner.Interrupt(s.err("from inside"))
		case 6:
			s.meanwhile(s.runner.Kill)
			s.killed = s.steps + 1
		case 5:
			cause := s.err("posted")
			s.meanwhile(func() { s.runner.Post(func() { s.stop(cause) }) })
		case 4:
			g := s.groups[s.c.pick(len(s.groups))].g
			s.meanwhile(func() { s.runner.Post(g.Drain) })
		}
	case 14:
		if s.c.one(4) {
			s.groups[s.c.pick(len(s.groups))].g.Drain()
		}
	case 13, 12, 11:
		s.growing().add()
	case 10:
		if s.c.one(4) {
			s.groups[s.c.pick(len(s.groups))].closeInput()
		}
	}
	return s.yield(), nil
}

func (l *simLeaf) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	switch l.s.c.pick(4) {
	case 1:
		return scheduler.Done, nil
	case 2:
		return l.s.yield(), nil
	case 3:
		return l.Step(ctx)
	}
	return scheduler.Yield{}, err
}

func (l *simLeaf) Stop(context.Context, error) {
	switch l.s.c.pick(16) {
	case 1, 2, 3, 4, 5, 6, 7, 8:
		l.acts = 0
	case 15:
		if l.s.c.one(2) {
			panic("simulated in Stop")
		}
	}
}

func (l *simLeaf) Close() error {
	switch l.s.c.pick(12) {
	case 11:
		panic("simulated in Close")
	case 10, 9:
		return l.s.err("close")
	}
	return nil
}

// simCallEnds ends a call one way or another.
func simCallEnds(how int, err error) error {
	switch how {
	case 7:
		panic("simulated in a call")
	case 6:
		runtime.Goexit()
	case 5:
		return err
	}
	return nil
}

func (s *simulation) yield() scheduler.Yield {
	switch s.c.pick(6) {
	case 1:
		return scheduler.Rounds(s.c.pick(4))
	case 2:
		return scheduler.After(s.span())
	case 3:
		return scheduler.On(&s.events[s.c.pick(len(s.events))])
	case 4:
		return scheduler.After(s.span()).Or(scheduler.On(&s.events[0], &s.events[1]))
	case 5:
		return scheduler.Rounds(s.c.pick(4)).Or(scheduler.At(time.Now().Add(s.span())))
	}
	return scheduler.Next
}

// simSlow is a task that takes time to end once it is asked to.
type simSlow struct {
	s      *simulation
	steps  int
	closed chan struct{} // nil: not asked
	event  scheduler.Event
	err    error
}

func (l *simSlow) Step(context.Context) (scheduler.Yield, error) {
	l.steps++
	switch l.s.c.pick(8) {
	case 1:
		return scheduler.Done, nil
	case 2:
		return scheduler.Yield{}, l.s.err("slow")
	}
	return l.s.yield(), nil
}

func (l *simSlow) BeginClose() *scheduler.Event {
	if l.closed == nil {
		l.closed = make(chan struct{})
		if l.s.c.one(2) {
			l.err = l.s.err("slowly")
		}
		time.AfterFunc(l.s.span()*time.Duration(l.s.c.pick(2))+l.s.callDelay(), func() {
			close(l.closed)
			l.event.Set()
		})
	}
	return &l.event
}

func (l *simSlow) Close() error {
	l.BeginClose()
	<-l.closed
	return l.err
}
