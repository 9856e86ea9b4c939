package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/steptask/scheduler/internal/claims"
)

// Limiter bounds how much of a resource is used at the same time, such as volumes
// under creation, by nodes that claim it with [GroupOptions.Claims], and by tasks
// within nodes that claim it with [Claiming]. Several runs may share it. Any
// goroutine may call its methods.
//
// Nodes whose claims cannot be met wait in line, without a goroutine. Claims on
// several Limiters are acquired together or not at all: when there is enough of each
// for the node and for all before it in line. So light claims cannot starve a heavy
// one.
//
// The line is in the order of asking, across groups and runs. Nodes of one group with
// the same claims share one place in it, which the most urgent of them uses (Priority,
// Estimate, key order). The others queue again at the end, so groups take turns; and
// so does a place whose group is full (Limit), once there is room. A served place is
// reserved for its run: a run that nobody steps blocks those behind it.
//
// A node lends its claims to the nodes of a group that it runs, and to runs that its
// calls start with their contexts. Whatever these claim, they have a line of their own
// in the node, which is served before the one outside and so cannot be blocked by it.
// Lines in different nodes reserve nothing for each other: what becomes free goes to
// the first to have asked for whom it is enough, so light claims in one node can keep
// a heavy one in another waiting. A loan takes no Interval. Runs that share a Limiter
// with an Interval must have the same Clock.
type Limiter struct {
	name  string
	lines *claims.Limiter
}

// LimiterOptions are the bounds of a [Limiter]. At least one of Capacity and Interval
// must be given.
type LimiterOptions struct {
	Name     string        // its name in errors and explanations
	Capacity int           // how much may be in use at the same time; 0 means no bound
	Interval time.Duration // the time between two starts, times the weight of the first; 0 means none
}

// NewLimiter returns a Limiter. It panics with an [*OptionError] if the options are
// invalid.
func NewLimiter(opts LimiterOptions) *Limiter {
	switch {
	case opts.Capacity < 0:
		panic(&OptionError{Option: "LimiterOptions.Capacity", Reason: fmt.Sprintf("negative number %d", opts.Capacity)})
	case opts.Interval < 0:
		panic(checkDuration("LimiterOptions.Interval", opts.Interval))
	case opts.Capacity == 0 && opts.Interval == 0:
		panic(&OptionError{Option: "LimiterOptions", Reason: "neither Capacity nor Interval"})
	case opts.Name == "":
		opts.Name = "limiter"
	}
	return &Limiter{opts.Name, claims.NewLimiter(opts.Capacity, opts.Interval)}
}

// String returns the Limiter's name.
func (l *Limiter) String() string {
	if l == nil {
		panicNil("Limiter.String")
	}
	return l.name
}

// InUse returns how much is in use.
func (l *Limiter) InUse() int { return l.must("InUse").InUse() }

// Waiting returns the number of places in line.
func (l *Limiter) Waiting() int { return l.must("Waiting").Waiting() }

// must returns what NewLimiter has made, and panics without it.
func (l *Limiter) must(method string) *claims.Limiter {
	if l == nil || l.lines == nil {
		panic("scheduler: Limiter." + method + ": zero Limiter; use NewLimiter")
	}
	return l.lines
}

// SetCapacity changes how much may be in use at the same time, at once; 0 pauses.
// What is in use stays in use, even above n. A claim above the capacity waits until
// it rises; nothing is reserved for it, and it does not count as a deadlock.
// SetCapacity panics with an [*OptionError] if n is negative.
func (l *Limiter) SetCapacity(n int) {
	lines := l.must("SetCapacity")
	if n < 0 {
		panic(&OptionError{Option: "Limiter.SetCapacity", Reason: fmt.Sprintf("negative number %d", n)})
	}
	lines.SetCapacity(n)
}

// Claim is how much of a [Limiter] a node uses from its start to its end.
type Claim struct {
	Limiter *Limiter
	Weight  int // at least 1
}

// mergeClaims checks claims and returns them with one for each Limiter. option is
// what errors call them.
func mergeClaims(option string, given []Claim) ([]Claim, error) {
	var merged []Claim
	var known map[*Limiter]int // where a Limiter's claim is, if there are many
	if len(given) > 8 {
		known = map[*Limiter]int{}
	}
	for _, c := range given {
		switch {
		case c.Limiter == nil:
			return nil, &OptionError{Option: option, Reason: "nil Limiter"}
		case c.Limiter.lines == nil:
			return nil, &OptionError{Option: option, Reason: "zero Limiter; use NewLimiter"}
		case c.Weight < 1:
			return nil, &OptionError{Option: option, Reason: fmt.Sprintf("weight %d of %s is below 1", c.Weight, c.Limiter)}
		}
		i, ok := known[c.Limiter]
		if known == nil {
			i = slices.IndexFunc(merged, func(m Claim) bool { return m.Limiter == c.Limiter })
			ok = i >= 0
		}
		if ok {
			merged[i].Weight = claims.Sum(merged[i].Weight, c.Weight)
			continue
		}
		if known != nil {
			known[c.Limiter] = len(merged)
		}
		merged = append(merged, c)
	}
	for _, c := range merged {
		if _, most := c.Limiter.lines.Capacity(); c.Weight > most {
			return nil, &OptionError{
				Option: option,
				Reason: fmt.Sprintf("weight %d of %s exceeds its capacity %d", c.Weight, c.Limiter, most),
			}
		}
	}
	return merged, nil
}

// newTicket returns a ticket for merged claims.
func newTicket(asker *claims.Asker, place *claims.Holding, owner claimant, merged []Claim) *claims.Ticket {
	wants := make([]claims.Claim, len(merged))
	for i, c := range merged {
		wants[i] = claims.Claim{Limiter: c.Limiter.lines, Weight: c.Weight}
	}
	t := claims.NewTicket(asker, place, wants)
	t.Owner = owner
	return t
}

// hasInterval reports whether time matters for one of the claims.
func hasInterval(merged []Claim) bool {
	return slices.ContainsFunc(merged, func(c Claim) bool { return c.Limiter.lines.HasInterval() })
}

// limiterClock is the time of Limiters for all runs by the system's clock: each of
// these has its own reading of the wall, but one monotonic clock is behind them.
var limiterClock = newSystemClock()

// limiterTime returns the time of Limiters for a run, and the difference to the
// run's own instants.
func limiterTime(source timeSource) (now int64, ahead time.Duration) {
	if _, ok := source.(*systemClock); !ok {
		return instantOf(source), 0
	}
	now = instantOf(limiterClock)
	return now, time.Duration(instantOf(source) - now)
}
