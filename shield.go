package scheduler

import (
	"context"
	"time"
)

// Shield returns a [Task] that runs task and hides the notice of a stop from it, and
// from tasks that begin behind it: for work that has to be done after a stop, such as
// a roll-back. Contexts behind it have neither the end nor the deadline of Run's
// context. Time limits count: after a stop, task has the rest of the grace and is
// then closed.
func Shield(task Task) Task {
	mustHaveTask(task, "Shield")
	return &shield{task: task}
}

// shield has no method Stop, and no Unwrap by which another could be found.
type shield struct {
	task Task
	ctx  scopeCache
}

func (s *shield) scoped(ctx context.Context) context.Context {
	return s.ctx.derive(ctx, func() scope {
		inner := within(scopeOf(ctx))
		inner.shield = true
		return inner
	})
}

func (s *shield) Step(ctx context.Context) (Yield, error) { return stepTask(s.scoped(ctx), &s.task) }

func (s *shield) Throw(ctx context.Context, err error) (Yield, error) {
	return throwInto(s.scoped(ctx), &s.task, err)
}

func (s *shield) Close() error       { return s.task.Close() }
func (s *shield) BeginClose() *Event { return beginClose(s.task) }
func (s *shield) String() string     { return TaskDescription(s.task) }

// Named returns task under another name for errors and logs: see [TaskDescription].
// It has all abilities of task, by Unwrap.
func Named(name string, task Task) Task {
	if isNil(task) {
		panic("scheduler: Named: " + describeNil(task) + " for " + name)
	}
	return &named{task, name}
}

type named struct {
	Task
	name string
}

func (n *named) Unwrap() Task   { return n.Task }
func (n *named) String() string { return n.name }

// Reserve returns a [Task] that runs task and keeps part of its grace for what
// follows it, such as the clean-up of [Finally]. After a stop or its time limit, task
// is closed when no more than part is left of the grace. The result is then the
// notice or the [*Timeout], joined with the error of Close.
func Reserve(part time.Duration, task Task) Task {
	if err := checkDuration("Reserve", part); err != nil {
		panic(err)
	}
	mustHaveTask(task, "Reserve")
	r := NewTaskRunner(task, nil)
	return &reserve{subrun: subrun{runnerTask: runnerTask{r: r}}, part: part}
}

// reserve is a Subrun whose runner is stopped before the limits around it.
type reserve struct {
	subrun
	part time.Duration
}

func (t *reserve) Step(ctx context.Context) (Yield, error) {
	if !t.owns {
		if n := noticeOf(ctx); n != nil {
			defer t.endBefore(ctx, n)
		}
	}
	return t.subrun.Step(ctx)
}

func (t *reserve) Stop(ctx context.Context, cause error) {
	t.subrun.Stop(ctx, cause)
	t.endBefore(ctx, asNotice(cause, false))
}

func (t *reserve) Throw(ctx context.Context, err error) (Yield, error) {
	y, e := t.subrun.Throw(ctx, err)
	timeout, ok := asTimeout(err)
	if e != nil || !ok {
		return y, e
	}
	t.closeAt(later(instant(t.r.now()), timeout.grace), timeout)
	return t.r.Due(), nil
}

// endBefore closes the task before the limits around it.
func (t *reserve) endBefore(ctx context.Context, n *StopError) {
	if at := instantLimitOf(ctx); at != never {
		t.closeAt(at, n)
	}
}

// closeAt closes the task a part before an instant, if it has not ended by then.
func (t *reserve) closeAt(at int64, cause error) {
	t.r.ending.cutOffWith(cause)
	t.r.offerCancel(later(at, -t.part), 0)
}
