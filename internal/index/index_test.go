package index_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/internal/index"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestIndex(t *testing.T) {
	t.Parallel()
	var x index.Index[string]
	_, ok := x.Find("a")
	require.False(t, ok)
	require.Zero(t, x.Len())
	require.Empty(t, x.Keys())

	const n = 10_000 // enough to grow many times
	for i := range n {
		require.Equal(t, int32(i), x.Enter(fmt.Sprint(i)))
		require.Equal(t, int32(i/2), x.Enter(fmt.Sprint(i/2)))
	}
	require.Equal(t, n, x.Len())
	for i, k := range x.Keys() {
		require.Equal(t, fmt.Sprint(i), k)
		got, ok := x.Find(k)
		require.True(t, ok)
		require.Equal(t, int32(i), got)
	}
	_, ok = x.Find("other")
	require.False(t, ok)
}

// enterAll is EnterAll of keys that are hashed right away.
func enterAll[K comparable](x *index.Index[K], keys ...K) []int32 {
	hashed := make([]index.Hashed[K], len(keys))
	for i, k := range keys {
		hashed[i] = x.Hash(k)
	}
	var numbers [index.Batch]int32
	x.EnterAll(hashed, &numbers)
	return numbers[:len(keys)]
}

func TestIndex_EnterAll(t *testing.T) {
	t.Parallel()
	var x index.Index[int]
	require.Empty(t, enterAll(&x))
	require.Equal(t, []int32{0, 1}, enterAll(&x, 10, 11))
	require.Equal(t, []int32{2, 2}, enterAll(&x, 12, 12), "new, and twice")
	require.Equal(t, []int32{3, 0, 4, 3}, enterAll(&x, 13, 10, 14, 13), "old and new")

	// Batches of every size, half of their keys known, while the index grows
	// many times: also between the hashing of a key and its entry.
	want := int32(x.Len())
	for round := range 2000 {
		size := round % (index.Batch + 1)
		keys, numbers := make([]int, size), make([]int32, size)
		for i := range keys {
			if i%2 == 0 {
				numbers[i], want = want, want+1
			} else {
				numbers[i] = int32(round*i) % want
			}
			keys[i] = int(numbers[i]) + 10
		}
		require.Equal(t, numbers, append([]int32{}, enterAll(&x, keys...)...))
	}
	require.Equal(t, int(want), x.Len())
}

func TestIndex_Clone(t *testing.T) {
	t.Parallel()
	var x index.Index[int]
	for i := range 100 {
		x.Enter(i)
	}
	keys := x.Keys()
	clone := x.Clone()
	for i := range 100 {
		require.Equal(t, int32(100+i), x.Enter(1000+i))
		require.Equal(t, int32(100+i), clone.Enter(2000+i))
	}
	require.Len(t, keys, 100)
	for i := range 100 {
		_, ok := x.Find(2000 + i)
		require.False(t, ok)
		_, ok = clone.Find(1000 + i)
		require.False(t, ok)
	}
	require.Equal(t, 1000, x.Keys()[100])
	require.Equal(t, 2000, clone.Keys()[100])

	var none index.Index[int]
	require.Equal(t, int32(0), none.Clone().Enter(7))
}

func TestIndex_Keys_does_not_show_later_ones(t *testing.T) {
	t.Parallel()
	var x index.Index[int]
	x.Enter(1)
	keys := x.Keys()
	_ = append(keys, 99) // must not write where the next key goes
	x.Enter(2)
	require.Equal(t, []int{1}, keys)
	require.Equal(t, []int{1, 2}, x.Keys())
}

func TestIndex_odd_keys(t *testing.T) {
	t.Parallel()
	t.Run("equal though not the same bits", func(t *testing.T) {
		var x index.Index[float64]
		require.Equal(t, int32(0), x.Enter(0))
		require.Equal(t, int32(0), x.Enter(math.Copysign(0, -1)))
	})
	t.Run("not equal to itself", func(t *testing.T) {
		var x index.Index[float64]
		for i := range int32(100) {
			require.Equal(t, i, x.Enter(math.NaN()))
			_, ok := x.Find(math.NaN())
			require.False(t, ok)
		}
	})
	t.Run("interfaces", func(t *testing.T) {
		var x index.Index[any]
		for i, k := range []any{1, "1", 1.0, [1]int{1}, nil, struct{}{}} {
			require.Equal(t, int32(i), x.Enter(k))
		}
		n, ok := x.Find(nil)
		require.True(t, ok)
		require.Equal(t, int32(4), n)
	})
	t.Run("panics for what is not comparable and changes nothing", func(t *testing.T) {
		var x index.Index[any]
		x.Enter("a")
		require.Panics(t, func() { x.Enter([]int{1}) })
		require.Panics(t, func() { x.Hash([]int{1}) })
		require.Panics(t, func() { x.Find([]int{1}) })
		require.Equal(t, []any{"a"}, x.Keys())
	})
}

// FuzzIndex compares with a Go map, with keys that are close to each other and
// of many lengths.
func FuzzIndex(f *testing.F) {
	f.Add([]byte("abcabcabc"))
	f.Add([]byte{0, 1, 2, 3, 255, 254, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var x index.Index[string]
		model := map[string]int32{}
		var old *index.Index[string]
		oldLen := 0
		for i := range data {
			if data[i] == 'c' {
				old, oldLen = x.Clone(), x.Len()
			}
			k := string(data[i:min(len(data), i+int(data[i])%4)])
			n, ok := x.Find(k)
			want, known := model[k]
			require.Equal(t, known, ok)
			if known {
				require.Equal(t, want, n)
			} else {
				model[k] = int32(len(model))
			}
			if i%3 > 0 {
				require.Equal(t, model[k], x.Enter(k))
				continue
			}
			keys, numbers := []string{k}, []int32{model[k]}
			for j := range int(data[i]) % index.Batch {
				k := string(data[max(0, i-j):i])
				if _, known := model[k]; !known {
					model[k] = int32(len(model))
				}
				keys, numbers = append(keys, k), append(numbers, model[k])
			}
			require.Equal(t, numbers, enterAll(&x, keys...))
		}
		require.Len(t, x.Keys(), len(model))
		for k, want := range model {
			require.Equal(t, k, x.Keys()[want])
			if old != nil {
				_, ok := old.Find(k)
				require.Equal(t, int(want) < oldLen, ok)
			}
		}
	})
}

// BenchmarkIndex_Enter compares with a Go map: half of the keys entered are
// new.
func BenchmarkIndex_Enter(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("resource-%07d", i)
		}
		b.Run(fmt.Sprintf("n=%d/what=index", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var x index.Index[string]
				for i := range keys {
					x.Enter(keys[i])
					x.Enter(keys[i/2])
				}
			}
		})
		b.Run(fmt.Sprintf("n=%d/what=map", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x := map[string]int32{}
				for i := range keys {
					x[keys[i]] = int32(i)
					x[keys[i/2]] = int32(i)
				}
			}
		})
	}
}
