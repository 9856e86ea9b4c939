package scheduler

import (
	"context"
	"fmt"
	"slices"
)

// All returns a [Task] that runs tasks concurrently, as a group whose keys are their
// numbers. The first failure closes the others and is the result, as a [*TaskError];
// what the others fail with later is joined to it. Close returns the same. If one of the
// tasks is nil, All starts none and fails with [ErrNilTask]. [Named] gives tasks names for
// errors.
func All(tasks ...Task) Task {
	if refused := nilAmong("All", "an All", tasks); refused != nil {
		return refused
	}
	g := sideBySide("All", tasks, &GroupOptions[int]{}, func() bool { return false })
	g.engine.serves = true
	return g
}

// nilAmong returns a task that fails because one of the tasks of a combinator is nil, or
// nil if none is.
func nilAmong(name, of string, tasks []Task) Task {
	if i := slices.IndexFunc(tasks, isNil); i >= 0 {
		return failing(name, &namedError{fmt.Sprintf("number %d of %s", i, of), errNil(tasks[i])})
	}
	return nil
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
	g.engine.isNumbered, g.engine.tellsAll = true, true
	return g
}

// Sequence returns a [Task] that runs tasks one after the other until one fails, and
// returns its error. After a stop of the run or the node it starts no further task
// and ends with the notice; after a [*Timeout] it ends with the Timeout, even if the
// current task finishes in its grace.
func Sequence(tasks ...Task) Task {
	return &coroutine{Coroutine{is: isSequence, fn: func(co *Coroutine) error {
		if i := slices.IndexFunc(tasks, isNil); i >= 0 {
			return &namedError{fmt.Sprintf("number %d of a Sequence", i), errNil(tasks[i])}
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
	}}}
}

// Finally returns a [Task] that runs task and then cleanup, however task ended: by
// success, failure, a [*Timeout] or a stop. After a Timeout or a stop, cleanup has
// the rest of the grace, behind a [Shield], and without a grace only its first step.
// The result is the error of task, joined with that of cleanup.
//
// cleanup does not run after a Close, since there is no step left for it: use a
// roll-back by a [Snapshot]. At the end of the grace a task that ignores the notice
// is closed, and cleanup with it: keep a part of the grace with [Reserve], or set
// EndCalls.
func Finally(task, cleanup Task) Task {
	return &coroutine{Coroutine{is: isFinally, fn: func(co *Coroutine) error {
		switch {
		case isNil(task):
			return &namedError{"the task of a Finally", errNil(task)}
		case isNil(cleanup):
			return &namedError{"the cleanup of a Finally", errNil(cleanup)}
		}
		err := co.Await(task)
		if co.closing {
			return err
		}
		return join(err, co.Await(Shield(cleanup)))
	}}}
}
