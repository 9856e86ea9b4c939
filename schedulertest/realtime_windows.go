package schedulertest

import (
	"syscall"
	"time"
)

// realNow returns the time of the machine, in a bubble of testing/synctest as well.
func realNow() time.Time {
	var ft syscall.Filetime
	syscall.GetSystemTimeAsFileTime(&ft)
	return time.Unix(0, ft.Nanoseconds())
}
