// Package schedulertest has what tests of tasks need: a simulated [Clock] under
// which a day-long run takes microseconds, a [Driver] that steps a task by
// hand, and a [Recorder] whose text a test compares with what it expects.
//
// Nothing here imports package testing: a *testing.T, *testing.B or *testing.F
// is a [TestingT].
//
// Under a simulated clock time stands still while code runs, and moves on only
// when the run has nothing to do. Goroutines know nothing of it, so a run in
// which calls block on goroutines of their own (scheduler.Blocking, Fetch, Call
// and Poll) is better tested in a bubble of testing/synctest, with the default
// clock in place of this one. The same holds for a context with a time limit, or
// one that another goroutine cancels: its end comes at whatever simulated time
// the run has got to meanwhile. A run whose context a step cancels is stopped at
// once.
package schedulertest

// TestingT is the part of *testing.T that this package uses.
type TestingT interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}
