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
//	return scheduler.Run(ctx, run, nil)
//
// To continue after a crash, start the same program again: NewGroup finds the run by
// its name.
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
// So whatever has happened outside, its causes are on file. Exactly once is more than
// anything can guarantee: if a process dies after an effect and before its record, the
// effect happens again. Give [Node.ID] to an API that can recognize a repeated request.
//
// Effects outside of steps happen again in each attempt of their node.
//
// # Cost
//
// The driving goroutine never waits for the disk. Whatever a round of the group
// records is committed together, on another goroutine, and nodes are parked until
// their start is committed. A run takes one commit per round and one more, however
// wide the graph is; a chain takes one per node.
//
// While a node waits for its start, it holds its place in the group's Limit and what
// it claims.
//
// With [Full], the default, a commit waits for the disk and survives a loss of power.
// With [Normal] it survives only the process. docs/durability.md has figures, and says
// when a snapshot or Temporal is the better choice.
//
// # Changes to the program
//
// A run belongs to its graph. If the graph has changed, NewGroup returns a
// [*GraphError] that lists the differences, unless GroupOptions.TakeOver accepts them.
// Steps are known by name and occurrence: if you rename one, it runs again. After a run,
// [Group.Unused] lists recorded steps that the code no longer asked for.
//
// Nodes that are added while the group runs ([Group.Add]) are part of its graph from then
// on: when the run is opened again they are there from the beginning.
//
// A service, which is ready before it ends, counts as succeeded once all nodes that
// require it have; until then it is started again when the run is opened again.
//
// GroupOptions.When is asked anew whenever the run is opened, of all nodes that have not
// succeeded: a node that was skipped or passed by leaves no record.
//
// If what a node had made is gone, GroupOptions.Redo runs the node anew. To roll a run
// back without the input that it was made from, take its graph from the file:
// [Dependencies].
//
// # One process per run
//
// A file can hold any number of runs, open in several processes at once. Each run can
// be open only once. It is guarded by a file lock beside the journal, which ends with
// its process; a second process gets a [*HeldError] that names the first. On some
// network file systems locks do not hold. There the older process fails with
// [ErrFenced] at its next commit; better keep the file on a local disk.
//
// # Failures
//
// After a write has failed, nothing more is recorded, and so nothing more starts: the
// error is thrown into the group, and running nodes have their grace. What was
// committed counts when the run is opened again; a node that ended after the failure
// runs again. While another process is writing, commits wait.
//
// The clock is used only for [Journal.Runs] and [Journal.Prune]. Records are ordered by
// number, so a clock that is set back does no harm.
package journal
