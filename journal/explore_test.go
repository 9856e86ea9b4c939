package journal_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
	"github.com/steptask/scheduler/schedulertest"
)

// A run in a journal is explored as one without: stopped, killed and out of time at
// moments that are chosen, and continued. What a step has recorded is not
// requested again.
func TestExplore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, runs := t.TempDir(), 0
		coverage := schedulertest.Explore(t, &schedulertest.ExploreOptions{Bubble: synctest.Wait, Runs: 50}, func(w *schedulertest.World) error {
			runs++
			j, err := journal.Open(filepath.Join(dir, fmt.Sprint(runs)), &journal.Options{Synchronous: journal.Normal})
			if err != nil {
				return err
			}
			defer j.Close()
			recorded := map[string]bool{}
			var violation error
			w.Always("what is on record is not requested again", func() error { return violation })
			task := func(n node) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					for _, step := range []string{"create", "tag"} {
						if _, err := journal.Step(co, step, func(ctx context.Context) (string, error) {
							request := step + " " + n.Key()
							if recorded[request] {
								violation = fmt.Errorf("%s is requested again", request)
							}
							return n.ID(), w.Do(ctx, request, func() error { return nil })
						}); err != nil {
							return err
						}
					}
					return nil
				})
			}
			for range 8 {
				r, err := journal.NewGroup(j, "x", site(), task, nil)
				if err != nil {
					return err
				}
				err = w.Run("up", r)
				if closeErr := r.Close(); closeErr != nil {
					return closeErr
				}
				if err == nil {
					return nil
				}
				for record, err := range j.Records(t.Context(), "x") {
					if err != nil {
						return err
					}
					if record.Kind == journal.KindStep {
						recorded[strings.TrimSuffix(record.Step, "#1")+" "+record.Node] = true
					}
				}
			}
			return nil // a cloud in which everything fails, always
		})
		require.Greater(t, coverage.Stories, 20)
	})
}
