// Package journal makes a group survive the death of its process, or of its machine,
// at any moment. It records in one SQLite file which nodes have started, which have
// succeeded, and their results. It needs no server; the SQLite driver is pure Go.
//
//	j, err := journal.Open("site.db", nil)
//	if err != nil {
//		return err
//	}
//	defer j.Close()
//	run, err := journal.NewGroup(j, "site", deps, create, nil)
//	if err != nil {
//		return err
//	}
//	defer run.Close()
//	return scheduler.Run(ctx, run, nil)
//
// To continue after a crash, start the same program again: NewGroup finds the run by
// its name. A run that has succeeded has nothing left to do: opened again, it runs no
// node and returns nil. So give each deployment a name of its own, or remove the run
// before the next one with [Journal.Delete] or [Journal.Prune].
//
// # Guarantees
//
//   - No code of a node runs before the node's start is on disk, together with the
//     successes and results of all nodes that it requires.
//   - A node that has succeeded does not run again. Its result stays available to the
//     nodes that require it: see [Result].
//   - A node that had started but not succeeded runs again. [Node.ID] is the same in
//     each attempt, and [Node.Attempt] counts them.
//   - A recorded step does not run again: see [Step] and [StepIn]. A step runs only
//     after the node's earlier steps are on disk. [Sync] waits for them at any other
//     point.
//   - The run ends only after its last record is on disk.
//
// So for every external effect, its causes are on disk. No journal can guarantee that an
// effect happens exactly once: if the process dies after the effect and before its
// record, the effect is repeated. Pass [Node.ID] to an API that can recognize a repeated
// request. Effects outside of steps are repeated in each attempt of their node.
//
// What a node keeps in memory is new in each attempt, too: a [scheduler.Retry] in it
// counts its attempts from 1 again, with a new back-off, and its notes are those of this
// process. Where the number of tries has to last, use [Node.Attempt], or let a [Step]
// keep it.
//
// # Cost
//
// The driving goroutine never waits for the disk. Whatever a round of the group
// records is committed together, on another goroutine, and nodes are parked until
// their start is committed. A run takes one commit per round and one more, regardless
// of the width of the graph; a chain takes one per node.
//
// While a node waits for its start, it holds its claims and its place in the group's
// Limit.
//
// With [Full], the default, a commit waits for the disk and survives a loss of power.
// With [Normal] it survives only the death of the process. See docs/durability.md for
// figures, and for when a snapshot or Temporal is the better choice.
//
// # Changes to the program
//
// A run belongs to its graph. If the graph has changed, NewGroup returns a
// [*GraphError] that lists the differences, unless GroupOptions.TakeOver accepts them.
// Steps are identified by name and occurrence: a renamed step runs again. After a run,
// [Group.Unused] lists recorded steps that the code no longer asked for.
//
// Nodes added while the group runs ([Group.Add]) belong to its graph from then on: when
// the run is opened again, they are there from the beginning.
//
// A service ([scheduler.Ready]) starts again when the run is opened again, if a node that has
// not succeeded requires it, directly or not. A service that no node requires starts again
// if anything but services is left, and in a group with KeepOpen all services do. Otherwise
// it counts as succeeded, even if its process died before it had ended. So clean-up that
// must happen belongs in a node of its own. A service that is asked to end before it is
// ready must return its notice ([scheduler.Coroutine.StopCause]): nil means success. The result that a service has set when it
// becomes ready is available to the nodes that require it.
//
// Each time the run is opened, GroupOptions.When is called again for all nodes that have
// not succeeded, since a node that was skipped or passed leaves no record.
//
// If the product of a node is gone, GroupOptions.Redo runs the node anew. To roll a run
// back without the input that it was made from, read its graph with [Dependencies].
//
// # One process per run
//
// A file can hold any number of runs, open in several processes at once. Each run can
// be open only once, from NewGroup until it has ended or [Run.Close] is called. If
// [scheduler.Run] is called with a context that has ended, the run does not begin and
// stays open, so defer its Close. It is guarded by a file lock beside the journal, which
// ends with its process; a second process gets a [*HeldError] that names the first. On
// some network file systems locks do not hold. There the older process fails with
// [ErrFenced] at its next commit; keep the file on a local disk instead.
//
// # Failures
//
// After a failed write nothing more is recorded, and so nothing more starts: the error is
// thrown into the group, and running nodes have their grace. When the run is opened
// again, everything that was committed counts; a node that ended after the failure runs
// again. While another process is writing, commits wait. If the file is removed or replaced
// meanwhile, the error is [ErrGone].
//
// The clock is used only for [Journal.Runs] and [Journal.Prune]. Records are numbered,
// so setting the clock back does no harm.
//
// # Tests
//
// Test in a bubble of testing/synctest, where time stands still while the run waits for
// the disk: with the clock of schedulertest and InBubble, without a clock, or under
// Explore. Open the file inside the bubble, in a temporary folder and with [Normal]. A
// simulated clock outside a bubble does not know of the disk: time may pass while the
// run waits for it, and with Alone the clock panics. See docs/testing-your-engine.md.
package journal
