// Package progress shows on a terminal how a run of the scheduler is doing: what
// runs and for how long, what failed, what waits, how much is done and about how
// long the rest will take. Where the output is no terminal it writes plain lines.
//
//	p := progress.New(os.Stdout, &progress.Options{Name: "create"})
//	defer p.Close()
//	opts.Observer = p
//	group, err := scheduler.NewDependencyTaskGroup(deps, create, opts)
//
// The display is below all lines of the program, which it writes to the
// [Progress] (an io.Writer) in place of the terminal, so that none is lost and
// nothing is drawn over:
//
//	  2.107s  db       failed (2.107s): no space left on device
//	 network     12s  waits for an address
//	 volume       2s  [===>----------------]
//	 and 3 more running
//	 failed: db
//	 waiting: server, name, backup and 117 more
//	create [=======>----------------------]  42 of 168  1m12s  about 3m36s left
//
// It is drawn by a goroutine of its own, a few times a second. The goroutine
// that drives the run only notes what has changed, however slow the terminal is
// and however many nodes there are.
package progress
