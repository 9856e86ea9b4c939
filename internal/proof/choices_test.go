package proof_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// choices is where a generator takes its decisions from: at random, or from an
// earlier run's, which can so be replayed and made smaller. The first of the
// possibilities, 0, should always be the simplest.
type choices struct {
	made []int
	rng  *rand.Rand // nil: from tape, and 0 after its end
	tape []int
}

func randomChoices(seed uint64) *choices { return &choices{rng: rand.New(rand.NewPCG(seed, 42))} }

// pick chooses one of n possibilities.
func (c *choices) pick(n int) int {
	choice := 0
	switch at := len(c.made); {
	case c.rng != nil:
		choice = c.rng.IntN(n)
	case at < len(c.tape):
		choice = c.tape[at] % n
	}
	c.made = append(c.made, choice)
	return choice
}

// fuzzedChoices takes its decisions from bytes, one from each.
func fuzzedChoices(data []byte) *choices {
	c := &choices{tape: make([]int, len(data))}
	for i, b := range data {
		c.tape[i] = int(b)
	}
	return c
}

// left reports whether some of the tape is.
func (c *choices) left() bool { return len(c.made) < len(c.tape) }

// one says yes once in n times.
func (c *choices) one(n int) bool { return c.pick(n) == n-1 }

// String is what the flags for choices take.
func (c *choices) String() string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(c.made)), ","), "[]")
}

func parseChoices(text string) (*choices, error) {
	c := &choices{}
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		c.tape = append(c.tape, n)
	}
	return c, nil
}

// shrink makes choices smaller as long as they still fail, and returns the
// smallest that it found within some attempts.
func (c *choices) shrink(fails func(*choices) bool) *choices {
	best, attempts := c, 30_000
	try := func(tape []int) bool {
		if attempts--; attempts < 0 {
			return false
		}
		next := &choices{tape: tape}
		if !fails(next) || !smaller(next.made, best.made) {
			return false
		}
		best = next
		return true
	}
	for improved := true; improved && attempts > 0; {
		improved = false
		for size := len(best.made) / 2; size > 0; size /= 2 {
			for at := 0; at+size <= len(best.made); {
				without := append(append([]int{}, best.made[:at]...), best.made[at+size:]...)
				zeroed := append([]int{}, best.made...)
				clear(zeroed[at : at+size])
				if try(without) || try(zeroed) {
					improved = true
				} else {
					at += size
				}
			}
		}
		for at := 0; at < len(best.made); at++ {
			for at < len(best.made) && best.made[at] > 0 {
				lower := append([]int{}, best.made...)
				lower[at]--
				if !try(lower) {
					break
				}
				improved = true
			}
		}
	}
	return best
}

// smaller orders by length and then by value.
func smaller(a, b []int) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
