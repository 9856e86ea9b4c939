// Package wheel has a timer wheel: entries that become due when a clock, or a
// count of rounds, reaches their key.
package wheel

import "math/bits"

// Entry is something that is due at Key. What the Item stands for, and whether
// that still waits for the Key, is the user's to know.
type Entry struct {
	Key  int64
	Item uint32
}

// Wheel holds entries until their keys are reached. The zero Wheel is empty and
// ready for use, and stands before all keys. It must not be copied once used,
// and is not safe for concurrent use.
//
// An entry is never deleted by its user: one that is no longer wanted is found
// out when it is due, or when Min comes upon it.
//
// Adding an entry takes the same time however many there are. Those that are
// far away are not touched while others come and go. Memory is that of the
// fullest time so far, within a factor, and steady use allocates none.
type Wheel struct {
	// Keys are kept with the sign bit turned, so that they compare unsigned.
	// An entry is on the level of the highest of the eleven six-bit digits in
	// which its key differs from now, in the bucket of its own digit there. So
	// all of a level is due before anything of a level above, and nothing is
	// in the bucket of now's own digit, or in one before it.
	now    uint64
	due    bucket      // keys that now has reached
	levels *[11]*level // nil: nothing had to wait yet
	n      int

	spares *[64][][]Entry // slices not in use, by the number of bits of their capacity, a power of two; nil: none
}

type level struct {
	occupied uint64 // bit by bucket: it holds entries
	buckets  [64]bucket
}

// bucket holds entries in any order but for the first one, which is always the
// smallest. It becomes a heap the first time that one has to be taken away,
// which most buckets never see: they are emptied as a whole.
type bucket struct {
	entries []Entry
	heap    bool
}

const sign = 1 << 63

// Len returns the number of entries, including those no longer wanted.
func (w *Wheel) Len() int { return w.n }

// Add puts in an entry. If its key is reached already it is due at the next
// Advance. Any number of entries may have the same key, or the same item.
func (w *Wheel) Add(key int64, item uint32) {
	w.n++
	w.put(Entry{key, item})
}

// Advance takes out all entries whose key is at most now and appends them to
// buf, in no particular order. A now before that of an earlier call counts as
// that one: time does not run backwards.
func (w *Wheel) Advance(now int64, buf []Entry) []Entry {
	before := len(buf)
	if t := uint64(now) ^ sign; t > w.now {
		buf = w.turn(t, buf)
	}
	buf = w.empty(&w.due, buf)
	w.n -= len(buf) - before
	return buf
}

// turn sets now, takes out the entries that it passes, and puts those nearby on
// the levels where they belong from there.
func (w *Wheel) turn(now uint64, buf []Entry) []Entry {
	top, last := place(now, w.now)
	w.now = now
	if w.levels == nil {
		return buf
	}
	for _, l := range w.levels[:top] {
		if l != nil {
			// Their keys share the digit that now has left behind.
			buf = w.take(l, ^uint64(0), buf)
		}
	}
	l := w.levels[top]
	if l == nil {
		return buf
	}
	buf = w.take(l, 1<<last-1, buf)
	if l.occupied>>last&1 == 0 {
		return buf
	}
	l.occupied &^= 1 << last
	b := &l.buckets[last]
	near := b.entries
	*b = bucket{}
	for _, e := range near {
		if uint64(e.Key)^sign <= now {
			buf = append(buf, e)
		} else {
			w.put(e)
		}
	}
	w.retire(near)
	return buf
}

// take empties the buckets of l that are in mask.
func (w *Wheel) take(l *level, mask uint64, buf []Entry) []Entry {
	for left := l.occupied & mask; left != 0; left &= left - 1 {
		buf = w.empty(&l.buckets[bits.TrailingZeros64(left)], buf)
	}
	l.occupied &^= mask
	return buf
}

// empty takes all entries out of b.
func (w *Wheel) empty(b *bucket, buf []Entry) []Entry {
	if len(b.entries) == 0 {
		return buf
	}
	buf = append(buf, b.entries...)
	w.retire(b.entries)
	*b = bucket{}
	return buf
}

// Min returns the smallest key among the entries for which live is true, or
// false if there is none. Entries for which live is false are dropped where
// they are in the way, and only then: live may be asked about an entry any
// number of times, and must not use the Wheel.
//
// It takes a look at one entry when that is live. Dropping one costs the
// logarithm of the number of entries near it, and the first time all of those
// are looked at once.
func (w *Wheel) Min(live func(Entry) bool) (int64, bool) {
	if w.settle(&w.due, live) {
		return w.due.entries[0].Key, true
	}
	if w.levels == nil {
		return 0, false
	}
	for _, l := range w.levels {
		for l != nil && l.occupied != 0 {
			first := bits.TrailingZeros64(l.occupied)
			if b := &l.buckets[first]; w.settle(b, live) {
				return b.entries[0].Key, true
			}
			l.occupied &= l.occupied - 1
		}
	}
	return 0, false
}

// settle drops entries until the first one of b is live, and reports whether
// there is one.
func (w *Wheel) settle(b *bucket, live func(Entry) bool) bool {
	before := len(b.entries)
	for len(b.entries) > 0 && !live(b.entries[0]) {
		if b.heap {
			b.pop()
		} else {
			b.sift(live)
		}
	}
	w.n -= before - len(b.entries)
	if len(b.entries) > 0 {
		return true
	}
	w.retire(b.entries)
	*b = bucket{}
	return false
}

// place returns the level of a key, and its bucket there, while now is another.
func place(key, now uint64) (level, digit uint) {
	level = uint(bits.Len64(key^now)-1) / 6
	return level, uint(key>>(6*level)) & 63
}

// put adds an entry to the bucket where it belongs.
func (w *Wheel) put(e Entry) {
	key := uint64(e.Key) ^ sign
	if key <= w.now {
		w.push(&w.due, e)
		return
	}
	if w.levels == nil {
		w.levels = new([11]*level)
	}
	at, digit := place(key, w.now)
	l := w.levels[at]
	if l == nil {
		l = new(level)
		w.levels[at] = l
	}
	l.occupied |= 1 << digit
	w.push(&l.buckets[digit], e)
}

// push adds an entry to b.
func (w *Wheel) push(b *bucket, e Entry) {
	if len(b.entries) == cap(b.entries) {
		b.entries = w.grow(b.entries)
	}
	b.entries = append(b.entries, e)
	at := len(b.entries) - 1
	if b.heap {
		b.up(at)
	} else if e.Key < b.entries[0].Key {
		b.entries[0], b.entries[at] = b.entries[at], b.entries[0]
	}
}

// hugeRoom is from where on slices that were outgrown are left to the collector:
// kept, they would double what a million entries take.
const hugeRoom = 4096

// grow returns the entries in a slice of twice the room: one that another bucket
// has left, or a new one if all of that size are in use.
//
// So there are never more of a size than were in use at some time, each half
// full at least when it was taken: what is kept is bounded by the fullest time.
func (w *Wheel) grow(entries []Entry) []Entry {
	room := max(2*cap(entries), 8)
	size := bits.Len(uint(room))
	if w.spares == nil {
		w.spares = new([64][][]Entry)
	}
	var larger []Entry
	if last := len(w.spares[size]) - 1; last >= 0 {
		larger = w.spares[size][last]
		w.spares[size] = w.spares[size][:last]
	} else {
		larger = make([]Entry, 0, room)
	}
	larger = append(larger, entries...)
	if cap(entries) < hugeRoom {
		w.retire(entries)
	}
	return larger
}

// retire keeps a slice that is no longer in use for a bucket that grows.
func (w *Wheel) retire(entries []Entry) {
	if cap(entries) > 0 { // grow has made it, and spares before
		size := bits.Len(uint(cap(entries)))
		w.spares[size] = append(w.spares[size], entries[:0])
	}
}

// sift keeps the live entries only and makes b a heap.
func (b *bucket) sift(live func(Entry) bool) {
	kept := b.entries[:0]
	for _, e := range b.entries {
		if live(e) {
			kept = append(kept, e)
		}
	}
	b.entries, b.heap = kept, true
	for at := len(kept)/2 - 1; at >= 0; at-- {
		b.down(at)
	}
}

// pop takes the smallest entry out of a heap.
func (b *bucket) pop() {
	last := len(b.entries) - 1
	b.entries[0] = b.entries[last]
	b.entries = b.entries[:last]
	b.down(0)
}

func (b *bucket) up(at int) {
	e := b.entries[at]
	for at > 0 {
		parent := (at - 1) / 2
		if b.entries[parent].Key <= e.Key {
			break
		}
		b.entries[at] = b.entries[parent]
		at = parent
	}
	b.entries[at] = e
}

func (b *bucket) down(at int) {
	if at >= len(b.entries) {
		return
	}
	e := b.entries[at]
	for child := 2*at + 1; child < len(b.entries); child = 2*at + 1 {
		if child+1 < len(b.entries) && b.entries[child+1].Key < b.entries[child].Key {
			child++
		}
		if e.Key <= b.entries[child].Key {
			break
		}
		b.entries[at] = b.entries[child]
		at = child
	}
	b.entries[at] = e
}
