package scheduler

import (
	"context"
	"time"
)

// BackOff says how long [Retry] waits before the next attempt; a negative duration
// ends the attempts. The back-offs of github.com/cenkalti/backoff are BackOffs.
type BackOff interface {
	NextBackOff() time.Duration
}

// BackOffFunc is a [BackOff] that looks at what has failed, and that can wait for
// more than time. It gets the number of the attempt, from 1 on, and its error, and
// says when the next one may begin; [Done] ends the attempts.
type BackOffFunc func(attempt int, err error) Yield

// NextBackOff calls f with 0 and nil and returns the duration that f waits for, -1
// for Done, and 0 for another Yield. [Retry] calls f itself.
func (f BackOffFunc) NextBackOff() time.Duration {
	mustHaveFunc(f == nil, "BackOffFunc")
	switch y := f(0, nil); {
	case y.code&yieldDone != 0:
		return -1
	case y.code == yieldAfter:
		return time.Duration(max(y.after, 0))
	}
	return 0
}

// Permanent returns err, with the same text, as an error after which [Retry] makes no
// further attempt: it has a method Permanent() bool. Permanent of nil is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string   { return e.err.Error() }
func (e *permanentError) Unwrap() error   { return e.err }
func (e *permanentError) Permanent() bool { return true }

func isPermanent(err error) bool {
	e, ok := find[interface{ Permanent() bool }](err)
	return ok && e.Permanent()
}

// RetryAfter returns err, with the same text, as an error that says how long [Retry]
// is to wait before the next attempt, as a Retry-After header does: it has a method
// RetryAfter() time.Duration. RetryAfter of nil is nil.
func RetryAfter(err error, pause time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, pause}
}

type retryAfterError struct {
	err   error
	pause time.Duration
}

func (e *retryAfterError) Error() string             { return e.err.Error() }
func (e *retryAfterError) Unwrap() error             { return e.err }
func (e *retryAfterError) RetryAfter() time.Duration { return e.pause }

// pauseAfter returns when the attempt after the given one may begin, or Done.
func pauseAfter(backoff BackOff, attempt int, err error) Yield {
	if isPermanent(err) {
		return Done
	}
	var y Yield
	if f, ok := backoff.(BackOffFunc); ok {
		y = f(attempt, err)
	} else if pause := backoff.NextBackOff(); pause < 0 {
		y = Done
	} else {
		y = After(pause)
	}
	if e, ok := find[interface{ RetryAfter() time.Duration }](err); ok && y != Done {
		return After(e.RetryAfter())
	}
	return y
}

// Retry returns a [Task] that makes a task and runs it, until one succeeds, with a
// pause after each failure. task is called with the number of the attempt, from 1,
// and the error of the previous one. The attempts end, with the last error as the
// result, when backoff says so or task returns nil.
//
// An error that is [Permanent] ends the attempts; one that says [RetryAfter] sets the
// pause, and backoff is called all the same. The [Notes] of the node have the number
// and the error of the last failed attempt. Without any attempt the result is
// [ErrNilTask].
//
// Retry makes no further attempt after a stop, after its own time limit, while it is
// being closed, when an error that was thrown into it comes out again, or after
// [ErrSkip] with no failure beside it. A notice or an error thrown in ends a pause.
// If the result is then an error that is [Interrupted], the error of the previous
// attempt is joined to it, so the node has failed.
func Retry(backoff BackOff, task func(attempt int, last error) Task) Task {
	mustHaveBackOff(backoff, "Retry")
	mustHaveFunc(task == nil, "Retry")
	return &coroutine{Coroutine{is: isRetry, fn: func(co *Coroutine) error {
		r := retry{co: co, before: notesAround(co.top.ctx)}
		for attempt := 1; ; attempt++ {
			done, err := r.attempt(task(attempt, r.last))
			if done {
				if err == nil && r.last != nil {
					r.forget()
				}
				return err
			}
			pause := pauseAfter(backoff, attempt, r.last)
			r.note(attempt, pause != Done)
			switch pause {
			case Done:
				return r.last
			case Yield{}:
				return join(&namedError{"a BackOffFunc", ErrNoYield}, r.last)
			}
			if err := co.Yield(pause.Or(On(co.Stopping()))); err != nil {
				return join(err, r.last)
			}
			if n := co.notice(); n != nil {
				return join(n, r.last)
			}
		}
	}}}
}

// RetryCall is [Retry] with a value: it calls fn as [Call] does until it succeeds,
// and returns the results of the last call, the value even beside an error.
func RetryCall[T any](co *Coroutine, backoff BackOff, fn func(ctx context.Context) (T, error)) (T, error) {
	mustHaveCoroutine(co, "RetryCall")
	mustHaveBackOff(backoff, "RetryCall")
	mustHaveFunc(fn == nil, "RetryCall")
	var value T
	err := co.Await(Retry(backoff, func(int, error) Task {
		return Fetch(fn, func(v T, err error) error {
			value = v
			return err
		})
	}))
	return value, err
}

// mustHaveBackOff panics for a BackOff that is nil.
func mustHaveBackOff(backoff BackOff, of string) {
	if f, ok := backoff.(BackOffFunc); backoff == nil || ok && f == nil {
		panic("scheduler: " + of + ": nil BackOff")
	}
}

// retry is the state of a Retry.
type retry struct {
	co     *Coroutine
	task   Task  // of the last attempt
	last   error // with what that failed
	before Notes // of the node
}

// note notes which attempt has failed, and, if another one follows, has that told.
func (r *retry) note(attempt int, follows bool) {
	g, p := nodeAround(r.co.top.ctx)
	if g == nil {
		return
	}
	n := g.notesOf(p)
	n.Attempt, n.Last = attempt, r.last
	if follows {
		g.noteInside(p, n, NodeRetrying, r.last)
	} else {
		g.setNotes(p, n)
	}
}

// forget takes back what it has noted: a Retry around it may have noted that before.
func (r *retry) forget() {
	changeNotes(r.co.top.ctx, func(n *Notes) { n.Attempt, n.Last = r.before.Attempt, r.before.Last })
}

// attempt makes one, and reports whether it is the last; err is then the result.
func (r *retry) attempt(task Task) (done bool, err error) {
	switch {
	case task == nil && r.last != nil:
		return true, r.last
	case isNil(task):
		return true, join(errNil(task), r.last)
	case isSameTask(task, r.task):
		return true, join(&namedError{TaskDescription(task) + ", by Retry", ErrStarted}, r.last)
	}
	err = r.co.Await(task)
	if !r.co.isFinal(err) {
		r.task, r.last = task, err
		return false, nil
	}
	if Interrupted(err) {
		err = join(err, r.last)
	}
	return true, err
}

// isSameTask reports whether two tasks are the very same one, which it cannot
// know of functions.
func isSameTask(a, b Task) (same bool) {
	defer func() { _ = recover() }()
	return a == b
}
