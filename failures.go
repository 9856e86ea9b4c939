package scheduler

import (
	"errors"
	"iter"
	"slices"
)

// failures is what went wrong in a group, in order of occurrence.
type failures struct {
	list       []failure
	front      int             // so many at the beginning of list are kept, and no part of the result
	byNode     map[int32]int   // the first failure of a node, by index
	skippedFor []int32         // by node: 1 + the index of the failure that it was skipped for; 0: none
	ofAsk      map[int32]error // what panics of members became that were asked to end
	ofMember   []error         // errors of the member closed last that its Close returned but did not cause
}

// failure is an error and where it comes from.
type failure struct {
	err    error
	node   int32 // noNode: it was thrown into the group, or is the group's own
	thrown bool  // from outside
	kept   bool  // no part of the result, only kept
	inside bool  // of nodes inside of a member: joined to the result
	closed bool  // with kept: it came out of the Close of a member, and is not only its notice
	aborts bool  // of a node that a panic or a Goexit has ended
	isSkip bool  // a node's wish to be skipped: nothing went wrong
}

// add keeps a failure and returns its index.
func (f *failures) add(failed failure) int {
	i := len(f.list)
	if failed.node != noNode {
		if f.byNode == nil {
			f.byNode = map[int32]int{}
		}
		if _, ok := f.byNode[failed.node]; !ok {
			f.byNode[failed.node] = i
		}
	}
	f.list = append(f.list, failed)
	return i
}

// errOf returns the error of the i-th failure.
func (f *failures) errOf(i int) error { return f.list[i].err }

// nodes returns the nodes that failures are of, in order of occurrence; noNode for one of
// the group.
func (f *failures) nodes() iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for _, failed := range f.list {
			if !yield(failed.node) {
				return
			}
		}
	}
}

// keepOnly takes a failure out of the result.
func (f *failures) keepOnly(i int) { f.list[i].kept = true }

// skip remembers that a node, of n, was skipped for the last failure. It reports
// whether that is news.
func (f *failures) skip(p int32, n int) bool {
	if f.isSkipped(p) {
		return false
	}
	f.skipFor(p, n, len(f.list)-1)
	return true
}

// skipFor remembers that a node, of n, was skipped for the i-th failure, or, if i
// is negative, for none that is known.
func (f *failures) skipFor(p int32, n, i int) {
	if n > len(f.skippedFor) {
		f.skippedFor = extended(f.skippedFor, n)
	}
	f.skippedFor[p] = int32(i + 1)
}

// isSkipped reports whether a node was skipped for the failure of another one, or,
// being done beforehand, passes such a skip on.
func (f *failures) isSkipped(p int32) bool {
	return int(p) < len(f.skippedFor) && f.skippedFor[p] != 0
}

// indexOf returns the index of the failure that a node owes its end to, or -1.
func (f *failures) indexOf(p int32) int {
	if f.isSkipped(p) {
		return int(f.skippedFor[p]) - 1
	}
	if i, ok := f.byNode[p]; ok {
		return i
	}
	return -1
}

// of returns the failure that a node owes its end to: the one that it was skipped
// for, else its own first one.
func (f *failures) of(p int32) (failed failure, ok bool) {
	i := f.indexOf(p)
	if i < 0 {
		return failure{}, false
	}
	return f.list[i], true
}

// errors returns everything that went wrong.
func (f *failures) errors() []error {
	var errs []error
	for _, failed := range f.list {
		if !failed.isSkip {
			errs = append(errs, failed.err)
		}
	}
	return errs
}

// sinceFront returns the failures without those at the front that are kept: there may
// be very many, and one that is kept stays so.
func (f *failures) sinceFront() []failure {
	for f.front < len(f.list) && f.list[f.front].kept {
		f.front++
	}
	return f.list[f.front:]
}

// first returns the first error that is a result by itself, or nil.
func (f *failures) first() error {
	for _, failed := range f.sinceFront() {
		if !failed.kept && !failed.inside {
			return failed.err
		}
	}
	return nil
}

// before returns the first error of a node that is a result by itself, or nil: what is
// not to be forgotten beside an error that was thrown in.
func (f *failures) before() error {
	for _, failed := range f.sinceFront() {
		if !failed.kept && !failed.inside && !failed.thrown {
			return failed.err
		}
	}
	return nil
}

// inside returns what failed inside of members, joined, or nil.
func (f *failures) inside() error {
	var errs []error
	for _, failed := range f.list {
		if failed.inside {
			errs = append(errs, failed.err)
		}
	}
	return joinedOf(errs)
}

// ofClose returns what the Close of members failed with that is only kept, joined, or
// nil.
func (f *failures) ofClose() error {
	var errs []error
	for _, failed := range f.list {
		if failed.closed {
			errs = append(errs, failed.err)
		}
	}
	return joinedOf(errs)
}

// later returns what nodes failed with after the first one that is in the result by
// itself, joined, or nil.
func (f *failures) later() error {
	var errs []error
	first := f.before()
	for _, failed := range f.list {
		if !failed.kept && !failed.inside && !failed.thrown && failed.err != first { //nolint:errorlint // That very one.
			errs = append(errs, failed.err)
		}
	}
	return joinedOf(errs)
}

// amend puts a later error in the place of the i-th failure. What failed inside is
// not forgotten then either.
func (f *failures) amend(i int, err error) {
	failed := &f.list[i]
	failed.inside = failed.inside || !failed.kept && failed.err != f.first() && f.isResult(errors.Unwrap(err)) //nolint:errorlint // That very one.
	failed.err = err
}

// closedGroup is what nodes of a group had failed with when it was closed: an error
// of its Close that is none of closing it.
type closedGroup struct{ failed *ExceptionGroup }

func (c *closedGroup) Error() string { return c.failed.Error() }
func (c *closedGroup) Unwrap() error { return c.failed }

// keepOfAsk keeps what a panic of a node that was asked to end became, and ofAskOf returns
// it, or nil.
func (f *failures) keepOfAsk(p int32, err error) {
	if f.ofAsk == nil {
		f.ofAsk = map[int32]error{}
	}
	f.ofAsk[p] = err
}

func (f *failures) ofAskOf(p int32) error { return f.ofAsk[p] }

// beginClose says that the next member is being closed: keepOfMember is about that one.
func (f *failures) beginClose() { f.ofMember = nil }

// keepOfMember notes an error that Close returns, but that the member had failed with: the
// error of a call, or what a Subrun had not returned before.
func (f *failures) keepOfMember(err error) { f.ofMember = append(f.ofMember, err) }

// isResult reports whether the error of a member that was closed, or has failed after
// another, belongs into the result of the group, and is not only kept. It does if it
// contains failures of nodes in a group inside, which nobody can ask, a call that was left
// behind, or what keepOfMember has noted.
func (f *failures) isResult(err error) bool {
	return says(err, func(e error) bool {
		switch e := e.(type) { //nolint:errorlint // One level at a time.
		case *TaskError:
			return e == nil || !e.ofClose
		case *AbandonedError:
			return true
		}
		return slices.ContainsFunc(f.ofMember, func(failed error) bool { return isSame(e, failed) })
	})
}

// isLaterResult is isResult for a member that has failed after another. The first
// failure of a group is its result by itself, wherever it comes from.
func (f *failures) isLaterResult(err error) bool { return f.before() != nil && f.isResult(err) }

// dropOfNodes returns the error of a Close without that, and without what nodes of
// earlier attempts of a Retry had failed with.
func dropOfNodes(err error) error {
	return dropAll(err, func(err error) bool {
		switch e := err.(type) { //nolint:errorlint // One level at a time.
		case *closedGroup:
			return true
		case *TaskError:
			return !e.ofClose
		}
		return false
	})
}

// beforeClose returns what a group that is closed had as its failures, errors that
// were thrown into it left out, as a *closedGroup, or nil.
func (f *failures) beforeClose() error {
	var errs []error
	for _, failed := range f.list {
		if !failed.kept && !failed.thrown {
			errs = append(errs, failed.err)
		}
	}
	if errs == nil {
		return nil
	}
	return &closedGroup{groupOf(errs)}
}

// beforePanic returns what nodes had failed with, joined, when a panic ended the group,
// and what is not to be forgotten of those that were closed then, or nil.
func (f *failures) beforePanic() error {
	var errs []error
	for _, failed := range f.list {
		if !failed.kept && !failed.thrown && !failed.aborts {
			errs = append(errs, failed.err)
		}
	}
	return joinedOf(errs)
}

// group returns all errors that are part of the result as an *ExceptionGroup, or
// nil.
func (f *failures) group() error {
	var errs []error
	for _, failed := range f.list {
		if !failed.kept {
			errs = append(errs, failed.err)
		}
	}
	return orNil(groupOf(errs))
}
