package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
)

// Service is something that runs until it is told to end.
type Service struct {
	Name  string
	Needs []string // services that must be ready before it starts, and end after it

	// Serve says scheduler.Ready(ctx) when others can use the service, and serves
	// until scheduler.Stopping(ctx) is closed. If it returns earlier the service has
	// died, and Serve is called again. When ctx ends there is no time left.
	Serve func(ctx context.Context) error

	Grace  time.Duration // how long it may take to end once it is told
	Deaths int           // how often in a row it may die, after which the supervisor gives up
}

// The pause after a death. It doubles with each one, until the service has stayed up
// for a while.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
	stable       = time.Minute
)

var (
	errDied    = errors.New("ended without being told to")
	errStopped = errors.New("stopped")
)

// Supervisor keeps services running.
type Supervisor struct {
	group *scheduler.DependencyTaskGroup[string]
	run   *scheduler.TaskRunner
}

// New returns a Supervisor of the given services.
func New(services []Service, observer scheduler.Observer) (*Supervisor, error) {
	s := &Supervisor{}
	byName := map[string]Service{}
	deps := scheduler.NewDependencies[string]()
	for _, service := range services {
		for _, need := range service.Needs {
			if _, ok := byName[need]; !ok {
				return nil, fmt.Errorf("%s needs %s, which is not a service before it", service.Name, need)
			}
		}
		if _, ok := byName[service.Name]; ok {
			return nil, fmt.Errorf("there are two services %s", service.Name)
		}
		byName[service.Name] = service
		deps.Add(service.Name, service.Needs...)
	}
	var err error
	s.group, err = scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return keepUp(byName[name])
	}, &scheduler.GroupOptions[string]{
		Name:     "services",
		KeepOpen: true, // or it would end when all are ready, since nothing is left to do
		GraceFor: func(name string) time.Duration { return byName[name].Grace },
		Observer: observer,
	})
	if err != nil {
		return nil, err
	}
	s.run = scheduler.NewTaskRunner(s.group, nil)
	return s, nil
}

// Run starts the services and returns when all have ended: after Stop, or because one
// of them has died too often, which is the error.
func (s *Supervisor) Run() error {
	err := s.run.Run(context.Background())
	if err == errStopped { //nolint:errorlint // That alone, and no failure besides.
		return nil
	}
	return err
}

// Stop ends the services, each one when those that need it have ended. Kill ends the
// contexts of all of them at once. Any goroutine may call them.
func (s *Supervisor) Stop() { s.run.Interrupt(errStopped) }
func (s *Supervisor) Kill() { s.run.Kill() }

// keepUp runs a service, again and again. Once it has been ready it stays so while it
// is started again: those that need it go on, and see to broken connections themselves.
func keepUp(service Service) scheduler.Task {
	var (
		began  time.Time // of the life under way
		down   bool      // it is dead, and will be started again
		deaths int
	)
	again := scheduler.BackOffFunc(func(int, error) scheduler.Yield {
		down = true
		if time.Since(began) >= stable {
			deaths = 0
		}
		if deaths++; deaths > service.Deaths {
			return scheduler.Done
		}
		return scheduler.After(min(firstPause<<min(deaths-1, 30), longestPause))
	})
	life := func(int, error) scheduler.Task {
		began, down = time.Now(), false
		return scheduler.Blocking(func(ctx context.Context) error {
			err := service.Serve(ctx)
			if err == nil && scheduler.StopCause(ctx) == nil && ctx.Err() == nil {
				return errDied
			}
			return err
		})
	}
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := co.Await(scheduler.Retry(again, life))
		if down && co.StopCause() != nil {
			return nil // told to end in the pause, it has done so
		}
		return err
	})
}
