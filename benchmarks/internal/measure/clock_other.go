//go:build !linux

package measure

import "time"

var start = time.Now()

// processorTime is the time of the wall: measure on a machine that is quiet.
func processorTime() time.Duration { return time.Since(start) }
