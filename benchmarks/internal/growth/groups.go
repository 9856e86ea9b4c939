package growth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

type (
	group   = scheduler.DependencyTaskGroup[int]
	options = scheduler.GroupOptions[int]
)

var errFails = errors.New("it fails")

func nothing(int) scheduler.Task { return scheduler.Func(func(context.Context) error { return nil }) }

func fails(int) scheduler.Task {
	return scheduler.Func(func(context.Context) error { return errFails })
}
func once(int) scheduler.Task    { return scheduler.Pause(scheduler.Next) }
func forever(int) scheduler.Task { return scheduler.Pause(scheduler.On(new(scheduler.Event))) }

func newGroup(deps *scheduler.Dependencies[int], task func(int) scheduler.Task, opts *options) *group {
	return must(scheduler.NewDependencyTaskGroup(deps, task, opts))
}

// runs makes a run of a group whatever comes of it.
func runs(shape func(n int) *scheduler.Dependencies[int], task func(int) scheduler.Task, opts func(n int) *options) func(n int) func() {
	return func(n int) func() {
		deps := shape(n)
		check(deps.Validate())
		return func() { run(newGroup(deps, task, opts(n))) }
	}
}

func run(task scheduler.Task) {
	_ = scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})})
}

// started makes a group with its first step made.
func started(g *group) *group {
	_, _ = g.Step(context.Background())
	return g
}

// mixed is a group of n nodes in all states: some done, some failed, with those after
// them skipped, some running, and some that wait for those.
func mixed(n int) *group {
	return started(newGroup(layered(n), func(i int) scheduler.Task {
		switch i % 5 {
		case 0:
			return nothing(i)
		case 1:
			return fails(i)
		}
		return forever(i)
	}, &options{AggregateErrors: true}))
}

// service is ready at once, and ends when it is told to.
func service(int) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		co.Ready()
		return co.Yield(scheduler.On(co.Stopping()))
	})
}

// behindService is a group to which n nodes were added that require a service, which was
// asked to end before.
func behindService(n int) *group {
	g := started(newGroup(wide(1), func(int) scheduler.Task {
		return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
			scheduler.Ready(ctx)
			return scheduler.On(new(scheduler.Event)), nil
		})
	}, &options{KeepOpen: true, Grace: scheduler.NoLimit}))
	g.StopNode(0, errFails)
	for i := range n {
		check(g.Add(i+1, 0))
	}
	return g
}

// of gives a group to an operation.
func of(of func(n int) *group, op func(g *group, n int)) func(n int) func() {
	return func(n int) func() {
		g := of(n)
		return func() { op(g, n) }
	}
}

func none(int) *options { return nil }

// stream makes a run of a group to which n nodes are added by its first one, of which
// the i-th requires what required says.
func stream(required func(i int) []int) func(n int) func() {
	return func(n int) func() {
		return func() {
			var g *group
			g = newGroup(wide(1), func(k int) scheduler.Task {
				if k != 0 {
					return nothing(k)
				}
				i := 0
				return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
					if i == n {
						g.CloseInput()
						return scheduler.Done, nil
					}
					check(g.Add(i+1, required(i)...))
					i++
					return scheduler.Next, nil
				})
			}, &options{KeepOpen: true})
			run(g)
		}
	}
}

// servicesBesideClaims makes a run of a group to which n services are added, each of
// which ends before the next one comes. All the time one node waits for what the first
// one holds, so that whether anything can go on is asked again and again.
func servicesBesideClaims(n int) func() {
	return func() {
		const adding, waiting = 0, 1
		var g *group
		held := limiter(1)
		g = newGroup(wide(2), func(k int) scheduler.Task {
			switch {
			case k == waiting:
				return nothing(k)
			case k > waiting:
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					co.Ready()
					return co.Yield(scheduler.Next)
				})
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for i := range n {
					check(g.Add(waiting + 1 + i))
					check(co.Yield(scheduler.Rounds(3)))
				}
				g.CloseInput()
				return nil
			})
		}, &options{KeepOpen: true, Claims: func(k int) []scheduler.Claim {
			if k == adding || k == waiting {
				return []scheduler.Claim{one(held)}
			}
			return nil
		}})
		run(g)
	}
}

func groups() []Row {
	return []Row{
		{Name: "make and run n nodes in layers", Uses: "NewDependencyTaskGroup Run DependencyTaskGroup.Step", N: 10_000, Ready: runs(layered, nothing, none)},
		{Name: "make and run a chain of n", Uses: "NewDependencyTaskGroup Run", N: 10_000, Ready: runs(chain, nothing, none)},
		{Name: "make and run a hub of n", Uses: "NewDependencyTaskGroup Run", N: 10_000, Ready: runs(star, once, none)},
		{Name: "the same in reverse", Uses: "NewDependencyTaskGroup", N: 1000, Ready: runs(layered, nothing, func(int) *options { return &options{Reverse: true} })},
		{Name: "Limit and Estimate, n nodes", Uses: "NewDependencyTaskGroup", N: 10_000, Ready: runs(layered, once, func(int) *options {
			return &options{Limit: 10, Estimate: func(i int) time.Duration { return time.Duration(i % 7) }}
		})},
		{Name: "Completed, n nodes", Uses: "NewDependencyTaskGroup", N: 10_000, Ready: runs(layered, nothing, func(int) *options {
			return &options{Completed: func(i int) bool { return i%3 == 0 }}
		})},
		{Name: "Budget of 10, n nodes", Uses: "NewDependencyTaskGroup", N: 10_000, Ready: runs(wide, once, func(int) *options { return &options{Budget: 10} })},
		{Name: "Timeout, n nodes", Uses: "NewDependencyTaskGroup", N: 10_000, Ready: runs(layered, once, func(int) *options {
			return &options{Timeout: func(int) time.Duration { return time.Hour }}
		})},
		{Name: "n nodes that time out", Uses: "Timeout.Error", N: 1000, Ready: runs(wide, forever, func(int) *options {
			return &options{AggregateErrors: true, Timeout: func(i int) time.Duration { return time.Duration(i+1) * time.Millisecond }}
		})},
		{
			Name: "log of n nodes", Uses: "NewLogObserver LogObserver.Observe",
			N: 1000, Ready: runs(layered, once, func(int) *options {
				return &options{Observer: scheduler.NewLogObserver(slog.New(slog.NewTextHandler(io.Discard, nil)))}
			}),
		},
		{Name: "n observers of a node", Uses: "Observers ObserverFunc.Observe", N: 10, Ready: func(n int) func() {
			all := make([]scheduler.Observer, n)
			for i := range all {
				all[i] = scheduler.ObserverFunc(func(scheduler.Record) {})
			}
			return func() { run(newGroup(wide(1), nothing, &options{Observer: scheduler.Observers(all...)})) }
		}},
		{
			Name: "records of n nodes", Uses: "ObserverFunc.Observe ObserverFunc.Wants Record.Context Record.Group Record.Key Record.Node Record.Notes Record.Now Record.Path Record.Round Record.Task Record.Time Record.Took",
			N: 1000, Ready: runs(layered, once, func(int) *options {
				return &options{Observer: scheduler.ObserverFunc(readRecord)}
			}),
		},
		{Name: "n services, each of which needs the one before", Uses: "Ready Coroutine.Ready", N: 1000, Ready: runs(chain, service, none)},
		{Name: "the same under a Limit of 2", Uses: "Ready", N: 1000, Ready: runs(chain, service, func(int) *options { return &options{Limit: 2} })},
		{Name: "n services of a hub, under a Limit of 10", Uses: "Ready", N: 1000, Ready: runs(star, service, func(int) *options { return &options{Limit: 10} })},
		{Name: "n services that nothing needs", Uses: "Ready Coroutine.Ready", N: 1000, Ready: runs(wide, service, none)},
		{Name: "n nodes, skipped and stopped one by one", Uses: "DependencyTaskGroup.SkipNode DependencyTaskGroup.StopNode", N: 1000, Ready: func(n int) func() {
			return func() {
				var g *group
				g = newGroup(wide(n), func(i int) scheduler.Task {
					for k := i + 1; k < n; k += 2 {
						g.SkipNode(k, nil)
						g.StopNode(k+1, nil)
					}
					return nothing(i)
				}, &options{AggregateErrors: true})
				run(g)
			}
		}},
		{Name: "n running nodes, skipped one by one", Uses: "DependencyTaskGroup.SkipNode", N: 1000, Ready: func(n int) func() {
			return func() {
				var g *group
				g = newGroup(wide(n), func(i int) scheduler.Task {
					return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
						g.SkipNode(i, nil)
						return scheduler.Next, nil
					})
				}, &options{AggregateErrors: true})
				run(g)
			}
		}},
		{Name: "n nodes added one by one", Uses: "DependencyTaskGroup.Add DependencyTaskGroup.CloseInput", N: 10_000, Ready: stream(func(i int) []int {
			if i == 0 {
				return nil // and not the node that adds
			}
			return []int{i}
		})},
		{Name: "n services added one by one, while something waits for claims", Uses: "Ready DependencyTaskGroup.Add", N: 1000, Ready: servicesBesideClaims},
		{Name: "a hub of n added nodes", Uses: "DependencyTaskGroup.Add", N: 10_000, Ready: stream(func(int) []int { return []int{0} })},
		{Name: "the graph of n added nodes", Uses: "DependencyTaskGroup.Dependencies", N: 10_000, Ready: of(func(n int) *group {
			g := newGroup(wide(1), nothing, &options{KeepOpen: true})
			for i := range n {
				check(g.Add(i+1, i, i/2))
			}
			return g
		}, func(g *group, _ int) { g.Dependencies() })},
		{Name: "n groups, one in the other", Uses: "NewDependencyTaskGroup", N: 10, Depth: true, Ready: func(n int) func() {
			return func() { run(deep(n)) }
		}},
		{Name: "n steps that are late", Uses: "LogObserver.Observe", N: 1000, Ready: func(n int) func() {
			clock := schedulertest.NewClock(time.Time{})
			g := newGroup(wide(n), func(int) scheduler.Task {
				return scheduler.Func(func(context.Context) error { clock.Advance(time.Minute); return nil })
			}, &options{SlowStep: time.Second, Observer: scheduler.NewLogObserver(slog.New(slog.NewTextHandler(io.Discard, nil)))})
			return func() {
				check(scheduler.Run(context.Background(), g, &scheduler.RunnerOptions{Clock: clock}))
			}
		}},
	}
}

// readRecord asks a record for all that it has.
func readRecord(r scheduler.Record) {
	r.Context()
	r.Group()
	r.Node()
	r.Notes()
	r.Now()
	r.Round()
	r.Time()
	r.Took()
	_ = r.Path()
	if r.Node() >= 0 {
		r.Key()
		_ = r.Task()
	}
}

// viewed is a group with n nodes in all states, as those see it who do not know its
// keys.
func viewed(n int) scheduler.GroupView {
	var view scheduler.GroupView
	started(newGroup(layered(n), forever, &options{Observer: scheduler.ObserverFunc(func(r scheduler.Record) {
		view = r.Group()
	})}))
	return view
}

func deep(n int) scheduler.Task {
	task := once(0)
	for range n {
		inner := task
		task = newGroup(wide(1), func(int) scheduler.Task { return inner }, nil)
	}
	return task
}

func reading() []Row {
	return []Row{
		{Name: "states of n nodes", Uses: "DependencyTaskGroup.All DependencyTaskGroup.Running DependencyTaskGroup.Outcomes DependencyTaskGroup.Errors", N: 10_000, Ready: of(mixed, func(g *group, _ int) {
			for range g.All() {
			}
			drain(g.Running())
			drain(g.Outcomes())
			g.Errors()
		})},
		{Name: "ask each of n nodes of a group", Uses: "DependencyTaskGroup.State DependencyTaskGroup.Started DependencyTaskGroup.Err DependencyTaskGroup.WaitsFor DependencyTaskGroup.ExplainNode " +
			"DependencyTaskGroup.Count DependencyTaskGroup.Len DependencyTaskGroup.Rounds DependencyTaskGroup.String", N: 1000, Ready: of(mixed, func(g *group, n int) {
			for i := range n {
				g.State(i)
				g.Started(i)
				_ = g.Err(i)
				drain(g.WaitsFor(i))
				g.ExplainNode(i)
				g.Count(scheduler.StateRunning)
				g.Len()
				g.Rounds()
				_ = g.String()
			}
		})},
		{Name: "explain n nodes", Uses: "DependencyTaskGroup.Explain DependencyTaskGroup.WriteTo Explanation.String", N: 1000, Ready: of(mixed, func(g *group, _ int) {
			for e := range g.Explain() {
				_ = e.String()
			}
			_, err := g.WriteTo(io.Discard)
			check(err)
		})},
		{Name: "explain n nodes that wait for the end of a service", Uses: "DependencyTaskGroup.Explain DependencyTaskGroup.ExplainNode DependencyTaskGroup.WriteTo", N: 1000, Ready: of(behindService, func(g *group, n int) {
			drain(g.Explain())
			for i := range n {
				g.ExplainNode(i)
			}
			_, err := g.WriteTo(io.Discard)
			check(err)
		})},
		{Name: "draw a group of n nodes", Uses: "DependencyTaskGroup.WriteDOT DependencyTaskGroup.WriteMermaid", N: 1000, Ready: of(mixed, func(g *group, _ int) {
			check(g.WriteDOT(io.Discard))
			check(g.WriteMermaid(io.Discard))
		})},
		{Name: "the view of n nodes", Uses: "Group GroupView.Around GroupView.Count GroupView.Edges GroupView.Err GroupView.Estimate GroupView.Explain GroupView.Key GroupView.Keys GroupView.Len " +
			"GroupView.Name GroupView.NodePath GroupView.Notes GroupView.Path GroupView.Post GroupView.Requires GroupView.Rounds GroupView.Settings GroupView.State GroupView.String", N: 1000, Ready: func(n int) func() {
			v := viewed(n)
			return func() { readView(v, n) }
		}},
		{Name: "snapshots of n nodes", Uses: "DependencyTaskGroup.Snapshot Snapshot.Resume Snapshot.RollBack Snapshot.After", N: 10_000, Ready: of(mixed, func(g *group, n int) {
			s := g.Snapshot()
			later := scheduler.Snapshot[int]{}.After(s)
			done, undo := later.Resume(), later.RollBack()
			for i := range n {
				done(i)
				undo(i)
			}
		})},
	}
}

// readView asks a view for all that it has.
func readView(v scheduler.GroupView, n int) {
	_, _ = scheduler.Group[int](v)
	_, _, _ = v.Around()
	v.Settings()
	_, _, _ = v.Name(), v.Path(), v.String()
	v.Post(func() {})
	for range v.Edges() {
	}
	for range v.Keys() {
	}
	for i := range n {
		v.Count(v.State(i))
		_ = v.Err(i)
		v.Estimate(i)
		_ = v.Explain(i)
		v.Key(i)
		_ = v.NodePath(i)
		_ = v.Notes(i)
		drain(v.Requires(i))
		v.Len()
		v.Rounds()
	}
}
