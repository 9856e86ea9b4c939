package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// zombie is SZOMB of sys/proc.h.
const zombie = 5

// startTime says when a process started. It is an error if the process has
// ended.
func startTime(pid int) (string, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", err
	}
	if int(info.Proc.P_pid) != pid || info.Proc.P_stat == zombie {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return startOf(info), nil
}

func startOf(info *unix.KinfoProc) string {
	t := info.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", t.Sec, t.Usec)
}

// group returns the members of id's group.
func group(id ID) []ID {
	list, err := unix.SysctlKinfoProcSlice("kern.proc.pgrp", id.PID)
	if err != nil {
		return nil
	}
	var members []ID
	for i := range list {
		if list[i].Proc.P_stat != zombie {
			members = append(members, ID{int(list[i].Proc.P_pid), startOf(&list[i])})
		}
	}
	return members
}

// marked cannot see the environment of other processes here.
func marked(members []ID, _ ID) []ID { return members }
