package scheduler

import "slices"

// All returns a Task that drives the given ones side by side, without a graph:
// a group whose nodes are their numbers. The first failure closes the others
// and is the result, as a [*TaskError]. What a group needs options for takes a
// [DependencyTaskGroup].
func All(tasks ...Task) Task {
	tasks = slices.Clone(tasks)
	deps := NewDependencies[int]()
	for i := range tasks {
		deps.Add(i)
	}
	take := func(i int) Task {
		task := tasks[i]
		tasks[i] = nil // the group drops it when it has ended
		return task
	}
	g, err := NewDependencyTaskGroup(deps, take, &GroupOptions[int]{Name: "All"})
	if err != nil {
		// Not covered: a graph without edges has no cycle, and the options are good.
		panic("scheduler: internal error: " + err.Error() + "; please report")
	}
	return g
}
