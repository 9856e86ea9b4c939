package bitset_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/internal/bitset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Sizes around those where a word, or a level, comes to its end.
var sizes = []int{1, 2, 63, 64, 65, 127, 128, 129, 4095, 4096, 4097, 4160, 64*64*64 - 1, 64 * 64 * 64, 64*64*64 + 1}

func TestSet_of_none(t *testing.T) {
	s := bitset.New(0)
	require.True(t, s.Empty())
	require.Zero(t, s.Len())
	require.Equal(t, int32(-1), s.Next(0))
	require.Equal(t, -1, s.NextWord(0))
	require.Equal(t, -1, s.NextWord(1))
}

// One member, wherever it is, is found from everywhere before it.
func TestSet_one_member(t *testing.T) {
	for _, n := range sizes {
		t.Run(fmt.Sprint("n=", n), func(t *testing.T) {
			s := bitset.New(n)
			places := []int32{0, 1, 62, 63, 64, 65, 4031, 4032, 4095, 4096, 4097, int32(n) / 2, int32(n) - 2, int32(n) - 1}
			for _, i := range places {
				if i < 0 || i >= int32(n) {
					continue
				}
				require.True(t, s.Empty())
				require.False(t, s.Has(i))
				s.Add(i)
				s.Add(i)
				require.True(t, s.Has(i))
				require.False(t, s.Empty())
				require.Equal(t, 1, s.Len())
				for _, from := range places {
					if from < 0 || from >= int32(n) {
						continue
					}
					want, wantWord := int32(-1), -1
					if from <= i {
						want = i
					}
					if from>>6 <= i>>6 {
						wantWord = int(i >> 6)
					}
					require.Equal(t, want, s.Next(from), "Next(%d) with %d", from, i)
					require.Equal(t, wantWord, s.NextWord(int(from>>6)), "NextWord(%d) with %d", from>>6, i)
				}
				require.Equal(t, uint64(1)<<(i&63), s.Word(int(i>>6)))
				s.Remove(i)
				s.Remove(i)
				require.False(t, s.Has(i))
				require.Equal(t, int32(-1), s.Next(0))
			}
		})
	}
}

// A word at a time, and member by member, the set becomes the same.
func TestSet_AddWord(t *testing.T) {
	for _, n := range sizes[4:12] {
		random := rand.New(rand.NewPCG(uint64(n), 7))
		s, want := bitset.New(n), bitset.New(n)
		for range 50 {
			i, j := random.Int32N(int32(n)), random.Int32N(int32(n))
			word := uint64(1) << (i & 63)
			want.Add(i)
			if i>>6 == j>>6 {
				word |= 1 << (j & 63)
				want.Add(j)
			}
			s.AddWord(int(i>>6), word)
			require.Equal(t, want, s)
		}
	}
}

func TestSet_all_members(t *testing.T) {
	for _, n := range sizes {
		t.Run(fmt.Sprint("n=", n), func(t *testing.T) {
			s := bitset.New(n)
			for i := range int32(n) {
				s.Add(i)
			}
			require.Equal(t, n, s.Len())
			for i := range int32(n) {
				if s.Next(i) != i {
					require.Equal(t, i, s.Next(i))
				}
			}
			require.Equal(t, int32(-1), s.Next(int32(n)), "behind the last one")
			for i := range int32(n) { // empty it from below
				s.Remove(i)
				want := i + 1
				if want == int32(n) {
					want = -1
				}
				if s.Next(0) != want {
					require.Equal(t, want, s.Next(0))
				}
			}
			require.True(t, s.Empty())
		})
	}
}

// pair is a Set and a map, which must agree.
type pair struct {
	n     int
	set   bitset.Set
	model map[int32]bool
}

func newPair(n int) *pair {
	return &pair{n: n, set: bitset.New(n), model: map[int32]bool{}}
}

// do performs one operation on both.
func (p *pair) do(t *testing.T, op byte, i int32) {
	switch op % 8 {
	case 0, 1, 2:
		p.set.Add(i)
		p.model[i] = true
	case 3, 4:
		p.set.Remove(i)
		delete(p.model, i)
	case 5:
		require.Equal(t, p.model[i], p.set.Has(i), "Has(%d)", i)
	case 6:
		require.Equal(t, p.next(i), p.set.Next(i), "Next(%d)", i)
	case 7:
		want := -1
		if next := p.next(i &^ 63); next >= 0 {
			want = int(next >> 6)
		}
		require.Equal(t, want, p.set.NextWord(int(i>>6)), "NextWord(%d)", i>>6)
	}
	require.Equal(t, len(p.model) == 0, p.set.Empty(), "Empty")
}

// next is the obvious Next.
func (p *pair) next(i int32) int32 {
	least := int32(-1)
	for j := range p.model {
		if j >= i && (least < 0 || j < least) {
			least = j
		}
	}
	return least
}

// check compares all that is in the two.
func (p *pair) check(t *testing.T) {
	var members []int32
	for i := p.set.Next(0); i >= 0; {
		members = append(members, i)
		if i++; i == int32(p.n) {
			break
		}
		i = p.set.Next(i)
	}
	require.Equal(t, slices.Sorted(maps.Keys(p.model)), members)
	require.Equal(t, len(p.model), p.set.Len())
	var words []int32
	for w := p.set.NextWord(0); w >= 0; w = p.set.NextWord(w + 1) {
		for bit := range int32(64) {
			if p.set.Word(w)>>bit&1 != 0 {
				words = append(words, int32(w)<<6|bit)
			}
		}
	}
	require.Equal(t, members, words)
}

func TestSet_random(t *testing.T) {
	for _, n := range sizes {
		t.Run(fmt.Sprint("n=", n), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			p := newPair(n)
			for range 3000 {
				i := random.Int32N(int32(n))
				if random.IntN(2) == 0 { // few different ones, so that some come twice
					i = i &^ 1023 % int32(n)
				}
				p.do(t, byte(random.Uint32()), i)
			}
			p.check(t)
		})
	}
}

// FuzzSet takes a size and then operations of three bytes, what to do and where.
func FuzzSet(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 3, 0, 0})
	f.Add([]byte{16, 1, 0, 255, 15, 0, 0, 16, 6, 0, 1, 7, 0, 0, 3, 255, 15})
	f.Add([]byte{255, 255, 0, 255, 255, 1, 0, 0, 6, 1, 0, 4, 0, 0, 6, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		n := int(binary.BigEndian.Uint16(data)) + 1
		p := newPair(n)
		for data = data[2:]; len(data) >= 3; data = data[3:] {
			p.do(t, data[0], int32(binary.LittleEndian.Uint16(data[1:])%uint16(min(n, 65535))))
		}
		p.check(t)
	})
}

func TestSet_allocates_nothing(t *testing.T) {
	s := bitset.New(100_000)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Add(99_999)
		s.Next(0)
		s.Remove(99_999)
	}))
}

// A set that has grown is one that was made larger, whatever is in it.
func TestSet_Grow(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(3, seed))
		p := newPair(int(seed))
		for range 60 {
			p.n += random.IntN(1 + p.n/3 + 40)
			p.set.Grow(p.n)
			for range min(p.n, random.IntN(20)) {
				p.do(t, byte(random.Uint32()), random.Int32N(int32(p.n)))
			}
			p.set.Grow(p.n / 2)
			p.check(t)
		}
	}
}

// In the midst of dropping the members of a word, too.
func TestSet_Grow_before_Leave(t *testing.T) {
	s := bitset.New(64)
	s.Add(3)
	s.Drop(3)
	s.Grow(10_000)
	s.Add(9_999)
	s.Leave(0)
	require.Equal(t, int32(9_999), s.Next(0))
	s.Remove(9_999)
	require.True(t, s.Empty())
}

func TestSet_Grow_costs_what_it_grows_by(t *testing.T) {
	allocated := testing.AllocsPerRun(1, func() {
		s := bitset.New(0)
		for n := range 1_000_000 {
			s.Grow(n)
		}
	})
	require.Less(t, allocated, 200.0)
}
