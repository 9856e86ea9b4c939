package scheduler

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Yield is the result of a step: the task is [Done], or wants its next step in a
// later round, at a time or after an [Event]. A zero Yield with a nil error fails the
// task with [ErrNoYield]. Yields are comparable with ==.
type Yield struct {
	// Four words and four fields: more would not stay in registers, which
	// makes every step several times slower.
	event *Event
	at    int64 // instant, with yieldAt
	after int64 // nanoseconds from the step on, with yieldAfter
	code  uint64
}

// code is a set of these, with the number of rounds above yieldShift.
const (
	yieldDone uint64 = 1 << iota
	yieldNext
	yieldRounds
	yieldAfter
	yieldAt
	yieldEvent
	yieldClaims // besides yieldEvent: all that it waits for is claims on Limiters
	yieldServes // besides yieldClaims: its times and rounds are those of services, which go on for ever
	yieldEnding // besides yieldEvent: it is ending already
	yieldFailed // besides yieldEnding: it has failed, whatever grace it has

	yieldShift = 10
)

var (
	// Done says that the task is complete.
	Done = Yield{code: yieldDone}

	// Next asks for a step in the next round.
	Next = Yield{code: yieldNext}
)

// Rounds asks for a step in the n-th round from now. Rounds(n) for n <= 1 is [Next].
func Rounds(n int) Yield {
	if n <= 1 {
		return Next
	}
	return Yield{code: yieldRounds | uint64(min(n, math.MaxInt32))<<yieldShift}
}

// After asks for a step once d has passed since the end of this one, by the run's
// clock.
func After(d time.Duration) Yield {
	return Yield{after: int64(d), code: yieldAfter}
}

// At asks for a step at the time t of the run's clock (see [Now]); at once if that is
// past.
func At(t time.Time) Yield {
	return Yield{at: instant(t), code: yieldAt}
}

// On asks for a step as soon as one of the events is set, at once if one is set
// already. It takes at least one event.
func On(events ...*Event) Yield {
	if len(events) == 0 {
		panic("scheduler: On: no event")
	}
	for _, e := range events {
		if e == nil {
			panic("scheduler: On: nil event")
		}
	}
	if len(events) == 1 {
		return Yield{event: events[0], code: yieldEvent}
	}
	return Yield{event: anyOf(slices.Clone(events)), code: yieldEvent}
}

// Or returns a Yield that is due when y or z is, whichever is earlier. With
// [Done] it is Done.
func (y Yield) Or(z Yield) Yield {
	if (y.code|z.code)&yieldDone != 0 {
		return Done
	}
	r := Yield{code: (y.code | z.code) & (1<<yieldShift - 1)}
	if y.code != 0 && z.code != 0 {
		r.code &^= (yieldClaims | yieldServes | yieldEnding | yieldFailed) &^ (y.code & z.code)
	}
	if r.code&yieldNext != 0 {
		r.code &^= yieldRounds
	} else if r.code&yieldRounds != 0 {
		r.code |= earlier(y.rounds(), z.rounds()) << yieldShift
	}
	r.at = earlierOf(y.at, y.code&yieldAt, z.at, z.code&yieldAt)
	r.after = earlierOf(y.after, y.code&yieldAfter, z.after, z.code&yieldAfter)
	switch {
	case y.event == nil || y.event == z.event:
		r.event = z.event
	case z.event == nil:
		r.event = y.event
	default:
		r.event = anyOf([]*Event{y.event, z.event})
	}
	return r
}

// earlier returns the smaller of two numbers of rounds, 0 being none.
func earlier(m, n uint64) uint64 {
	if m == 0 || n != 0 && n < m {
		return n
	}
	return m
}

// earlierOf returns the smaller of those that are present.
func earlierOf(a int64, hasA uint64, b int64, hasB uint64) int64 {
	switch {
	case hasA == 0:
		return b
	case hasB == 0:
		return a
	}
	return min(a, b)
}

// rounds is Rounds without the conversions.
func (y Yield) rounds() uint64 {
	if y.code&yieldNext != 0 {
		return 1
	}
	return y.code >> yieldShift
}

// Rounds returns the number of rounds that y asks for, and 0 if it does not wait for
// rounds.
func (y Yield) Rounds() int { return int(y.rounds()) }

// Time returns the time that y waits for, and whether there is one. A Yield made by
// After has none until [TaskRunner.Due] returns it.
func (y Yield) Time() (time.Time, bool) {
	if y.code&yieldAt == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, y.at), true
}

// Ready reports whether y is due without consulting the clock: because its event is
// set, or its time is long past.
func (y Yield) Ready() bool {
	return y.event != nil && y.event.IsSet() || y.code&yieldAt != 0 && y.at == past
}

// In returns how long after now, a time of the run's clock, y is due: 0 if its time
// has passed, or if y is Ready, Done or waits for rounds. It returns false if only an
// event makes y due.
func (y Yield) In(now time.Time) (wait time.Duration, ok bool) {
	switch {
	case y.Ready(), y.code&yieldDone != 0, y.rounds() > 0:
		return 0, true
	case y.code&(yieldAt|yieldAfter) == 0:
		return 0, false
	}
	at := int64(time.Unix(0, y.at).Sub(now))
	return time.Duration(max(0, earlierOf(at, y.code&yieldAt, y.after, y.code&yieldAfter))), true
}

// String describes what y waits for.
func (y Yield) String() string {
	var parts []string
	add := func(has uint64, text string) {
		if y.code&has != 0 {
			parts = append(parts, text)
		}
	}
	add(yieldDone, "done")
	add(yieldNext, "next")
	add(yieldRounds, fmt.Sprintf("%d rounds", y.rounds()))
	add(yieldAfter, "after "+time.Duration(y.after).String())
	if y.at == past {
		add(yieldAt, "now")
	} else {
		add(yieldAt, "at "+time.Unix(0, y.at).UTC().Format(time.RFC3339Nano))
	}
	add(yieldEvent, "event")
	if len(parts) == 0 {
		return "no yield"
	}
	return strings.Join(parts, " or ")
}

// now is a Yield that is due whatever the clock says.
var now = Yield{at: past, code: yieldAt}

// absolute returns y with the time given by After made one of the clock.
func (y Yield) absolute(clock timeSource) Yield {
	if y.code&yieldAfter != 0 {
		at := later(instantOf(clock), time.Duration(y.after))
		y.at = earlierOf(y.at, y.code&yieldAt, at, yieldAt)
		y.code = y.code&^yieldAfter | yieldAt
		y.after = 0
	}
	if y.at == never {
		y.at = never - 1 // the end of the scale is a time, if a late one
	}
	return y
}
