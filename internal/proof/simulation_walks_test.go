package proof_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// TestSimulation_walks makes random walks of calls that do all kinds of things, with and
// without the options that ask for a group, and looks whether each keeps what Walk and
// those options promise: see simWalk.check. The same walk with an Observer, and so with a
// group from its beginning, must be the same to the byte.
func TestSimulation_walks(t *testing.T) {
	if *simulateChoices != "" {
		c, err := parseChoices(*simulateChoices)
		require.NoError(t, err)
		_, broken, text := tellSimWalk(t, c)
		require.Empty(t, broken, "%s", text)
		return
	}
	var sum simWalkSum
	for seed := range simulatedSeeds(t, 2) {
		c := randomChoices(seed)
		w, broken, text := tellSimWalk(t, c)
		if broken != "" {
			t.Logf("seed %d: %s\n%s", seed, broken, text)
			small := c.shrink(func(c *choices) bool { _, broken, _ := tellSimWalk(t, c); return broken != "" })
			_, broken, text := tellSimWalk(t, &choices{tape: small.made})
			t.Fatalf("smaller: go test ./internal/proof -run '^TestSimulation_walks$' -simulate.choices=%s\n%s\n%s", small, broken, text)
		}
		sum.add(w)
	}
	t.Logf("%+v", sum)
	if sum.Walks >= 600 {
		for _, n := range []int{sum.Plain, sum.Succeeded, sum.Failed, sum.Ended, sum.Panics, sum.Services, sum.Abandoned, sum.Late} {
			require.Greater(t, n, 5, "%+v", sum)
		}
	}
}

// simWalkSum is what walks came to.
type simWalkSum struct {
	Walks, Calls, Plain, Succeeded, Failed, Ended, Panics, Services, Abandoned, Late int
}

func (sum *simWalkSum) add(w *simWalk) {
	sum.Walks++
	sum.Calls += len(w.calls)
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	count(&sum.Plain, w.isPlain)
	count(&sum.Succeeded, w.result == nil && w.panicked == nil)
	count(&sum.Failed, errors.As(w.result, new(*scheduler.TaskError)))
	count(&sum.Ended, errors.Is(w.result, errSimEnd) || errors.Is(w.result, context.DeadlineExceeded))
	count(&sum.Panics, w.panicked != nil)
	count(&sum.Services, slices.ContainsFunc(w.calls, func(c *simWalkCall) bool { return c.ready }))
	count(&sum.Abandoned, errors.As(w.result, new(*scheduler.AbandonedError)))
	count(&sum.Late, errors.As(w.result, new(*scheduler.LateError)))
}

// tellSimWalk makes the walk of these choices, as it is and with a group from its beginning.
func tellSimWalk(t *testing.T, c *choices) (w *simWalk, broken, text string) {
	w = newSimWalk(c)
	watched := newSimWalk(&choices{tape: c.made})
	watched.opts.Observer = scheduler.ObserverFunc(watched.observe)
	watched.states = map[int]scheduler.State{}
	for _, w := range []*simWalk{w, watched} {
		if w.play(t); w.broken != "" {
			return w, w.broken, w.text()
		}
	}
	if sortedLines(w.text()) != sortedLines(watched.text()) {
		return w, "with an Observer it is another walk", w.text() + "\nand with an Observer:\n" + watched.text()
	}
	return w, "", w.text()
}

// simWalk is a walk under observation. What it does is settled beforehand: its calls run
// on their own.
type simWalk struct {
	isPlain  bool    // no option asks for a group
	needs    [][]int // by node, in the walked direction
	deeds    []simDeed
	takes    []time.Duration
	deaf     []time.Duration // how long a call goes on after it was told to end
	errs     []error         // with which it fails, if it does
	end      time.Duration   // of its context; 0: none
	isLimit  bool            // that is its deadline
	timeout  time.Duration
	verdict  []scheduler.Verdict // of When; nil: there is none
	ignores  func(k int) bool    // OnError ignores its failure
	spares   func(k int) bool    // a failure of it does not stop the walk
	limiter  *scheduler.Limiter
	capacity int
	weights  []int
	deps     *scheduler.Dependencies[int]
	opts     scheduler.GroupOptions[int]

	mu       sync.Mutex
	began    time.Time
	calls    []*simWalkCall // in the order of their beginnings
	byNode   []*simWalkCall
	notes    []string
	broken   string
	took     time.Duration
	result   error
	panicked any
	states   map[int]scheduler.State // nil: there is no Observer
	live     int                     // calls when Walk returned
	unnamed  int                     // of those, that OnError ignores
}

// simWalkCall is what is seen of a call.
type simWalkCall struct {
	node         int
	began, ended time.Duration
	ready, over  bool
	readyAt      time.Duration
	told         bool // it returned after it had to end
	timedOut     bool // it returned after its Timeout
	gone         bool // it panicked
	err          error
}

var errSimEnd = errors.New("simulated end")

// Spans are whole seconds and something of the node's own besides, or of the kind of
// event: no two things happen at the same instant, unless one is because of the other.
const (
	simEndAt     = 517 * time.Millisecond
	simTimeoutAt = 251 * time.Millisecond
	simAbandonAt = 703 * time.Millisecond
)

func newSimWalk(c *choices) *simWalk {
	seconds := func(n int) time.Duration { return time.Duration(c.pick(n)) * time.Second }
	n := 1 + c.pick(9)
	w := &simWalk{
		needs: make([][]int, n), byNode: make([]*simWalkCall, n), deps: scheduler.NewDependencies[int](),
		opts: scheduler.GroupOptions[int]{Name: "walk", Limit: c.pick(2) * c.pick(4), Reverse: c.one(4), RecoverPanics: c.one(3)},
	}
	w.ignores = func(int) bool { return false }
	w.spares = w.ignores
	if w.isPlain = !c.one(2); !w.isPlain {
		w.demand(c, n)
	}
	if c.one(4) && !w.opts.AggregateErrors {
		answers := make([]scheduler.Disposition, n)
		for k := range answers {
			answers[k] = scheduler.Disposition(1 + c.pick(3))
		}
		w.opts.OnError = func(k int, _ error) scheduler.Disposition { return answers[k] }
		w.ignores = func(k int) bool { return answers[k] == scheduler.IgnoreError }
		w.spares = func(k int) bool { return answers[k] != scheduler.StopGroup }
	} else if w.opts.AggregateErrors {
		w.spares = func(int) bool { return true }
	}
	if c.one(3) {
		w.end, w.isLimit = seconds(6)+simEndAt, c.one(2)
	}
	trouble := c.pick(8) // one of so many calls makes some
	for k := range n {
		w.deps.Add(k)
		for q := range k {
			if c.one(3) {
				w.deps.Add(k, q)
				a, b := k, q
				if w.opts.Reverse {
					a, b = q, k
				}
				w.needs[a] = append(w.needs[a], b)
			}
		}
		deed := simReturns
		if c.one(1 + trouble) {
			deed = simDeed(c.pick(int(simDeeds)))
		}
		if deed >= simServes && w.timeout > 0 && deed <= simServesBadly {
			deed = simReturns
		}
		w.deeds = append(w.deeds, deed)
		w.takes = append(w.takes, seconds(5)+1<<k)
		w.deaf = append(w.deaf, seconds(3)+1<<(9+k))
		w.errs = append(w.errs, fmt.Errorf("error of %d", k))
	}
	return w
}

// demand sets options that a walk has a group for from its beginning.
func (w *simWalk) demand(c *choices, n int) {
	if w.opts.AggregateErrors = c.one(3); c.one(3) {
		w.timeout = time.Duration(c.pick(5))*time.Second + simTimeoutAt
		w.opts.Timeout = func(int) time.Duration { return w.timeout }
	}
	if c.one(3) {
		w.opts.Abandon = time.Duration(c.pick(4))*time.Second + simAbandonAt
	}
	if c.one(3) {
		w.capacity = 1 + c.pick(3)
		w.limiter = scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: w.capacity})
		for range n {
			w.weights = append(w.weights, c.pick(1+w.capacity))
		}
		w.opts.Claims = func(k int) []scheduler.Claim {
			if w.weights[k] == 0 {
				return nil
			}
			return []scheduler.Claim{{Limiter: w.limiter, Weight: w.weights[k]}}
		}
	}
	if c.one(4) {
		for range n {
			w.verdict = append(w.verdict, scheduler.Verdict(c.pick(4)*c.pick(2)))
		}
		w.opts.When = func(k int, _ iter.Seq2[int, scheduler.State]) scheduler.Verdict { return w.verdict[k] }
	}
	if c.one(2) && (w.opts.Limit > 0 || w.opts.Claims != nil) {
		w.opts.Priority = func(k int) int { return k % 3 }
	}
	if c.one(6) {
		w.opts.Completed = func(k int) bool { return k%4 == 0 }
	}
	w.opts.Budget = c.pick(2) * c.pick(4)
	w.opts.Grace = []time.Duration{0, scheduler.NoGrace, time.Second}[c.pick(3)]
}

// play makes the walk in a bubble, and checks it.
func (w *simWalk) play(t *testing.T) {
	defer func() {
		if v := recover(); v != nil { // of the bubble: all wait, for ever
			w.breaks("%v", v)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w.began = time.Now()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		switch {
		case w.isLimit:
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, w.end)
			defer stop()
		case w.end > 0:
			time.AfterFunc(w.end, func() { cancel(errSimEnd) })
		}
		w.walk(ctx)
		w.check()
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble
		w.checkRest()
	})
}

func (w *simWalk) observe(r scheduler.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k, ok := r.Key().(int); ok && r.Kind == scheduler.NodeChanged {
		w.states[k] = r.To
	}
}

func (w *simWalk) walk(ctx context.Context) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.panicked, w.took = recover(), time.Since(w.began)
		for _, c := range w.calls {
			if !c.over {
				w.live++
				if w.ignores(c.node) {
					w.unnamed++
				}
			}
		}
		w.notes = append(w.notes, fmt.Sprintf("%015d Walk returns, panic %v:\n%v", w.took, w.panicked, w.result))
	}()
	w.result = scheduler.Walk(ctx, w.deps, w.call, &w.opts)
}

func (w *simWalk) text() string {
	slices.Sort(w.notes) // of what happens at the same instant
	return strings.Join(w.notes, "\n")
}

// sortedLines is for results of which parts may change places: calls that are left behind at
// the same instant.
func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (w *simWalk) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
	}
}

func (w *simWalk) require(ok bool, format string, args ...any) {
	if !ok {
		w.breaks(format, args...)
	}
}
