package schedulertest_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// As by a disk that is slow.
func TestClock_order_of_calls_in_the_system(t *testing.T) {
	t.Parallel()
	var ended []string
	require.NoError(t, calls(t.Context(), &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})},
		func(context.Context) error {
			slow := syscall.NsecToTimespec(int64(350 * time.Millisecond))
			for syscall.Nanosleep(&slow, &slow) != nil { // interrupted
			}
			ended = append(ended, "a")
			return nil
		},
		func(context.Context) error { ended = append(ended, "b"); return nil },
	))
	require.Equal(t, []string{"a", "b"}, ended)
}
