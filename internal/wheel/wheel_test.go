package wheel_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/internal/wheel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is a Wheel that does the obvious.
type model struct {
	now     int64
	entries []wheel.Entry
}

func (m *model) add(key int64, item uint32) {
	m.entries = append(m.entries, wheel.Entry{Key: key, Item: item})
}

func (m *model) advance(now int64) (due []wheel.Entry) {
	m.now = max(m.now, now)
	m.entries = slices.DeleteFunc(m.entries, func(e wheel.Entry) bool {
		if e.Key <= m.now {
			due = append(due, e)
		}
		return e.Key <= m.now
	})
	return due
}

func (m *model) min(live func(wheel.Entry) bool) (least int64, ok bool) {
	for _, e := range m.entries {
		if live(e) && (!ok || e.Key < least) {
			least, ok = e.Key, true
		}
	}
	return least, ok
}

// pair drives a Wheel and a model side by side. Items are live until they are
// killed or due.
type pair struct {
	t     *testing.T
	wheel wheel.Wheel
	model model
	items uint32
	dead  map[uint32]bool
}

func newPair(t *testing.T) *pair {
	return &pair{t: t, model: model{now: math.MinInt64}, dead: map[uint32]bool{}}
}

func (p *pair) add(key int64) {
	p.wheel.Add(key, p.items)
	p.model.add(key, p.items)
	p.items++
}

func (p *pair) live(e wheel.Entry) bool { return !p.dead[e.Item] }

func (p *pair) advance(now int64) {
	due := p.wheel.Advance(now, nil)
	want := p.model.advance(now)
	// Which dead entries are gone already is the Wheel's own affair.
	require.Equal(p.t, p.liveSorted(want), p.liveSorted(due), "due at %d", now)
	require.LessOrEqual(p.t, p.wheel.Len(), len(p.model.entries))
}

func (p *pair) liveSorted(entries []wheel.Entry) []wheel.Entry {
	live := []wheel.Entry{}
	for _, e := range entries {
		if p.live(e) {
			live = append(live, e)
		}
	}
	slices.SortFunc(live, func(a, b wheel.Entry) int { return int(a.Item) - int(b.Item) })
	return live
}

func (p *pair) min() {
	want, wantOK := p.model.min(p.live)
	got, ok := p.wheel.Min(p.live)
	require.Equal(p.t, wantOK, ok)
	require.Equal(p.t, want, got)
}

func TestWheel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  func(p *pair)
	}{
		{"empty", func(p *pair) { p.min(); p.advance(5); p.min() }},
		{"a key is due when it is reached", func(p *pair) { p.advance(0); p.add(7); p.advance(6); p.min(); p.advance(7) }},
		{"a key passed by is due", func(p *pair) { p.advance(0); p.add(7); p.advance(1 << 40) }},
		{"a key reached already is due at the next advance", func(p *pair) {
			p.advance(100)
			p.add(100)
			p.add(99)
			p.add(math.MinInt64)
			p.min()
			p.advance(100)
			p.min()
		}},
		{"time does not run backwards", func(p *pair) { p.advance(100); p.add(50); p.add(150); p.advance(-100); p.advance(120) }},
		{"before the first advance", func(p *pair) {
			p.add(math.MinInt64)
			p.add(3)
			p.add(-3)
			p.min()
			p.advance(math.MinInt64)
			p.min()
		}},
		{"extremes", func(p *pair) {
			for _, key := range []int64{math.MaxInt64, math.MinInt64, 0, -1, 1, math.MaxInt64 - 1, math.MinInt64 + 1} {
				p.add(key)
			}
			for _, now := range []int64{math.MinInt64, math.MinInt64 + 1, -2, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64} {
				p.advance(now)
				p.min()
			}
			p.add(math.MaxInt64)
			p.min()
			p.advance(math.MaxInt64)
		}},
		{"each level", func(p *pair) {
			p.advance(0)
			for shift := range 63 {
				p.add(1 << shift)
				p.add(1<<shift + 1)
			}
			for shift := range 63 {
				p.advance(1 << shift)
				p.min()
			}
		}},
		{"equal keys", func(p *pair) {
			p.advance(0)
			for range 1000 {
				p.add(5)
			}
			p.dead[0] = true
			p.min()
			p.advance(5)
		}},
		{"the smallest die one by one", func(p *pair) {
			p.advance(0)
			for i := range 500 {
				p.add(1<<40 + int64(i*37%500))
			}
			for key := range 500 {
				for _, e := range p.model.entries {
					if e.Key == 1<<40+int64(key) {
						p.dead[e.Item] = true
					}
				}
				p.add(1<<40 + 600 + int64(key))
				p.min()
			}
			p.advance(1 << 41)
		}},
		{"all die", func(p *pair) {
			for i := range 200 {
				p.add(int64(i) << (i % 50))
				p.dead[uint32(i)] = true
			}
			p.min()
			require.Zero(p.t, p.wheel.Len())
			p.add(9)
			p.min()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(newPair(t))
		})
	}
}

func TestWheel_appends_to_buf(t *testing.T) {
	t.Parallel()
	var w wheel.Wheel
	w.Add(1, 10)
	w.Add(2, 20)
	first := wheel.Entry{Key: -1, Item: 99}
	buf := w.Advance(1, []wheel.Entry{first})
	require.Equal(t, []wheel.Entry{first, {Key: 1, Item: 10}}, buf)
	require.Equal(t, 1, w.Len())
}

// TestWheel_random compares with the model over long runs whose keys are near,
// far or anywhere.
func TestWheel_random(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		p := newPair(t)
		now := int64(random.Uint64()) >> random.IntN(64)
		spread := random.IntN(40) + 1
		for range 400 {
			switch random.IntN(8) {
			case 0:
				now = later(now, random.Int64N(1<<random.IntN(spread)))
				p.advance(now)
			case 1:
				p.min()
			case 2:
				if p.items > 0 {
					p.dead[random.Uint32N(p.items)] = true
				}
			case 3:
				if key, ok := p.model.min(p.live); ok {
					now = max(now, key)
					p.advance(now)
				}
			default:
				p.add(later(now, random.Int64N(1<<random.IntN(spread))-3))
			}
		}
		p.advance(math.MaxInt64)
		require.Zero(t, p.wheel.Len())
	}
}

func later(now, d int64) int64 {
	if d > 0 && now > math.MaxInt64-d {
		return math.MaxInt64
	}
	return now + d
}

func FuzzWheel(f *testing.F) {
	f.Add([]byte{0, 10, 1, 20, 2, 0, 3, 15, 4, 1, 3, 255})
	f.Fuzz(func(t *testing.T, program []byte) {
		p := newPair(t)
		now := int64(math.MinInt64)
		for len(program) >= 2 {
			op, arg := program[0]%6, program[1]
			program = program[2:]
			switch op {
			case 0:
				p.add(later(now, int64(arg)))
			case 1:
				p.add(later(now, 1<<(arg&63)&math.MaxInt64+int64(arg>>6)))
			case 2:
				if len(program) >= 8 {
					p.add(int64(binary.LittleEndian.Uint64(program)))
					program = program[8:]
				}
			case 3:
				now = later(now, 1<<(arg&63)&math.MaxInt64-int64(arg>>6))
				p.advance(now)
				now = max(now, p.model.now)
			case 4:
				p.dead[uint32(arg)%max(p.items, 1)] = true
			case 5:
				p.min()
			}
		}
		p.min()
		p.advance(math.MaxInt64)
		require.Zero(t, p.wheel.Len())
	})
}

// TestWheel_steady_use_allocates_nothing also watches that a wheel in use for
// long keeps no more than it needs.
func TestWheel_steady_use_allocates_nothing(t *testing.T) {
	for _, n := range []int{10, 1000, 20_000} {
		t.Run(fmt.Sprintf("n=%d", n), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var w wheel.Wheel
			var due []wheel.Entry
			now := int64(0)
			for item := range n {
				w.Add(random.Int64N(1_000_000), uint32(item))
			}
			round := func() {
				now += 1000
				due = w.Advance(now, due[:0])
				for _, e := range due {
					w.Add(now+random.Int64N(1_000_000)+1, e.Item)
				}
			}
			for range 50_000 {
				round()
			}
			require.Less(t, testing.AllocsPerRun(20_000, round), 0.01)
			require.Equal(t, n, w.Len())
		})
	}
}

func BenchmarkWheel(b *testing.B) {
	const due = 10
	for _, n := range []int{10, 1000, 1_000_000} {
		for _, shape := range []string{"far", "period", "random"} {
			b.Run(fmt.Sprintf("shape=%s/n=%d", shape, n), func(b *testing.B) {
				random := rand.New(rand.NewPCG(1, 2))
				var w wheel.Wheel
				// One tick is the time between two rounds, in which ten of
				// those that are alike are due.
				const tick = 1000
				period := int64(max(n/due, 1) * tick)
				next := func(now int64) int64 {
					switch shape {
					case "far":
						return now + tick
					case "period":
						return now + period
					}
					return now + 1 + random.Int64N(2*period)
				}
				for i := range n {
					switch {
					case shape == "far" && i < due:
						w.Add(tick, uint32(i))
					case shape == "far":
						w.Add(1<<50+int64(i), uint32(i))
					case shape == "period":
						w.Add(int64(i/due+1)*tick, uint32(i))
					default:
						w.Add(next(0), uint32(i))
					}
				}
				live := func(wheel.Entry) bool { return true }
				var buf []wheel.Entry
				now, count := int64(0), 0
				b.ReportAllocs()
				for b.Loop() {
					w.Min(live)
					now += tick
					buf = w.Advance(now, buf[:0])
					count += len(buf)
					for _, e := range buf {
						w.Add(next(now), e.Item)
					}
				}
				b.ReportMetric(float64(count)/float64(b.N), "due/op")
			})
		}
	}
}

// BenchmarkWheel_dying is what tasks do that wait for an event and at most so
// long, and whose events come in order.
func BenchmarkWheel_dying(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			const hour = 3_600_000_000_000
			var w wheel.Wheel
			w.Advance(0, nil)
			for i := range n {
				w.Add(hour+int64(i)*100, uint32(i))
			}
			gone := uint32(0)
			live := func(e wheel.Entry) bool { return e.Item >= gone }
			added := uint32(n)
			b.ReportAllocs()
			for b.Loop() {
				gone++
				w.Add(hour+int64(added)*100, added)
				added++
				w.Min(live)
			}
		})
	}
}
