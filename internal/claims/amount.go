package claims

import (
	"math"
	"math/bits"
	"time"
)

// amount is a sum of weights. Weights are as large as an int can be, so sums of
// them take two words.
type amount struct{ hi, lo uint64 }

func (a *amount) add(b amount) {
	var carry uint64
	a.lo, carry = bits.Add64(a.lo, b.lo, 0)
	a.hi += b.hi + carry
}

func (a *amount) sub(b amount) {
	var borrow uint64
	a.lo, borrow = bits.Sub64(a.lo, b.lo, 0)
	a.hi -= b.hi + borrow
}

// plus returns a+b.
func (a amount) plus(b amount) amount {
	a.add(b)
	return a
}

// less returns a-b, or 0 if b is the larger one.
func (a amount) less(b amount) amount {
	if a.hi < b.hi || a.hi == b.hi && a.lo <= b.lo {
		return amount{}
	}
	a.sub(b)
	return a
}

// word returns a, or the largest word if a is larger.
func (a amount) word() uint64 {
	if a.hi > 0 {
		return math.MaxUint64
	}
	return a.lo
}

// number returns a, or the largest int if a is larger.
func (a amount) number() int { return int(min(a.word(), math.MaxInt)) }

func of(weight int) amount { return amount{lo: uint64(weight)} }

// Sum returns a+b, or the largest int: weights are never negative.
func Sum(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

// times returns d n times, or the longest duration.
func times(d time.Duration, n int) time.Duration {
	if d > 0 && n > int(min(math.MaxInt, int64(math.MaxInt64/d))) {
		return math.MaxInt64
	}
	return d * time.Duration(n)
}

// later returns at+d, or the largest instant.
func later(at int64, d time.Duration) int64 {
	if sum := at + int64(d); sum >= at {
		return sum
	}
	return math.MaxInt64
}
