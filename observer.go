package scheduler

import "context"

// Observer is told what happens in a group and in the groups inside it: for logs,
// displays, traces and metrics. A run makes the same steps at the same times with and
// without it.
//
// Observe is called on the driving goroutine in the middle of a step, so it must be
// quick. It must not step, throw into or close anything. It may call
// [TaskRunner.Stop], and Drain, CloseInput and Snapshot of a group.
//
// An Observer is told of every group once, even if it is given to a group and to a
// group around it, unless it cannot be compared, as an [ObserverFunc]. If it panics,
// all tasks of the group are closed, the other Observers are told how the group ends,
// and the panic propagates from the step, even with RecoverPanics.
type Observer interface {
	Observe(r Record)
}

// GroupObserver is an Observer that keeps something of its own for each group.
type GroupObserver interface {
	Observer

	// ObserveGroup is called in place of Observe when a group begins. The Observer
	// that it returns is told the rest about that group, and is asked in turn about
	// groups inside it. nil means that nobody is, at no cost.
	ObserveGroup(begun Record) Observer
}

// SelectiveObserver is an Observer that wants only some kinds of records. Others get
// [AllKinds].
type SelectiveObserver interface {
	Observer

	// Wants is called once for each group, when it begins.
	Wants() Kinds
}

// ContextObserver is an Observer that adds values to the contexts of nodes, such
// as the span that a node's calls belong to.
type ContextObserver interface {
	Observer

	// NodeContext is called when a node starts, before [GroupOptions.Context]. It
	// returns ctx, or a context derived from it by context.WithValue: only the values
	// count, not the end.
	NodeContext(ctx context.Context, started Record) context.Context
}

// ObserverFunc is an [Observer] that is only told of [NodeChanged]. Give it to the
// outermost group.
type ObserverFunc func(r Record)

// Observe calls f.
func (f ObserverFunc) Observe(r Record) {
	mustHaveFunc(f == nil, "ObserverFunc")
	f(r)
}

// Wants returns the set of [NodeChanged] alone.
func (f ObserverFunc) Wants() Kinds { return KindsOf(NodeChanged) }

// Observers returns an Observer that tells several, in the given order. It leaves out
// nil ones, and returns nil for none and a single one as it is.
func Observers(observers ...Observer) Observer {
	var all observerList
	for _, o := range observers {
		if o != nil {
			all = append(all, o)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// observerList is what Observers returns. A group takes it apart when it begins,
// so Observe is only for those who call it themselves.
type observerList []Observer

func (l observerList) Observe(r Record) {
	for _, o := range l {
		if kindsOf(o).Has(r.Kind) {
			o.Observe(r)
		}
	}
}
