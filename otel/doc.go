// Package otel shows runs of the scheduler as traces and metrics of
// OpenTelemetry. Make a group with [NewGroup] in place of
// scheduler.NewDependencyTaskGroup, and that is all:
//
//	group, err := otel.NewGroup(deps, create, opts, nil)
//	if err != nil {
//		return err
//	}
//	return scheduler.Run(ctx, group, nil)
//
// Observers and progress.Watch go into opts as ever. For the live page of inspect
// too, make the group in the function that inspect.NewGroupFunc takes.
//
// # Traces
//
// A group has a span, from its first step to its end, below the span in the
// context of the run; the span of a group inside a group is below that of the
// node that runs it. Each node that starts has a span below the group's, with a
// link to the span of each node that it required. The span is in the context of
// the node's steps, so the spans of an SDK's calls are its children. Its name is
// the node's key.
//
//	attribute              on      value
//	scheduler.group.name   both    the group's name
//	scheduler.group.nodes  group   how many nodes it has
//	scheduler.node.key     node    the key; on links that of the required node
//	scheduler.node.path    node    the keys from the outermost group to the node
//	scheduler.node.state   node    how it ended: succeeded, failed, timed out, cancelled, skipped
//	scheduler.task         node    what scheduler.TaskDescription calls its task
//	error.type             both    the type of the error, after a failure
//
// A span's status is Error if the node has failed or timed out, or the group
// has; the error is recorded as an exception. What was cancelled or skipped has
// no status. Nodes that were never started have no span, unless they failed.
//
// What happens on the way is an event of the span:
//
//	event             on      when
//	scheduler.stop    both    it is asked to end, or closed, because of scheduler.cause
//	scheduler.grace   node    the group lets it go on for scheduler.grace seconds after that
//	scheduler.retry   node    [Retry] begins scheduler.attempt because of scheduler.cause
//	scheduler.drain   group   nothing more starts
//	scheduler.close   group   it is ended from outside
//
// All times are those of the run's clock, so a simulated run has a trace in
// simulated time. A run that is replayed, as in a durable workflow, would make
// its spans again each time: it is not for that.
//
// # Metrics
//
// All have the attribute scheduler.group.name.
//
//	name                      unit    what
//	scheduler.node.count      {node}  nodes that wait or run; scheduler.node.state is pending or running
//	scheduler.node.ended      {node}  nodes that have ended, by scheduler.node.state and error.type
//	scheduler.node.duration   s       from the start of a node to its end, by the same
//	scheduler.step.duration   s       how long one step of a node took, while nothing else went on
//	scheduler.round.lateness  s       how late the group was stepped, after the time it had asked for
//
// To measure steps costs two readings of the clock for each; it is only done if
// a MeterProvider wants them when the group is made.
package otel
