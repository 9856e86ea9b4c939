package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

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
