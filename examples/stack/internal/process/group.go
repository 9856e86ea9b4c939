package process

import (
	"slices"
	"syscall"
)

// markVariable is in the environment of a process that was started here, and of
// all that it starts. It has the process's ID as its value.
const markVariable = "STACK_PROCESS"

func (id ID) mark() string { return markVariable + "=" + id.String() }

// Members returns the processes that run of those that id stands for: the
// process itself, its group, and where the system tells, what has left the
// group but has the mark. It may be gone while others are not.
func (id ID) Members() []ID {
	if id.PID <= 0 || id.Start == "" {
		return nil
	}
	leader, err := Find(id.PID)
	if err == nil && leader != id {
		return marked(nil, id) // the pid is used again, so that the group was empty
	}
	return marked(group(id), id)
}

// Signal sends sig to all members. There is no error if they have ended.
func (id ID) Signal(sig syscall.Signal) error {
	for _, member := range id.Members() {
		if err := signal(member.PID, sig); err != nil {
			return err
		}
	}
	return nil
}

// join adds to some members those of others that are not among them.
func join(members, others []ID) []ID {
	for _, other := range others {
		if !slices.Contains(members, other) {
			members = append(members, other)
		}
	}
	return members
}
