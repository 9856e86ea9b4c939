package scheduler

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// AbandonedError is the error of a call that had to end, did not return, and was left
// behind after [RunnerOptions.Abandon] or [GroupOptions.Abandon]. Its goroutine is
// the only thing that a run can leave behind. What the call returns later is dropped.
// The claims of its node are released, although the call may still use what they
// stand for.
type AbandonedError struct {
	Path  string        // the keys that lead to the call's node, with slashes between them; "" outside of a group
	Task  string        // what [TaskDescription] calls the call
	After time.Duration // since the notice, or since the call was closed where there was no notice
	Stack []byte        // where its goroutine stood, as formatted by runtime.Stack; nil if it was not found

	returned *atomic.Bool
}

// Error returns which call was left behind, and after how long. It leaves out the
// stack, which differs each time.
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
	group *engine // nil outside of one
	node  int32

	goroutine atomic.Int64
	decided   atomic.Bool // the function has returned, or the call was left behind
	returned  atomic.Bool

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
	a := &abandonment{call: c, after: s.abandon, group: s.group, node: noNode}
	if a.group != nil {
		a.node = a.group.current
	}
	return a
}

// enter notes on which goroutine the call is made.
func (a *abandonment) enter() { a.goroutine.Store(goroutineID()) }

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
func (a *abandonment) leaveBehind() {
	stack := stackOf(a.goroutine.Load())
	if !a.decided.CompareAndSwap(false, true) {
		// Not covered: the call returns just while its stack is taken.
		return
	}
	a.mu.Lock()
	a.err = &AbandonedError{
		After: time.Since(a.since).Round(time.Millisecond), Stack: stack, returned: &a.returned,
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
		if a.group != nil && a.node != noNode {
			a.err.Path = a.group.pathOf(a.node)
		}
	}
	return a.err
}

// goroutineID returns the number by which stacks name this goroutine.
func goroutineID() int64 {
	var buf [64]byte
	return numberIn(buf[:runtime.Stack(buf[:], false)])
}

// numberIn returns the number of the goroutine whose stack it is.
func numberIn(stack []byte) int64 {
	rest, _ := bytes.CutPrefix(stack, []byte("goroutine "))
	number, _, _ := bytes.Cut(rest, []byte(" "))
	id, _ := strconv.ParseInt(string(number), 10, 64)
	return id
}

// stacks is the last look at all goroutines. Calls that are left behind at the same
// time share one: it stops the process.
var stacks struct {
	sync.Mutex
	at          time.Time
	byGoroutine map[int64][]byte
	cut         bool // there were more than stacksMost has room for
}

const (
	stacksMost = 4 << 20 // bytes: of very many goroutines the last ones are not seen
	stacksKept = 100 * time.Millisecond
)

// stackOf returns the stack of a goroutine, or nil.
func stackOf(id int64) []byte {
	asked := time.Now()
	stacks.Lock()
	defer stacks.Unlock()
	// A look that began while this call waited for the lock is good, however long
	// it has taken: on a busy machine many calls must not look one after the other.
	age := time.Since(stacks.at)
	isRecent := !stacks.at.Before(asked) || age >= 0 && age < stacksKept
	if stack := stacks.byGoroutine[id]; isRecent && (stack != nil || stacks.cut) {
		return stack
	}
	at := time.Now()
	buf := make([]byte, 1<<16)
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < stacksMost {
		buf = make([]byte, 4*len(buf))
		n = runtime.Stack(buf, true)
	}
	stacks.byGoroutine, stacks.at, stacks.cut = map[int64][]byte{}, at, n == len(buf)
	for stack := range bytes.SplitSeq(buf[:n], []byte("\n\n")) {
		stacks.byGoroutine[numberIn(stack)] = bytes.Clone(stack)
	}
	return stacks.byGoroutine[id]
}
