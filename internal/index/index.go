// Package index numbers keys in the order in which they are entered.
package index

import (
	"hash/maphash"
	"math"
	"slices"
)

// Index gives every key that is entered the next number: 0, 1, 2, and so on.
// The zero Index is empty and ready for use.
//
// Keys are told apart by ==, so a key that is not equal to itself (a
// floating-point NaN, or something that holds one) is new each time it is
// entered and never found. When K is an interface type, Find, Enter and Hash panic
// for a key whose dynamic type is not comparable, as a Go map does, and change
// nothing.
//
// Any number of goroutines may read an Index at a time, as long as none enters
// or hashes a key.
type Index[K comparable] struct {
	keys []K

	// A hash table with open addressing. A slot holds a key's number plus one
	// in the lower half and the upper half of its hash in the upper one; 0 is
	// a free slot. Keys themselves are looked at only if those 32 bits agree,
	// and growing does not look at them at all.
	//
	// A Go map from K to int32 takes twice the memory, and with large graphs,
	// where every access is a cache miss, one and a half times the time.
	slots []uint64
	shift uint // a slot's place is its hash >> shift
	seed  maphash.Seed
}

// Len returns how many keys have been entered.
func (x *Index[K]) Len() int { return len(x.keys) }

// Keys returns the keys by number. The slice must not be written to; keys
// entered later do not show in it.
func (x *Index[K]) Keys() []K { return slices.Clip(x.keys) }

// Find returns the number of k, or false if k has not been entered.
func (x *Index[K]) Find(k K) (int32, bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	hash := maphash.Comparable(x.seed, k)
	n, _ := x.probe(k, hash)
	return n, n >= 0
}

// Enter returns the number of k, which it enters if it is new. It panics if
// the Index already holds 2³¹-1 keys.
func (x *Index[K]) Enter(k K) int32 {
	x.reserve(1)
	return x.enter(k, maphash.Comparable(x.seed, k))
}

// Hashed is a key with its hash in one Index.
type Hashed[K comparable] struct {
	Key  K
	hash uint64
}

// Hash makes k ready for EnterAll of the same Index. It is here that a key
// whose dynamic type is not comparable panics.
func (x *Index[K]) Hash(k K) Hashed[K] {
	x.reserve(1) // the first time, this makes the seed; EnterAll makes the room it needs
	return Hashed[K]{k, maphash.Comparable(x.seed, k)}
}

// Batch is the largest number of keys that EnterAll takes.
const Batch = 32

// Cached is how many keys are in the processor's cache in any case. With fewer there is
// nothing to gain from entering many at a time.
const Cached = 256

// EnterAll enters keys, in order, and sets numbers to theirs.
//
// With a large index a look-up is a chain of cache misses, first of a slot and
// then of a key. Looking for all keys one step of the chain at a time lets the
// misses of a step run side by side. A million edges in no order are entered in
// three quarters of the time.
func (x *Index[K]) EnterAll(keys []Hashed[K], numbers *[Batch]int32) {
	x.reserve(len(keys))
	areCached := len(x.keys) < Cached
	if !areCached {
		x.candidates(keys, numbers)
	}
	for i := range keys {
		k := &keys[i]
		if n := numbers[i%Batch]; areCached || n < 0 || x.keys[n] != k.Key {
			numbers[i%Batch] = x.enter(k.Key, k.hash)
		}
	}
}

// candidates sets numbers to what the keys have, if they have been entered.
func (x *Index[K]) candidates(keys []Hashed[K], numbers *[Batch]int32) {
	var slots [Batch]uint64
	for i := range keys {
		slots[i%Batch] = x.slots[keys[i].hash>>(x.shift&63)]
	}
	for i := range keys {
		numbers[i%Batch] = x.candidate(slots[i%Batch], keys[i].hash)
	}
}

// candidate returns the number that is in a slot, if it may be that of a key
// with such a hash, or else in one of those after it; -1 if there is none.
func (x *Index[K]) candidate(slot, hash uint64) int32 {
	last := len(x.slots) - 1
	for i := int(hash >> (x.shift & 63)); slot != 0; slot = x.slots[i] {
		if (slot^hash)>>32 == 0 {
			break
		}
		i = (i + 1) & last
	}
	return int32(uint32(slot)) - 1
}

// reserve makes room for n keys more, at a load of at most two thirds.
func (x *Index[K]) reserve(n int) {
	for 3*(len(x.keys)+n) > 2*len(x.slots) {
		x.grow()
	}
}

func (x *Index[K]) enter(k K, hash uint64) int32 {
	n, free := x.probe(k, hash)
	if n >= 0 {
		return n
	}
	if len(x.keys) == math.MaxInt32 {
		panic("scheduler: more than 2147483647 keys")
	}
	n = int32(len(x.keys))
	if len(x.keys) == cap(x.keys) {
		// Twice the room each time: append alone goes by a quarter at this
		// size, and so copies a list of keys four times over.
		x.keys = slices.Grow(x.keys, len(x.keys)+16)
	}
	x.keys = append(x.keys, k)
	x.slots[free] = hash&^math.MaxUint32 | uint64(n+1)
	return n
}

// Clone returns an Index with the same keys and numbers. Entering a key into
// one of the two does not change the other.
func (x *Index[K]) Clone() *Index[K] {
	clone := *x
	// The keys are shared: they are only ever appended to, and the limited
	// capacity makes the clone's first append copy them.
	clone.keys = x.Keys()
	clone.slots = append([]uint64(nil), x.slots...)
	return &clone
}

// probe returns the number of k, or -1 and the free slot where it belongs.
func (x *Index[K]) probe(k K, hash uint64) (n int32, free int) {
	last := len(x.slots) - 1
	for i := int(hash >> (x.shift & 63)); ; i = (i + 1) & last {
		slot := x.slots[i]
		if slot == 0 {
			return -1, i
		}
		if n := int32(uint32(slot)) - 1; (slot^hash)>>32 == 0 && x.keys[n] == k {
			return n, i
		}
	}
}

// grow doubles the number of slots. A slot's place is given by the leading bits
// of its hash, so the old slots are read and the new ones written in ascending
// order.
func (x *Index[K]) grow() {
	old := x.slots
	if len(old) == 0 {
		x.seed = maphash.MakeSeed()
		x.shift = 64 - 5
		x.slots = make([]uint64, 1<<5)
		return
	}
	x.shift--
	x.slots = make([]uint64, 2*len(old))
	last := len(x.slots) - 1
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := int(slot >> (x.shift & 63))
		for x.slots[i] != 0 {
			i = (i + 1) & last
		}
		x.slots[i] = slot
	}
}
