//go:build !unix && !windows

package schedulertest

import "time"

// realNow returns the time of the machine; in a bubble of testing/synctest that of the
// bubble.
func realNow() time.Time { return time.Now() }
