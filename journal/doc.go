// Package journal makes a group survive the death of its process, or of its machine,
// at any moment. One SQLite file holds which nodes have started, which have
// succeeded and with what result. There is no server, and the driver is pure Go.
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
// The same program goes on where an earlier process has come to: NewGroup finds the
// run by its name.
//
// # What is promised
//
//   - No code of a node runs before its start is on disk, and with it the successes
//     and results of all nodes that it requires.
//   - A node that has succeeded is not run again. Its result is there for the nodes
//     that require it: see [Result].
//   - A node that had started and not succeeded is run again. [Node.ID] is the same
//     in each attempt, and [Node.Attempt] counts them.
//   - A step that is on record is not run again: see [Step] and [StepIn]. A step runs
//     only when the steps of the node before it are on disk.
//   - Run returns when its last record is on disk.
//
// So whatever has happened outside, what it followed from is on file. What cannot be
// promised, here or anywhere, is exactly once: a process that dies after an effect
// and before its record has that effect again. Give [Node.ID] to what can recognize
// a request that was made before.
//
// Effects outside of steps happen again in each attempt of their node.
//
// # What it costs
//
// The driving goroutine never waits for the disk. What a round of the group records
// is committed together on a goroutine of the journal's own, and nodes whose start is
// on its way are parked: a graph needs one commit a round and one more, however wide
// it is. A chain needs one a node.
//
// While a node waits for its start it holds its place in the group's Limit, and its
// claims.
//
// With [Full], the default, a commit waits for the disk and survives a loss of power;
// with [Normal] it survives the process alone. docs/durability.md has figures, and
// says when a snapshot or Temporal is the better choice.
//
// # Changes of the program
//
// A run belongs to its graph. If the graph has changed NewGroup refuses it with a
// [*GraphError] that says how, unless GroupOptions.TakeOver agrees. Steps are known by
// name and occurrence, results by key and type: renamed ones are run anew. After an
// end [Group.Unused] has the steps on record that nobody asked for.
//
// # One process at a time
//
// A file may hold any number of runs, of several processes at once. Each run is open
// once, under a file lock beside the journal that ends with its process; another one
// gets a [*HeldError] with the owner's name. Where locks do not hold, as on some
// network file systems, the older process fails with [ErrFenced] at its next commit.
// Do not put the file on one.
//
// # Failures
//
// After an error of the file nothing more is recorded, so nothing more starts: the
// error is thrown into the group, whose running nodes have their grace. What was
// committed counts when the run is opened again; a node that ended after the error is
// run again. Time is used for lists and [Journal.Prune] alone: order is that of the
// records, so a clock that is set back does no harm.
package journal
