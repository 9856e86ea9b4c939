package porting

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// The requests are made one at a time, and the polling goes on side by side.
func TestCreateAndWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "api", Capacity: 1})
		start := time.Now()
		created := map[string]time.Duration{}
		most := 0
		deps := scheduler.NewDependencies[string]()
		for _, name := range []string{"a", "b", "c"} {
			deps.Add(name)
		}
		group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
			return createAndWait(api, name, world{call: func(_ context.Context, what string) error {
				if strings.HasPrefix(what, "start ") {
					most = max(most, api.InUse()) // no other request writes it meanwhile
					time.Sleep(time.Second)       //nolint:forbidigo // in a bubble
					return nil
				}
				if time.Since(start) < 20*time.Second {
					return errNotYet
				}
				return nil
			}})
		}, &scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(r scheduler.Record) {
			if r.To == scheduler.StateSucceeded {
				created[r.Key().(string)] = time.Since(start)
			}
		})})
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), group, nil))
		require.Equal(t, map[string]time.Duration{"a": 21 * time.Second, "b": 22 * time.Second, "c": 23 * time.Second}, created)
		require.Equal(t, 1, most)
		require.Zero(t, api.InUse())
	})
}
