// Package schedulertest helps to test tasks. It has a simulated [Clock] under which a
// day-long run takes microseconds, a [Driver] that steps a task by hand, a [Recorder]
// whose text a test compares with the expected one, and [Explore], which tries a
// scenario under many schedules, with faults and crashes.
//
// Nothing here imports package testing: a *testing.T, *testing.B or *testing.F is a
// [TestingT].
//
// Under a simulated clock time stands still while code runs, including the calls of
// scheduler.Blocking, Fetch, Call and Poll, and advances only when the run has
// nothing to do. Other goroutines, package time and contexts with a deadline do not
// follow it, except in a bubble of testing/synctest whose time the clock follows: see
// [Clock.InBubble]. If a step cancels the run's context, the run is stopped at once.
package schedulertest

// TestingT is the part of *testing.T that this package uses.
type TestingT interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}
