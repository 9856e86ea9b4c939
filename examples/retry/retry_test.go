package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUpload(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	start := clock.Now()
	require.NoError(t, upload(clock, 4))
	require.Equal(t, 4750*time.Millisecond, clock.Now().Sub(start), "1 s, 1.5 s and 2.25 s")
	require.ErrorIs(t, upload(clock, 99), errBusy)
}

func TestCreate_ends(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	id, err := create(clock, errBusy, errBusy, nil)
	require.NoError(t, err)
	require.Equal(t, 3, id)
	_, err = create(clock, fmt.Errorf("creating: %w", backoff.Permanent(errQuota)))
	require.ErrorIs(t, err, errQuota)
	require.EqualError(t, err, "creating: no quota left")
	require.Equal(t, scheduler.Done, saying(&backoff.StopBackOff{})(1, errBusy))
}
