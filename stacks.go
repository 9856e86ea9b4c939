package scheduler

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// stacks are what all runs know of where goroutines stand.
var stacks goroutineStacks

// goroutineStacks is the last look at all goroutines. A look stops the process, so
// that those who ask at the same time share one, and there is no look when the last
// ones have taken too much time.
type goroutineStacks struct {
	mu     sync.Mutex
	at     time.Time        // when it began
	text   []byte           // what runtime.Stack said
	places map[int64][2]int // where in the text each goroutine is
	spent  lookBudget
}

const (
	stacksMost = 4 << 20 // bytes: of very many goroutines the last ones are not seen
	stacksEach = 1 << 10 // bytes: the room for one, as a guess
	stacksKept = 100 * time.Millisecond
)

// of returns the stacks of goroutines, but for those that were not found. since is from
// when on they have done what is asked about: one that makes calls does one after the
// other.
func (s *goroutineStacks) of(ids []int64, since time.Time) map[int64][]byte {
	if len(ids) == 0 {
		return nil
	}
	asked := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.Before(since) || !s.isGood(ids, asked) {
		s.look()
	}
	found := make(map[int64][]byte, len(ids))
	for _, id := range ids {
		if at, ok := s.places[id]; ok {
			found[id] = bytes.Clone(s.text[at[0]:at[1]])
		}
	}
	return found
}

// isGood reports whether the last look will do: it has all of the goroutines and is
// not old. One that began while this call waited for the lock is good, however long
// it has taken.
func (s *goroutineStacks) isGood(ids []int64, asked time.Time) bool {
	age := time.Since(s.at)
	if s.at.Before(asked) && (age < 0 || age >= stacksKept) {
		return false
	}
	for _, id := range ids {
		if _, ok := s.places[id]; !ok {
			return false
		}
	}
	return true
}

// look takes a look, or forgets the last one if there is no time for another.
func (s *goroutineStacks) look() {
	s.at, s.text, s.places = time.Now(), nil, nil
	if !s.spent.allows(s.at) {
		return
	}
	buf := make([]byte, min(max(runtime.NumGoroutine()*stacksEach, 1<<16), stacksMost))
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < stacksMost {
		buf = make([]byte, min(4*len(buf), stacksMost))
		n = runtime.Stack(buf, true)
	}
	s.text, s.places = buf[:n], map[int64][2]int{}
	begin := 0
	for stack := range bytes.SplitSeq(s.text, []byte("\n\n")) {
		s.places[numberIn(stack)] = [2]int{begin, begin + len(stack)}
		begin += len(stack) + len("\n\n")
	}
	s.spent.spend(time.Since(s.at))
}

// lookBudget is the time that looks may take: a tenth of all time, of which lookMost
// can be saved.
type lookBudget struct {
	spent time.Duration // of what was saved
	at    time.Time     // when that was known
}

const lookMost = time.Second

// allows reports whether there is time for a look.
func (b *lookBudget) allows(now time.Time) bool {
	b.spent = max(b.spent-max(now.Sub(b.at), 0)/10, 0)
	b.at = now
	return b.spent < lookMost
}

// spend notes how long a look has taken.
func (b *lookBudget) spend(took time.Duration) { b.spent += took }

// goroutineID returns the number by which stacks name this goroutine.
func goroutineID() int64 {
	var buf [64]byte
	return numberIn(buf[:runtime.Stack(buf[:], false)])
}

// numberIn returns the number of the goroutine whose stack it is.
func numberIn(stack []byte) int64 {
	rest, _ := bytes.CutPrefix(stack, []byte("goroutine "))
	number, _, _ := bytes.Cut(rest, []byte(" "))
	id, _ := strconv.ParseInt(string(number), 10, 64)
	return id
}
