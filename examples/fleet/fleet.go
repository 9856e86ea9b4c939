// Command fleet runs many independent groups from one goroutine.
//
// What you learn: a loop of one's own over any number of runners. Each is
// stepped only when it is due, and one that fails does not touch the others.
// (If one failure is to end them all, scheduler.All does it in a line.)
package main

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// Fleet drives runners that have nothing to do with one another.
type Fleet struct {
	clock   scheduler.Clock
	members []*member
	timers  timers // who is due at a time
	wake    chan struct{}

	mu    sync.Mutex
	woken []*member // who became due from outside; guarded by mu
}

type member struct {
	runner *scheduler.TaskRunner
	at     time.Time // when it is in timers
	err    error
}

// New returns an empty fleet.
func New(clock scheduler.Clock) *Fleet {
	return &Fleet{clock: clock, wake: make(chan struct{}, 1)}
}

// Add puts in a task. It starts with Run.
func (f *Fleet) Add(name string, task scheduler.Task) {
	m := &member{}
	m.runner = scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{
		Name:  name,
		Clock: f.clock,
		Wake:  func() { f.enqueue(m) },
	})
	f.members = append(f.members, m)
}

// enqueue is called from any goroutine.
func (f *Fleet) enqueue(m *member) {
	f.mu.Lock()
	f.woken = append(f.woken, m)
	f.mu.Unlock()
	f.signal()
}

func (f *Fleet) signal() {
	select {
	case f.wake <- struct{}{}:
	default: // it is going to look already
	}
}

// Run drives all members to their ends and returns their errors by name. When
// ctx ends they are cancelled.
func (f *Fleet) Run(ctx context.Context) map[string]error {
	stop := context.AfterFunc(ctx, f.signal)
	defer stop()
	left := len(f.members)
	ready := f.members
	for left > 0 {
		var again []*member
		for _, m := range ready {
			if m.runner.Done() {
				continue // it was woken for the last time
			}
			if ctx.Err() != nil {
				m.err = context.Cause(ctx)
				_ = m.runner.Cancel()
			} else if m.step(ctx); !m.runner.Done() {
				if f.park(m) {
					again = append(again, m)
				}
				continue
			}
			left--
		}
		if ready = f.collect(again); len(ready) == 0 && left > 0 {
			f.sleep()
			ready = f.collect(nil)
		}
		if ctx.Err() != nil {
			ready = f.members
		}
	}
	errs := map[string]error{}
	for _, m := range f.members {
		if m.err != nil {
			errs[m.runner.String()] = m.err
		}
	}
	return errs
}

func (m *member) step(ctx context.Context) {
	if !m.runner.Started() {
		m.err = m.runner.Start(ctx, 0)
		return
	}
	_, m.err = m.runner.Step(ctx)
}

// park notes when a member is due, and reports whether it is at once.
func (f *Fleet) park(m *member) bool {
	due := m.runner.Due()
	if due.Ready() || due.Rounds() > 0 {
		return true
	}
	if at, ok := due.Time(); ok && !at.Equal(m.at) {
		m.at = at
		heap.Push(&f.timers, timer{at, m})
	}
	return false
}

// collect returns who is due now.
func (f *Fleet) collect(ready []*member) []*member {
	f.mu.Lock()
	ready = append(ready, f.woken...)
	f.woken = nil
	f.mu.Unlock()
	for len(f.timers) > 0 && !f.timers[0].at.After(f.clock.Now()) {
		t := heap.Pop(&f.timers).(timer)
		if t.m.at.Equal(t.at) { // else it has put its time off since
			t.m.at = time.Time{}
			ready = append(ready, t.m)
		}
	}
	return ready
}

// sleep waits for the earliest time, or a wake.
func (f *Fleet) sleep() {
	var until time.Time
	if len(f.timers) > 0 {
		until = f.timers[0].at
	}
	f.clock.Wait(until, f.wake)
}

type timer struct {
	at time.Time
	m  *member
}

// timers is a heap by time.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }

func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
