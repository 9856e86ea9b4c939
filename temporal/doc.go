// Package temporal runs tasks of package scheduler, usually groups, inside a Temporal
// workflow. The nodes of a group are then activities or child workflows, which any
// number of workers on any number of machines execute. The walk survives the death of
// workers and servers, because Temporal replays the workflow. It is the same group as
// in a process, and it starts nodes in the same order.
//
// # From code
//
// [Drive] runs a task to its end inside a workflow. Nodes are made by [Activity],
// [ChildWorkflow], [Timer] and [Signal], alone or inside [scheduler.Wrap]:
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
// A workflow can outlive the code that started it, and changed code must not change
// the course of a workflow that is running. [Walk] therefore takes the graph as data,
// as part of the workflow's input. It refuses to continue with another graph, and
// continues as new when the history has become long. [GraphWorkflow] is a complete
// workflow built on Walk, for nodes that name their activities; it needs no workflow
// code at all.
//
// # Duties
//
//  1. Code that Drive steps is workflow code: it reads time from [scheduler.Now], and
//     uses no goroutines (no [scheduler.Blocking], Fetch, Poll or Call), no range over
//     a map and nothing random. The SDK's checker, workflowcheck, finds most
//     violations, but does not look through interfaces such as Task.
//  2. A task's Close, and deferred functions, must not call the SDK.
//  3. Workers take their options from [WorkerOptions], or their activities send
//     heartbeats themselves.
//  4. The order in which nodes start is replayed. Group options that change it (Limit,
//     Priority, Estimate, Claims, Reverse) must be part of the workflow's input.
package temporal
