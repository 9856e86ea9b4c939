// Package minheap has a heap of values by keys, the smallest first.
package minheap

// Heap is a heap. The zero Heap is empty.
type Heap[V any] struct{ entries []entry[V] }

type entry[V any] struct {
	key   int64
	value V
}

// Len returns how many values there are.
func (h *Heap[V]) Len() int { return len(h.entries) }

// Min returns the smallest key, and its value. There must be one.
func (h *Heap[V]) Min() (key int64, value V) { return h.entries[0].key, h.entries[0].value }

// Push adds a value.
func (h *Heap[V]) Push(key int64, value V) {
	h.entries = append(h.entries, entry[V]{key, value})
	for i := len(h.entries) - 1; i > 0; {
		up := (i - 1) / 2
		if h.entries[up].key <= h.entries[i].key {
			return
		}
		h.entries[up], h.entries[i] = h.entries[i], h.entries[up]
		i = up
	}
}

// Pop takes the value of the smallest key out. There must be one.
func (h *Heap[V]) Pop() (key int64, value V) {
	first, last := h.entries[0], len(h.entries)-1
	h.entries[0] = h.entries[last]
	h.entries[last] = entry[V]{}
	h.entries = h.entries[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && h.entries[down+1].key < h.entries[down].key {
			down++
		}
		if down >= last || h.entries[i].key <= h.entries[down].key {
			return first.key, first.value
		}
		h.entries[down], h.entries[i] = h.entries[i], h.entries[down]
		i = down
	}
}

// PopUpTo takes the value of the smallest key out, unless that is above most or there is
// none.
func (h *Heap[V]) PopUpTo(most int64) (value V, ok bool) {
	if len(h.entries) == 0 || h.entries[0].key > most {
		return value, false
	}
	_, value = h.Pop()
	return value, true
}

// Remove takes out what matches, in time in proportion to the number of values, and
// reports whether there was something.
func (h *Heap[V]) Remove(match func(key int64, value V) bool) bool {
	before := h.entries
	h.entries = nil
	for _, e := range before {
		if !match(e.key, e.value) {
			h.Push(e.key, e.value)
		}
	}
	return len(h.entries) < len(before)
}

// Clear takes all values out.
func (h *Heap[V]) Clear() { h.entries = nil }
