// Package temporal drives tasks of package scheduler, groups above all, inside a
// Temporal workflow. The nodes of a group are then activities or child
// workflows, run by any number of worker processes on any number of machines,
// and the walk survives the death of workers and servers: the engine replays it.
// The group is the one that runs in a process, with the same order.
//
// # From code
//
// [Drive] runs a task to its end inside a workflow. Nodes are made by
// [Activity], [ChildWorkflow], [Timer] and [Signal], alone or inside
// [scheduler.Wrap]:
//
//	func Deploy(ctx workflow.Context, spec Spec) error {
//		group, err := scheduler.NewDependencyTaskGroup(spec.Dependencies(), func(k string) scheduler.Task {
//			return temporal.Activity[string](k, options, "Create", spec.Resources[k])
//		}, &scheduler.GroupOptions[string]{Budget: 100})
//		if err != nil {
//			return err
//		}
//		return temporal.Drive(ctx, group, temporal.Options{Grace: time.Minute})
//	}
//
// # From data
//
// A workflow lives for long, and its code changes meanwhile: what comes from
// code must not change what a run that is under way does. So [Walk] takes the
// graph as data, a part of the workflow's input: it refuses to go on with
// another one, and continues as new when the history has become long.
// [GraphWorkflow] is a workflow made of it that needs no code at all, for
// nodes that name their activities.
//
// # Duties
//
//  1. Code that Drive steps is workflow code: time by [scheduler.Now], no
//     goroutine (so no [scheduler.Blocking], Fetch, Poll, Call), no range over a
//     map, nothing random. The checker of the SDK, workflowcheck, finds most of
//     it, but does not look through interfaces such as a Task.
//  2. Close of a task, and deferred functions, must not call the engine.
//  3. Workers take their options from [WorkerOptions], or their activities
//     heartbeat themselves.
//  4. The order in which nodes start is part of what is replayed. Options of a
//     group that change it (Limit, Priority, Estimate, Claims, Reverse) are part
//     of the input, too.
package temporal
