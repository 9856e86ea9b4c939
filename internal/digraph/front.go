package digraph

import "math/bits"

// front is a set of numbers as words of 64 bits, of which it gives out the
// first that is not zero: the part of a priority queue that is needed once in
// many takes, while its user works on the word it was given.
//
// It differs from a bitset.Set in that a word leaves as a whole.
type front struct {
	words  []uint64
	groups []uint64 // a bit for each word that is not zero
	tops   []uint64 // a bit for each group that is not zero, one word for 262,144 numbers
}

// newFront returns an empty set of numbers below n.
func newFront(n int) *front {
	words := n/64 + 1
	groups := words/64 + 1
	return &front{make([]uint64, words), make([]uint64, groups), make([]uint64, groups/64+1)}
}

// put adds the members of a word.
func (f *front) put(word int32, members uint64) {
	f.words[word] |= members
	f.groups[word>>6] |= 1 << (word & 63)
	f.tops[word>>12] |= 1 << (word >> 6 & 63)
}

// take returns the first word that has members, and takes them out. There must
// be none before word from; members is 0 if there are none at all.
func (f *front) take(from int32) (word int32, members uint64) {
	group := from >> 6
	if f.groups[group] == 0 {
		top := group >> 6
		for f.tops[top] == 0 {
			if top++; int(top) == len(f.tops) {
				return from, 0
			}
		}
		group = top<<6 | int32(bits.TrailingZeros64(f.tops[top]))
	}
	word = group<<6 | int32(bits.TrailingZeros64(f.groups[group]))
	members, f.words[word] = f.words[word], 0
	if f.groups[group] &= f.groups[group] - 1; f.groups[group] == 0 {
		f.tops[group>>6] &^= 1 << (group & 63)
	}
	return word, members
}
