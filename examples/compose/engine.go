package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

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
	// AbortOnFailure ends all services when one of them fails.
	AbortOnFailure bool
}

// Command is what Exec runs.
type Command struct {
	Args, Env []string
	Dir       string
	Started   func()            // is called when it runs; may be nil
	Line      func(line string) // is called with each line that it prints; may be nil
}

// Engine runs the services of a project. A node of its group is a service, which is
// ready when its process runs, or something else that others need of a service:
// "db healthy", "migrate completed".
type Engine struct {
	opts     Options
	services Project
	lives    map[string]*lives
	tasks    map[string]func() scheduler.Task
	needed   map[string]bool    // by node: something cannot do without it
	optional map[[2]string]bool // by node and what it requires: it can do without it
	left     int                // services that have not ended

	group *scheduler.DependencyTaskGroup[string]
	run   *scheduler.TaskRunner
}

// New returns an Engine that has not started anything.
func New(p Project, opts Options) (*Engine, error) {
	e := &Engine{
		opts: opts, services: p, left: len(p),
		lives: map[string]*lives{}, tasks: map[string]func() scheduler.Task{},
		needed: map[string]bool{}, optional: map[[2]string]bool{},
	}
	graph := map[string][]string{}
	for name, s := range p {
		e.lives[name] = &lives{service: s}
		e.tasks[name] = func() scheduler.Task { return e.process(e.lives[name]) }
		graph[name] = nil
		for _, need := range s.Needs {
			node := e.node(need, graph)
			graph[name] = append(graph[name], node)
			e.optional[[2]string{name, node}] = need.Optional
			e.needed[node] = e.needed[node] || !need.Optional
		}
	}
	var err error
	e.group, err = scheduler.NewDependencyTaskGroup(scheduler.DependenciesOf(graph), func(node string) scheduler.Task {
		return scheduler.Named(node, e.tasks[node]())
	}, &scheduler.GroupOptions[string]{
		Name:     "services",
		KeepOpen: true, // or it would end as soon as all processes run
		When:     e.verdict,
		OnError:  e.afterFailure,
		GraceFor: func(node string) time.Duration {
			if s := p[node]; s != nil {
				return s.StopGrace
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

// node returns the node that a need is for, and enters it in the graph.
func (e *Engine) node(need Need, graph map[string][]string) string {
	l, node := e.lives, ""
	switch need.Condition {
	case Healthy:
		node = need.Service + " healthy"
		e.tasks[node] = func() scheduler.Task { return e.health(l[need.Service]) }
	case Completed:
		node = need.Service + " completed"
		e.tasks[node] = func() scheduler.Task { return l[need.Service].completed() }
	default:
		return need.Service
	}
	graph[node] = []string{need.Service}
	e.needed[need.Service] = true
	return node
}

// Run starts the services and returns when all have ended. When ctx ends they are
// killed.
func (e *Engine) Run(ctx context.Context) error { return e.run.Run(ctx) }

// Stop ends the services in reverse, each within its stop_grace_period. It returns at
// once and may be called from any goroutine.
func (e *Engine) Stop() { e.run.Post(e.end) }

func (e *Engine) end() {
	e.group.CloseInput()
	for node, state := range e.group.All() {
		if state == scheduler.StatePending || state == scheduler.StateRunning {
			e.group.SkipNode(node, nil)
		}
	}
}

// verdict decides about a node when all that it requires has ended or is ready. If a
// service cannot start, the project is not what it should be, and ends.
func (e *Engine) verdict(node string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
	for other, state := range required {
		if state == scheduler.StateReady || state == scheduler.StateSucceeded || e.optional[[2]string{node, other}] {
			continue
		}
		if e.services[node] != nil {
			e.Stop()
		}
		return scheduler.Skip
	}
	return scheduler.Start
}

func (e *Engine) afterFailure(node string, _ error) scheduler.Disposition {
	switch {
	case e.services[node] == nil && !e.needed[node]:
		return scheduler.IgnoreError
	case e.opts.AbortOnFailure:
		e.Stop()
	}
	return scheduler.SkipDependents
}

// process runs a service, again and again if it is to be restarted, until it has ended
// for good.
func (e *Engine) process(l *lives) scheduler.Task {
	s := l.service
	life := func(int, error) scheduler.Task {
		l.begin()
		return scheduler.Blocking(func(ctx context.Context) error {
			err := e.opts.Exec(ctx, Command{
				Args: slices.Concat(s.Entrypoint, s.Command), Env: s.Env, Dir: s.Dir,
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

// health succeeds when the service is healthy. Nothing looks at it after that.
func (e *Engine) health(l *lives) scheduler.Task {
	h := l.service.Health
	probe := func(ctx context.Context) error {
		err := e.opts.Exec(ctx, Command{Args: h.Test, Env: l.service.Env, Dir: l.service.Dir})
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
