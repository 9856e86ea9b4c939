package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/steptask/scheduler"
)

// Options are those of an Engine.
type Options struct {
	// Exec runs a command until it has ended. It asks the command to end when
	// scheduler.Stopping(ctx) is closed, and makes an end of it when ctx ends.
	Exec func(ctx context.Context, c Command) error
	// Print shows a line that a service has printed. Services call it at the same time.
	Print func(service, line string)
	// Observer watches the run. It may be nil.
	Observer scheduler.Observer
}

// Command is what Exec runs.
type Command struct {
	Args, Env []string
	Dir       string
	Started   func()            // is called when it runs
	Line      func(line string) // is called with each line that it prints
}

// node is a service, which is ready when its process runs, or something else that
// others need of one: that it is healthy, or has been completed.
type node struct{ service, condition string }

func process(service string) node { return node{service, types.ServiceConditionStarted} }

func (n node) isProcess() bool { return n.condition == types.ServiceConditionStarted }

func (n node) String() string {
	switch n.condition {
	case types.ServiceConditionHealthy:
		return n.service + " healthy"
	case types.ServiceConditionCompletedSuccessfully:
		return n.service + " completed"
	}
	return n.service
}

// Engine runs the services of a project.
type Engine struct {
	opts    Options
	project Project
	lives   map[string]*lives
	left    int // services that have not ended

	group *scheduler.DependencyTaskGroup[node]
	run   *scheduler.TaskRunner
}

// New returns an Engine that has not started anything.
func New(p Project, opts Options) (*Engine, error) {
	e := &Engine{opts: opts, project: p, left: len(p), lives: map[string]*lives{}}
	deps := scheduler.NewDependencies[node]()
	for _, name := range slices.Sorted(maps.Keys(p)) {
		e.lives[name] = &lives{service: p[name]}
		deps.Add(process(name))
		for _, other := range slices.Sorted(maps.Keys(p[name].Needs)) {
			need := node{other, p[name].Needs[other].Condition}
			deps.Add(process(name), need)
			if !need.isProcess() {
				deps.Add(need, process(other))
			}
		}
	}
	var err error
	e.group, err = scheduler.NewDependencyTaskGroup(deps, e.task, &scheduler.GroupOptions[node]{
		Name:     "services",
		KeepOpen: true, // or it would end as soon as all processes run
		When:     e.verdict,
		OnError:  e.afterFailure,
		GraceFor: func(n node) time.Duration {
			if n.isProcess() {
				return p[n.service].StopGrace
			}
			return 0
		},
		Observer: opts.Observer,
	})
	if err != nil {
		return nil, err
	}
	e.run = scheduler.NewTaskRunner(e.group, nil)
	return e, nil
}

// Run starts the services and returns when all have ended. When ctx ends they are
// killed.
func (e *Engine) Run(ctx context.Context) error { return e.run.Run(ctx) }

// Stop ends the services in reverse, each within its stop_grace_period. It returns at
// once and may be called from any goroutine.
func (e *Engine) Stop() { e.run.Post(e.end) }

func (e *Engine) end() {
	e.group.CloseInput()
	for n, state := range e.group.All() {
		if state == scheduler.StatePending || state == scheduler.StateRunning {
			e.group.SkipNode(n, nil)
		}
	}
}

// verdict decides about a node when all that it requires has ended or is ready. If a
// service cannot start, the project is not what it should be, and ends.
func (e *Engine) verdict(n node, required iter.Seq2[node, scheduler.State]) scheduler.Verdict {
	for other, state := range required {
		optional := n.isProcess() && !e.project[n.service].Needs[other.service].Required
		if state == scheduler.StateReady || state == scheduler.StateSucceeded || optional {
			continue
		}
		if n.isProcess() {
			e.Stop()
		}
		return scheduler.Skip
	}
	return scheduler.Start
}

func (e *Engine) afterFailure(n node, _ error) scheduler.Disposition {
	if !n.isProcess() && !e.isNeeded(n) {
		return scheduler.IgnoreError
	}
	return scheduler.SkipDependents
}

// isNeeded reports whether a service cannot do without n.
func (e *Engine) isNeeded(n node) bool {
	for _, s := range e.project {
		if need := s.Needs[n.service]; need.Required && need.Condition == n.condition {
			return true
		}
	}
	return false
}

func (e *Engine) task(n node) scheduler.Task {
	l := e.lives[n.service]
	switch n.condition {
	case types.ServiceConditionHealthy:
		return e.healthy(l)
	case types.ServiceConditionCompletedSuccessfully:
		return l.completed()
	}
	return e.process(l)
}

// process runs a service, again and again if it is to be restarted, until it has ended
// for good.
func (e *Engine) process(l *lives) scheduler.Task {
	s := l.service
	life := func(int, error) scheduler.Task {
		l.begin()
		return scheduler.Blocking(func(ctx context.Context) error {
			err := e.opts.Exec(ctx, Command{
				Args: s.Args, Env: s.Env, Dir: s.Dir,
				Started: func() { scheduler.Ready(ctx) },
				Line:    func(line string) { e.opts.Print(s.Name, line) },
			})
			switch {
			case scheduler.StopCause(ctx) != nil || ctx.Err() != nil:
				return nil // it was told to end, however it has done that
			case err == nil && s.Restart.Always:
				return errExited
			}
			return err
		})
	}
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := co.Await(scheduler.Retry(scheduler.BackOffFunc(l.again), life))
		if l.down && co.StopCause() != nil {
			err = co.StopCause()
		}
		l.end(err)
		if e.left--; e.left == 0 {
			e.group.CloseInput()
		}
		return err
	})
}

// healthy succeeds when the service is healthy. Nothing looks at it after that.
func (e *Engine) healthy(l *lives) scheduler.Task {
	h := l.service.Health
	probe := func(ctx context.Context) error {
		err := e.opts.Exec(ctx, Command{Args: h.Test, Env: l.service.Env, Dir: l.service.Dir, Started: func() {}, Line: func(string) {}})
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx) // how it was made to end says nothing
		}
		return err
	}
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for life, failed := 0, 0; ; {
			if life != l.count { // it was started again
				life, failed = l.count, 0
			}
			pause := h.Interval
			if l.age() < h.StartPeriod {
				pause = h.StartInterval
			}
			if err := co.Yield(scheduler.After(pause).Or(scheduler.On(&l.ended))); err != nil {
				return err
			}
			if l.ended.IsSet() {
				return errors.New("it has ended before it was healthy")
			}
			counts := l.age() >= h.StartPeriod
			err := co.Await(scheduler.WithTimeout(h.Timeout, scheduler.Blocking(probe)))
			if err == nil || errors.Is(err, scheduler.ErrClosed) {
				return err
			}
			if counts {
				failed++
			}
			if failed == h.Retries {
				return fmt.Errorf("unhealthy: %w", err)
			}
			co.Note(err.Error())
		}
	})
}
