package randomrun

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// task makes the task of a node.
func (r *run) task(name string, depth int) scheduler.Task {
	task := r.bare(name, depth)
	if task == nil || r.wrapping == nil || r.wrapping.Wrap == nil {
		return task
	}
	return r.wrapping.Wrap(task)
}

// bare makes a task, or a group, or one of them inside something else.
func (r *run) bare(name string, depth int) scheduler.Task {
	if depth < 2 && r.rnd.IntN(4) == 0 {
		g := r.group(depth + 1)
		kinds := 6
		if r.isGroup() {
			kinds = 4
		}
		switch r.rnd.IntN(kinds) {
		case 4:
			return scheduler.WithTimeout(time.Duration(r.rnd.IntN(4))*time.Second, g)
		case 5:
			return scheduler.First(g, &task{r: r, name: name, left: r.rnd.IntN(5), heeds: r.rnd.IntN(2) == 0})
		case 0:
			return scheduler.NewTaskRunner(g, nil).AsTask(0)
		case 1:
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(g) })
		case 2:
			return scheduler.Sequence(&task{r: r, name: name, left: 1}, g)
		}
		return g
	}
	t := &task{r: r, name: name, left: r.rnd.IntN(5), heeds: r.rnd.IntN(2) == 0}
	switch r.rnd.IntN(20) {
	case 11, 12:
		if !r.isGroup() {
			return r.retried(name)
		}
	case 0:
		t.err = errBoom
	case 1:
		if !r.isGroup() {
			t.err = scheduler.ErrSkip
		}
	case 2:
		if !r.isGroup() {
			t.closeErr = errBoom
		}
	case 3:
		t.panics = r.rnd.IntN(4) == 0
	case 4:
		return nil
	case 5, 6:
		return &thrower{t}
	case 7, 8:
		return &slowTask{task: t, takes: time.Duration(r.rnd.IntN(4)) * time.Second}
	case 9, 10:
		return r.call(name)
	default:
	}
	return t
}

// retried is a task with some attempts, each with a time limit.
func (r *run) retried(name string) scheduler.Task {
	enough := r.rnd.IntN(4)
	again := scheduler.BackOffFunc(func(attempt int, last error) scheduler.Yield {
		if r.note("%s: attempt %d, %v", name, attempt, r.said(last)); attempt > enough {
			return scheduler.Done
		}
		return scheduler.On(r.events[0]).Or(scheduler.After(time.Second))
	})
	return scheduler.Retry(again, func(int, error) scheduler.Task {
		t := &task{r: r, name: name, left: r.rnd.IntN(4), heeds: r.rnd.IntN(2) == 0}
		if r.rnd.IntN(3) > 0 {
			t.err = errBoom
		}
		return scheduler.WithTimeout(2*time.Second, t)
	})
}

// task does nothing for some steps.
type task struct {
	r             *run
	name          string
	left          int
	heeds, panics bool
	err, closeErr error
}

func (t *task) String() string { return t.name }

func (t *task) Step(ctx context.Context) (scheduler.Yield, error) {
	t.r.note("%s: step, %v", t.name, ctx.Value(key{}))
	if t.left--; t.left >= 0 {
		scheduler.Note(ctx, fmt.Sprint(t.left, " steps left"))
		return t.yield(), nil
	}
	if t.panics {
		panic("panic of " + t.name)
	}
	if t.err != nil {
		return scheduler.Yield{}, t.err
	}
	return scheduler.Done, nil
}

func (t *task) yield() scheduler.Yield {
	event := t.r.events[t.r.rnd.IntN(len(t.r.events))]
	after := scheduler.After(time.Duration(t.r.rnd.IntN(4)) * time.Second)
	switch t.r.rnd.IntN(8) {
	case 0, 1, 2:
		return after
	case 3:
		return scheduler.Rounds(2 + t.r.rnd.IntN(3))
	case 4:
		return scheduler.On(event).Or(after)
	case 5:
		event.Set()
	case 6:
		event.Reset()
	default:
	}
	return scheduler.Next
}

func (t *task) Stop(_ context.Context, cause error) {
	t.r.note("%s: stop, %v", t.name, t.r.said(cause))
	if t.heeds {
		t.left = 0
	}
}

func (t *task) Close() error {
	t.r.note("%s: close", t.name)
	return t.closeErr
}

// thrower is a task that answers what is thrown into it.
type thrower struct{ *task }

func (t *thrower) Throw(_ context.Context, err error) (scheduler.Yield, error) {
	t.r.note("%s: throw, %v", t.name, t.r.said(err))
	switch t.r.rnd.IntN(4) {
	case 0:
		return scheduler.Done, nil
	case 1:
		return scheduler.Yield{}, errBoom
	case 2:
		return t.yield(), nil
	}
	return scheduler.Yield{}, err
}

// slowTask is a task that takes some time to end once it is asked to.
type slowTask struct {
	*task
	takes  time.Duration
	until  time.Time // zero: not asked
	closed scheduler.Event
}

func (t *slowTask) BeginClose() *scheduler.Event {
	if t.until.IsZero() {
		t.r.note("%s: begin close", t.name)
		t.until = t.r.clock.Now().Add(t.takes)
		t.r.slow = append(t.r.slow, t)
	}
	return &t.closed
}

// look ends it when its time has come.
func (t *slowTask) look() {
	if !t.r.clock.Now().Before(t.until) {
		t.closed.Set()
	}
}

// Close says whether it would wait, in place of waiting.
func (t *slowTask) Close() error {
	t.BeginClose()
	t.r.note("%s: close, waits: %v", t.name, !t.closed.IsSet())
	return t.closeErr
}

// call is a call that takes some time, or until its context ends and then some more.
func (r *run) call(name string) scheduler.Task {
	takes, deaf := time.Duration(r.rnd.IntN(4))*time.Second, time.Duration(r.rnd.IntN(3))*time.Second
	fails := r.rnd.IntN(4) == 0 && !r.isGroup()
	return scheduler.Fetch(func(ctx context.Context) (error, error) {
		cause := schedulertest.Sleep(ctx, takes)
		if cause != nil {
			_ = schedulertest.Sleep(context.WithoutCancel(ctx), deaf)
		}
		if fails {
			return cause, errBoom
		}
		return cause, nil
	}, func(cause, err error) error {
		r.note("%s: called, %v, %v", name, r.said(cause), r.said(err))
		return err
	})
}

// said is what an error says, without wrappers: the errors at its ends, with the keys
// of the nodes that they come from.
func (r *run) said(err error) string {
	if err == nil {
		return "<nil>"
	}
	var said []string
	r.collect(err, "", &said)
	return strings.Join(said, "; ")
}

func (r *run) collect(err error, path string, said *[]string) {
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *scheduler.TaskError:
		if _, isWrapper := e.Key.(WrapperKey); !isWrapper {
			path += fmt.Sprint(e.Key, ": ")
		}
	case *scheduler.Timeout:
		*said = append(*said, fmt.Sprint(path, "timed out after ", e.Limit))
		return
	case *scheduler.PanicError:
		*said = append(*said, path+panicText(e))
		return
	}
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			r.collect(inner, path, said)
		}
		return
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			r.collect(inner, path, said)
			return
		}
	}
	*said = append(*said, path+err.Error())
}

// panicText is a panic without its place.
func panicText(v any) string {
	if err, ok := v.(error); ok {
		if p := (*scheduler.PanicError)(nil); errors.As(err, &p) {
			v = p.Value
		}
	}
	return fmt.Sprint(v)
}

// WrapperKey is the key of the node of a group of one.
type WrapperKey struct{}
