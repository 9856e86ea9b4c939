package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
)

// Run is a recorded group, as a Task: run it with [scheduler.Run], or as part of
// another task. Each step is a round of the group. The round's records are then
// committed together while the run continues.
//
// A Run ends after its last record is on disk. Until then, or until [Run.Close], it
// is open in the Journal. Close a Run that may never have been stepped, as when it
// was given to scheduler.Run with a context that had ended; closing a Run that has
// ended does nothing. Closing the Journal closes the runs that were never stepped.
// The other methods are those of the group.
type Run[K comparable] struct {
	Group[K]

	listener func(Record)
	begun    bool
	failed   bool   // what could not be written was thrown into the group
	over     *batch // the last one, once the group has ended
	err      error  // of the group
	ended    bool
}

// NewGroup makes a group that continues the run of that name, or begins one. task is
// called for a node once its start is on disk, and again for each attempt.
//
// Nodes that have succeeded do not run again. A node that had started and not
// succeeded runs again from its beginning, with the same [Node.ID]; [Step] then
// returns what its steps have recorded.
//
// The errors are [ErrHeld], [ErrRollingBack], [ErrGraphChanged], a [*ValueError] for
// keys that cannot be written as JSON, a [*FileError], and those of
// [scheduler.NewDependencyTaskGroup]. After an error the file is unchanged.
//
// NewGroup reads and writes the file, so do not call it in a step.
func NewGroup[K comparable](
	j *Journal, name string, deps *scheduler.Dependencies[K], task func(n *Node[K]) scheduler.Task, opts *GroupOptions[K],
) (*Run[K], error) {
	return newRun(j, name, false, deps, task, opts)
}

// NewRollback makes a group that undoes the run of that name, in reverse order: all
// nodes that were started, whether or not they succeeded, and no others. It continues
// an earlier roll-back. From then on the run cannot go forward.
//
// In its nodes, [Result] and [StepResult] return the values that the run recorded.
// Errors are those of [NewGroup], and [ErrNoRun].
func NewRollback[K comparable](
	j *Journal, name string, deps *scheduler.Dependencies[K], task func(n *Node[K]) scheduler.Task, opts *GroupOptions[K],
) (*Run[K], error) {
	return newRun(j, name, true, deps, task, opts)
}

func newRun[K comparable](
	j *Journal, name string, back bool, deps *scheduler.Dependencies[K], task func(n *Node[K]) scheduler.Task, opts *GroupOptions[K],
) (_ *Run[K], err error) {
	if err := j.checkOpened(); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, &scheduler.OptionError{Option: "name", Reason: "empty"}
	}
	l, err := openLog(j, name)
	if err != nil {
		return nil, err
	}
	made := false
	defer func() {
		if !made { // or a function of opts has panicked
			err = errors.Join(err, l.close())
		}
	}()
	m := groupMaker[K]{log: l, name: name}
	switch {
	case back && l.id == 0:
		return nil, fmt.Errorf("%w: %q", ErrNoRun, name)
	case back:
		m.path = rollbackPath
	case l.rollback:
		return nil, fmt.Errorf("%w: %q", ErrRollingBack, name)
	}
	r := &Run[K]{}
	if opts != nil {
		r.listener = opts.Recorded
	}
	if err := m.make(&r.Group, deps, task, opts); err != nil {
		return nil, err
	}
	if err := l.begin(deps.Len(), back); err != nil {
		return nil, err
	}
	r.begin()
	made = true
	return r, nil
}

// atOnce is a Yield that is due at once.
var atOnce = scheduler.At(time.Unix(0, 0))

// Step runs a round of the group.
func (r *Run[K]) Step(ctx context.Context) (scheduler.Yield, error) {
	return r.round(func() (scheduler.Yield, error) {
		woken, failure := r.publish()
		if woken && failure == nil && r.over == nil {
			return atOnce, nil // with the next step all that were woken are due
		}
		return r.advance(ctx, failure, func() (scheduler.Yield, error) { return r.Group.Step(ctx) })
	})
}

// Throw throws err into the group.
func (r *Run[K]) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	if r != nil && r.over != nil && !r.ended {
		return r.Step(ctx) // it has its result already
	}
	return r.round(func() (scheduler.Yield, error) {
		_, failure := r.publish()
		return r.advance(ctx, failure, func() (scheduler.Yield, error) { return r.Group.Throw(ctx, err) })
	})
}

// round begins the run, and lets go of it if a panic goes up.
func (r *Run[K]) round(step func() (scheduler.Yield, error)) (scheduler.Yield, error) {
	switch {
	case r == nil || r.log == nil:
		return scheduler.Yield{}, errZeroRun
	case r.ended:
		return scheduler.Yield{}, scheduler.ErrEnded
	}
	if !r.begun {
		if err := r.log.journal.enter(r.log, true); err != nil {
			r.ended = true
			return scheduler.Yield{}, err
		}
		r.begun = true
	}
	returned := false
	defer func() {
		if !returned { // a panic or a Goexit is on its way up
			_ = r.release()
		}
	}()
	y, err := step()
	returned = true
	return y, err
}

// advance makes a step of the group, unless it has ended. failure is what could not be
// written, or nil.
func (r *Run[K]) advance(ctx context.Context, failure error, step func() (scheduler.Yield, error)) (scheduler.Yield, error) {
	if r.over != nil {
		return r.finish()
	}
	y, err := scheduler.Next, error(nil)
	if failure != nil && !r.failed {
		r.failed = true
		y, err = r.Group.Throw(ctx, failure) // nothing more starts
	}
	if err == nil && y != scheduler.Done {
		y, err = step()
	}
	if err != nil || y == scheduler.Done {
		r.end(err)
		return r.finish()
	}
	r.log.w.flush()
	return y.Or(scheduler.On(&r.log.w.news)), nil
}

// publish makes known what was committed, and reports whether nodes waited for it. The
// error is that after which nothing is committed.
func (r *Run[K]) publish() (woken bool, err error) {
	batches, err := r.log.w.take()
	for _, b := range batches {
		b.done.Set()
		woken = woken || b.wanted
		if b.err != nil || r.listener == nil {
			continue
		}
		for _, record := range b.records {
			r.listener(record.public())
		}
	}
	return woken, err
}

// end records the end of the group.
func (r *Run[K]) end(err error) {
	r.err = err
	text := ""
	if err != nil {
		if text = fmt.Sprint(err); text == "" {
			text = "failed"
		}
	}
	r.over = r.log.w.add(Record{Kind: KindFinish, Data: []byte(text), path: r.path})
	r.log.w.want(r.over)
	r.log.w.flush()
}

// finish ends the run once its last record is on disk.
func (r *Run[K]) finish() (scheduler.Yield, error) {
	if !r.over.done.IsSet() {
		return scheduler.On(&r.log.w.news), nil
	}
	if err := r.release(); err != nil && !errors.Is(r.err, err) {
		r.err = errors.Join(r.err, err)
	}
	if r.err != nil {
		return scheduler.Yield{}, r.err
	}
	return scheduler.Done, nil
}

// release lets go of the run.
func (r *Run[K]) release() error {
	r.ended = true
	return r.log.close()
}

// BeginClose begins to close the group: see [scheduler.Closer].
func (r *Run[K]) BeginClose() *scheduler.Event {
	if r == nil || r.log == nil || r.ended {
		return nil
	}
	if r.over != nil {
		return &r.log.w.news // set once the last record is on disk
	}
	r.log.w.flush() // the disk is at work meanwhile
	return r.Group.BeginClose()
}

// Close closes the group, and blocks until its records are on disk. The run can be
// opened again.
func (r *Run[K]) Close() error {
	if r == nil || r.log == nil || r.ended {
		return nil
	}
	r.ended = true
	var err error
	if r.over == nil {
		err = r.closeGroup()
	}
	err = errors.Join(err, r.log.close())
	_, _ = r.publish() // the error is the same
	return err
}

// closeGroup closes the group. If that panics the run is let go all the same.
func (r *Run[K]) closeGroup() error {
	returned := false
	defer func() {
		if !returned {
			_ = r.log.close()
		}
	}()
	err := r.Group.Close()
	returned = true
	return err
}
