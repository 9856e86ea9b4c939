package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/steptask/scheduler/internal/claims"
)

// Limiter bounds what the nodes of one or more groups use at a time: volumes
// being made, units of an API's budget. Nodes say what they use with
// [GroupOptions.Claims], and tasks within nodes with [Claiming].
//
// Nodes whose claims cannot be met wait in line. Claims on several Limiters are
// acquired together or not at all. Capacity that a waiting node needs is reserved
// for it, so light claims cannot starve a heavy one.
//
// The order is this. Nodes of a group that claim the same have one place in line,
// which the first of them in key order uses (with [GroupOptions.Priority] the most
// urgent one, with [GroupOptions.Estimate] the one with the longest remaining path). Places are served in the order of asking,
// whichever group or run they are of. When a node has started, the others with the
// same claims ask again, behind all that wait: groups take turns, however many
// nodes each has. A place whose turn comes while its group is full
// ([GroupOptions.Limit]) asks again as well, once there is room.
//
// A node that runs a group only waits for it: what the node has claimed is lent to
// the nodes inside, for as long as each of them runs. They go before all nodes
// outside, and wait in line only among themselves. So they are never kept waiting
// by the node around them, nor by nodes in line for what it holds. A loan takes no
// Interval. The same holds for a run that a call started with the call's context
// ([Blocking], [Fetch], [Call], [Poll]).
//
// A place whose turn has come is kept for its run: a run that nobody steps holds
// up those behind it, until it is stepped, stopped or cancelled.
//
// A Limiter is safe for concurrent use by runs on different goroutines: a budget
// usually belongs to the process. Waiting is by event and holds no goroutine. Its
// intervals are measured by the machine's monotonic clock, for all runs that have
// no [Clock] of their own; runs that have one and share a Limiter with an Interval
// must share the Clock.
type Limiter struct {
	name  string
	lines *claims.Limiter
}

// LimiterOptions say what a [Limiter] bounds. At least one of Capacity and
// Interval must be given.
type LimiterOptions struct {
	Name     string        // what errors and explanations call it
	Capacity int           // how much may be in use at a time; 0 is no bound
	Interval time.Duration // the time between two starts, for each unit that the first one claims; 0 is none
}

// NewLimiter returns a Limiter of which nothing is in use. It panics with an
// [*OptionError] if an option is negative or nothing is bounded.
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
func (l *Limiter) String() string { return l.name }

// InUse returns how much is in use. It may be called from any goroutine.
func (l *Limiter) InUse() int { return l.lines.InUse() }

// Waiting returns how many places in line there are: for each group at most one of
// each combination of Limiters and weights. It may be called from any goroutine.
func (l *Limiter) Waiting() int { return l.lines.Waiting() }

// SetCapacity changes how much may be in use at a time: 0 lets nothing start until
// there is more. It takes effect at once; what is in use stays so, even if it is
// more than n. A claim above the capacity waits for a higher one, and nothing is
// reserved for it meanwhile; that is no deadlock. When there is enough it comes
// back to its place in line. SetCapacity may be called from any goroutine, and
// panics with an [*OptionError] if n is negative.
func (l *Limiter) SetCapacity(n int) {
	if n < 0 {
		panic(&OptionError{Option: "Limiter.SetCapacity", Reason: fmt.Sprintf("negative number %d", n)})
	}
	l.lines.SetCapacity(n)
}

// Claim is what a node uses of a [Limiter] from its start to its end.
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
			return nil, &OptionError{Option: option, Reason: "a Limiter that NewLimiter did not make"}
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
