package temporal

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/steptask/scheduler"
)

// QueryExplain is the name of a query that Drive answers with the task's explanation,
// if the task is a group: the state of each node and what it waits for, and what is
// pending at the server.
//
//	temporal workflow query --name explain --workflow-id ...
const QueryExplain = "explain"

// explanationMost keeps the answer to the query below the size of a payload.
const explanationMost = 1 << 20

// explain is the answer to QueryExplain.
func (d *driver) explain(task scheduler.Task) string {
	var b strings.Builder
	if w, ok := task.(io.WriterTo); ok {
		if _, err := w.WriteTo(&b); err != nil {
			return err.Error()
		}
	} else {
		b.WriteString(scheduler.TaskDescription(task) + "\n")
	}
	if d.stopped {
		b.WriteString("the workflow was asked to cancel\n")
	}
	if d.draining {
		b.WriteString("draining, to continue as new\n")
	}
	if len(d.line) > 0 {
		b.WriteString(strconv.Itoa(len(d.line)) + " more wait for the limit of " + strconv.Itoa(d.opts.Limit) + " pending\n")
	}
	for _, c := range d.pending {
		b.WriteString("pending: " + c.String() + "\n")
	}
	text := b.String()
	if len(text) > explanationMost {
		cut := strings.LastIndexByte(text[:explanationMost], '\n') + 1
		text = text[:cut] + fmt.Sprintf("(%d more lines)\n", strings.Count(text[cut:], "\n"))
	}
	return text
}
