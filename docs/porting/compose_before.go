package porting

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

var errNotYet = errors.New("not yet")

// project says what each service requires.
var project = map[string][]string{
	"db": nil, "cache": nil, "migrate": {"db"}, "web": {"cache", "db", "migrate"}, "worker": {"cache"},
}

// optional are the edges without which a service starts as well.
var optional = map[[2]string]bool{{"web", "cache"}: true}

// composeBefore starts a project, waits for the end of ctx, and stops the project.
func composeBefore(ctx context.Context, w world) error {
	var started, lost sync.Map
	err := walkSlots(ctx, project, 2, func(ctx context.Context, name string) error {
		for _, r := range project[name] { // holding a slot
			if err := waitFor(ctx, w, r, &lost); errors.Is(err, errLost) && optional[[2]string{name, r}] {
				continue
			} else if errors.Is(err, errLost) {
				lost.Store(name, true)
				return nil
			} else if err != nil {
				return err
			}
		}
		if err := w.call(ctx, "start "+name); err != nil && name == "cache" {
			lost.Store(name, true)
			w.say("warning: %s: %v", name, err)
			return nil
		} else if err != nil {
			return err
		}
		started.Store(name, true)
		return nil
	})
	if err == nil {
		<-ctx.Done()
		err = context.Cause(ctx)
	}
	down := walkSlots(context.WithoutCancel(ctx), reversed(project), 2, func(ctx context.Context, name string) error {
		if _, ok := started.Load(name); !ok || name == "migrate" {
			return nil
		}
		return w.call(ctx, "stop "+name)
	})
	return errors.Join(err, down)
}

var errLost = errors.New("not there")

// waitFor asks every second whether the condition of a service holds.
func waitFor(ctx context.Context, w world, name string, lost *sync.Map) error {
	for {
		if _, ok := lost.Load(name); ok {
			return errLost
		}
		err := w.call(ctx, "check "+name)
		if !errors.Is(err, errNotYet) {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// walkSlots visits what is free. The loop itself has one of the slots: without the
// one more, a limit of 1 would hang.
func walkSlots(
	ctx context.Context, graph map[string][]string, limit int, visit func(ctx context.Context, name string) error,
) error {
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(limit + 1)
	ended := make(chan string, len(graph))
	eg.Go(func() error {
		begun, done := map[string]bool{}, map[string]bool{}
		for len(done) < len(graph) {
			for name, required := range graph { // in any order
				if begun[name] || !all(required, done) {
					continue
				}
				begun[name] = true
				eg.Go(func() error {
					err := visit(ctx, name)
					if err == nil {
						ended <- name
					}
					return err
				})
			}
			select {
			case name := <-ended:
				done[name] = true
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return eg.Wait()
}

func all(names []string, done map[string]bool) bool {
	for _, name := range names {
		if !done[name] {
			return false
		}
	}
	return true
}

func reversed(graph map[string][]string) map[string][]string {
	turned := map[string][]string{}
	for name := range graph {
		turned[name] = nil
	}
	for name, required := range graph {
		for _, r := range required {
			turned[r] = append(turned[r], name)
		}
	}
	return turned
}
