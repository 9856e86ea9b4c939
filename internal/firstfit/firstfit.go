// Package firstfit has a queue that finds, among entries of different sizes, the
// earliest one that fits: adding, removing and finding take time in proportion to
// the logarithm of the queue's length.
package firstfit

// Entry is a place in a [Queue]. The zero Entry is in none.
type Entry[T any] struct {
	Value T

	order       int64
	size        uint64
	least       uint64 // the smallest size in the tree below, its own included
	weight      uint64 // of a treap: larger than those below
	left, right *Entry[T]
	in          bool
}

// Queue is a set of entries, no two of the same order. The zero Queue is empty.
type Queue[T any] struct{ root *Entry[T] }

// Empty reports whether there is no entry.
func (q *Queue[T]) Empty() bool { return q.root == nil }

// Has reports whether the entry is in a queue.
func (e *Entry[T]) Has() bool { return e.in }

// Add puts e into the queue. It must not be in one.
func (q *Queue[T]) Add(e *Entry[T], order int64, size uint64) {
	e.order, e.size, e.in = order, size, true
	e.weight = mixed(uint64(order))
	before, behind := split(q.root, order)
	e.left, e.right = nil, nil
	e.update()
	q.root = merge(merge(before, e), behind)
}

// Remove takes e out of the queue. It must be in it.
func (q *Queue[T]) Remove(e *Entry[T]) {
	place := &q.root
	for *place != e {
		if e.order < (*place).order {
			place = &(*place).left
		} else {
			place = &(*place).right
		}
	}
	*place = merge(e.left, e.right)
	e.left, e.right, e.in = nil, nil, false
	q.root.updateTo(e.order)
}

// First returns the entry of the lowest order that is not larger than most, or
// nil.
func (q *Queue[T]) First(most uint64) *Entry[T] {
	e := q.root
	if e == nil || e.least > most {
		return nil
	}
	for {
		switch {
		case e.left != nil && e.left.least <= most:
			e = e.left
		case e.size <= most:
			return e
		default:
			e = e.right
		}
	}
}

// mixed spreads orders, which come one after the other, over all words.
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (e *Entry[T]) update() {
	e.least = e.size
	if e.left != nil {
		e.least = min(e.least, e.left.least)
	}
	if e.right != nil {
		e.least = min(e.least, e.right.least)
	}
}

// updateTo updates the entries on the way down to where order would be.
func (e *Entry[T]) updateTo(order int64) {
	if e == nil {
		return
	}
	if order < e.order {
		e.left.updateTo(order)
	} else {
		e.right.updateTo(order)
	}
	e.update()
}

// split divides a tree into what comes before order and what comes behind.
func split[T any](e *Entry[T], order int64) (before, behind *Entry[T]) {
	if e == nil {
		return nil, nil
	}
	if e.order < order {
		e.right, behind = split(e.right, order)
		e.update()
		return e, behind
	}
	before, e.left = split(e.left, order)
	e.update()
	return before, e
}

// merge joins two trees, of which all of the first comes before the second.
func merge[T any](a, b *Entry[T]) *Entry[T] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.weight > b.weight:
		a.right = merge(a.right, b)
		a.update()
		return a
	}
	b.left = merge(a, b.left)
	b.update()
	return b
}
