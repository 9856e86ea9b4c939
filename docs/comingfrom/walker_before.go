package comingfrom

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// walkerBefore has a goroutine for each node, which waits for others.
func walkerBefore(ctx context.Context, create func(ctx context.Context, name string) error) error {
	done := map[string]chan struct{}{}
	for _, name := range names {
		done[name] = make(chan struct{})
	}
	var (
		wg     sync.WaitGroup
		slots  = make(chan struct{}, 3)
		mu     sync.Mutex
		failed = map[string]bool{} // or skipped; guarded by mu
		errs   []error             // guarded by mu
	)
	ok := func(name string) bool {
		mu.Lock()
		defer mu.Unlock()
		return !failed[name]
	}
	fail := func(name string, err error) {
		mu.Lock()
		defer mu.Unlock()
		failed[name] = true
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	for _, name := range names {
		wg.Go(func() {
			defer close(done[name])
			for _, required := range requires[name] {
				<-done[required] // in a cycle: for ever
				if !ok(required) {
					fail(name, nil)
					return
				}
			}
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-ctx.Done():
				fail(name, context.Cause(ctx))
				return
			}
			if err := create(ctx, name); err != nil {
				fail(name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
