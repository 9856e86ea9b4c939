package temporal_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/temporal"
)

// The same graph, options and durations give the same order of starts and ends in
// one process and in a workflow.
func TestOrder(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			graph := randomGraph(random, 40)
			durations := map[string]time.Duration{}
			for i, n := range graph.Nodes {
				// Different for all sums: no two nodes end at one time.
				durations[n.Key] = time.Duration(random.IntN(100))*time.Second + time.Duration(1+i*i)*time.Millisecond
			}
			options := func(trace *[]string) *scheduler.GroupOptions[string] {
				o := &scheduler.GroupOptions[string]{
					Reverse: seed%2 == 0,
					Budget:  int(seed % 7),
					Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
						*trace = append(*trace, fmt.Sprintf("%s %s", tr.Path(), tr.To))
					}),
				}
				if seed%3 == 0 {
					o.Limit = 3
				}
				if seed%9 == 0 {
					o.Priority = func(k string) int { return len(k) }
				}
				if seed%4 == 1 {
					o.When = func(k string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
						verdict := scheduler.Verdict(len(k)+int(durations[k]/time.Millisecond)) % 4
						for _, state := range required {
							if state == scheduler.StateSkipped && verdict == scheduler.Usual {
								verdict = scheduler.Start
							}
						}
						return verdict
					}
				}
				if seed%6 == 0 {
					o.Estimate = func(k string) time.Duration { return durations[k] }
				}
				return o
			}
			group := func(task func(string) scheduler.Task, trace *[]string) scheduler.Task {
				deps, err := graph.Dependencies()
				require.NoError(t, err)
				g, err := scheduler.NewDependencyTaskGroup(deps, task, options(trace))
				require.NoError(t, err)
				return g
			}

			var inProcess []string
			require.NoError(t, scheduler.Run(t.Context(), group(func(k string) scheduler.Task {
				return scheduler.Pause(scheduler.After(durations[k]))
			}, &inProcess), &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})}))

			var inWorkflow []string
			env := newEnv(t)
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				return temporal.Drive(ctx, group(func(k string) scheduler.Task {
					return temporal.Timer(k, durations[k])
				}, &inWorkflow), temporal.Options{})
			})
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, inProcess, inWorkflow)
		})
	}
}

// Nodes that are added while a group runs start and end in the same order, too.
func TestOrder_added(t *testing.T) {
	group := func(pause func(string, time.Duration) scheduler.Task, trace *[]string) scheduler.Task {
		deps := scheduler.NewDependencies[string]()
		deps.Add("second", "first")
		var g *scheduler.DependencyTaskGroup[string]
		added := 0
		g, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
			// No two nodes end at one time.
			length := time.Duration(1+len(*trace)%7)*time.Second + time.Duration(len(*trace)*len(*trace))*time.Millisecond
			add := scheduler.Func(func(context.Context) error {
				if added == 20 {
					g.CloseInput()
					return nil
				}
				added += 2
				return errors.Join(
					g.Add(fmt.Sprintf("n%02d", added), "first"),
					g.Add(fmt.Sprintf("n%02d", added+1), fmt.Sprintf("n%02d", added)),
				)
			})
			return scheduler.Sequence(pause(k, length), add)
		}, &scheduler.GroupOptions[string]{
			KeepOpen: true,
			Limit:    3,
			Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
				*trace = append(*trace, fmt.Sprintf("%s %s", tr.Path(), tr.To))
			}),
		})
		require.NoError(t, err)
		return g
	}
	var inProcess, inWorkflow []string
	require.NoError(t, scheduler.Run(t.Context(), group(func(_ string, d time.Duration) scheduler.Task {
		return scheduler.Pause(scheduler.After(d))
	}, &inProcess), &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})}))
	env := newEnv(t)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		return temporal.Drive(ctx, group(func(k string, d time.Duration) scheduler.Task { return temporal.Timer(k, d) }, &inWorkflow), temporal.Options{})
	})
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, inProcess, 2*22)
	require.Equal(t, inProcess, inWorkflow)
}

// Walk refuses what a checkpoint has no place for.
func TestWalk_refuses(t *testing.T) {
	for option, o := range map[string]*scheduler.GroupOptions[string]{
		"GroupOptions.When":     {When: func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict { return scheduler.Start }},
		"GroupOptions.KeepOpen": {KeepOpen: true},
	} {
		env := newEnv(t)
		var refused *scheduler.OptionError
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			err := temporal.Walk(ctx, &temporal.Run{Graph: temporal.Graph{Nodes: []temporal.Node{{Key: "a"}}}},
				func(temporal.Node) scheduler.Task { panic("it starts") }, o, temporal.Options{})
			require.ErrorAs(t, err, &refused)
			return err
		})
		require.Error(t, env.GetWorkflowError())
		require.Equal(t, option, refused.Option)
	}
}

// So do nodes that are added inside steps of others.
func TestOrder_of_a_group_that_grows(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 2))
		graph := randomGraph(random, 30)
		run := func(trace *[]string, leaf func(k string, d time.Duration) scheduler.Task) scheduler.Task {
			var g *scheduler.DependencyTaskGroup[string]
			next := 0
			add := func() { // two at a time, whoever ends
				for range 2 {
					if next == len(graph.Nodes) {
						g.CloseInput()
						return
					}
					n := graph.Nodes[next]
					next++
					require.NoError(t, g.Add(n.Key, n.Requires...))
				}
			}
			g, err := scheduler.NewDependencyTaskGroup(scheduler.NewDependencies[string](), func(k string) scheduler.Task {
				var i int
				_, err := fmt.Sscanf(k, "n%d", &i)
				require.NoError(t, err)
				return scheduler.Sequence(leaf(k, time.Duration(1+i*i%17)*time.Second+time.Duration(i)*time.Millisecond),
					scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) { add(); return scheduler.Done, nil }))
			}, &scheduler.GroupOptions[string]{
				KeepOpen: true, Limit: int(seed%2) * 4,
				Observer: scheduler.ObserverFunc(func(r scheduler.Record) { *trace = append(*trace, fmt.Sprintf("%s %s", r.Path(), r.To)) }),
			})
			require.NoError(t, err)
			add()
			return g
		}
		var inProcess, inWorkflow []string
		require.NoError(t, scheduler.Run(t.Context(), run(&inProcess, func(_ string, d time.Duration) scheduler.Task {
			return scheduler.Pause(scheduler.After(d))
		}), &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})}))
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, run(&inWorkflow, func(k string, d time.Duration) scheduler.Task {
				return temporal.Timer(k, d)
			}), temporal.Options{})
		})
		require.NoError(t, env.GetWorkflowError())
		require.Equal(t, inProcess, inWorkflow)
		require.Len(t, inProcess, 2*len(graph.Nodes))
	}
}

func randomGraph(random *rand.Rand, n int) temporal.Graph {
	var g temporal.Graph
	for i := range n {
		node := temporal.Node{Key: fmt.Sprintf("n%d", i)}
		for range random.IntN(3) {
			if i > 0 {
				node.Requires = append(node.Requires, fmt.Sprintf("n%d", random.IntN(i)))
			}
		}
		g.Nodes = append(g.Nodes, node)
	}
	return g
}
