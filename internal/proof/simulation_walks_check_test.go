package proof_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/steptask/scheduler"
)

// begin notes the beginning of a call, which must be one that may begin.
func (w *simWalk) begin(ctx context.Context, k int) *simWalkCall {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Since(w.began)
	w.notes = append(w.notes, fmt.Sprintf("%015d %d begins", at, k))
	w.require(w.byNode[k] == nil, "the call of %d is made twice", k)
	w.require(ctx.Err() == nil, "the call of %d begins with a context that has ended", k)
	w.require(w.end == 0 || at <= w.end, "the call of %d begins after the end of the context", k)
	w.require(w.opts.Completed == nil || !w.opts.Completed(k), "the call of %d begins, which was completed", k)
	w.require(w.verdict == nil || w.verdict[k] <= scheduler.Start, "the call of %d begins, which When does not let start", k)
	for _, q := range w.needs[k] {
		w.require(w.isDone(q) || w.starts(k), "the call of %d begins before %d is done", k, q)
	}
	c := &simWalkCall{node: k, began: at}
	running, weight := 1, w.weight(k)
	for _, other := range w.calls {
		if other.over {
			w.require(!w.stops(other) || other.ended >= at, "the call of %d begins after %d has failed", k, other.node)
		} else if !w.isLeft(other, at) {
			weight += w.weight(other.node)
			if !other.ready {
				running++
			}
		}
	}
	w.require(w.opts.Limit == 0 || running <= w.opts.Limit, "%d calls run beside that of %d", running-1, k)
	w.require(w.limiter == nil || weight <= w.capacity, "with %d, %d is claimed", k, weight)
	w.calls = append(w.calls, c)
	w.byNode[k] = c
	return c
}

func (w *simWalk) weight(k int) int {
	if w.weights == nil {
		return 0
	}
	return w.weights[k]
}

// starts reports whether When starts a node whatever became of what it requires. That a
// requirement has ended is not known of one that has not begun.
func (w *simWalk) starts(k int) bool { return w.verdict != nil && w.verdict[k] == scheduler.Start }

// isDone reports whether what requires a node may begin.
func (w *simWalk) isDone(q int) bool {
	if c := w.byNode[q]; c != nil {
		hasFailed := c.over && w.fails(c)
		return w.ignores(q) && (c.over || w.timeout > 0) || c.ready && !hasFailed || c.over && c.err == nil
	}
	return w.opts.Completed != nil && w.opts.Completed(q) || w.verdict != nil && w.verdict[q] == scheduler.Pass
}

// fails reports whether a call that has returned has failed.
func (w *simWalk) fails(c *simWalkCall) bool {
	wasService := c.ready && errors.As(c.err, new(*scheduler.StopError))
	return c.err != nil && !errors.Is(c.err, scheduler.ErrSkip) && !wasService
}

// stops reports whether no call begins any more after the end of this one.
func (w *simWalk) stops(c *simWalkCall) bool {
	return w.fails(c) && !w.isLeft(c, c.ended) && (!w.spares(c.node) || c.gone && !w.opts.RecoverPanics)
}

// isLeft reports whether a call may be one that was left behind, and so counts no more.
func (w *simWalk) isLeft(c *simWalkCall, at time.Duration) bool {
	return w.opts.Abandon > 0 &&
		(w.timeout > 0 && at >= c.began+w.timeout+w.opts.Abandon || c.ready && at >= c.readyAt+w.opts.Abandon)
}

// check holds a walk that has ended to what is promised of all.
func (w *simWalk) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkEnd()
	if w.checkPanic(); w.panicked != nil {
		return
	}
	w.checkStates()
	var first *simWalkCall // that has stopped the walk
	failed, begun := false, 0
	for _, c := range w.calls {
		begun++
		if !c.over || !w.fails(c) {
			continue
		}
		failed = failed || !w.ignores(c.node)
		if w.stops(c) && (first == nil || c.ended < first.ended) {
			first = c
		}
		if !w.ignores(c.node) && w.opts.Abandon == 0 && !w.isNotice(c) { // what a call that was left behind returns is dropped
			w.require(errors.Is(w.result, c.err), "what %d has failed with is lost: %v", c.node, c.err)
		}
	}
	ended := w.end > 0 && w.took >= w.end // in the middle of the walk
	if ended {
		w.require(w.result != nil, "the end of the context is not in the result")
		if (first == nil || first.ended > w.end) && w.opts.Abandon == 0 {
			w.checkHit()
		}
	} else if first != nil && !w.isCut() {
		var task *scheduler.TaskError
		w.require(errors.As(w.result, &task) && task.Key == first.node || w.opts.OnError != nil, "the first failure is that of %d, the result %v", first.node, w.result)
	}
	if errors.As(w.result, new(*scheduler.DeadlockError)) {
		w.require(w.hasClaimingService(), "claims can be met: %v", w.result)
		return
	}
	if !failed && !ended && !w.isCut() {
		w.require(w.result == nil, "nothing has failed, but: %v", w.result)
	}
	if w.result == nil {
		w.require(!failed, "a failure is not in the result")
		w.checkWhole()
	}
	if !w.isCut() && w.limiter == nil && w.opts.Limit == 0 && w.verdict == nil && w.opts.Completed == nil {
		w.checkTimes()
	}
}

// isCut reports whether a call may fail before it returns, whatever that is.
func (w *simWalk) isCut() bool { return w.opts.Abandon > 0 || w.timeout > 0 }

// checkStates looks at what the calls have come to, if that was observed. One that returns
// nil late has succeeded, unless there is a Grace that has passed.
func (w *simWalk) checkStates() {
	if w.states == nil || w.isCut() || w.opts.Grace != 0 || w.result != nil && w.hasClaimingService() {
		return
	}
	for _, c := range w.calls {
		if state := w.states[c.node]; c.err == nil {
			w.require(state == scheduler.StateSucceeded, "the call of %d returned nil, and its node is %v", c.node, state)
		} else if !w.isNotice(c) && w.fails(c) {
			w.require(state == scheduler.StateFailed, "the call of %d has failed, and its node is %v", c.node, state)
		}
	}
}

// checkHit looks, when the context has ended the walk, for the errors of the calls that
// ended with it.
func (w *simWalk) checkHit() {
	w.require(w.isLimit || errors.Is(w.result, errSimEnd), "the cause of the context's end is not in the result: %v", w.result)
	w.require(!w.isLimit || errors.Is(w.result, context.DeadlineExceeded), "the deadline is not in the result: %v", w.result)
	for _, c := range w.calls {
		if c.ended > w.end && w.deeds[c.node] == simHeeds && c.err != nil && !w.ignores(c.node) {
			w.require(errors.Is(w.result, c.err), "with what %d has heeded the end is lost: %v", c.node, c.err)
		}
	}
}

// hasClaimingService reports whether a service was there that kept its claims.
func (w *simWalk) hasClaimingService() bool {
	return slices.ContainsFunc(w.calls, func(c *simWalkCall) bool { return c.ready && w.weight(c.node) > 0 })
}

// isNotice reports whether a call has failed with nothing but its notice.
func (w *simWalk) isNotice(c *simWalkCall) bool {
	return c.told && (w.deeds[c.node] == simHeeds || w.deeds[c.node] >= simServes)
}

// checkEnd looks at what is under way after the end. A call may have been left behind, and
// then it is named.
func (w *simWalk) checkEnd() {
	named := countAbandoned(w.result)
	w.require(w.live == 0 || w.opts.Abandon > 0, "%d calls are under way after the walk", w.live)
	w.require(w.panicked != nil || named >= w.live-w.unnamed, "%d calls were left behind, and %d named in %v", w.live, named, w.result)
	latest := time.Duration(0)
	for _, c := range w.calls {
		latest = max(latest, c.ended)
	}
	w.require(w.opts.Abandon > 0 || w.took == latest || w.took == w.end && len(w.calls) == 0, "the walk has ended %v after its last call", w.took-latest)
}

// checkRest is made when the calls that were left behind have returned too.
func (w *simWalk) checkRest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		w.require(c.over, "the call of %d does not end", c.node)
	}
	w.require(w.limiter == nil || w.limiter.InUse() == 0 && w.limiter.Waiting() == 0, "something is left claimed")
}

func countAbandoned(err error) int {
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *scheduler.AbandonedError:
		return 1
	case interface{ Unwrap() []error }:
		n := 0
		for _, part := range e.Unwrap() {
			n += countAbandoned(part)
		}
		return n
	case interface{ Unwrap() error }:
		return countAbandoned(e.Unwrap())
	}
	return 0
}

// checkPanic looks for the panic of a call, which goes up from Walk or is an error.
func (w *simWalk) checkPanic() {
	var gone *simWalkCall
	for _, c := range w.calls {
		if c.gone && (gone == nil || c.ended < gone.ended) {
			gone = c
		}
	}
	if gone == nil || w.opts.RecoverPanics {
		w.require(w.panicked == nil, "a panic of no call: %v", w.panicked)
		return
	}
	p, _ := w.panicked.(*scheduler.PanicError)
	w.require(w.opts.Abandon > 0 || p != nil && errors.Is(p, gone.err), "%d has panicked, and Walk with %v", gone.node, w.panicked)
}

// checkWhole is for a walk that has succeeded: each call was made, except for what was
// skipped, or depends on such.
func (w *simWalk) checkWhole() {
	skipped := make([]bool, len(w.needs))
	for range w.needs { // in either direction
		for k := range w.needs {
			skipped[k] = w.byNode[k] != nil && errors.Is(w.byNode[k].err, scheduler.ErrSkip) ||
				w.verdict != nil && w.verdict[k] == scheduler.Skip
			for _, q := range w.needs[k] {
				skipped[k] = skipped[k] || skipped[q]
			}
		}
	}
	for k, c := range w.byNode {
		completed := w.opts.Completed != nil && w.opts.Completed(k) || w.verdict != nil && w.verdict[k] == scheduler.Pass
		w.require(c != nil || skipped[k] || completed, "the walk has succeeded without the call of %d", k)
	}
}

// checkTimes is for a walk in which nothing but the graph makes calls wait: each begins as
// soon as what it requires is done, unless the walk has ended before.
func (w *simWalk) checkTimes() {
	over := w.took + 1
	if w.end > 0 {
		over = min(over, w.end)
	}
	for _, c := range w.calls {
		if c.over && w.stops(c) {
			over = min(over, c.ended)
		}
	}
	for k, c := range w.byNode {
		due := time.Duration(0)
		for _, q := range w.needs[k] {
			switch required := w.byNode[q]; {
			case required == nil:
				due = over
			case required.ready:
				due = max(due, required.readyAt)
			case required.over && (required.err == nil || w.ignores(q) && w.fails(required)):
				due = max(due, required.ended)
			default:
				due = over
			}
		}
		for _, q := range w.needs[k] {
			if c := w.byNode[q]; c != nil && c.over && c.ended <= due && w.fails(c) && !w.ignores(q) {
				due = over // a service that has failed before
			}
		}
		if due < over {
			w.require(c != nil && c.began == due, "the call of %d does not begin at %v", k, due)
		}
	}
}
