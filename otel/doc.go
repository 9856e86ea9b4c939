// Package otel records runs of the scheduler as OpenTelemetry traces and metrics.
// One [Observer] serves all groups of a program:
//
//	observer, err := otel.New(nil)
//	if err != nil {
//		return err
//	}
//	opts.Observer = observer
//	group, err := scheduler.NewDependencyTaskGroup(deps, create, opts)
//
// Groups inside other groups are included. scheduler.Observers combines it with other
// Observers, such as a log. If it comes first, the others receive contexts with its
// spans.
//
// # Traces
//
// A group has a span, scheduler.group, from its first step to its end. Its parent is
// the span in the context of that step; for a group inside another, the span of the
// node that runs it. Each node that starts has a span, scheduler.node, below the
// group's, with a link to the span of each node that it requires. The node's span is
// in the context of its steps, so the spans of an SDK's calls are its children.
//
//	attribute              on      value
//	scheduler.group.name   both    the group's name
//	scheduler.group.path   group   the path of the node that runs it; none for outermost groups
//	scheduler.group.nodes  group   the number of nodes
//	scheduler.node.key     node    the key; on a link, the required node's
//	scheduler.node.path    node    the keys from the outermost group to the node
//	scheduler.node.state   node    how it ended: succeeded, failed, timed out, cancelled, skipped
//	scheduler.task         node    its task, from scheduler.TaskDescription
//	error.type             both    the type of the error, after a failure
//
// A span's status is Error if the node or group failed or timed out; the error is
// recorded as an exception. Cancelled and skipped nodes, and groups that were drained
// or closed, have no status. A node that never started has no span, unless it failed.
//
// Spans have these events:
//
//	event              on      when
//	scheduler.stop    group   it is asked to end, or starts nothing more, because of scheduler.cause
//	scheduler.stop    node    it is asked to end, or its group stops, because of scheduler.cause
//	scheduler.grace   node    it may continue for scheduler.grace seconds after that
//	scheduler.note    node    it has set the note scheduler.note
//	scheduler.retry   node    an attempt failed with scheduler.cause; scheduler.attempt is next
//	scheduler.abandon node    a call of it was abandoned
//	scheduler.drain   group   nothing more starts
//	scheduler.close   group   it is closed from outside
//	scheduler.ready   node    it is ready, and continues as a service
//	scheduler.close   node    its task is being closed and has not ended yet
//
// All times are read from the run's clock, so a simulated run has a trace in
// simulated time. Do not use it where runs are replayed, as in a durable workflow:
// each replay would make the spans again.
//
// # Metrics
//
// Every instrument has the attribute scheduler.group.name.
//
//	name                      unit    what
//	scheduler.node.count      {node}  nodes that wait or run; scheduler.node.state is pending, running or closing
//	scheduler.node.ended      {node}  nodes that have ended, by scheduler.node.state and error.type
//	scheduler.node.duration   s       from the start of a node to its end, by the same attributes
//	scheduler.step.duration   s       how long one step of a node took; nothing else on its goroutine ran meanwhile
//	scheduler.round.lateness  s       how late a round began that was due at a certain time
//
// # What it costs
//
// A group pays nothing if there is no trace provider and no reader of metrics. Step
// durations cost two clock readings per step, and lateness one per round; they are
// measured only if the MeterProvider wants them when the group begins.
package otel
