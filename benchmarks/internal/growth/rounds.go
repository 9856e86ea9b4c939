package growth

import (
	"context"
	"time"

	"github.com/steptask/scheduler"
)

// rounds are those of which a round must cost what is due, whatever else waits:
// rounds in which one member is due.
func rounds() []Row {
	const many = 2000
	waiting := func(name string, of func(n int, busy scheduler.Task) *group) Row {
		return Row{Name: "2000 rounds while n wait " + name, Uses: "DependencyTaskGroup.Step", N: 1000, Constant: true, Ready: func(n int) func() {
			g := of(n, scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil }))
			for range 100 { // what the first rounds sort out for later ones is no part of it
				started(g)
			}
			return func() {
				for range many {
					started(g)
				}
			}
		}}
	}
	// beside has node 0 busy, and others of a kind.
	beside := func(busy scheduler.Task, task func(i int) scheduler.Task) func(i int) scheduler.Task {
		return func(i int) scheduler.Task {
			if i == 0 {
				return busy
			}
			return task(i)
		}
	}
	unclaimed := func(o *options) *options {
		claims := o.Claims
		o.Claims = func(i int) []scheduler.Claim {
			if i == 0 {
				return nil
			}
			return claims(i)
		}
		return o
	}
	return []Row{
		waiting("for rounds", func(n int, busy scheduler.Task) *group {
			return newGroup(wide(n), beside(busy, func(int) scheduler.Task { return scheduler.Pause(scheduler.Rounds(1 << 30)) }), nil)
		}),
		waiting("for a time", func(n int, busy scheduler.Task) *group {
			return newGroup(wide(n), beside(busy, func(int) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }), nil)
		}),
		waiting("for an event", func(n int, busy scheduler.Task) *group { return newGroup(wide(n), beside(busy, forever), nil) }),
		waiting("for others to end", func(n int, busy scheduler.Task) *group { return newGroup(chain(n), beside(busy, forever), nil) }),
		waiting("for the Limit", func(n int, busy scheduler.Task) *group {
			return newGroup(wide(n), beside(busy, forever), &options{Limit: 1})
		}),
		waiting("for claims, and the Limit", func(n int, busy scheduler.Task) *group {
			o := unclaimed(hosts(limiter(1)))
			o.Limit = 2
			return newGroup(wide(n), beside(busy, forever), o)
		}),
		waiting("for a claim", func(n int, busy scheduler.Task) *group {
			return newGroup(wide(n), beside(busy, forever), unclaimed(hosts(limiter(1))))
		}),
		waiting("for an Interval", func(n int, busy scheduler.Task) *group {
			l := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Hour})
			return newGroup(wide(n), beside(busy, forever), unclaimed(hosts(l)))
		}),
		waiting("for claims in groups inside", func(n int, busy scheduler.Task) *group {
			l, deps := limiter(1), wide(1)
			return newGroup(wide(n), beside(busy, func(int) scheduler.Task { return newGroup(deps, forever, hosts(l)) }), nil)
		}),
		waiting("for claims of a part", func(n int, busy scheduler.Task) *group {
			l := limiter(1)
			return newGroup(wide(n), beside(busy, func(i int) scheduler.Task {
				return scheduler.Claiming([]scheduler.Claim{one(l)}, forever(i))
			}), nil)
		}),
		waiting("with a limit of their own", func(n int, busy scheduler.Task) *group {
			return newGroup(wide(n), beside(busy, forever), &options{Timeout: func(int) time.Duration { return time.Hour }})
		}),
	}
}
