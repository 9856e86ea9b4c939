package scheduler

import (
	"context"
	"fmt"
	"slices"
)

// All returns a Task that drives the given ones side by side, without a graph:
// a group whose nodes are their numbers. The first failure closes the others
// and is the result, as a [*TaskError]. What a group needs options for takes a
// [DependencyTaskGroup].
func All(tasks ...Task) Task {
	g := sideBySide("All", tasks, &GroupOptions[int]{}, func() bool { return false })
	g.engine.serves = true
	return g
}

// sideBySide returns a group whose nodes are the numbers of the tasks. Those that
// would start when isOver are skipped.
func sideBySide(name string, tasks []Task, opts *GroupOptions[int], isOver func() bool) *DependencyTaskGroup[int] {
	tasks = slices.Clone(tasks)
	deps := NewDependencies[int]()
	for i := range tasks {
		deps.Add(i)
	}
	take := func(i int) Task {
		task := tasks[i]
		tasks[i] = nil // the group drops it when it has ended
		if isOver() {
			return Func(func(context.Context) error { return ErrSkip })
		}
		return task
	}
	opts.Name = name
	g, err := NewDependencyTaskGroup(deps, take, opts)
	if err != nil {
		// Not covered: a graph without edges has no cycle, and the options are good.
		panic("scheduler: internal error: " + err.Error() + "; please report")
	}
	g.engine.isNumbered = true
	return g
}

// Sequence returns a Task that drives the given ones one after the other, up to
// the first that fails. That one's error is the result. When the run, or the node
// that the Sequence is part of, is stopped, it begins none of the tasks that are
// left, and ends with the notice. When a [*Timeout] was thrown into it, it begins
// none either, even if the one under way has finished in its grace, and ends with
// the Timeout. With a nil Task among them it begins none and
// fails with [ErrNilTask].
func Sequence(tasks ...Task) Task {
	return Wrap(func(co *Coroutine) error {
		if i := slices.Index(tasks, nil); i >= 0 {
			return &namedError{fmt.Sprintf("number %d of a Sequence", i), ErrNilTask}
		}
		before := co.timeout() // of a Sequence that cleans up after one
		for _, task := range tasks {
			if n := co.notice(); n != nil && n.final {
				return n
			}
			if t := co.timeout(); t != before {
				return t
			}
			if err := co.Await(task); err != nil {
				return err
			}
		}
		return nil
	})
}

// Finally returns a Task that drives task to its end and then cleanup, whatever
// came of task: it succeeded, failed, or ended by an error thrown in, such as a
// [*Timeout], or because it was asked to stop. In the last two cases cleanup has
// what is left of the grace, behind a [Shield]; without a grace it gets only as
// far as its first yield. [Reserve] keeps a part of the grace for it. The result
// is the error of task, joined with that of cleanup.
//
// After a Close there is no step left for cleanup: it does not run. What must be
// undone even then belongs in a roll-back, for which a group knows what was
// started. If either is nil it begins neither and fails with [ErrNilTask].
func Finally(task, cleanup Task) Task {
	return Wrap(func(co *Coroutine) error {
		switch {
		case task == nil:
			return &namedError{"the task of a Finally", ErrNilTask}
		case cleanup == nil:
			return &namedError{"the cleanup of a Finally", ErrNilTask}
		}
		err := co.Await(task)
		if co.closing {
			return err
		}
		return join(err, co.Await(Shield(cleanup)))
	})
}
