package main

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler/schedulertest"
)

// The programs of the recipes can be explored as they are: each ends, whenever it is stopped
// or crashes.
func TestRecipes_explored(t *testing.T) {
	for _, r := range recipes {
		t.Run(fmt.Sprint(r.number), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := schedulertest.Explore(quietT{t}, &schedulertest.ExploreOptions{Bubble: synctest.Wait, Runs: 25}, func(w *schedulertest.World) error {
					cloud := newCloud()
					_ = w.Process("recipe", func(ctx context.Context) error { return r.run(ctx, cloud, quiet) })
					return nil
				})
				require.Equal(t, 25, c.Schedules)
			})
		})
	}
}

// quietT does not log what there was to choose from.
type quietT struct{ schedulertest.TestingT }
