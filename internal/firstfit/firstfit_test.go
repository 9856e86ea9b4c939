package firstfit_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/internal/firstfit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQueue_of_none(t *testing.T) {
	var q firstfit.Queue[string]
	require.Nil(t, q.First(math.MaxUint64))
	var e firstfit.Entry[string]
	require.False(t, e.Has())
	q.Add(&e, 1, 0)
	require.True(t, e.Has())
	require.Same(t, &e, q.First(0))
	q.Remove(&e)
	require.False(t, e.Has())
	require.Nil(t, q.First(math.MaxUint64))
}

// Random operations, against a plain slice.
func TestQueue_model(t *testing.T) {
	type item struct {
		order int64
		size  uint64
	}
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var q firstfit.Queue[item]
		var plain []*firstfit.Entry[item]
		for range 400 {
			if rng.IntN(5) < 3 || len(plain) == 0 {
				i := item{rng.Int64N(1 << 40), rng.Uint64N(10)}
				if slices.ContainsFunc(plain, func(e *firstfit.Entry[item]) bool { return e.Value.order == i.order }) {
					continue
				}
				e := &firstfit.Entry[item]{Value: i}
				q.Add(e, i.order, i.size)
				plain = append(plain, e)
			} else {
				i := rng.IntN(len(plain))
				q.Remove(plain[i])
				plain = slices.Delete(plain, i, i+1)
			}
			most := rng.Uint64N(11)
			var want *firstfit.Entry[item]
			for _, e := range plain {
				if e.Value.size <= most && (want == nil || e.Value.order < want.Value.order) {
					want = e
				}
			}
			require.Same(t, want, q.First(most), "seed %d", seed)
		}
	}
}

// What is added in order, as a line is, makes no deep tree: a million operations
// are a matter of a second.
func TestQueue_in_order(t *testing.T) {
	const n = 100_000
	var q firstfit.Queue[int]
	entries := make([]firstfit.Entry[int], n)
	for i := range entries {
		entries[i].Value = i
		q.Add(&entries[i], int64(i), uint64(n-i))
	}
	for i := range entries {
		require.Equal(t, n-1-i, q.First(uint64(i)+1).Value)
	}
	for i := range entries {
		q.Remove(&entries[i])
	}
	require.Nil(t, q.First(math.MaxUint64))
}
