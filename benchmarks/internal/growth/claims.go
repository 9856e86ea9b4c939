package growth

import (
	"context"
	"io"
	"time"

	"github.com/steptask/scheduler"
)

func limiter(capacity int) *scheduler.Limiter {
	return scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: capacity})
}

func one(l *scheduler.Limiter) scheduler.Claim { return scheduler.Claim{Limiter: l, Weight: 1} }

// hosts claims one of a common Limiter, and one of a Limiter of each node's own.
func hosts(common *scheduler.Limiter) *options {
	return &options{Claims: func(int) []scheduler.Claim { return []scheduler.Claim{one(common), one(limiter(1))} }}
}

// locked is a group of n nodes that hold one of a Limiter and want another one
// inside.
func locked(n int) *group {
	l := limiter(n)
	claims := func(int) []scheduler.Claim { return []scheduler.Claim{one(l)} }
	return newGroup(wide(n), func(int) scheduler.Task {
		return scheduler.Sequence(once(0), newGroup(wide(1), nothing, &options{Claims: func(int) []scheduler.Claim {
			return []scheduler.Claim{{Limiter: l, Weight: 2}}
		}}))
	}, &options{Claims: claims})
}

func claims() []Row {
	many := func(common func(n int) *scheduler.Limiter, limit int) func(n int) *options {
		return func(n int) *options {
			o := hosts(common(n))
			o.Limit = limit
			return o
		}
	}
	ten := func(int) *scheduler.Limiter { return limiter(10) }
	paced := func(int) *scheduler.Limiter {
		return scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Second})
	}
	within := func(opts func(n int) *options) func(n int) func() {
		return func(n int) func() {
			deps, held := wide(n), limiter(1)
			return func() {
				run(newGroup(wide(1), func(int) scheduler.Task { return newGroup(deps, once, opts(n)) },
					&options{Claims: func(int) []scheduler.Claim { return []scheduler.Claim{one(held)} }}))
			}
		}
	}
	return []Row{
		{Name: "claims on one Limiter, n nodes", Uses: "NewLimiter", N: 10_000, Ready: runs(wide, once, func(int) *options {
			l := limiter(10)
			return &options{Claims: func(int) []scheduler.Claim { return []scheduler.Claim{one(l)} }}
		})},
		{Name: "and on one of their own, n nodes", Uses: "NewLimiter", N: 1000, Ready: runs(wide, once, many(ten, 0))},
		{Name: "the same in a node that holds something", Uses: "NewLimiter", N: 1000, Ready: within(many(ten, 0))},
		{Name: "the same with a Limit of 20", Uses: "NewLimiter", N: 1000, Ready: runs(wide, once, many(ten, 20))},
		{Name: "n sets that are free at once, with a Limit of 20", Uses: "NewLimiter", N: 1000, Ready: func(n int) func() {
			deps := wide(n)
			return func() {
				common := limiter(n)
				run(newGroup(deps, once, &options{Limit: 20, Claims: func(i int) []scheduler.Claim {
					if i == 0 {
						return []scheduler.Claim{{Limiter: common, Weight: n}}
					}
					return []scheduler.Claim{one(common), one(limiter(1))}
				}}))
			}
		}},
		{Name: "the same with an Interval", Uses: "NewLimiter", N: 1000, Ready: runs(wide, once, many(paced, 0))},
		{Name: "the same with an Interval, in a node", Uses: "NewLimiter", N: 1000, Ready: within(many(paced, 0))},
		{Name: "n groups of a node on one Limiter", Uses: "NewLimiter", N: 1000, Ready: func(n int) func() {
			l, deps := limiter(10), wide(1)
			return func() {
				run(newGroup(wide(n), func(int) scheduler.Task {
					return newGroup(deps, once, &options{Claims: func(int) []scheduler.Claim { return []scheduler.Claim{one(l)} }})
				}, nil))
			}
		}},
		{Name: "n such groups, in nodes that hold something", Uses: "NewLimiter", N: 1000, Ready: func(n int) func() {
			l, deps, slots := limiter(10), wide(1), limiter(n)
			return func() {
				run(newGroup(wide(n), func(int) scheduler.Task {
					return newGroup(deps, once, &options{Claims: func(i int) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1 + i%3}} }})
				}, &options{Claims: func(int) []scheduler.Claim { return []scheduler.Claim{one(slots)} }}))
			}
		}},
		{Name: "n runs on one Limiter, stepped in turn", Uses: "NewLimiter", N: 1000, Ready: func(n int) func() {
			l, deps := limiter(10), wide(1)
			runners := make([]*scheduler.TaskRunner, n)
			for i := range runners {
				runners[i] = scheduler.NewTaskRunner(newGroup(deps, once, &options{
					Claims: func(int) []scheduler.Claim { return []scheduler.Claim{one(l)} },
				}), nil)
			}
			return func() {
				for _, r := range runners {
					check(r.Start(context.Background(), 0))
				}
				for _, r := range runners { // in the order of their turns
					check(r.RunToCompletion(context.Background(), 0))
				}
			}
		}},
		{Name: "n parts with a claim", Uses: "Claiming", N: 1000, Ready: func(n int) func() {
			l := limiter(10)
			all := make([]scheduler.Task, n)
			for i := range all {
				all[i] = scheduler.Claiming([]scheduler.Claim{one(l)}, once(i))
			}
			return func() { run(scheduler.All(all...)) }
		}},
		{Name: "Claiming, n deep", Uses: "Claiming", N: 10, Depth: true, Ready: inside(func(task scheduler.Task) scheduler.Task {
			return scheduler.Claiming([]scheduler.Claim{one(limiter(1))}, task)
		})},
		{Name: "a node that claims n Limiters", Uses: "NewLimiter", N: 100, Ready: func(n int) func() {
			all := make([]scheduler.Claim, n)
			for i := range all {
				all[i] = one(limiter(1))
			}
			return func() { run(newGroup(wide(1), nothing, &options{Claims: func(int) []scheduler.Claim { return all }})) }
		}},
		{Name: "explain n nodes, half hold and half wait", Uses: "DependencyTaskGroup.Explain DependencyTaskGroup.WriteTo Explanation.String ClaimWait.String", N: 1000, Ready: func(n int) func() {
			common := limiter(n / 2)
			g := started(newGroup(wide(n), forever, hosts(common)))
			return func() {
				for e := range g.Explain() {
					_ = e.String()
				}
				_, err := g.WriteTo(io.Discard)
				check(err)
			}
		}},
		{Name: "ask a Limiter n times while others wait", Uses: "Limiter.InUse Limiter.Waiting Limiter.String", N: 10_000, Ready: func(n int) func() {
			l := limiter(1)
			started(newGroup(wide(n), forever, hosts(l)))
			return func() {
				for range n {
					l.InUse()
					l.Waiting()
					_ = l.String()
				}
			}
		}},
		{Name: "pause and open a Limiter that n wait for", Uses: "Limiter.SetCapacity", N: 100, Ready: func(n int) func() {
			l := limiter(1)
			started(newGroup(wide(n), forever, hosts(l)))
			return func() {
				l.SetCapacity(0)
				l.SetCapacity(n)
			}
		}},
		{Name: "n nodes that lock each other", Uses: "DeadlockError.Error", N: 1000, Ready: func(n int) func() {
			g := locked(n)
			return func() {
				_ = scheduler.Run(context.Background(), g, nil).Error()
			}
		}},
	}
}
