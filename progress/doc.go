// Package progress shows the progress of a run on a terminal: which nodes are running
// and for how long, which failed, which wait, how much is done, and about how long
// the rest will take. If the output is not a terminal, it writes plain lines.
//
//	p := progress.New(os.Stdout, &progress.Options{Name: "create"})
//	defer p.Close()
//	opts.Observer = p
//	group, err := scheduler.NewDependencyTaskGroup(deps, create, opts)
//
// The program writes its own lines to the [Progress], an io.Writer, in place of the
// terminal. They appear above the display, so nothing is lost or drawn over:
//
//	  2.107s  db       failed (2.107s): no space left on device
//	 network     12s  waits for an address
//	 volume       2s  [===>----------------]
//	 and 3 more running
//	 failed: db
//	 waiting: server, name, backup and 117 more
//	create [=======>----------------------]  42 of 168  1m12s  about 3m36s left
//
// A separate goroutine draws the display, a few times a second. The goroutine that
// drives the run only notes the changes, so a slow terminal or a large number of
// nodes does not hold it up.
package progress
