package schedulertest

import "time"

func init() { stepsMax = 1000 }

// SetWatchdog makes the watchdog bark after d, until the test ends.
func SetWatchdog(t interface{ Cleanup(f func()) }, d time.Duration) {
	before := watchdog
	watchdog = d
	t.Cleanup(func() { watchdog = before })
}
