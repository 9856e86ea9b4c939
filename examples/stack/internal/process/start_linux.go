package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// stat is what /proc tells of a process.
type stat struct {
	id    ID
	group int
}

// readStat reads about a process. It is an error if the process has ended.
func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The name, in parentheses, may contain anything. After it: state, ppid,
	// pgrp, and as the 20th the start time.
	_, after, found := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
	fields := strings.Fields(after)
	if !found || len(fields) < 20 {
		return stat{}, fmt.Errorf("unexpected /proc/%d/stat", pid)
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return stat{}, fmt.Errorf("process %d has ended", pid)
	}
	boot, err := bootID()
	if err != nil {
		return stat{}, err
	}
	group, err := strconv.Atoi(fields[2])
	return stat{ID{pid, fields[19] + "@" + boot}, group}, err
}

var bootID = sync.OnceValues(func() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
})

// startTime says when a process started, in clock ticks since boot and with
// the boot's id. It is an error if the process has ended.
func startTime(pid int) (string, error) {
	s, err := readStat(pid)
	return s.id.Start, err
}

// all returns all processes that run.
func all() []stat {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var list []stat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			list = append(list, s)
		}
	}
	return list
}

// group returns the members of id's group: of the same boot, and not older.
func group(id ID) []ID {
	began, boot := ticks(id)
	var members []ID
	for _, s := range all() {
		if at, of := ticks(s.id); s.group == id.PID && of == boot && at >= began {
			members = append(members, s.id)
		}
	}
	return members
}

func ticks(id ID) (at int64, boot string) {
	text, boot, _ := strings.Cut(id.Start, "@")
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1, ""
	}
	return at, boot
}

// marked adds to members the processes that have the mark of id.
func marked(members []ID, id ID) []ID {
	var others []ID
	for _, s := range all() {
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.id.PID))
		if err == nil && bytes.Contains(append([]byte{0}, environment...), []byte("\x00"+id.mark()+"\x00")) {
			others = append(others, s.id)
		}
	}
	return join(members, others)
}
