package model

import (
	"errors"
	"slices"
)

type failure struct {
	err    error
	inside bool // of nodes inside of a member, which nobody else can ask about
	thrown bool // from outside
	aborts bool // of a node that a panic has ended
	aside  bool // kept, but no part of the result
	closed bool // with that: the Close of a member has failed
	skip   bool // a wish to be skipped: nothing went wrong
}

// Errors returns everything that went wrong.
func (g *Group) Errors() []error {
	var errs []error
	for _, f := range g.failures {
		if !f.skip {
			errs = append(errs, f.err)
		}
	}
	return errs
}

// fail ends a member that failed.
func (g *Group) fail(n *node, err error) {
	own := without(err, g.isNoticeOf(n))
	switch {
	case n.isOrdered():
		g.endOrdered(n, own)
		return
	case own == nil && n.unneeded:
		g.succeed(n)
		return
	case own == nil && g.stopping: // it ended because it was asked to
		g.note(n, err, failure{aside: true})
		g.set(n, Cancelled, err)
		return
	}
	// Of a group that has failed already the first failure is the result, but not
	// even then what nodes of groups inside have failed with is forgotten.
	g.handle(n, err, g.stopping && g.isInside(err))
}

// isInside reports whether an error is one of nodes inside of a member, beside an
// earlier failure.
func (g *Group) isInside(err error) bool {
	return says(err, isResult) &&
		slices.ContainsFunc(g.failures, func(f failure) bool { return !f.aside && !f.inside && !f.thrown })
}

// handle does what a failure asks for. inside says that it is that of nodes inside of
// a member.
func (g *Group) handle(n *node, err error, inside bool) {
	if isOnly(err, func(err error) bool { return err == ErrSkip }) { //nolint:errorlint // That very one.
		g.note(n, err, failure{aside: true, skip: true})
		g.set(n, Skipped, err)
		g.skip(n)
		return
	}
	at := len(g.failures)
	g.note(n, err, failure{inside: inside})
	g.set(n, failedState(err), err)
	if g.react(n, at, err) {
		n.freed = true
		g.ask()
	}
}

// react does what becomes of the group after a failure, and reports whether it is
// ignored.
func (g *Group) react(n *node, at int, err error) (ignored bool) {
	disposition := StopGroup
	switch {
	case g.opts.Aggregate:
		disposition = SkipDependents
	case g.opts.OnError != nil:
		disposition = g.opts.OnError(n.key, err)
	}
	switch disposition {
	case SkipDependents:
		g.skip(n)
	case IgnoreError:
		g.failures[at].aside = true
		g.reconsider(n)
		return true
	default:
		g.stopAll(g.failures[at].err)
	}
	return false
}

func (g *Group) note(n *node, err error, f failure) {
	f.err = &TaskError{n.key, err, g.opts.Numbered && f.closed}
	g.failures = append(g.failures, f)
}

// skip ends all that waits for n, directly or not, in key order.
func (g *Group) skip(n *node) {
	if g.opts.When != nil {
		g.reconsider(n)
		g.ask()
		return
	}
	lost := []*node{n}
	for _, q := range g.nodes {
		if !slices.ContainsFunc(q.requires, func(r *node) bool { return slices.Contains(lost, r) }) {
			continue
		}
		if q.before {
			lost = append(lost, q) // it will never free what waits for it
		} else if q.state == Pending {
			lost = append(lost, q)
			g.set(q, Skipped, nil)
		}
	}
}

// result is the group's error.
func (g *Group) result() error {
	unfinished := g.count(Cancelled) > 0 || g.opts.KeepOpen && !g.closed && (g.cancelled || !g.draining)
	timedOut := g.timedOut != nil && (unfinished || g.timedOut.Grace == 0)
	var err error
	if g.opts.Aggregate || g.opts.OnError != nil {
		err = all(g.failures, func(f failure) bool { return !f.aside })
	} else {
		if g.thrown != nil {
			err = g.thrown
			if i := slices.IndexFunc(g.failures, func(f failure) bool { return !f.aside && !f.inside && !f.thrown }); i >= 0 {
				err = join(err, g.failures[i].err)
			}
		} else if i := slices.IndexFunc(g.failures, func(f failure) bool { return !f.aside && !f.inside }); i >= 0 {
			err = g.failures[i].err
		}
		err = join(err, joined(g.failures, func(f failure) bool { return f.inside })) // not to be forgotten
	}
	switch {
	case timedOut:
		err = join(g.timedOut, err)
	case err == nil && unfinished && g.cause != nil:
		err = g.cause
	case err == nil && unfinished && g.notice != nil:
		err = g.notice
	}
	if g.count(Pending) > 0 || g.cutShort {
		err = join(err, ErrDrained)
	}
	if g.opts.Numbered && !g.opts.Aggregate {
		err = join(err, g.later())
	}
	return join(err, g.ofClose())
}

// later is what nodes have failed with after the first one.
func (g *Group) later() error {
	isFirst := true
	return joined(g.failures, func(f failure) bool {
		if f.aside || f.inside || f.thrown {
			return false
		}
		is := !isFirst
		isFirst = false
		return is
	})
}

// ofClose is what closing numbered tasks has failed with: nobody can ask for it.
func (g *Group) ofClose() error {
	if !g.opts.Numbered {
		return nil
	}
	return joined(g.failures, func(f failure) bool { return f.closed })
}

// all returns those of the failures that match as one error, or nil.
func all(failures []failure, match func(failure) bool) error {
	if errs := those(failures, match); errs != nil {
		return &ExceptionGroup{errs}
	}
	return nil
}

// joined is all as one joined error, or the only one as it is.
func joined(failures []failure, match func(failure) bool) error {
	errs := those(failures, match)
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func those(failures []failure, match func(failure) bool) (errs []error) {
	for _, f := range failures {
		if match(f) {
			errs = append(errs, f.err)
		}
	}
	return errs
}

// failedState is the state of a node that failed with err.
func failedState(err error) State {
	if t := (*Timeout)(nil); errors.As(err, &t) {
		return TimedOut
	}
	return Failed
}
