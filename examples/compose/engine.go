package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/steptask/scheduler"
)

const (
	started   = types.ServiceConditionStarted
	healthy   = types.ServiceConditionHealthy
	completed = types.ServiceConditionCompletedSuccessfully
)

var errStopped = errors.New("stopped")

// node is a service, which is ready once its process runs, or what others wait for
// beyond that: that it is healthy, or that it has completed.
type node struct{ service, condition string }

func (n node) String() string {
	if n.condition == started {
		return n.service
	}
	return n.service + " " + strings.TrimSuffix(strings.TrimPrefix(n.condition, "service_"), "_successfully")
}

// Exec runs a command and calls running once it runs. It asks the command to end when
// scheduler.Stopping(ctx) is closed, and kills it when ctx ends.
type Exec func(ctx context.Context, cmd *exec.Cmd, running func()) error

// Engine runs the services of a project.
type Engine struct {
	project *types.Project
	exec    Exec
	done    map[string]*scheduler.Event // by service: it has ended well
	left    int                         // services that have not ended

	group *scheduler.DependencyTaskGroup[node]
	run   *scheduler.TaskRunner
}

// New returns an Engine that has started nothing.
func New(p *types.Project, run Exec, observer scheduler.Observer) (*Engine, error) {
	e := &Engine{project: p, exec: run, done: map[string]*scheduler.Event{}, left: len(p.Services)}
	deps := scheduler.NewDependencies[node]()
	for _, name := range p.ServiceNames() {
		e.done[name] = &scheduler.Event{}
		deps.Add(node{name, started})
		needs := p.Services[name].DependsOn
		for _, other := range slices.Sorted(maps.Keys(needs)) {
			need := node{other, needs[other].Condition}
			deps.Add(node{name, started}, need)
			if need.condition != started {
				deps.Add(need, node{other, started})
			}
		}
	}
	var err error
	e.group, err = scheduler.NewDependencyTaskGroup(deps, e.task, &scheduler.GroupOptions[node]{
		Name:            "services",
		KeepOpen:        true, // or it would end once nothing is left but ready services
		AggregateErrors: true, // a service that dies does not end the others
		When:            e.when,
		GraceFor: func(n node) time.Duration {
			if n.condition != started {
				return 0
			}
			return time.Duration(*p.Services[n.service].StopGracePeriod)
		},
		Observer: observer,
	})
	if err != nil {
		return nil, err
	}
	e.run = scheduler.NewTaskRunner(e.group, nil)
	return e, nil
}

// Run starts the services, and returns when all have ended: by themselves, after Stop,
// or because one of them cannot start.
func (e *Engine) Run() error {
	err := e.run.Run(context.Background())
	if causes := scheduler.Causes(err); len(causes) == 1 && errors.Is(causes[0], errStopped) {
		return nil
	}
	return err
}

// Stop ends the services in reverse, each within its stop_grace_period, and Kill ends
// them at once. Any goroutine may call them.
func (e *Engine) Stop() { e.run.Interrupt(errStopped) }
func (e *Engine) Kill() { e.run.Kill() }

// when decides about a node once all that it requires is ready or has ended. A service
// that cannot start ends all others.
func (e *Engine) when(n node, required iter.Seq2[node, scheduler.State]) scheduler.Verdict {
	for other, state := range required {
		switch need := e.project.Services[n.service].DependsOn[other.service]; {
		case state == scheduler.StateReady || state == scheduler.StateSucceeded:
		case need.Required:
			e.run.Interrupt(fmt.Errorf("%v cannot start without %v", n, other))
			return scheduler.Skip
		case n.condition != started:
			return scheduler.Skip
		}
	}
	return scheduler.Start
}

func (e *Engine) task(n node) scheduler.Task {
	switch s := e.project.Services[n.service]; n.condition {
	case healthy:
		return e.health(s)
	case completed:
		return scheduler.Pause(scheduler.On(e.done[s.Name]))
	default:
		return e.process(s)
	}
}

// process runs a service.
func (e *Engine) process(s types.ServiceConfig) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := co.Await(scheduler.Blocking(func(ctx context.Context) error {
			cmd := command(ctx, s, slices.Concat(s.Entrypoint, s.Command))
			cmd.Stdout, cmd.Stderr = output(s.Name), output(s.Name)
			return e.execute(ctx, cmd, func() { scheduler.Ready(ctx) })
		}))
		if err == nil {
			e.done[s.Name].Set()
		} else {
			e.group.SkipNode(node{s.Name, completed}, nil)
		}
		e.group.StopNode(node{s.Name, healthy}, errors.New("it has ended before it was healthy"))
		if e.left--; e.left == 0 {
			e.group.CloseInput()
		}
		return err
	})
}

// health succeeds once the service is healthy. Nothing looks at it after that.
func (e *Engine) health(s types.ServiceConfig) scheduler.Task {
	h, began, failures := s.HealthCheck, time.Now(), uint64(0)
	pause := scheduler.After(time.Duration(*h.Interval))
	again := scheduler.BackOffFunc(func(int, error) scheduler.Yield {
		if time.Since(began) >= time.Duration(*h.StartPeriod) {
			failures++
		}
		if failures == *h.Retries {
			return scheduler.Done
		}
		return pause
	})
	probe := func(int, error) scheduler.Task {
		return scheduler.WithTimeout(time.Duration(*h.Timeout), scheduler.Blocking(func(ctx context.Context) error {
			return e.execute(ctx, command(ctx, s, h.Test), func() {})
		}))
	}
	return scheduler.Sequence(scheduler.Pause(pause), scheduler.Retry(again, probe))
}

// execute runs a command. How it ends once it was asked to says nothing.
func (e *Engine) execute(ctx context.Context, cmd *exec.Cmd, running func()) error {
	err := e.exec(ctx, cmd, running)
	if cause := scheduler.StopCause(ctx); cause != nil {
		return cause
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
