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

// A service lets what requires it start once it is ready, in a journal as without, and is
// started again when the run is continued.
func TestReady(t *testing.T) {
	j := openNew(t)
	deps := scheduler.NewDependencies[string]()
	deps.Add("use", "tunnel")
	var did []string
	attempt := func(fails bool) error {
		return up(t, j, "x", deps, func(n node) scheduler.Task {
			if n.Key() == "use" {
				return scheduler.Func(func(context.Context) error {
					did = append(did, "use")
					if fails {
						return errors.New("boom")
					}
					return nil
				})
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				did = append(did, "open")
				co.Ready()
				if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
					return err
				}
				did = append(did, "close")
				return nil
			})
		}, &journal.GroupOptions[string]{Group: scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}})
	}
	require.ErrorContains(t, attempt(true), "boom")
	require.NoError(t, attempt(false))
	require.Equal(t, []string{"open", "use", "close", "open", "use", "close"}, did)
	require.NoError(t, attempt(false))
	require.Len(t, did, 6, "all is done")
}

// The Timeout of a service counts until it is ready, however it has said so. After that
// it waits for what it has waited for.
func TestReady_ends_the_limit(t *testing.T) {
	deps := scheduler.NewDependencies[string]()
	deps.Add("use", "tunnel")
	errBroken := errors.New("broken")
	inSteps := func(result error) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(10 * time.Second)); err != nil {
				return err
			}
			co.Ready()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			return result
		})
	}
	inCall := func(ctx context.Context) error {
		time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble
		scheduler.Ready(ctx)
		<-scheduler.Stopping(ctx)
		return ctx.Err()
	}
	for _, test := range []struct {
		name   string
		tunnel func() scheduler.Task
		err    error
	}{
		{"in a step", func() scheduler.Task { return inSteps(nil) }, nil},
		{"and fails later", func() scheduler.Task { return inSteps(errBroken) }, errBroken},
		{"in a group", func() scheduler.Task { return scheduler.All(inSteps(nil)) }, nil},
		{"in a limit that is longer", func() scheduler.Task { return scheduler.WithTimeout(2*time.Hour, inSteps(nil)) }, nil},
		{"in a call", func() scheduler.Task { return scheduler.Blocking(inCall) }, nil},
		{"in a call of a coroutine", func() scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(scheduler.Blocking(inCall)) })
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := up(t, openNew(t), "x", deps, func(n node) scheduler.Task {
					if n.Key() == "use" {
						return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Yield(scheduler.After(time.Hour)) })
					}
					return test.tunnel()
				}, &options{Group: scheduler.GroupOptions[string]{
					Grace: time.Minute,
					Timeout: func(k string) time.Duration {
						return map[string]time.Duration{"tunnel": time.Minute}[k]
					},
				}})
				require.ErrorIs(t, err, test.err)
				require.InDelta(t, time.Hour, time.Since(start), float64(time.Minute))
			})
		})
	}
}

// A service without Throw and Stop is closed when nothing needs it, once, and stepped when
// it asks for it.
func TestReady_closes_the_task_itself(t *testing.T) {
	deps := scheduler.NewDependencies[string]()
	deps.Add("use", "tunnel")
	synctest.Test(t, func(t *testing.T) {
		start, tunnel := time.Now(), &plainService{}
		require.NoError(t, up(t, openNew(t), "x", deps, func(n node) scheduler.Task {
			if n.Key() == "use" {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Yield(scheduler.After(time.Hour)) })
			}
			return tunnel
		}, &options{Group: scheduler.GroupOptions[string]{
			Timeout: func(k string) time.Duration { return map[string]time.Duration{"tunnel": time.Minute}[k] },
		}}))
		require.Equal(t, 1, tunnel.closed)
		require.Equal(t, 122, tunnel.steps, "one in half a minute, as it asks for, until an hour after the second")
		require.InDelta(t, time.Hour, time.Since(start), float64(time.Minute))
	})
}

// plainService is a service that only has steps, and counts them.
type plainService struct{ steps, closed int }

func (s *plainService) Step(ctx context.Context) (scheduler.Yield, error) {
	s.steps++
	if s.steps == 2 {
		scheduler.Ready(ctx)
	}
	return scheduler.After(30 * time.Second), nil
}

func (s *plainService) Close() error {
	s.closed++
	return nil
}

// Until it is ready the limit counts as that of every node: with a grace too, in which
// Ready does not bring it back.
func TestReady_after_the_limit(t *testing.T) {
	deps := scheduler.NewDependencies[string]()
	deps.Add("use", "tunnel")
	for _, says := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			err := up(t, openNew(t), "x", deps, func(n node) scheduler.Task {
				if n.Key() == "use" {
					return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Yield(scheduler.After(time.Hour)) })
				}
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					_ = co.Yield(scheduler.After(time.Hour)) // the Timeout, which it swallows
					if says {
						co.Ready()
					}
					return co.Yield(scheduler.After(time.Hour))
				})
			}, &options{Group: scheduler.GroupOptions[string]{
				Grace:   10 * time.Second,
				Timeout: func(string) time.Duration { return time.Minute },
			}})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "tunnel: timed out after 1m0s")
			require.Less(t, time.Since(start), 2*time.Minute)
		})
	}
}
