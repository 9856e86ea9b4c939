package minheap_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/internal/minheap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Random operations, against a sorted slice.
func TestHeap_model(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var h minheap.Heap[int64]
		var plain []int64
		for range 500 {
			if rng.IntN(20) == 0 {
				key := rng.Int64N(50)
				is := func(k int64) bool { return k == key }
				removed := h.Remove(func(k, v int64) bool { return is(k) && v == -k })
				require.Equal(t, slices.ContainsFunc(plain, is), removed, "seed %d", seed)
				plain = slices.DeleteFunc(plain, is)
			} else if rng.IntN(4) == 0 {
				most := rng.Int64N(50)
				value, ok := h.PopUpTo(most)
				require.Equal(t, len(plain) > 0 && plain[0] <= most, ok, "seed %d", seed)
				if ok {
					require.Equal(t, -plain[0], value)
					plain = plain[1:]
				}
			} else if rng.IntN(5) < 3 || len(plain) == 0 {
				key := rng.Int64N(50)
				h.Push(key, -key)
				plain = append(plain, key)
				slices.Sort(plain)
			} else {
				key, value := h.Pop()
				require.Equal(t, plain[0], key, "seed %d", seed)
				require.Equal(t, -key, value)
				plain = plain[1:]
			}
			require.Equal(t, len(plain), h.Len())
			if len(plain) > 0 {
				key, value := h.Min()
				require.Equal(t, plain[0], key)
				require.Equal(t, -key, value)
			}
		}
		h.Clear()
		require.Zero(t, h.Len())
	}
}
