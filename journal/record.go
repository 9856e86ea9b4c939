package journal

import (
	"fmt"
	"hash/crc32"
	"strconv"
)

// Kind is the kind of a [Record].
type Kind uint8

const (
	// KindGroup is the graph of a group, when it begins or when another graph is
	// taken over.
	KindGroup Kind = iota + 1
	// KindStart is an attempt of a node, recorded before its code runs.
	KindStart
	// KindStep is the result of a step.
	KindStep
	// KindEnd is the success of a node, with its result.
	KindEnd
	// KindFailure is the error of a node.
	KindFailure
	// KindFinish is the end of the run, or of its roll-back, with its error.
	KindFinish
	// KindAdd is a node that was added to a group: see [Group.Add].
	KindAdd
	// KindReady is a node that has become ready, with the result that it has by then.
	KindReady
)

var kindNames = [...]string{"unknown", "group", "start", "step", "end", "failure", "finish", "add", "ready"}

// String returns the kind in lower case; "unknown" for the zero Kind.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return kindNames[0]
	}
	return kindNames[k]
}

// Record is one entry of a run's history.
type Record struct {
	Seq      int64 // from 1 on, without gaps
	Kind     Kind
	Node     string // keys from the outermost group to the node, joined by slashes
	Rollback bool   // the record belongs to the roll-back
	Attempt  int    // of the node, from 1 on
	Step     string // of KindStep: the name, "#" and its occurrence in the attempt, from 1 on

	// Data is the result as JSON of a KindStep, KindReady or KindEnd, the error's text
	// of a KindFailure or KindFinish, and the key of a KindAdd and the keys that it
	// requires, as JSON, separated by tabs.
	Data []byte

	path string
}

// String returns the record in one line, without its data.
func (r Record) String() string {
	text := fmt.Sprintf("%d %v", r.Seq, r.Kind)
	if r.Node != "" {
		text += " " + r.Node
	}
	if r.Attempt > 0 {
		text += " attempt " + strconv.Itoa(r.Attempt)
	}
	if r.Step != "" {
		text += " step " + r.Step
	}
	if r.Rollback {
		text += " (rollback)"
	}
	return text
}

// sum guards a record against damage that SQLite does not notice.
func (r *Record) sum() uint32 {
	head := make([]byte, 0, 128)
	head = strconv.AppendInt(head, r.Seq, 10)
	head = append(head, byte(r.Kind))
	head = strconv.AppendInt(head, int64(r.Attempt), 10)
	head = append(head, r.path...)
	head = append(head, 0)
	head = append(head, r.Step...)
	head = append(head, 0)
	return crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, r.Data)
}
