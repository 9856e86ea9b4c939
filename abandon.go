package scheduler

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// AbandonedError is the error of a call that had to end, did not return, and was left
// behind after [RunnerOptions.Abandon]: its goroutine is the only thing that a run
// can leave behind. The claims of its node are released, although the call may still
// use what they stand for. What it returns later is dropped. A function that has not
// begun by then is not called.
type AbandonedError struct {
	Path  string        // of its node
	Task  string        // what [TaskDescription] calls the call
	After time.Duration // since the notice, or, without one, the close
	Stack []byte        // where its goroutine stood, as formatted by runtime.Stack; nil if there are too many calls or goroutines to look

	returned *atomic.Bool
}

// Error says which call was left behind, and after how long.
func (e *AbandonedError) Error() string {
	at := ""
	if e.Path != "" {
		at = e.Path + ": "
	}
	return fmt.Sprintf("%scall %s has not returned after %v and was left behind; its claims were given back", at, e.Task, e.After)
}

// Returned reports whether the call has returned since. Any goroutine may call it.
func (e *AbandonedError) Returned() bool { return e.returned != nil && e.returned.Load() }

// abandonment is when a call is left behind, and which one that is.
type abandonment struct {
	call  *call
	after time.Duration
	group *engine // whose node the call is of; nil: of none
	node  int32

	entered   time.Time    // written before goroutine is set
	goroutine atomic.Int64 // 0: the function was not called yet
	decided   atomic.Bool  // the function has returned, or the call was left behind
	returned  *atomic.Bool // apart, since the error has it, which is not to keep the run

	mu    sync.Mutex
	since time.Time // the notice, or the closing
	timer *time.Timer
	err   *AbandonedError // once it was left behind; without its path
}

// newAbandonment returns that of a call which begins in a scope, or nil.
func newAbandonment(c *call, s *scope) *abandonment {
	if s == nil || s.abandon <= 0 {
		return nil
	}
	a := &abandonment{call: c, after: s.abandon, returned: new(atomic.Bool)}
	a.group, a.node = s.node()
	return a
}

// enter notes on which goroutine the call is made, and reports whether it still is to
// be made.
func (a *abandonment) enter() bool {
	if a.decided.Load() {
		return false
	}
	a.entered = time.Now()
	a.goroutine.Store(goroutineID())
	return true
}

// notice begins the time after which the call is left behind, if it has to end by
// then.
func (a *abandonment) notice() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since.IsZero() {
		a.since = time.Now()
	}
}

// mustEnd says that the call has to end now.
func (a *abandonment) mustEnd() {
	a.notice()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer == nil && !a.decided.Load() {
		a.timer = time.AfterFunc(a.after-time.Since(a.since), a.leaveBehind)
	}
}

// leaveBehind ends the waiting for the function, from the goroutine of the timer.
func (a *abandonment) leaveBehind() { poolOf(a.call.step).leaving.add(a) }

// endWaiting is that, with where the function stands.
func (a *abandonment) endWaiting(stack []byte) {
	if !a.decided.CompareAndSwap(false, true) {
		return // the call has returned meanwhile
	}
	a.mu.Lock()
	a.err = &AbandonedError{
		After: time.Since(a.since).Round(time.Millisecond), Stack: stack, returned: a.returned,
	}
	a.mu.Unlock()
	a.call.done.Set()
	a.call.told().leave()
}

// leave reports whether what the function has returned counts.
func (a *abandonment) leave() bool {
	counts := a.decided.CompareAndSwap(false, true)
	a.returned.Store(true)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
	return counts
}

// lost returns the error of a call that was left behind, or nil. It is for the
// driving goroutine, since it asks for keys and names.
func (a *abandonment) lost() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		return nil
	}
	if a.err.Task == "" {
		a.err.Task = TaskDescription(a.call)
		if a.group != nil {
			a.err.Path = a.group.pathOf(a.node)
		}
	}
	return a.err
}

// tell tells the Observers of the node that the call was left behind.
func (a *abandonment) tell(lost error) {
	if a.group != nil {
		a.group.tellInside(NodeAbandoned, a.node, lost)
	}
}

// leaving collects the calls that a run leaves behind at the same time, so that one look
// at the stacks serves them all. The goroutine that finds it idle ends the waiting for
// those that others add meanwhile, too.
type leaving struct {
	mu    sync.Mutex
	queue []*abandonment
	busy  bool
}

// add ends the waiting for a call, or leaves that to a goroutine which is at it.
func (l *leaving) add(a *abandonment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, a)
	if l.busy {
		return
	}
	for l.busy = true; len(l.queue) > 0; {
		batch := l.queue
		l.queue = nil
		l.mu.Unlock()
		endWaiting(batch)
		l.mu.Lock()
	}
	l.busy = false
}

// endWaiting ends the waiting for some calls, with one look at the stacks.
func endWaiting(batch []*abandonment) {
	ids := make([]int64, 0, len(batch))
	var entered time.Time // the last of them
	for _, a := range batch {
		if id := a.goroutine.Load(); id != 0 && !a.decided.Load() {
			ids = append(ids, id)
			if a.entered.After(entered) {
				entered = a.entered
			}
		}
	}
	found := stacks.of(ids, entered)
	for _, a := range batch {
		a.endWaiting(found[a.goroutine.Load()])
	}
}
