package journal_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// What code of a node says, in steps, calls and attempts, is in the text of its Timeout.
func TestNote_in_a_node(t *testing.T) {
	j := openNew(t)
	synctest.Test(t, func(t *testing.T) {
		err := up(t, j, "x", wide(1), func(n node) scheduler.Task {
			return scheduler.Retry(atOnce{}, func(attempt int, _ error) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					if attempt == 1 {
						return errors.New("busy")
					}
					_, err := journal.Step(co, "make", func(ctx context.Context) (int, error) {
						scheduler.Note(ctx, "making it")
						<-ctx.Done()
						return 0, ctx.Err()
					})
					return err
				})
			})
		}, &options{Group: scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }}})
		require.ErrorContains(t, err, "n00000: timed out after 1m0s: making it, attempt 1: busy")
	})
}
