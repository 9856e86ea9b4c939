package porting

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var errTryAgainLater = errors.New("try again later")

// cluster says what each task requires.
var cluster = map[string][]string{
	"network": nil, "volume": nil, "server": {"network"}, "dns": {"server"},
}

// kopsBefore runs rounds: all that is free at once, and the next round when all of
// that has ended. A task that fails is tried again, for ten minutes.
func kopsBefore(ctx context.Context, w world) error {
	done, first := map[string]bool{}, map[string]time.Time{}
	for len(done) < len(cluster) {
		var (
			wg      sync.WaitGroup
			mu      sync.Mutex
			results = map[string]error{} // guarded by mu
		)
		for name, required := range cluster { // in any order
			if done[name] || !all(required, done) {
				continue
			}
			if first[name].IsZero() {
				first[name] = time.Now()
			}
			wg.Go(func() {
				err := w.call(ctx, name)
				mu.Lock()
				defer mu.Unlock()
				results[name] = err
			})
		}
		wg.Wait()
		progress := false
		for name, err := range results {
			if err == nil {
				done[name], progress = true, true
			} else if time.Since(first[name]) > 10*time.Minute {
				return fmt.Errorf("deadline exceeded executing task %s, last error: %w", name, err)
			}
		}
		if progress {
			continue
		}
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
