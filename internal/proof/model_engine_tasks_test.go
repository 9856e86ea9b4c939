package proof_test

import (
	"context"
	"strconv"
	"time"

	"github.com/steptask/scheduler"
)

func (e *modelEngine) task(spec *modelSpec) scheduler.Task {
	switch {
	case spec.group != nil:
		return e.group(spec)
	case spec.shield != nil:
		return scheduler.Shield(e.task(spec.shield))
	case spec.timed != nil:
		e.trace(spec.id, "limit", strconv.FormatInt(spec.timed.limit, 10))
		return scheduler.WithTimeout(time.Duration(spec.timed.limit), e.task(spec.timed.task))
	case spec.retry != nil:
		return e.retry(spec)
	case spec.poll != nil:
		return e.poll(spec)
	case spec.claims != nil:
		return scheduler.Claiming(e.claims(spec.claims.weights), e.task(spec.claims.task))
	case spec.first != nil:
		e.trace(spec.id, "first", "")
		return scheduler.First(e.tasks(spec.first)...)
	case spec.all != nil:
		e.trace(spec.id, "all", "")
		return scheduler.All(e.tasks(spec.all)...)
	case spec.runner != nil:
		r := spec.runner
		progressed := 0
		runner := scheduler.NewTaskRunner(e.task(r.task), &scheduler.RunnerOptions{
			Timeout: time.Duration(r.timeout), Grace: time.Duration(r.grace),
			Progress: func(context.Context) error {
				if progressed++; progressed == r.progressFails {
					return modelErr("p" + strconv.Itoa(spec.id))
				}
				return nil
			},
		})
		e.runners = append(e.runners, runner)
		return runner.AsTask(time.Duration(r.asTask))
	}
	leaf := modelEngineLeaf{e: e, s: modelScript{leaf: spec.leaf, world: e, id: spec.id}}
	task, script := leaf.task()
	if spec.leaf.deaf > 0 {
		return modelEngineCloser{task, &modelEngineDeaf{e: e, s: script}}
	}
	return task
}

func (e *modelEngine) tasks(specs []*modelSpec) []scheduler.Task {
	var tasks []scheduler.Task
	for _, spec := range specs {
		tasks = append(tasks, e.task(spec))
	}
	return tasks
}

func (e *modelEngine) claims(weights []int) (claims []scheduler.Claim) {
	for i, weight := range weights {
		if weight > 0 {
			claims = append(claims, scheduler.Claim{Limiter: e.limiters[i], Weight: weight})
		}
	}
	return claims
}

// retry makes a Retry whose attempts and pauses are those of a specification.
func (e *modelEngine) retry(spec *modelSpec) scheduler.Task {
	return scheduler.Retry(&modelPauses{retry: spec.retry}, func(attempt int, last error) scheduler.Task {
		e.trace(spec.id, "attempt "+strconv.Itoa(attempt), e.render(last))
		if attempt > len(spec.retry.tasks) {
			return nil
		}
		return e.task(spec.retry.tasks[attempt-1])
	})
}

// modelPauses are those of a Retry.
type modelPauses struct {
	retry *modelRetry
	used  int
}

func (p *modelPauses) NextBackOff() time.Duration { return time.Duration(p.retry.next(&p.used)) }

// poll makes a Poll, or a PollCall.
func (e *modelEngine) poll(spec *modelSpec) scheduler.Task {
	made := 0
	call := func(context.Context) (bool, error) {
		c := spec.poll.next(&made)
		e.trace(spec.id, "asks", strconv.Itoa(made))
		e.clock.takes = c.takes
		return c.ready, c.err(spec.id)
	}
	every := time.Duration(spec.poll.every)
	if !spec.poll.value {
		return scheduler.Poll(every, call)
	}
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		asked, err := scheduler.PollCall(co, every, func(ctx context.Context) (int, bool, error) {
			ready, err := call(ctx)
			return made, ready, err
		})
		if err == nil && asked != made {
			return modelErr("another value")
		}
		return err
	})
}

type modelEngineLeaf struct {
	e *modelEngine
	s modelScript
}

// task returns the leaf with the abilities that it has.
func (l modelEngineLeaf) task() (scheduler.Task, *modelScript) {
	spec := l.s.leaf
	leaf := &l
	switch {
	case spec.throws && spec.stops:
		return &modelEngineBoth{modelEngineStopper{leaf}}, &leaf.s
	case spec.throws:
		return &modelEngineThrower{leaf}, &leaf.s
	case spec.stops:
		return &modelEngineStopper{leaf}, &leaf.s
	}
	return leaf, &leaf.s
}

func (l *modelEngineLeaf) Step(ctx context.Context) (scheduler.Yield, error) {
	return l.answer(ctx, nil)
}

func (l *modelEngineLeaf) Close() error { return l.s.close() }

func (e *modelEngine) panics(id int) { panic(modelPanic(id)) }

func (l *modelEngineLeaf) answer(ctx context.Context, thrown error) (scheduler.Yield, error) {
	l.e.ctx = ctx
	act := l.s.enter(thrown)
	if act.does == modelPanics {
		l.e.panics(l.s.id)
	}
	if err := l.s.failure(act); err != nil {
		switch act.does {
		case modelFailsForGood:
			err = scheduler.Permanent(err)
		case modelFailsFor:
			err = scheduler.RetryAfter(err, time.Duration(act.n))
		default:
		}
		return scheduler.Yield{}, err
	}
	switch act.does {
	case modelNext:
		return scheduler.Next, nil
	case modelRounds:
		return scheduler.Rounds(act.n), nil
	case modelAfter:
		return scheduler.After(time.Duration(act.n)), nil
	case modelEvent:
		return scheduler.On(&l.e.events[act.n%len(l.e.events)]), nil
	case modelEither:
		return scheduler.After(time.Duration(act.n)).Or(scheduler.Rounds(act.n)).
			Or(scheduler.On(&l.e.events[act.n%len(l.e.events)])), nil
	case modelNothing:
		return scheduler.Yield{}, nil
	case modelSkips:
		return scheduler.Yield{}, scheduler.ErrSkip
	case modelEnding:
		return scheduler.Ending(&l.e.events[act.n%len(l.e.events)]), nil
	case modelEnds, modelFails, modelObeys, modelFailsForGood, modelFailsFor, modelPanics:
	}
	return scheduler.Done, nil
}

type modelEngineThrower struct{ *modelEngineLeaf }

func (l *modelEngineThrower) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	return l.answer(ctx, err)
}

type modelEngineStopper struct{ *modelEngineLeaf }

func (l *modelEngineStopper) Stop(_ context.Context, cause error) { l.s.stop(cause) }

type modelEngineBoth struct{ modelEngineStopper }

func (l *modelEngineBoth) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	return l.answer(ctx, err)
}

// modelEngineDeaf is how a leaf takes some time to end once it is asked to.
type modelEngineDeaf struct {
	e      *modelEngine
	s      *modelScript
	closed scheduler.Event
}

func (d *modelEngineDeaf) BeginClose() *scheduler.Event {
	if d.s.until == 0 {
		d.e.deaf = append(d.e.deaf, d)
	}
	d.s.beginClose(d.e.now())
	return &d.closed
}

// modelEngineCloser is a deaf leaf.
type modelEngineCloser struct {
	scheduler.Task
	*modelEngineDeaf
}

func (c modelEngineCloser) Unwrap() scheduler.Task { return c.Task }
