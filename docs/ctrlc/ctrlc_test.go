package ctrlc_test

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/docs/ctrlc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each signal ends the run in its way, and nothing new starts after the first.
func TestRun(t *testing.T) {
	type call struct {
		takes time.Duration
		deaf  bool // to everything but the end of its context
	}
	for name, test := range map[string]struct {
		signals []time.Duration
		call    call
		lasts   time.Duration
		state   scheduler.State
		result  string
	}{
		"no signal": {
			call: call{takes: 10 * time.Second}, lasts: 20 * time.Second, state: scheduler.StateSucceeded,
		},
		"drained": {
			signals: []time.Duration{time.Second},
			call:    call{takes: 10 * time.Second}, lasts: 10 * time.Second, state: scheduler.StateSucceeded,
			result: scheduler.ErrDrained.Error(),
		},
		"stopped": {
			signals: []time.Duration{time.Second, 2 * time.Second},
			call:    call{takes: 10 * time.Second}, lasts: 2 * time.Second, state: scheduler.StateCancelled,
			result: "interrupt",
		},
		"stopped, and the grace is used up": {
			signals: []time.Duration{time.Second, 2 * time.Second},
			call:    call{takes: time.Hour, deaf: true}, lasts: 32 * time.Second, state: scheduler.StateCancelled,
			result: "interrupt",
		},
		"killed": {
			signals: []time.Duration{time.Second, 2 * time.Second, 3 * time.Second},
			call:    call{takes: time.Hour, deaf: true}, lasts: 3 * time.Second, state: scheduler.StateCancelled,
			result: "interrupt",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				deps := scheduler.NewDependencies[string]()
				deps.Add("server", "network")
				group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
					return scheduler.Blocking(func(ctx context.Context) error {
						notice := scheduler.Stopping(ctx)
						if test.call.deaf {
							notice = nil
						}
						select {
						case <-time.After(test.call.takes):
							return nil
						case <-notice:
							return scheduler.StopCause(ctx)
						case <-ctx.Done():
							return ctx.Err()
						}
					})
				}, nil)
				require.NoError(t, err)

				signals := make(chan os.Signal, 1)
				start := time.Now()
				for _, after := range test.signals {
					time.AfterFunc(after, func() { signals <- os.Interrupt })
				}
				err = ctrlc.Run(t.Context(), group, signals)
				if test.result == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, test.result)
				}
				require.Equal(t, test.lasts, time.Since(start).Truncate(time.Millisecond)) // a grace ends a nanosecond late
				require.Equal(t, test.state, group.State("network"))
				if test.signals != nil {
					require.False(t, group.Started("server"))
				}
			})
		})
	}
}
