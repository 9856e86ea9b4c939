//go:build unix

package schedulertest

import (
	"syscall"
	"time"
)

// realNow returns the time of the machine, in a bubble of testing/synctest as well.
func realNow() time.Time {
	var tv syscall.Timeval
	if syscall.Gettimeofday(&tv) != nil {
		return time.Now()
	}
	return time.Unix(tv.Unix())
}
