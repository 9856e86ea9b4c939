// Package inspect is a live page of the groups that run in a program: what each
// node does, why it waits, what it failed of, and what took the time.
//
//	page := inspect.New(nil)
//	http.Handle("/debug/scheduler/", page)
//
//	opts.Observer = page
//	group, err := scheduler.NewDependencyTaskGroup(deps, create, opts)
//
// A [Page] is an Observer: it is made once, serves all groups of a program, and
// finds the groups inside by itself. scheduler.Observers joins it with others.
//
// The page shows the graph in levels, with states as colours and dependencies as
// lines; a list of nodes that can be searched and filtered; for each node its
// history, its error with all that it wraps, and what the group says of why it
// waits; a time line with the longest path; and an estimate of what remains.
// Several runs are shown at once, and those that have ended stay for a while.
// Large graphs are folded.
//
// The page is read-only, loads nothing from elsewhere, and treats all names and
// errors as text. There is no authentication, as with net/http/pprof: mount it
// where it can be reached only by people who may read the names of nodes and the
// texts of errors. It answers requests for localhost and IP addresses, and for
// other names only if [Options.Hosts] has them.
//
// # What it costs
//
// The driving goroutine writes each change down, in well below a microsecond, and
// takes the texts of keys and errors once. Viewers read that on their own
// goroutines, some nodes at a time. Nothing is kept for a viewer, however slow,
// but 32 KB of what it is being sent.
//
// Only the explanation of a node needs the group itself. It is asked for between
// two steps with scheduler.GroupView.Post. A family of groups is asked one
// question at a time, at most every 50 ms, and not before 25 times as long has
// passed as the last answer took, so looking at a run slows it down by at most
// 4 %. If no answer comes within 100 ms, the page says so and shows the rest. Other
// answers are kept apart in the same way.
//
// A node takes about 200 bytes. [Options.Ended] bounds how many runs are kept. A
// group that never ends may run others inside it for months: those that have
// ended are dropped when there are more than a million nodes, first those that
// went well.
//
// A group that is dropped between two steps, without having been closed, never
// ends. The page does not keep it in memory, sees that it is gone, and shows it as
// unheard of.
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
//	  "parent": 0, "parentNode": 4,     of a group inside: its run, and the node that runs it
//	  "path": "web/app",                of that node
//	  "reverse": false,
//	  "status": "running",              or asked to end, stopping, draining, closing; or how it ended:
//	                                    succeeded, failed, timed out, cancelled, drained, unheard of
//	  "cause": {…},                     why it is stopping or asked to end; see below
//	  "error": {…},                     what it ended with
//	  "began": 1.7e12, "ended": 1.7e12, "last": 1.7e12,     when something was heard of it last
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
//	  "since": 1.7e12,                  of a state such as closing
//	  "until": 1.7e12,                  when its grace is over
//	  "note": "…", "attempt": 2,        what it says of itself
//	  "completed": true,                done beforehand
//	  "error": "on one line"            but of a skipped node
//	}],
//	"forecast": {
//	  "remaining": 1200.0,              null: not known
//	  "basis": "estimates",             of GroupOptions.Estimate; or "mean" of the nodes that succeeded
//	  "atLeast": 100.0, "overdue": 1,   of what remains if it is not known; nodes that take too long
//	  "path": [0, 4, 7]                 the longest path so far
//	}}
//
// The longest path leads from the node that ended last, or runs for longest, to
// the one of those it requires that ended last, and so on. What remains is the
// longest path through what has not ended or, with GroupOptions.Limit, all of
// that shared out, whichever is longer. Nodes that will not start any more, as in
// a group that is drained, do not count. That is known to be too little while
// nodes are overdue, and while some have to wait for Claims.
//
// node?id=1&node=4 has all of one node, with what the group says of it until it
// has ended:
//
//	{"run": 1, "node": 4, "name": "server", "state": "pending", "layer": 1, "completed": false,
//	 "history": [{"state": "running", "at": 1.7e12, "round": 3}],
//	 "error": {"text": "on one line", "chain": [{"depth": 0, "type": "*fmt.wrapError", "text": "…"}], "stack": "of a panic"},
//	 "note": "…", "attempt": 2, "lastError": {…},       of the attempt before
//	 "notice": {…}, "until": 1.7e12,                    why it was asked to end, and the end of its grace
//	 "abandoned": {…},                                  a call of it that was left behind
//	 "trace": "https://…",                              from Options.TraceURL
//	 "requires": [0], "requiredBy": [5], "waitsFor": [0],   at most 1000 each
//	 "more": 12,                                        how many were left out of these
//	 "inside": [2],                                     runs of the groups that it runs
//	 "explanation": {"text": "server: pending since round 0, requires network"},
//	 "busy": false}                                     true: the group could not be asked
//
// Of a skipped node, error is that of the node it was skipped for.
//
// events and events?id=1 are streams of server-sent events. Each begins with
// everything, so a viewer that comes late, or again, misses nothing:
//
//	runs      outermost runs, and the groups inside of that which is watched; first all, perhaps in several
//	          events, the first of which has "again": true, later those that have changed, and "gone": [1]
//	run       {"run": {…}}: the one that is watched, once
//	nodes     {"run": 1, "from": 0, "nodes": […]}: all of its nodes, in several events
//	changes   {"run": 1, "version": 36, "changes": [{"node": 4, "state": "failed", "started": 1.7e12, …}]}
//	forecast  {"run": 1, "from": 7, "forecast": {…}}: its path begins as the one before, up to from
//	gone      {"run": 1}: there is no such run
//
// They come at most five times a second. There may be a hundred streams at a
// time.
package inspect
