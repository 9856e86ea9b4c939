package temporal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/temporal"
)

// pause makes a task that takes a while, under an ID.
type pause func(id string, d time.Duration) scheduler.Task

func inProcess(_ string, d time.Duration) scheduler.Task { return scheduler.Pause(scheduler.After(d)) }

func inWorkflow(id string, d time.Duration) scheduler.Task { return temporal.Timer(id, d) }

// service is ready after a while, and takes as long to end.
func service(pause pause, k string, d time.Duration, end func()) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Await(pause(k+" up", d)); err != nil {
			return err
		}
		co.Ready()
		if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
			return err
		}
		if err := co.Yield(scheduler.After(d)); err != nil {
			return err
		}
		end()
		return nil
	})
}

var shop = edges{{"db", nil}, {"api", []string{"db"}}, {"web", []string{"api"}}, {"job", []string{"api"}}, {"report", []string{"job"}}}

// shopGroup runs two services on each other, one that nothing requires, and jobs.
func shopGroup(t *testing.T, pause pause, trace *[]string, o scheduler.GroupOptions[string]) scheduler.Task {
	t.Helper()
	o.Observer = scheduler.ObserverFunc(func(r scheduler.Record) { *trace = append(*trace, r.Path()+" "+r.To.String()) })
	return newGroup(t, shop, func(k string) scheduler.Task {
		switch k {
		case "db", "api", "web":
			return service(pause, k, time.Duration(len(k))*time.Second, func() { *trace = append(*trace, k+" is down") })
		}
		return pause(k, time.Duration(len(k))*time.Minute)
	}, &o)
}

// Services are ready and end in the same order in one process and in a workflow.
func TestOrder_of_services(t *testing.T) {
	for _, o := range []scheduler.GroupOptions[string]{
		{},
		{Limit: 1},
		{Reverse: true},
		{Grace: time.Hour},
		{Grace: time.Second},
		{Timeout: func(string) time.Duration { return 5 * time.Minute }},
	} {
		var here, there []string
		want := scheduler.Run(t.Context(), shopGroup(t, inProcess, &here, o),
			&scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})})
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, shopGroup(t, inWorkflow, &there, o), temporal.Options{})
		})
		require.Equal(t, here, there)
		require.Equal(t, want == nil, env.GetWorkflowError() == nil, "%v, %v", want, env.GetWorkflowError())
		require.Contains(t, there, "db ready")
	}
	var trace []string
	env := newEnv(t)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		return temporal.Drive(ctx, shopGroup(t, inWorkflow, &trace, scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}), temporal.Options{})
	})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []string{
		"db running", "db ready", "api running", "api ready", "web running", "job running", "web ready", "job succeeded",
		"report running", "report succeeded", "web is down", "web succeeded", "api is down", "api succeeded", "db is down", "db succeeded",
	}, trace)
}

// A workflow that is cancelled gives services their grace, one after the other.
func TestDrive_cancelled_with_services(t *testing.T) {
	env := newEnv(t)
	var trace []string
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		return temporal.Drive(ctx, shopGroup(t, inWorkflow, &trace, scheduler.GroupOptions[string]{}), temporal.Options{Grace: time.Hour})
	})
	require.Error(t, env.GetWorkflowError())
	var down []string
	for _, line := range trace {
		if len(line) > 4 && line[len(line)-4:] == "down" {
			down = append(down, line)
		}
	}
	require.Equal(t, []string{"web is down", "api is down", "db is down"}, down)
}

// A run that continues as new ends its services, and starts those again that are still
// needed.
func TestWalk_of_services(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		graph := temporal.Graph{Nodes: []temporal.Node{
			{Key: "db"},
			{Key: "api", Requires: []string{"db"}},
			{Key: "early"},
			{Key: "a", Requires: []string{"api", "early"}},
			{Key: "b", Requires: []string{"a"}},
			{Key: "c", Requires: []string{"b"}},
			{Key: "watch"},
		}}
		if reverse {
			graph = temporal.Graph{Nodes: []temporal.Node{
				{Key: "watch"},
				{Key: "c"},
				{Key: "b", Requires: []string{"c"}},
				{Key: "a", Requires: []string{"b"}},
				{Key: "early", Requires: []string{"a"}},
				{Key: "api", Requires: []string{"a"}},
				{Key: "db", Requires: []string{"api"}},
			}}
		}
		var trace, heard []string
		run := temporal.Run{Graph: graph}
		runs := 0
		for again := true; again; runs++ {
			env := newEnv(t)
			if runs == 0 {
				env.RegisterDelayedCallback(func() { env.SetCurrentHistoryLength(100) }, 10*time.Second) // while a runs: b starts with its end
			}
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				err := temporal.Walk(ctx, &run, func(n temporal.Node) scheduler.Task {
					switch n.Key {
					case "db", "api", "early", "watch":
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							if err := co.Await(temporal.Timer(n.Key, time.Duration(len(n.Key))*time.Second)); err != nil {
								return err
							}
							co.Ready()
							trace = append(trace, "+"+n.Key)
							err := co.Yield(scheduler.On(co.Stopping()))
							trace = append(trace, "-"+n.Key)
							return err
						})
					}
					return scheduler.Sequence(temporal.Timer(n.Key, 8*time.Second),
						scheduler.Func(func(context.Context) error { trace = append(trace, n.Key); return nil }))
				}, &scheduler.GroupOptions[string]{
					Reverse: reverse, Grace: time.Hour,
					Observer: scheduler.ObserverFunc(func(r scheduler.Record) { heard = append(heard, r.Path()) }),
				}, temporal.Options{MaxHistory: 50})
				again = errors.Is(err, scheduler.ErrDrained)
				if again {
					return nil
				}
				return err
			})
			require.NoError(t, env.GetWorkflowError())
			trace = append(trace, fmt.Sprint("run ", runs))
		}
		want := []string{
			"+db", "+early", "+watch", "+api", "a", "b", "-api", "-early", "-watch", "-db", "run 0",
			"+db", "+early", "+watch", "+api", "c", "-api", "-early", "-watch", "-db", "run 1",
		}
		if reverse { // the nodes have other places
			want = []string{
				"+db", "+watch", "+early", "+api", "a", "b", "-watch", "-early", "-api", "-db", "run 0",
				"+db", "+watch", "+early", "+api", "c", "-watch", "-early", "-api", "-db", "run 1",
			}
		}
		require.Equal(t, want, trace)
		require.Contains(t, heard, "db")
		require.True(t, run.Checkpoint.Completed.Has(index(graph, "a")))
		require.False(t, run.Checkpoint.Completed.Has(index(graph, "db")), "it starts again while c needs it")
		require.False(t, run.Checkpoint.Completed.Has(index(graph, "watch")), "it starts again while anything but services is left")
	}
}

func index(g temporal.Graph, key string) int {
	return slices.IndexFunc(g.Nodes, func(n temporal.Node) bool { return n.Key == key })
}

// A service that nothing pending needs is completed, and nodes inside of nodes that are
// ready do not count.
func TestWalk_of_services_that_are_done(t *testing.T) {
	run := temporal.Run{Graph: temporal.Graph{Nodes: []temporal.Node{
		{Key: "db"},
		{Key: "a", Requires: []string{"db"}},
		{Key: "b"},
		{Key: "nested"},
		{Key: "c", Requires: []string{"b", "nested"}},
		{Key: "d", Requires: []string{"c"}},
		{Key: "e", Requires: []string{"d"}},
	}}}
	started := map[string]int{}
	for again := true; again; {
		env := newEnv(t)
		countEvents(env)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			err := temporal.Walk(ctx, &run, func(n temporal.Node) scheduler.Task {
				started[n.Key]++
				up := func(id string, _ time.Duration) scheduler.Task {
					return temporal.Activity[string](id, quick, Echo, "")
				}
				switch n.Key {
				case "db":
					return service(up, n.Key, time.Second, func() {})
				case "nested":
					return newGroup(t, edges{{"nested", nil}, {"user", []string{"nested"}}}, func(k string) scheduler.Task {
						if k == "user" {
							return temporal.Timer(k, time.Second)
						}
						return service(up, k, time.Second, func() {})
					}, nil)
				}
				return up(n.Key, 0)
			}, &scheduler.GroupOptions[string]{Grace: time.Hour}, temporal.Options{MaxHistory: 12})
			again = errors.Is(err, scheduler.ErrDrained)
			if again {
				return nil
			}
			return err
		})
		require.NoError(t, env.GetWorkflowError())
	}
	require.Equal(t, map[string]int{"db": 1, "a": 1, "b": 1, "nested": 1, "c": 1, "d": 1, "e": 1}, started)
	require.NotNil(t, run.Checkpoint, "it was continued")
}
