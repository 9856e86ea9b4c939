// Package otel shows runs of the scheduler as traces and metrics of
// OpenTelemetry. One [Observer] serves all groups of a program:
//
//	observer, err := otel.New(nil)
//	if err != nil {
//		return err
//	}
//	opts.Observer = observer
//	group, err := scheduler.NewDependencyTaskGroup(deps, create, opts)
//
// It finds the groups inside others by itself. scheduler.Observers joins it with
// other Observers, such as a log. If it comes first, the others get contexts with its
// spans.
//
// # Traces
//
// A group has a span, scheduler.group, from its first step to its end, below the
// span in the context of that step; the span of a group inside a group is below
// that of the node that runs it. Each node that starts has a span,
// scheduler.node, below the group's, with a link to the span of each node that it
// required. The node's span is in the context of its steps, so the spans of an
// SDK's calls are its children.
//
//	attribute              on      value
//	scheduler.group.name   both    the group's name
//	scheduler.group.path   group   the path of the node that runs it; outermost groups have none
//	scheduler.group.nodes  group   how many nodes it has
//	scheduler.node.key     node    the key; on links that of the required node
//	scheduler.node.path    node    the keys from the outermost group to the node
//	scheduler.node.state   node    how it ended: succeeded, failed, timed out, cancelled, skipped
//	scheduler.task         node    what scheduler.TaskDescription calls its task
//	error.type             both    the type of the error, after a failure
//
// A span's status is Error if the node has failed or timed out, or the group
// has; the error is recorded as an exception. Cancelled and skipped nodes have no
// status, nor have groups that were drained or closed. Nodes that were never
// started have no span, unless they failed.
//
// What happens on the way is an event of the span:
//
//	event              on      when
//	scheduler.stop    group   it is given notice, or starts nothing more, because of scheduler.cause
//	scheduler.stop    node    it is given notice, or its group stops, because of scheduler.cause
//	scheduler.grace   node    the group lets it go on for scheduler.grace seconds after that
//	scheduler.note    node    it says scheduler.note about itself
//	scheduler.retry   node    an attempt has failed with scheduler.cause; scheduler.attempt is next
//	scheduler.abandon node    a call of it was left behind
//	scheduler.drain   group   nothing more starts
//	scheduler.close   group   it is ended from outside
//	scheduler.ready   node    it is ready, and continues as a service
//	scheduler.close   node    its task is being closed and has not ended yet
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
//	scheduler.node.count      {node}  nodes that wait or run; scheduler.node.state is pending, running or closing
//	scheduler.node.ended      {node}  nodes that have ended, by scheduler.node.state and error.type
//	scheduler.node.duration   s       from the start of a node to its end, by the same
//	scheduler.step.duration   s       how long one step of a node took, while nothing else went on
//	scheduler.round.lateness  s       how late a round began that was due at a time
//
// # What it costs
//
// A group pays nothing if there is no provider of traces and nobody reads
// metrics. The time of each step costs two readings of the clock, and lateness
// one for each round; they are only measured for a MeterProvider that wants them
// when the group begins.
package otel
