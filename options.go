package scheduler

import (
	"fmt"
	"time"
)

// options are those of a group whose nodes are known by position.
type options = GroupOptions[int32]

// checkOptions returns an *OptionError for what cannot be.
func checkOptions(o *options, noDeps, noTask bool) error {
	switch {
	case noDeps:
		return &OptionError{Option: "deps", Reason: "nil Dependencies"}
	case noTask:
		return &OptionError{Option: "task", Reason: "nil function"}
	case o.Budget < 0:
		return &OptionError{Option: "GroupOptions.Budget", Reason: fmt.Sprintf("negative number %d", o.Budget)}
	case o.Limit < 0:
		return &OptionError{Option: "GroupOptions.Limit", Reason: fmt.Sprintf("negative number %d", o.Limit)}
	case o.Grace != 0 && o.GraceFor != nil:
		return &OptionError{Option: "GroupOptions.Grace", Reason: "cannot be combined with GraceFor"}
	case o.AggregateErrors && o.OnError != nil:
		return &OptionError{Option: "GroupOptions.AggregateErrors", Reason: "cannot be combined with OnError"}
	case o.Priority != nil && o.Limit == 0 && o.Claims == nil:
		return &OptionError{Option: "GroupOptions.Priority", Reason: "needs Limit or Claims"}
	case o.Estimate != nil && o.Limit == 0 && o.Claims == nil:
		return &OptionError{Option: "GroupOptions.Estimate", Reason: "needs Limit or Claims"}
	}
	if err := checkDuration("GroupOptions.SlowStep", o.SlowStep); err != nil {
		return err
	}
	if err := checkDuration("GroupOptions.Abandon", o.Abandon); err != nil {
		return err
	}
	if o.Grace == NoGrace {
		return nil
	}
	return checkDuration("GroupOptions.Grace", o.Grace)
}

// graceOf returns how long a member may go on.
func (g *engine) graceOf(p int32) time.Duration {
	if g.opts.GraceFor == nil {
		return g.ending.usualGrace()
	}
	if p != g.current { // else whoever steps the node names it
		defer func() {
			if v := recover(); v != nil {
				panic(panicIn(g.key(p), v))
			}
		}()
	}
	return g.opts.GraceFor(p)
}
