//go:build !linux && !darwin

package process

import (
	"errors"
	"os"
)

// startTime cannot tell on this system when a process started. Of this process
// it says so, and of any other it is an error.
func startTime(pid int) (string, error) {
	if pid == os.Getpid() {
		return "self", nil
	}
	return "", errors.New("processes of a stack are supported on Linux and macOS only")
}

func group(ID) []ID { return nil }

func marked(members []ID, _ ID) []ID { return join(members, nil) }
