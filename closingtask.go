package scheduler

import (
	"context"
	"time"
)

// closingTask stands in the slot of a member in StateClosing. So the hot loop
// needs no look at who is closing: its only step says that it can be ended.
type closingTask struct {
	task    Task
	why     closingReason
	failed  error // with what the member has failed already, or which Timeout it had before
	failure int   // which of the failures that is, with closingFailed
	ignored bool  // and it is ignored: what requires the node starts when it has ended

	waits    *Event // is set when the task can be closed, or a part of it; nil: it can be
	answers  bool   // its answer to a Timeout is still to come: it is stepped for that
	answered bool   // it has come, so there is nothing left to close
	answer   error

	reminder *time.Timer // of NodeStillClosing; nil: nobody wants to know
}

type closingReason uint8

const (
	closingAtOnce closingReason = iota // the group was stopped, or closed, and gave it no grace
	closingCutOff                      // its grace has passed
	closingFailed                      // it has failed already
)

// Step is called when the event is set that the member waits for.
func (c *closingTask) Step(ctx context.Context) (Yield, error) {
	if !c.answers {
		if c.waits = endPart(c.task, c.waits); c.waits != nil {
			return Ending(c.waits), nil
		}
		return Done, nil
	}
	y, err := stepTask(ctx, &c.task)
	switch {
	case err == nil && y.code&yieldEnding != 0:
		return Ending(y.event), nil // times do not count any more, such as the limits of a runner
	case err == nil && y.code&yieldDone == 0: // it continues after the Timeout
		c.answers = false
		if c.waits = beginClose(c.task); c.waits != nil {
			return Ending(c.waits), nil
		}
		return Done, nil
	}
	c.answerWith(err)
	return Done, nil
}

func (c *closingTask) Close() error {
	if c.answered {
		return c.answer
	}
	return c.task.Close()
}

// BeginClose asks once more. It ends no part: it is the one around that is asked.
func (c *closingTask) BeginClose() *Event {
	if c.answers || c.waits != nil && !c.waits.has(hasParts) {
		c.answers = false
		c.waits = beginClose(c.task)
	}
	return c.waits
}

// answerWith keeps the end that the task has come to: nothing is left to close.
func (c *closingTask) answerWith(err error) { c.answered, c.answer = true, err }

// isLost reports whether the member has failed already, and what requires it is not to
// start.
func (c *closingTask) isLost() bool { return c.why == closingFailed && !c.ignored }

// endReminders ends the telling that the member is still closing.
func (c *closingTask) endReminders() {
	if c.reminder != nil {
		c.reminder.Stop()
	}
}

func (c *closingTask) String() string { return TaskDescription(c.task) }

// taskOf returns the task of a member that has a slot, also of one that is closing.
func (g *engine) taskOf(p int32) Task {
	task := g.parking.task(g.nodes.slot(p))
	if c, ok := task.(*closingTask); ok {
		return c.task
	}
	return task
}
