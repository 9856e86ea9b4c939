// Package inspect serves a live web page of the groups that run in a program: what
// each node is doing, why it waits, why it failed, and what took the time.
//
//	page := inspect.New(nil)
//	http.Handle("/debug/scheduler/", page)
//
//	opts.Observer = page
//	group, err := scheduler.NewDependencyTaskGroup(deps, create, opts)
//
// A [Page] is an Observer. Make one for all groups of a program; groups inside other
// groups are included. scheduler.Observers combines it with other Observers.
//
// The page shows the graph in levels, with states as colours and dependencies as
// lines; a list of nodes to search and filter; for each node its history, its error
// with everything it wraps, and the group's explanation of why it waits; a timeline
// with the longest path; and an estimate of the time left. It shows several runs at
// once, and keeps those that have ended for a while. Large graphs are folded.
//
// The page is read-only, loads nothing from other hosts, and treats all names and
// errors as text. As with net/http/pprof, there is no authentication: mount it where
// only people who may read node names and error texts can reach it. It answers
// requests for localhost and IP addresses, and for the names in [Options.Hosts].
//
// # What it costs
//
// The driving goroutine records each change in well under a microsecond, and formats
// each key and error once. Viewers read the records on their own goroutines, some
// nodes at a time. However slow a viewer is, at most 32 KB are buffered for it.
//
// Only the explanation of a node needs the group itself. The page asks for it with
// scheduler.GroupView.Post, which runs between two steps. It asks a family of groups
// one question at a time, at most every 50 ms, and pauses for at least 25 times the
// duration of the last answer, so viewers slow a run down by at most 4 %. If no answer
// comes within 100 ms, the page says so and shows the rest. The page's other answers
// are spaced out by the same rule.
//
// A node takes about 200 bytes. [Options.Ended] bounds the number of runs that are
// kept. A group that never ends may run others inside it for months: those that have
// ended are dropped, successful ones first, when the run has more than a million nodes.
//
// A group that is abandoned between two steps, without having been closed, never
// ends. The page does not keep it in memory, notices when it has been collected, and
// shows it as "lost".
//
// # Endpoints
//
// All answer GET, below the path at which the page is mounted. Times are in
// milliseconds, with fractions; instants count from 1970 by the run's clock. States
// are those of [scheduler.State]. Empty fields are left out. Ids of runs and numbers
// of nodes stay the same for the life of the page.
//
// runs lists the runs in the order of their starts:
//
//	{"runs": [{
//	  "id": 1, "name": "create",
//	  "parent": 0, "parentNode": 4,     of a group inside another: the run and node it is in
//	  "path": "web/app",                of that node
//	  "reverse": false,
//	  "status": "running",              or asked to end, stopping, draining, closing; or how it ended:
//	                                    succeeded, failed, timed out, cancelled, drained, lost
//	  "cause": {…},                     why it is stopping or was asked to end; see below
//	  "error": {…},                     what it ended with
//	  "began": 1.7e12, "ended": 1.7e12, "last": 1.7e12,     the latest change
//	  "now": 1.7e12, "live": true,      the run's clock, and whether it advances with the system's
//	  "nodes": 18, "counts": {"running": 2, "succeeded": 16},
//	  "slowSteps": 1, "slow": [{"path": "a", "task": "…", "took": 12.5}],   the last 20
//	  "version": 34                     the number of changes so far
//	}]}
//
// run?id=1 is one run. Its nodes are in key order and are referred to by their index,
// from 0:
//
//	{"run": {…}, "nodes": [{
//	  "name": "server", "layer": 1, "requires": [0],
//	  "state": "failed", "started": 1.7e12, "ended": 1.7e12,
//	  "ready": 1.7e12,                  when a service became ready
//	  "since": 1.7e12,                  of a state such as closing or ready
//	  "until": 1.7e12,                  when its grace ends
//	  "note": "…", "attempt": 2,        the note it has set
//	  "completed": true,                completed beforehand
//	  "error": "on one line"            not for skipped nodes
//	}],
//	"forecast": {
//	  "remaining": 1200.0,              null: not known
//	  "basis": "estimates",             of GroupOptions.Estimate; or "mean" of the nodes that succeeded
//	  "atLeast": 100.0, "overdue": 1,   a lower bound if it is not known; nodes beyond their estimates
//	  "path": [0, 4, 7]                 the longest path so far
//	}}
//
// The longest path leads from the node that ended last, or has run longest, to the
// required node that ended last, and so on. A service counts as ended once it is ready. What remains is the longest path through
// the nodes that have not ended; with GroupOptions.Limit, it is their total divided by
// the limit if that is longer. Nodes that will never start, as in a drained group, do
// not count. While nodes are overdue, or wait for Claims, this is too low.
//
// node?id=1&node=4 is one node, with the group's explanation until it has ended:
//
//	{"run": 1, "node": 4, "name": "server", "state": "pending", "layer": 1, "completed": false,
//	 "history": [{"state": "running", "at": 1.7e12, "round": 3}],
//	 "error": {"text": "on one line", "chain": [{"depth": 0, "type": "*fmt.wrapError", "text": "…"}], "stack": "of a panic"},
//	 "note": "…", "attempt": 2, "lastError": {…},       of the attempt before
//	 "notice": {…}, "until": 1.7e12,                    why it was asked to end, and when its grace ends
//	 "abandoned": {…},                                  a call of it that was abandoned
//	 "trace": "https://…",                              from Options.TraceURL
//	 "requires": [0], "requiredBy": [5], "waitsFor": [0],   at most 1000 each
//	 "more": 12,                                        how many are left out of these lists
//	 "inside": [2],                                     runs of the groups inside it
//	 "explanation": {"text": "server: pending since round 0, requires network"},
//	 "busy": false}                                     true: the group could not be asked
//
// For a skipped node, error is that of the node whose failure caused the skip.
//
// events and events?id=1 are streams of server-sent events. Each begins with the whole
// state, so a viewer that connects late or reconnects misses nothing:
//
//	runs      outermost runs, and the groups inside the watched one: first all, perhaps in several events,
//	          the first of which has "again": true; later those that have changed, and "gone": [1]
//	run       {"run": {…}}: the watched run, once
//	nodes     {"run": 1, "from": 0, "nodes": […]}: all of its nodes, in several events
//	changes   {"run": 1, "version": 36, "changes": [{"node": 4, "state": "failed", "started": 1.7e12, …}]}
//	forecast  {"run": 1, "from": 7, "forecast": {…}}: the first from nodes of the previous path stay, path follows
//	gone      {"run": 1}: there is no such run
//
// Events are sent at most five times a second. At most a hundred streams may be open at
// the same time.
package inspect
