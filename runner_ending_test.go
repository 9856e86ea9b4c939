package scheduler

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The parts of a runner that are about its end, each beside a plain model of it.

// plainEnding is what has happened to a runner. What becomes of it is found by a look at
// all of that.
type plainEnding struct {
	causes    []error // of Stop
	timeouts  []plainTimeout
	cutWith   []error
	killed    bool
	cancelled bool
	byKill    bool // what has closed the task
	byGrace   bool
	thrown    error   // that was to be thrown in when it was killed
	failed    []error // what came out of the task
}

// plainTimeout is a Timeout that was thrown in. It is said if the error says it that the
// task has answered with.
type plainTimeout struct {
	err         *Timeout
	waits, said bool
}

// before returns the last Timeout that is in no answer, or nil.
func (p *plainEnding) before() error {
	for _, t := range slices.Backward(p.timeouts) {
		if !t.waits && !t.said {
			return t.err
		}
	}
	return nil
}

// outcome returns the errors in what the last step reports, and those that are in the
// result besides.
func (p *plainEnding) outcome() (reported, besides []error) {
	reported = append(reported, p.failed...)
	reported = append(reported, p.causes[:min(1, len(p.causes))]...)
	besides = append(besides, p.before())
	for _, t := range p.timeouts {
		if t.waits {
			besides = append(besides, t.err)
		}
	}
	if p.killed {
		reported = append(reported, ErrCancelled)
	}
	if p.cancelled {
		besides = append(besides, ErrCancelled)
	}
	switch {
	case p.byKill:
		reported = append(reported, p.before(), p.thrown)
	case !p.byGrace:
	case p.before() != nil:
		reported = append(reported, p.before())
	case len(p.cutWith) > 0:
		reported = append(reported, p.cutWith[0])
	case len(p.causes) == 0:
		besides = append(besides, ErrCancelled)
	}
	return reported, besides
}

// unsaid returns what the result has to say of it while it is not over.
func (p *plainEnding) unsaid() []error {
	said := []error{p.before()}
	for _, t := range p.timeouts {
		if t.waits {
			said = append(said, t.err)
		}
	}
	if p.byKill {
		said = append(said, p.thrown)
	}
	if p.byGrace && p.before() == nil && len(p.cutWith) > 0 {
		if _, ok := p.cutWith[0].(*StopError); !ok { //nolint:errorlint // That very one.
			said = append(said, p.cutWith[0])
		}
	}
	return said
}

// leaves returns the texts of the errors that others consist of, each once.
func leaves(errs ...error) (texts []string) {
	for _, err := range errs {
		switch e := err.(type) { //nolint:errorlint // One level at a time.
		case nil:
		case interface{ Unwrap() []error }:
			texts = append(texts, leaves(e.Unwrap()...)...)
		default:
			texts = append(texts, err.Error())
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// endingLife is a runnerEnding and its model, to which the same happens.
type endingLife struct {
	*testing.T
	*rand.Rand
	e    runnerEnding
	p    plainEnding
	errs int
}

func (l *endingLife) oneIn(n int) bool { return l.IntN(n) == 0 }

func (l *endingLife) err() error {
	l.errs++
	return fmt.Errorf("error %d", l.errs)
}

func (l *endingLife) errOrNil() error {
	if l.oneIn(2) {
		return nil
	}
	return l.err()
}

// goOn makes something happen after which the task goes on.
func (l *endingLife) goOn() {
	require.True(l, l.e.isInForce())
	require.NoError(l, l.e.result())
	require.Equal(l, leaves(l.p.unsaid()...), leaves(l.e.unsaid()))
	switch l.IntN(4) {
	case 0:
		cause, graced, first := l.errOrNil(), l.oneIn(2), l.e.given() == nil
		l.e.stop(cause, false, graced)
		if cause == nil {
			cause = ErrCancelled
		}
		l.p.causes = append(l.p.causes, cause)
		require.Equal(l, &StopError{Cause: l.p.causes[0], final: true}, l.e.given())
		if first {
			require.Equal(l, graced, l.e.isUntold())
		}
	case 1:
		if l.e.isUntold() {
			require.Same(l, l.e.given(), l.e.tell())
		}
		require.False(l, l.e.isUntold())
	case 2:
		err := l.err()
		if l.oneIn(2) {
			err = &StopError{Cause: err}
		}
		l.e.cutOffWith(err)
		l.p.cutWith = append(l.p.cutWith, err)
	default:
		l.timeOut()
		l.answer(nil)
	}
}

// timeOut throws a Timeout into the task.
func (l *endingLife) timeOut() {
	t := &Timeout{Task: l.err().Error()}
	l.e.timeOut(t)
	l.p.timeouts = append(l.p.timeouts, plainTimeout{err: t, waits: true})
}

// answer answers the last Timeout.
func (l *endingLife) answer(err error) {
	last := &l.p.timeouts[len(l.p.timeouts)-1]
	last.waits, last.said = false, err != nil && slices.Contains(leaves(err), last.err.Error())
	l.e.answer(err)
}

// answerToEnd answers the last Timeout with the end of the task.
func (l *endingLife) answerToEnd() error {
	err := l.errOrNil()
	if l.oneIn(3) {
		err = join(l.p.timeouts[len(l.p.timeouts)-1].err, err)
	}
	l.answer(err)
	return l.fail(err)
}

// fail is the end of the task.
func (l *endingLife) fail(err error) error {
	l.p.failed = append(l.p.failed, err)
	if n := l.e.given(); n != nil && l.oneIn(2) {
		err = join(n, err) // the notice is none of its failures
	}
	return err
}

// close closes the task, which may take time, and reports whether it was cancelled
// meanwhile.
func (l *endingLife) close() (failed error, cancelled bool) {
	if l.oneIn(2) {
		l.e.beginClose()
		require.True(l, l.e.isClosing())
		require.False(l, l.e.isInForce())
		require.Equal(l, leaves(l.p.unsaid()...), leaves(l.e.unsaid()))
		l.maybeKill()
		if l.oneIn(3) {
			return nil, true
		}
	}
	return l.e.closed(l.fail(l.errOrNil())), false
}

// maybeKill kills a runner that is ending, where that is only said.
func (l *endingLife) maybeKill() {
	if l.oneIn(3) {
		l.e.kill(nil)
		l.p.killed = true
	}
}

// end ends the task, and reports whether the runner was cancelled before.
func (l *endingLife) end() (failed error, cancelled bool) {
	switch l.IntN(6) {
	case 0:
		return l.fail(l.errOrNil()), false
	case 1:
		l.timeOut()
		return l.answerToEnd(), false
	case 2:
		l.timeOut()
		l.e.await()
		require.False(l, l.e.isInForce() || l.e.isClosing() || l.e.isOver())
		require.Equal(l, leaves(l.p.unsaid()...), leaves(l.e.unsaid()))
		l.maybeKill()
		switch l.IntN(3) {
		case 0:
			return nil, true
		case 1:
			return l.answerToEnd(), false
		}
		l.answer(nil)
	case 3:
		l.p.killed, l.p.byKill, l.p.thrown = true, true, l.errOrNil()
		l.e.kill(l.p.thrown)
	case 4:
		l.p.byGrace = true
		l.e.cutOff()
		require.Equal(l, l.p.before(), l.e.endsFor())
	default:
		return nil, true
	}
	return l.close()
}

func TestRunnerEnding_against_a_look_at_all(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20_000) {
		l := &endingLife{T: t, Rand: rand.New(rand.NewPCG(seed, 1))}
		for range l.IntN(6) {
			l.goOn()
		}
		failed, cancelled := l.end()
		var reported error
		if l.p.cancelled = cancelled; cancelled {
			thrown, ofClose := l.errOrNil(), l.errOrNil()
			l.p.failed = append(l.p.failed, thrown, ofClose)
			l.e.cancel(thrown)
			l.e.closedWith(ofClose)
		} else {
			reported = l.e.finish(failed)
		}
		want, besides := l.p.outcome()
		if !cancelled {
			require.Equal(t, leaves(want...), leaves(reported), "seed %d: %+v", seed, l.p)
		}
		require.Equal(t, leaves(append(besides, want...)...), leaves(l.e.result()), "seed %d: %+v", seed, l.p)
		require.True(t, l.e.isOver())
	}
}

// offered is a deadline that was offered to a runner.
type offered struct {
	at   int64
	kind deadlineKind
}

func TestRunnerDeadline_against_a_list(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		var d runnerDeadline
		d.init()
		var offers []offered
		graces := []int64{never} // that were given, whatever counts now
		for range 12 {
			now, span := random.Int64N(20), time.Duration(random.Int64N(20))
			switch random.IntN(3) {
			case 0:
				d.limit(now, span)
				offers = append(offers, offered{now + int64(span), throwTimeout})
			case 1:
				d.cancel(now+int64(span), span)
				offers = append(offers, offered{now + int64(span), closeCancel})
				graces = append(graces, now+int64(span))
			default:
				if d.isLimit() { // and has passed
					d.grant(now, span)
					offers = []offered{{min(now+int64(span), slices.Min(graces)), closeTimedOut}}
				}
			}
			want := offered{at: never}
			for _, o := range offers {
				if want.kind == noDeadline || o.at < want.at {
					want = o
				}
			}
			end := want.at
			if want.kind == throwTimeout && span > 0 {
				end = min(want.at+1+int64(span), slices.Min(graces))
			}
			require.Equal(t, want, offered{d.end(), d.kind}, "seed %d", seed)
			require.Equal(t, end, d.endWith(span), "seed %d", seed)
		}
	}
}
