package scheduler

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"time"
)

// watchers are the Observers that are told about a group: those that the groups
// around told, and its own.
type watchers struct {
	list   []watcher
	wanted Kinds    // by any of them
	only   Observer // the only one that wants NodeChanged, or nil
	onlyAt int      // its place in list

	began int64 // when the group began
	dueAt int64 // when its next round is due, or never

	telling int     // the place in list of the one that is being told, or nobody
	leaver  *origin // one that is told of the group's end and has left the list
	told    Kinds   // of those that are told once: see first
	drained bool    // GroupDraining is to be told at the end of the step
	failed  bool    // an Observer has panicked, here or in a group inside

	subject Task          // of the record that is being told
	took    time.Duration // of the record that is being told
}

const nobody = -1

// watcher is an Observer of one group.
type watcher struct {
	Observer         // what is told of this group
	root     *origin // where it is from; the same in groups inside
	kinds    Kinds
}

// origin is an Observer as it stands in the options of a group.
type origin struct {
	Observer
	failed bool // it has panicked, and is told no more
}

func (w *watchers) init() { w.telling = nobody }

// some reports whether there is anybody to be told of the end, and areEager whether
// anybody wants to be told of what happens before.
func (w *watchers) some() bool     { return w != nil && len(w.list) > 0 }
func (w *watchers) areEager() bool { return w.wanted != 0 }

// watch begins the list for a group: the Observers around it, of which there may be none,
// and its own. They hear of the group's begin one by one.
func (w *watchers) watch(around *watchers, own Observer, begun Record) {
	w.began, w.dueAt = begun.at, never
	var outer []watcher
	if around != nil {
		outer = around.list
	}
	for _, a := range withOwn(outer, flatten(nil, own)) {
		w.list = append(w.list, a)
		w.telling = len(w.list) - 1
		if o := w.begin(a.Observer, begun); o != nil {
			w.list[w.telling] = watcher{Observer: o, root: a.root, kinds: kindsOf(o)}
		} else {
			w.list = w.list[:w.telling]
		}
		w.telling = nobody
	}
	w.count()
}

// begin tells one Observer that the group begins. It returns what is told the
// rest, or nil. A nil pointer may be one that observes nothing; if not, the panic of the
// runtime becomes one that says so.
func (w *watchers) begin(o Observer, begun Record) Observer {
	if isNilPointer(o) {
		defer func() {
			switch v := recover().(type) {
			case nil:
			case runtime.Error:
				panic(fmt.Sprintf("scheduler: GroupOptions.Observer: nil %T", o))
			default:
				panic(v)
			}
		}()
	}
	if g, ok := o.(GroupObserver); ok {
		return g.ObserveGroup(begun)
	}
	if kindsOf(o).Has(GroupBegun) {
		o.Observe(begun)
	}
	return o
}

// kindsOf returns what an Observer wants to be told.
func kindsOf(o Observer) Kinds {
	if s, ok := o.(SelectiveObserver); ok {
		return s.Wants()
	}
	return AllKinds
}

// flatten appends the Observers that o joins.
func flatten(list []Observer, o Observer) []Observer {
	if joined, ok := o.(observerList); ok {
		for _, o := range joined {
			list = flatten(list, o)
		}
		return list
	}
	if o != nil {
		list = append(list, o)
	}
	return list
}

// withOwn returns the Observers around, and those of the own ones that are not
// among them, each once. Values that cannot be compared are different.
func withOwn(around []watcher, own []Observer) []watcher {
	all := make([]watcher, 0, len(around)+len(own))
	for _, outer := range around {
		all = append(all, watcher{Observer: outer.Observer, root: outer.root})
	}
	if len(around)+len(own) < 2 { // most groups: no need to compare
		for _, o := range own {
			all = append(all, watcher{Observer: o, root: &origin{Observer: o}})
		}
		return all
	}
	seen := make(map[Observer]bool, cap(all))
	for _, outer := range around {
		if o := outer.root.Observer; isComparable(o) {
			seen[o] = true
		}
	}
	for _, o := range own {
		if isComparable(o) {
			if seen[o] {
				continue
			}
			seen[o] = true
		}
		all = append(all, watcher{Observer: o, root: &origin{Observer: o}})
	}
	return all
}

func isComparable(o Observer) bool { return reflect.ValueOf(o).Comparable() }

// count brings wanted and only up to date with the list.
func (w *watchers) count() {
	w.wanted, w.only = 0, nil
	n := 0
	for i, o := range w.list {
		w.wanted |= o.kinds
		if o.kinds.Has(NodeChanged) {
			w.only, w.onlyAt = o.Observer, i
			n++
		}
	}
	if n > 1 {
		w.only = nil
	}
}

// isTelling reports whether an Observer is being told something other than the end.
func (w *watchers) isTelling() bool { return w.telling != nobody }

// havePanicked reports, while there is a panic, whether it came out of an Observer:
// here or in a group inside, or of what the member's own code had it told.
func (w *watchers) havePanicked() bool { return w.failed || w.isTelling() }

// want reports whether anybody wants to be told of a kind.
func (w *watchers) want(k Kind) bool { return w.wanted.Has(k) }

// tell tells all who want to know.
func (w *watchers) tell(r Record, task Task, took time.Duration) {
	if !w.wanted.Has(r.Kind) {
		return
	}
	w.subject, w.took = task, took
	for i := range w.list {
		if o := &w.list[i]; o.kinds.Has(r.Kind) {
			w.telling = i
			o.Observe(r)
		}
	}
	w.telling, w.subject, w.took = nobody, nil, 0
}

// haveOnly reports whether one alone wants to know of changes of nodes, and tellOnly tells
// it.
func (w *watchers) haveOnly() bool { return w.only != nil }

func (w *watchers) tellOnly(r Record, task Task) {
	w.subject, w.telling = task, w.onlyAt
	w.only.Observe(r)
	w.subject, w.telling = nil, nobody
}

// first reports whether a kind was not told yet, of those that are told once, and
// hasTold whether it was, whoever wanted to know.
func (w *watchers) first(k Kind) bool {
	first := !w.told.Has(k)
	w.told |= KindsOf(k)
	return first
}

func (w *watchers) hasTold(k Kind) bool { return w.told.Has(k) }

// drainLater keeps that the Observers are to be told that the group drains, at the end
// of the step, and takeDrain takes that back and reports whether they are.
func (w *watchers) drainLater() { w.drained = true }

func (w *watchers) takeDrain() bool {
	drained := w.drained
	w.drained = false
	return drained
}

// expect keeps when the next round is due, or never, and lateness returns how long after
// that it comes.
func (w *watchers) expect(at int64) { w.dueAt = at }

func (w *watchers) lateness(now int64) (late time.Duration, ok bool) {
	return time.Duration(now - w.dueAt), now >= w.dueAt
}

// tellEnd tells each of them, once, that the group has ended. One that panics
// is not told again when this is called again; the others are.
func (w *watchers) tellEnd(r Record) {
	w.took = time.Duration(r.at - w.began)
	for len(w.list) > 0 {
		o := w.list[0]
		w.list = w.list[1:]
		if o.kinds.Has(GroupEnded) {
			w.leaver = o.root
			o.Observe(r)
		}
	}
	w.wanted, w.only, w.leaver = 0, nil, nil
}

// dropFailing takes the Observer out of which a panic came, if it did, for one that has
// panicked, and reports whether it did.
func (w *watchers) dropFailing() bool {
	root := w.leaver
	if w.telling >= 0 {
		root = w.list[w.telling].root
	}
	w.telling, w.leaver, w.subject, w.took = nobody, nil, nil, 0
	if root == nil {
		return false
	}
	root.failed = true
	return true
}

// fail keeps that an Observer has panicked, here or in a group inside, which is told no
// more.
func (w *watchers) fail() {
	w.failed = true
	w.forgetFailed()
}

// forgetFailed takes Observers off the list that have panicked, perhaps in
// another group.
func (w *watchers) forgetFailed() {
	failed := func(o watcher) bool { return o.root.failed }
	if slices.ContainsFunc(w.list, failed) {
		w.list = slices.DeleteFunc(slices.Clone(w.list), failed)
		w.count()
	}
}

// subjectName describes the task of the record that is being told.
func (w *watchers) subjectName() string {
	if w.subject == nil {
		return ""
	}
	return TaskDescription(w.subject)
}

// subjectTook returns how long took what is being told.
func (w *watchers) subjectTook() time.Duration { return w.took }

// contextObservers returns those that give values to the contexts of nodes.
func (w *watchers) contextObservers() []ContextObserver {
	var found []ContextObserver
	for _, o := range w.list {
		if c, ok := o.Observer.(ContextObserver); ok {
			found = append(found, c)
		}
	}
	return found
}
