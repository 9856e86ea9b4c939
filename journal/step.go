package journal

import (
	"context"
	"encoding/json"

	"github.com/steptask/scheduler"
)

// Step calls fn on its own goroutine, as [scheduler.Call] does, and records its
// value. If the step is already recorded, under this name and its occurrence in the
// attempt, Step returns the recorded value and does not call fn.
//
// Before it calls fn, Step parks the task until the earlier records of the node are
// on disk, so that no effect outlives its cause. Only successes are recorded: after
// an error, or if the process dies before the record, a later attempt calls fn again.
// Pass [Node.ID] on to the API that fn calls.
//
// Each attempt should ask for the same steps in the same order. In loops, and in
// tasks that run side by side, give each step its own name.
//
// Outside the nodes of a [Run] the error is [ErrNoNode]; in a call that has outlived
// its run it is [scheduler.ErrEnded]. If the value cannot be marshaled, or the
// recorded one has another type, it is a [*ValueError].
func Step[T any](co *scheduler.Coroutine, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	var v T
	n, err := nodeOf(co.Context())
	if err != nil {
		return v, err
	}
	if fn == nil {
		return v, errNilFunction
	}
	step, data, before := n.ask(name)
	if data != nil {
		return decode[T](n, step, data)
	}
	if err := n.await(co, before); err != nil {
		return v, err
	}
	// Recorded on that goroutine, so that a value is not lost if the task is closed
	// while the call comes to its end.
	return scheduler.Call(co, func(ctx context.Context) (T, error) {
		v, err := fn(ctx)
		if err == nil {
			err = n.did(step, v)
		}
		return v, err
	})
}

// Sync parks the task until everything that its node has recorded is on disk. Call it
// before the task tells anyone that a step was done. Errors are those of [Step].
func Sync(co *scheduler.Coroutine) error {
	n, err := nodeOf(co.Context())
	if err != nil {
		return err
	}
	n.log.mu.Lock()
	last := n.last
	n.log.mu.Unlock()
	return n.await(co, last)
}

// await parks the task until b is on disk.
func (n *node) await(co *scheduler.Coroutine, b *batch) error {
	for !b.done.IsSet() {
		n.log.w.want(b)
		if err := co.Yield(scheduler.On(&b.done)); err != nil {
			return err
		}
	}
	return b.err
}

// StepIn is [Step] for functions given to [scheduler.Blocking], [scheduler.Fetch] or
// [scheduler.Call]; ctx is the context of that call. It calls fn on the same
// goroutine and blocks while it waits for the disk. If ctx ends meanwhile, StepIn
// returns its cause.
func StepIn[T any](ctx context.Context, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	var v T
	if ctx == nil {
		return v, errNilContext
	}
	n, err := nodeOf(ctx)
	if err != nil {
		return v, err
	}
	if fn == nil {
		return v, errNilFunction
	}
	step, data, before := n.ask(name)
	if data != nil {
		return decode[T](n, step, data)
	}
	n.log.w.flush()
	select {
	case <-before.written:
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
	if before.err != nil {
		return v, before.err
	}
	if n.log.w.ended() {
		return v, scheduler.ErrEnded
	}
	if v, err = fn(ctx); err != nil {
		return v, err
	}
	err = n.did(step, v)
	n.log.w.flush() // now, since there may be no round for long
	return v, err
}

func decode[T any](n *node, step string, data []byte) (v T, err error) {
	if err := json.Unmarshal(data, &v); err != nil {
		return v, n.valueError(step, err)
	}
	return v, nil
}
