// Package schedulertest has what tests of tasks need: a simulated [Clock] under
// which a day-long run takes microseconds, a [Driver] that steps a task by
// hand, and a [Recorder] whose text a test compares with what it expects.
//
// Nothing here imports package testing: a *testing.T, *testing.B or *testing.F
// is a [TestingT].
//
// Under a simulated clock time stands still while code runs, calls of
// scheduler.Blocking and its kin included, and moves on only when the run has nothing
// to do. Other goroutines know nothing of it, nor do package time and a context with
// a deadline. In a bubble of testing/synctest they do, if the clock goes by the time of
// the bubble: see [Clock.InBubble]. A run whose context a step cancels is stopped at
// once.
package schedulertest

// TestingT is the part of *testing.T that this package uses.
type TestingT interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}
