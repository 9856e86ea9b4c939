// Package bitset has an ordered set of small integers: adding, removing and
// finding the next member cost a few words each, however large the set.
package bitset

import "math/bits"

// Set is a set of integers in [0, n). Each level has a bit for each word of the
// level below that is not zero, so that 64 members or a gap of any size are
// passed in one look.
type Set struct {
	words []uint64   // the members
	above [][]uint64 // the levels above, the lowest first
}

// New returns an empty set of integers below n.
func New(n int) Set {
	s := Set{words: make([]uint64, (n+63)/64)}
	for n = len(s.words); n > 1; {
		n = (n + 63) / 64
		s.above = append(s.above, make([]uint64, n))
	}
	return s
}

// Add puts i into the set.
func (s *Set) Add(i int32) {
	w := uint32(i) >> 6
	old := s.words[w]
	s.words[w] = old | 1<<(uint32(i)&63)
	if old == 0 {
		s.mark(w)
	}
}

// AddWord puts 64w to 64w+63 into the set, those that have a bit: the lowest for 64w. It
// must have one.
func (s *Set) AddWord(w int, word uint64) {
	old := s.words[w]
	s.words[w] = old | word
	if old == 0 {
		s.mark(uint32(w))
	}
}

// mark tells the levels above that word w is not zero any more.
func (s *Set) mark(w uint32) {
	for _, level := range s.above {
		bit := uint64(1) << (w & 63)
		w >>= 6
		old := level[w]
		level[w] = old | bit
		if old != 0 {
			return
		}
	}
}

// Remove takes i out of the set.
func (s *Set) Remove(i int32) {
	w := uint32(i) >> 6
	if s.words[w] &^= 1 << (uint32(i) & 63); s.words[w] == 0 {
		s.clear(w)
	}
}

// Drop takes i out and leaves the levels above as they are, which is faster where
// many members of a word go one after the other. Leave for that word must follow
// before anything but Add, Drop and Word is called.
func (s *Set) Drop(i int32) { s.words[uint32(i)>>6] &^= 1 << (uint32(i) & 63) }

// Leave makes up for Drop on word w.
func (s *Set) Leave(w int) {
	if s.words[w] == 0 {
		s.clear(uint32(w))
	}
}

// clear tells the levels above that word w is zero now.
func (s *Set) clear(w uint32) {
	for _, level := range s.above {
		bit := uint64(1) << (w & 63)
		w >>= 6
		if level[w] &^= bit; level[w] != 0 {
			return
		}
	}
}

// Has reports whether i is in the set.
func (s *Set) Has(i int32) bool {
	return s.words[uint32(i)>>6]>>(uint32(i)&63)&1 != 0
}

// Empty reports whether nothing is in the set.
func (s *Set) Empty() bool {
	top := s.words
	if len(s.above) > 0 {
		top = s.above[len(s.above)-1]
	}
	return len(top) == 0 || top[0] == 0
}

// Word returns the members 64w to 64w+63 as bits, the lowest for 64w.
func (s *Set) Word(w int) uint64 { return s.words[w] }

// Words returns the words of all members, to be written to as by Drop, and by Add
// for a word that is not left yet.
func (s *Set) Words() []uint64 { return s.words }

// NextWord returns the first word that is not zero, from word w on, or -1.
func (s *Set) NextWord(w int) int {
	if w < len(s.words) && s.words[w] != 0 {
		return w
	}
	// Up, until there is something to the right; then down along the first bits.
	w++
	for level, words := range s.above {
		if i := w >> 6; i < len(words) {
			if word := words[i] >> (w & 63) << (w & 63); word != 0 {
				w = i<<6 | bits.TrailingZeros64(word)
				for level > 0 {
					level--
					w = w<<6 | bits.TrailingZeros64(s.above[level][w])
				}
				return w
			}
		}
		w = w>>6 + 1
	}
	return -1
}

// Next returns the smallest member that is not below i, or -1.
func (s *Set) Next(i int32) int32 {
	w := int(i) >> 6
	if w >= len(s.words) {
		return -1
	}
	if word := s.words[w] >> (i & 63); word != 0 {
		return i + int32(bits.TrailingZeros64(word))
	}
	if w = s.NextWord(w + 1); w < 0 {
		return -1
	}
	return int32(w<<6 | bits.TrailingZeros64(s.words[w]))
}

// Grow makes room for integers below n. It costs what the set has grown by, on
// average, however often it is called.
func (s *Set) Grow(n int) {
	words := (n + 63) / 64
	if words <= len(s.words) {
		return
	}
	grown := New(max(words, len(s.words)*3/2) * 64)
	copy(grown.words, s.words)
	for w, word := range s.words {
		if word != 0 {
			grown.mark(uint32(w))
		}
	}
	*s = grown
}

// Len counts the members.
func (s *Set) Len() int {
	n := 0
	for _, word := range s.words {
		n += bits.OnesCount64(word)
	}
	return n
}
