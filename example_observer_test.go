package scheduler_test

import (
	"context"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// A watcher of one's own: it keeps something for each group, and finds the groups
// inside.
func ExampleGroupObserver() {
	pause := func(k int) scheduler.Task { return scheduler.Pause(scheduler.After(time.Duration(k) * time.Second)) }
	deps := scheduler.NewDependencies[int]()
	deps.Add(3, 1, 2)
	outer, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
		if k < 3 {
			return pause(k)
		}
		inner, err := scheduler.NewDependencyTaskGroup(deps, pause, &scheduler.GroupOptions[int]{Name: "inner"})
		if err != nil {
			panic(err)
		}
		return inner
	}, &scheduler.GroupOptions[int]{Name: "outer", Observer: Slowest{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	clock := schedulertest.NewClock(time.Time{}) // the example needs no time
	fmt.Println(scheduler.Run(context.Background(), outer, &scheduler.RunnerOptions{Clock: clock}))
	// Output:
	// inner: 5s, longest 3/3: 3s
	// outer: 7s, longest 3: 5s
	// <nil>
}

// Slowest tells, of each group that ends, which node took longest.
type Slowest struct{}

// Observe is never called: ObserveGroup returns what is told the rest.
func (Slowest) Observe(scheduler.Record) {}

// ObserveGroup begins to watch a group.
func (Slowest) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	return &slowestOfGroup{began: make([]time.Time, begun.Group().Len())}
}

// slowestOfGroup is what is kept for one group.
type slowestOfGroup struct {
	Slowest // so that groups inside are watched too
	began   []time.Time
	path    string
	took    time.Duration
}

func (s *slowestOfGroup) Observe(r scheduler.Record) {
	switch {
	case r.Kind == scheduler.GroupEnded:
		fmt.Printf("%v: %v, longest %s: %v\n", r.Group(), r.Took(), s.path, s.took)
	case r.Kind == scheduler.NodeAdded: // to a group with KeepOpen
		s.began = append(s.began, time.Time{})
	case r.Kind != scheduler.NodeChanged:
	case r.To == scheduler.StateRunning:
		s.began[r.Node()] = r.Time()
	case r.To.Ended() && r.From != scheduler.StatePending:
		if took := r.Time().Sub(s.began[r.Node()]); took > s.took {
			s.path, s.took = r.Path(), took
		}
	}
}
