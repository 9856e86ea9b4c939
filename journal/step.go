package journal

import (
	"context"
	"encoding/json"

	"github.com/steptask/scheduler"
)

// Step calls fn once, on its own goroutine as [scheduler.Call] does, and records
// its value. If the step is on record already, by this name and its occurrence in
// the attempt, fn is not called and the recorded value is returned.
//
// fn is called once everything that the node has recorded before is on disk, so no
// step has an effect that could outlive its cause; until then the task is parked.
// Only successes are recorded: after an error, or if the process dies in between,
// a later attempt calls fn again, which should give [Node.ID] to what it calls.
//
// Steps are known by their names: an attempt should ask for the same ones in the
// same order, however it has come to them. In loops and in tasks that run side by
// side give each step a name of its own.
//
// Outside the nodes of a [Run] the error is [ErrNoNode], and in a call that the run has
// left behind [scheduler.ErrEnded]. A value that is no JSON,
// or is recorded as another type, is a [*ValueError].
func Step[T any](co *scheduler.Coroutine, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	var v T
	n, err := nodeOf(co.Context())
	if err != nil {
		return v, err
	}
	step, data, before := n.ask(name)
	if data != nil {
		return decode[T](n, step, data)
	}
	for !before.done.IsSet() {
		n.log.w.want(before)
		if err := co.Yield(scheduler.On(&before.done)); err != nil {
			return v, err
		}
	}
	if before.err != nil {
		return v, before.err
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

// StepIn is [Step] inside a call: for functions given to [scheduler.Blocking],
// [scheduler.Fetch], [scheduler.Call] and their kin, with the context that they
// have. It calls fn on the same goroutine, and blocks it while it waits for the
// disk. If ctx ends meanwhile, its cause is the error.
func StepIn[T any](ctx context.Context, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	var v T
	n, err := nodeOf(ctx)
	if err != nil {
		return v, err
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
