package porting

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

var errUpstream = errors.New("something that it depends on was not visited")

// dagBefore gives each vertex a goroutine, which waits for what it depends on.
func dagBefore(ctx context.Context, graph map[string][]string, w world) error {
	var (
		wg     sync.WaitGroup
		slots  = make(chan struct{}, 2) // held inside a visit
		done   = map[string]chan struct{}{}
		mu     sync.Mutex
		result = map[string]error{} // guarded by mu
	)
	for v := range graph {
		done[v] = make(chan struct{})
	}
	get := func(v string) error {
		mu.Lock()
		defer mu.Unlock()
		return result[v]
	}
	visit := func(v string) error {
		slots <- struct{}{}
		defer func() { <-slots }()
		if ctx.Err() != nil {
			return errUpstream // interrupted: begin nothing
		}
		return w.call(context.WithoutCancel(ctx), v) // however long it takes
	}
	for v, required := range graph { // in any order
		wg.Go(func() {
			defer close(done[v])
			var err error
			for _, r := range required {
				<-done[r]
				if get(r) != nil && !alwaysRun(v) {
					err = errUpstream
				}
			}
			if err == nil {
				err = visit(v)
			}
			mu.Lock()
			result[v] = err
			mu.Unlock()
		})
	}
	wg.Wait()
	var errs []error
	for v, err := range result {
		if err != nil && !errors.Is(err, errUpstream) { // keep the causes only
			errs = append(errs, fmt.Errorf("%s: %w", v, err))
		}
	}
	if ctx.Err() != nil {
		errs = append(errs, context.Cause(ctx))
	}
	return errors.Join(errs...)
}

// alwaysRun tells the vertices that are visited whatever happened before them.
func alwaysRun(v string) bool { return v == "report" }
