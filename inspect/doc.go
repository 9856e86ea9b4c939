// Package inspect is a live page of the groups that run in a program: what each
// node does, why it waits, what it failed of, and what took the time.
//
//	page := inspect.New(nil)
//	http.Handle("/debug/scheduler/", page)
//
//	group, err := inspect.NewGroup(page, deps, create, nil) // in place of scheduler.NewDependencyTaskGroup
//	if err != nil {
//		return err
//	}
//	return scheduler.Run(ctx, group, nil)
//
// The page shows the graph in levels, with states as colours and dependencies as
// lines; a list of nodes that can be searched and filtered; for each node its
// history, its error with all that it wraps, and what the group says of why it
// waits; a time line with the longest path; and an estimate of what remains.
// Several runs are shown at once, also groups inside of groups, and those that
// have ended stay for a while. Large graphs are folded.
//
// The page is read-only, loads nothing from elsewhere, and treats all names and
// errors as text. Like net/http/pprof it asks nobody who they are: mount it
// where only those can reach it who may read the names of nodes and the texts of
// errors.
//
// # Together with others
//
// Observers go into opts as ever. What puts a task of its own around the group
// makes it for [NewGroupFunc].
//
// # What it costs
//
// Each change of a state is appended to a log, under a mutex that is never held
// for longer than that. A viewer reads the log from where it was, on its own
// goroutine: however slow, it neither holds up a run nor takes memory. An
// explanation is the one thing that needs the group itself. It is asked for
// between two steps, when somebody looks at a node, and takes some microseconds;
// while a step does not end, the page says so. A node changes its state at most
// twice, so a run takes the same memory after weeks; [Options.Ended] bounds how
// many runs are kept.
//
// # Endpoints
//
// All answer GET, below the path at which the page is mounted. Times are
// milliseconds: instants since 1970 by the run's clock, with fractions. States
// are those of [scheduler.State]. Fields that are empty are left out. Ids of runs
// and numbers of nodes stay the same for the life of the page.
//
// runs lists the runs, in the order of their starts:
//
//	{"runs": [{
//	  "id": 1, "name": "create",
//	  "parent": 0, "path": "web/app",   of a group inside: its run, and the node that runs it
//	  "reverse": false,
//	  "status": "running",              or how it ended: succeeded, failed, timed out, cancelled, drained
//	  "error": {…},                     of the run; see below
//	  "began": 1.7e12, "ended": 1.7e12,
//	  "now": 1.7e12, "live": true,      the run's clock, and whether it goes on by itself
//	  "nodes": 18, "counts": {"running": 2, "succeeded": 16},
//	  "slowSteps": 1, "slow": [{"path": "a", "task": "…", "took": 12.5}],   the last 20
//	  "version": 34                     how many changes there were
//	}]}
//
// run?id=1 has all of one run. Nodes are in key order and known by their place in
// it, from 0 on:
//
//	{"run": {…}, "nodes": [{
//	  "name": "server", "layer": 1, "requires": [0],
//	  "state": "failed", "started": 1.7e12, "ended": 1.7e12,
//	  "completed": true,                done beforehand
//	  "error": "on one line"
//	}],
//	"forecast": {
//	  "remaining": 1200.0,              null: not known
//	  "basis": "estimates",             of GroupOptions.Estimate; or "mean" of the nodes that succeeded
//	  "path": [0, 4, 7]                 the longest path so far
//	}}
//
// The longest path leads from the node that ended last, or runs for longest, to
// the one of those it requires that ended last, and so on. What remains is the
// longest path through what has not ended or, with GroupOptions.Limit, all of
// that shared out, whichever is longer.
//
// node?id=1&node=4 has all of one node, with what the group says of it as long as
// it has not ended:
//
//	{"run": 1, "node": 4, "name": "server", "state": "pending", "layer": 1, "completed": false,
//	 "history": [{"state": "running", "at": 1.7e12, "round": 3}],
//	 "error": {"text": "on one line", "chain": [{"depth": 0, "type": "*fmt.wrapError", "text": "…"}], "stack": "of a panic"},
//	 "requires": [0], "requiredBy": [5], "waitsFor": [0],
//	 "explanation": {"text": "server: pending since round 0, requires network", "inside": "…"},
//	 "busy": false}                      true: a step does not end, so the group could not be asked
//
// Of a skipped node, error is that of the node it was skipped for.
//
// events and events?id=1 are streams of server-sent events. Each begins with
// everything, so whoever comes late, or again, misses nothing:
//
//	runs      as the endpoint runs; later those that have changed, and "gone": [1] for those that left
//	run       as the endpoint run?id=1, once
//	changes   {"run": 1, "version": 36, "changes": [{"node": 4, "state": "failed", "at": 1.7e12, "error": "…"}], "forecast": {…}}
//	gone      {"run": 1}: there is no such run
//
// They come at most five times a second. There may be a hundred streams at a
// time.
package inspect
