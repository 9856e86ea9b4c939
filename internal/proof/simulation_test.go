package proof_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

var (
	simulateSeeds   = flag.Int("simulate.seeds", unlessReduced(2000, 300), "runs of TestSimulation")
	simulateSeed    = flag.Uint64("simulate.seed", 0, "replay one run of TestSimulation")
	simulateChoices = flag.String("simulate.choices", "", "replay the run of TestSimulation with these choices")
	simulateFor     = flag.Duration("simulate.for", 0, "go on with TestSimulation for so long, from a random seed on")
)

// TestSimulation makes whole runs with everything in them, each from a seed:
// groups in groups, coroutines and their subtasks, parked tasks, calls that block,
// claims, limits, deadlines; errors thrown in, stops, cancels, drains and the end
// of the context at random moments; panics, errors from Close, tasks that ignore
// it; observers that look in. After every step the invariants of simulation.check
// hold, and each run that is made again from its choices is the same to the byte.
func TestSimulation(t *testing.T) {
	if *simulateChoices != "" {
		c, err := parseChoices(*simulateChoices)
		require.NoError(t, err)
		s := simulate(t, c)
		require.Empty(t, s.broken, "%s", s.trace.String())
		return
	}
	began := time.Now()
	var sum simulationSum
	for seed := range simulatedSeeds(t, 1) {
		s := simulate(t, randomChoices(seed))
		if s.broken == "" {
			again := simulate(t, &choices{tape: s.c.made})
			if !bytes.Equal(s.trace.Bytes(), again.trace.Bytes()) {
				s.broken = "replayed, it is another run:\n" + again.trace.String() + "\nand was:\n" + s.trace.String()
			}
		}
		if s.broken != "" {
			t.Logf("seed %d: %s; replay: go test ./internal/proof -run '^TestSimulation$' -simulate.seed=%d", seed, s.broken, seed)
			small := s.c.shrink(func(c *choices) bool { return simulate(t, c).broken != "" })
			s = simulate(t, &choices{tape: small.made})
			t.Fatalf("smaller: go test ./internal/proof -run '^TestSimulation$' -simulate.choices=%s\n%s\n%s", small, s.broken, s.trace.String())
		}
		sum.add(s)
	}
	t.Logf("%+v in %v", sum, time.Since(began).Round(time.Millisecond))
	if *simulateSeed == 0 && sum.Runs >= 1000 {
		// The generator is worth nothing if it does not get to the interesting places.
		for _, n := range []int{sum.Failed, sum.TimedOut, sum.Cancelled, sum.Skipped, sum.Panics, sum.Blocking, sum.Waits, sum.Outside, sum.Abandoned, sum.Added} {
			require.Positive(t, n)
		}
	}
}

// simulatedSeeds returns the seeds of a test's runs, which are so many times as many as those
// of TestSimulation.
func simulatedSeeds(t *testing.T, times int) iter.Seq[uint64] {
	first, count := uint64(1), times**simulateSeeds
	if *simulateFor > 0 {
		first = rand.Uint64N(1 << 40)
	}
	if *simulateSeed != 0 {
		first, count = *simulateSeed, 1
	}
	t.Logf("from seed %d; replay: go test ./internal/proof -run '^%s$' -simulate.seed=%d", first, t.Name(), first)
	began := time.Now()
	return func(yield func(uint64) bool) {
		for seed := first; ; seed++ {
			isOver := seed-first == uint64(count)
			if *simulateFor > 0 && *simulateSeed == 0 {
				isOver = time.Since(began) > *simulateFor
			}
			if isOver || !yield(seed) {
				return
			}
		}
	}
}

type simulationSum struct {
	Runs, Steps, Tasks, TaskSteps, Groups, Blocking, Outside, Panics, Waits, Abandoned, Added int
	Succeeded, Failed, TimedOut, Cancelled, Skipped                                           int
}

func (sum *simulationSum) add(s *simulation) {
	sum.Runs++
	sum.Steps += s.steps
	sum.Tasks += len(s.tasks)
	sum.TaskSteps += s.taskSteps
	sum.Groups += len(s.groups)
	sum.Blocking += s.blocking
	sum.Outside += s.outside
	sum.Panics += s.panics
	sum.Waits += s.waits
	sum.Added += s.added
	sum.Abandoned += s.abandoned
	sum.Succeeded += s.ended[scheduler.StateSucceeded]
	sum.Failed += s.ended[scheduler.StateFailed]
	sum.TimedOut += s.ended[scheduler.StateTimedOut]
	sum.Cancelled += s.ended[scheduler.StateCancelled]
	sum.Skipped += s.ended[scheduler.StateSkipped]
}

// simulation is one run.
type simulation struct {
	c        *choices
	trace    bytes.Buffer
	broken   string // what was found first
	began    time.Time
	latest   time.Time // the latest reading of a clock
	runner   *scheduler.TaskRunner
	inner    []*scheduler.TaskRunner // that may be killed
	tasks    []*simTask
	groups   []*simGroup
	calls    []*simCall
	inCalls  atomic.Int64 // tasks that run in runs in calls
	limiters []*scheduler.Limiter
	others   sync.WaitGroup // runs that use them
	capacity []int
	events   []scheduler.Event
	errs     int
	mu       sync.Mutex // of trace and broken

	limit      time.Time     // of the context; zero: none, or it has ended
	hasAbandon bool          // calls may be left behind
	release    chan struct{} // ends those that never return
	slept      time.Duration // by steps that take long
	stepped    atomic.Int64  // when the last whole step began
	delayed    atomic.Int64  // slept, after the last whole step
	unwound    bool          // something in this step waits for what it closes, such as a panic on its way up
	stopped    int           // after which step the run was stopped, from 1 on; 0: not
	killed     int           // the same for Kill

	steps, taskSteps, blocking, outside, panics, waits, abandoned, added int
	ended                                                                [scheduler.StateSkipped + 1]int
}

// simulate makes the run of these choices, in a bubble of its own.
func simulate(t *testing.T, c *choices) (s *simulation) {
	s = &simulation{c: c}
	defer func() {
		if v := recover(); v != nil { // of the bubble: a goroutine or coroutine is left
			s.breaks("%v", v)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		s.release = make(chan struct{})
		s.began = time.Now()
		s.latest = s.began
		s.run()
		close(s.release)
		s.restore()
		s.others.Wait()
		if s.hasAbandon { // else each call has returned
			time.Sleep(24 * time.Hour) //nolint:forbidigo // in a bubble
		}
		s.finishAll()
	})
	return s
}

func (s *simulation) breaks(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == "" {
		s.broken = fmt.Sprintf(format, args...)
		s.trace.WriteString("BROKEN: " + s.broken + "\n")
	}
}

func (s *simulation) require(ok bool, format string, args ...any) {
	if !ok {
		s.breaks(format, args...)
	}
}

func (s *simulation) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.trace, "%v ", time.Since(s.began))
	fmt.Fprintf(&s.trace, format, args...)
	s.trace.WriteByte('\n')
}

// read is told of each time that the run hands out.
func (s *simulation) read(at time.Time) {
	s.require(!at.Before(s.latest), "a clock was read backwards")
	s.latest = at
}

func (s *simulation) err(kind string) error {
	s.errs++
	return fmt.Errorf("%s%d", kind, s.errs)
}

func (s *simulation) span() time.Duration { return time.Duration(s.c.pick(6)) * time.Second }

func (s *simulation) run() {
	for range 1 + s.c.pick(2) {
		capacity, interval := 1+s.c.pick(3), time.Duration(s.c.pick(4)/3)*time.Second
		if interval > 0 && s.c.one(4) {
			capacity = 0 // no bound
		}
		s.capacity = append(s.capacity, capacity)
		s.limiters = append(s.limiters, scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: capacity, Interval: interval}))
	}
	s.events = make([]scheduler.Event, 2)
	wake := make(chan struct{}, 1)
	opts := &scheduler.RunnerOptions{Name: "root", Grace: s.span() * time.Duration(s.c.pick(2)), Wake: func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}}
	if s.c.one(4) {
		opts.Timeout = s.span()*4 + time.Second
	}
	if s.hasAbandon = s.c.one(4); s.hasAbandon {
		opts.Abandon = s.span() + s.callDelay() + 333 // at no instant at which a call ends
	}
	opts.EndCalls = s.c.one(6)
	s.runner = scheduler.NewTaskRunner(s.group(simPlace{depth: 2, passes: true}).task(), opts)
	wait := time.Duration(s.c.pick(2)) * time.Second
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if s.c.one(6) {
		s.limit = time.Now().Add(s.span()*2 + s.callDelay())
		var release context.CancelFunc
		ctx, release = context.WithDeadline(ctx, s.limit)
		defer release()
	}
	defer context.AfterFunc(ctx, opts.Wake)()
	outsideAt := -1
	if s.c.one(2) {
		outsideAt = s.c.pick(8)
	}

	s.step(func() { _ = s.runner.Start(ctx, 0) })
	asleep := 0
	for !s.runner.Done() {
		if s.steps > 3000 {
			s.breaks("the run does not end")
			break
		}
		if s.steps >= outsideAt && outsideAt >= 0 && s.c.one(2) {
			s.fromOutside(cancel)
			outsideAt += 1 + s.c.pick(4)
			if s.runner.Done() {
				break
			}
		}
		if ctx.Err() != nil {
			s.stop(context.Cause(ctx))
			ctx = context.WithoutCancel(ctx)
			s.setLimit(time.Time{})
		}
		synctest.Wait()
		if due := s.runner.Due(); !due.Ready() {
			pause := time.Hour
			if at, ok := due.Time(); ok {
				pause = time.Until(at)
			}
			if due.Rounds() > 0 {
				pause = min(pause, wait)
			}
			s.require(due != scheduler.Yield{}, "nothing would ever happen again")
			if pause > 0 {
				timer := time.NewTimer(pause)
				select {
				case <-wake:
				case <-timer.C:
				}
				timer.Stop()
			}
			if pause == time.Hour && s.wakeAll(&asleep) {
				s.note("cancelled: it slept for ever")
				s.recovered(func() { _ = s.runner.Cancel() })
				break
			}
		}
		synctest.Wait() // all that happens at this instant has happened
		select {
		case <-wake:
		default:
		}
		s.step(func() { _, _ = s.runner.Step(ctx) })
	}
	s.finish()
}

// step makes a step of the run, and then checks. No time passes in it but what its
// tasks take: nothing waits for a call.
func (s *simulation) step(step func()) {
	s.steps++
	s.unwound = false
	before, slept := time.Now(), s.slept
	s.recovered(step)
	took := time.Since(before) - (s.slept - slept)
	s.require(took == 0 || s.unwound, "a step was held up for %v", took)
	synctest.Wait() // what it has set in motion is done, if that takes no time
	s.stepped.Store(before.UnixNano())
	s.delayed.Store(int64(s.slept))
	s.check()
}

// takesLong is what a step does that takes so long.
func (s *simulation) takesLong(d time.Duration) {
	s.slept += d
	time.Sleep(d)   //nolint:forbidigo // in a bubble
	synctest.Wait() // calls that end at this very instant have ended
}

func (s *simulation) setLimit(limit time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
}

// deadline returns that of the run's context.
func (s *simulation) deadline() (limit time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit, !s.limit.IsZero()
}

// recovered calls code out of which a panic of a task may come.
func (s *simulation) recovered(code func()) {
	defer func() {
		if v := recover(); v != nil {
			s.panics++
			s.unwound = true
			text := fmt.Sprint(v)
			s.note("panic: %s", text)
			s.require(strings.Contains(text, "simulated"), "a panic of the engine: %s\n%s", text, debug.Stack())
			outcome := s.runner.Err() // Cancel has ended it whatever Close does
			s.require(s.runner.Done() && (errors.Is(outcome, scheduler.ErrAborted) || errors.Is(outcome, scheduler.ErrCancelled)), "after a panic the run has ended: %v, with %v", s.runner.Done(), outcome)
			s.require(!s.runner.Post(func() {}), "a run takes posts that a panic has ended")
			isOfOption := strings.Contains(text, "simulated in When") || strings.Contains(text, "simulated in Claims")
			s.require(!s.groups[0].opts.RecoverPanics || isOfOption, "a panic of a task went up through a group that recovers it")
		}
	}()
	code()
}

// check is made after every step.
func (s *simulation) check() {
	for _, g := range s.groups {
		g.check()
	}
	for i, l := range s.limiters {
		used := l.InUse()
		s.require((used <= s.capacity[i] || s.capacity[i] == 0) && used >= 0, "a capacity of %d is exceeded: %d", s.capacity[i], used)
		s.waits += l.Waiting()
	}
}

func (s *simulation) finish() {
	s.check()
	s.require(s.runner.Done(), "the runner has not ended")
	s.note("ended: %v", s.runner.Err())
	for i, task := range s.tasks {
		s.require(!task.started || task.ended, "task %d was started and has not ended", i)
	}
	for _, g := range s.groups {
		g.finish()
	}
	for _, c := range s.calls {
		c.finish()
	}
}

// finishAll is made when calls that were left behind have returned too.
func (s *simulation) finishAll() {
	s.require(s.inCalls.Load() == 0, "a run in a call has not ended")
	for _, l := range s.limiters {
		s.require(l.InUse() == 0 && l.Waiting() == 0, "something is left claimed: %d, or in line: %d", l.InUse(), l.Waiting())
	}
}
