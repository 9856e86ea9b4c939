package temporal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock" //nolint:depguard // the SDK's environment takes its matchers
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quick = workflow.ActivityOptions{StartToCloseTimeout: time.Minute}

// once is quick without a second try.
var once = workflow.ActivityOptions{StartToCloseTimeout: time.Minute, RetryPolicy: &sdk.RetryPolicy{MaximumAttempts: 1}}

// newEnv returns an environment in which time passes at once, with an activity
// Echo that returns its argument, Work that does nothing, and Fail.
func newEnv(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quietLogger{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(10 * time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: 10 * time.Minute}) // the machine may be busy
	env.RegisterActivity(Echo)
	env.RegisterActivity(Work)
	env.RegisterActivity(Fail)
	temporal.Register(env)
	return env
}

type quietLogger struct{}

func (quietLogger) Debug(string, ...any) {}
func (quietLogger) Info(string, ...any)  {}
func (quietLogger) Warn(string, ...any)  {}
func (quietLogger) Error(string, ...any) {}

func Echo(_ context.Context, text string) (string, error) { return text, nil }

func Work(context.Context, temporal.NodeInput) error { return nil }

func Fail(_ context.Context, in temporal.NodeInput) error {
	return sdk.NewNonRetryableApplicationError("boom in "+in.Key, "Boom", nil)
}

// edges is what each node requires, in order of entry.
type edges []struct {
	node     string
	requires []string
}

func (e edges) dependencies() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for _, edge := range e {
		deps.Add(edge.node, edge.requires...)
	}
	return deps
}

var diamond = edges{{"a", nil}, {"b", []string{"a"}}, {"c", []string{"a"}}, {"d", []string{"b", "c"}}}

func newGroup(t *testing.T, e edges, task func(string) scheduler.Task, o *scheduler.GroupOptions[string]) *scheduler.DependencyTaskGroup[string] {
	t.Helper()
	g, err := scheduler.NewDependencyTaskGroup(e.dependencies(), task, o)
	require.NoError(t, err)
	return g
}

func TestDrive(t *testing.T) {
	t.Run("runs activities in order and has their results", func(t *testing.T) {
		env := newEnv(t)
		var order []string
		env.ExecuteWorkflow(func(ctx workflow.Context) ([]string, error) {
			g := newGroup(t, diamond, func(k string) scheduler.Task {
				return temporal.Activity[string](k, quick, Echo, "result of "+k).Then(func(result string) error {
					order = append(order, result)
					return nil
				})
			}, nil)
			return order, temporal.Drive(ctx, g, temporal.Options{})
		})
		require.NoError(t, env.GetWorkflowError())
		slices.Sort(order[1:3])
		require.Equal(t, []string{"result of a", "result of b", "result of c", "result of d"}, order)
	})
	t.Run("runs coroutines, timers, signals and children", func(t *testing.T) {
		env := newEnv(t)
		env.RegisterWorkflowWithOptions(func(_ workflow.Context, n int) (int, error) { return n + 1, nil },
			workflow.RegisterOptions{Name: "Increment"})
		env.RegisterDelayedCallback(func() { env.SignalWorkflow("go", "on") }, time.Minute)
		var got []any
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, scheduler.Wrap(func(co *scheduler.Coroutine) error {
				start := scheduler.Now(co.Context())
				text, err := temporal.Await(co, temporal.Activity[string]("one", quick, Echo, "hello"))
				if err != nil {
					return err
				}
				if err := co.Yield(scheduler.After(time.Hour)); err != nil {
					return err
				}
				if err := co.Await(temporal.Timer("pause", time.Hour)); err != nil {
					return err
				}
				took := scheduler.Now(co.Context()).Sub(start)
				n, err := temporal.Await(co, temporal.ChildWorkflow[int]("child", workflow.ChildWorkflowOptions{}, "Increment", 41))
				if err != nil {
					return err
				}
				signal, err := temporal.Await(co, temporal.Signal[string]("go"))
				local, err2 := temporal.Await(co, temporal.LocalActivity[string]("local",
					workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute}, Echo, "here"))
				future, err3 := temporal.Await(co, temporal.Future[int]("future", func(ctx workflow.Context) workflow.Future {
					f, set := workflow.NewFuture(ctx)
					workflow.Go(ctx, func(workflow.Context) { set.SetValue(7) })
					return f
				}))
				got = []any{text, took.Round(time.Minute), n, signal, local, future}
				return errors.Join(err, err2, err3)
			}), temporal.Options{})
		})
		require.NoError(t, env.GetWorkflowError())
		require.Equal(t, []any{"hello", 2 * time.Hour, 42, "on", "here", 7}, got)
	})
	t.Run("never has more pending than the limit", func(t *testing.T) {
		env := newEnv(t)
		env.OnActivity(Echo, mock.Anything, mock.Anything).Return("x", nil).After(time.Minute)
		var text string
		env.RegisterDelayedCallback(func() {
			value, err := env.QueryWorkflow(temporal.QueryExplain)
			require.NoError(t, err)
			require.NoError(t, value.Get(&text))
		}, 30*time.Second)
		done := 0
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, newGroup(t, wide(50), func(k string) scheduler.Task {
				return temporal.Activity[string](k, quick, Echo, k).Then(func(string) error { done++; return nil })
			}, nil), temporal.Options{Limit: 7})
		})
		require.NoError(t, env.GetWorkflowError())
		require.Equal(t, 7, strings.Count(text, "pending: activity"))
		require.Contains(t, text, "43 more wait for the limit of 7")
		require.Equal(t, 50, done)
	})
	t.Run("fails a task that has the ID of another", func(t *testing.T) {
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, scheduler.All(
				temporal.Activity[string]("x", quick, Echo, ""), temporal.Activity[string]("x", quick, Echo, ""),
			), temporal.Options{})
		})
		require.ErrorContains(t, env.GetWorkflowError(), `ID used twice: activity "x"`)
	})
	t.Run("refuses options that are out of range", func(t *testing.T) {
		group := newGroup(t, diamond, func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) }, nil)
		for _, o := range []temporal.Options{
			{Limit: -1}, {Limit: 2001}, {Grace: -1}, {Wait: -1}, {Rounds: -1}, {MaxHistory: -1},
		} {
			var option *scheduler.OptionError
			require.ErrorAs(t, temporal.Drive(nil, group, o), &option)
		}
		require.Error(t, temporal.Drive(nil, nil, temporal.Options{}))
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			run := &temporal.Run{Graph: temporal.Graph{Nodes: []temporal.Node{{Key: "a"}}}}
			return temporal.Walk(ctx, run, nil, &scheduler.GroupOptions[string]{KeepOpen: true}, temporal.Options{})
		})
		require.ErrorContains(t, env.GetWorkflowError(), "GroupOptions.KeepOpen: not for Walk")
		require.Error(t, temporal.Drive(nil, scheduler.Pause(scheduler.Next), temporal.Options{Drain: true}))
	})
}

func wide(n int) edges {
	var e edges
	for i := range n {
		e = append(e, struct {
			node     string
			requires []string
		}{fmt.Sprintf("n%03d", i), nil})
	}
	return e
}

func TestCall_outside(t *testing.T) {
	err := scheduler.Run(t.Context(), temporal.Timer("x", time.Second), nil)
	require.ErrorIs(t, err, temporal.ErrNotDriven)
	require.Nil(t, temporal.Context(t.Context()))
}

// A stop is answered by what the graph's activities do about it.
func TestDrive_cancelled(t *testing.T) {
	for _, test := range []struct {
		name    string
		grace   time.Duration
		cleanup time.Duration
		closed  time.Duration // when the workflow closes, after the request
		ended   bool          // the task came to its own end
	}{
		{"with a long grace", time.Hour, time.Minute, time.Minute, true},
		{"with a short grace", time.Second, time.Minute, time.Second, false},
		{"without grace", 0, time.Minute, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := newEnv(t)
			var ended bool
			var begun, asked time.Time
			env.RegisterDelayedCallback(func() { asked = env.Now(); env.CancelWorkflow() }, 10*time.Minute)
			var closed time.Time
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				begun = workflow.Now(ctx)
				err := temporal.Drive(ctx, newGroup(t, diamond, func(string) scheduler.Task {
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
							return err
						}
						if err := co.Yield(scheduler.After(test.cleanup)); err != nil {
							return err
						}
						ended = true
						return nil
					})
				}, nil), temporal.Options{Grace: test.grace})
				closed = workflow.Now(ctx)
				return err
			})
			require.True(t, sdk.IsCanceledError(env.GetWorkflowError()), env.GetWorkflowError())
			require.Equal(t, test.ended, ended)
			require.WithinDuration(t, asked.Add(test.closed), closed, time.Second/2)
			require.False(t, begun.IsZero())
		})
	}
	t.Run("before it began", func(t *testing.T) {
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			ctx, cancel := workflow.WithCancel(ctx)
			cancel()
			return temporal.Drive(ctx, scheduler.Func(func(context.Context) error { panic("it ran") }), temporal.Options{})
		})
		require.True(t, sdk.IsCanceledError(env.GetWorkflowError()))
	})
	t.Run("cancels signals and timers", func(t *testing.T) {
		env := newEnv(t)
		env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, newGroup(t, edges{{"a", nil}, {"b", nil}}, func(k string) scheduler.Task {
				if k == "a" {
					return temporal.Signal[string]("never")
				}
				return temporal.Timer(k, 1000*time.Hour)
			}, nil), temporal.Options{Grace: time.Hour})
		})
		require.True(t, sdk.IsCanceledError(env.GetWorkflowError()))
	})
}

func TestDrive_failure(t *testing.T) {
	task := func(k string) scheduler.Task {
		if k == "b" || k == "c" {
			return temporal.Activity[string](k, once, Fail, temporal.NodeInput{Key: k})
		}
		return temporal.Activity[string](k, once, Echo, k)
	}
	run := func(t *testing.T, o *scheduler.GroupOptions[string]) error {
		t.Helper()
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, newGroup(t, diamond, task, o), temporal.Options{})
		})
		return env.GetWorkflowError()
	}
	t.Run("keeps the node and the chain", func(t *testing.T) {
		err := run(t, &scheduler.GroupOptions[string]{Limit: 1})
		nodes := temporal.FailedNodes(err)
		require.Len(t, nodes, 1)
		require.Equal(t, "b", nodes[0].Node)
		var activity *sdk.ActivityError
		require.ErrorAs(t, err, &activity)
		require.Equal(t, "b", activity.ActivityID())
		var app *sdk.ApplicationError
		require.ErrorAs(t, activity, &app)
		require.Equal(t, "Boom", app.Type())
		require.False(t, sdk.IsCanceledError(err))
		require.ErrorAs(t, err, &app)
		require.Equal(t, temporal.NodeFailed, app.Type())
		require.True(t, app.NonRetryable())
	})
	t.Run("has all of an aggregating group", func(t *testing.T) {
		err := run(t, &scheduler.GroupOptions[string]{AggregateErrors: true, Limit: 1})
		var keys []string
		for _, n := range temporal.FailedNodes(err) {
			keys = append(keys, n.Node)
			require.Contains(t, n.Message, "boom in "+n.Node)
		}
		require.Equal(t, []string{"b", "c"}, keys)
		var activity *sdk.ActivityError
		require.ErrorAs(t, err, &activity)
	})
	t.Run("is no cancellation if a node was cancelled", func(t *testing.T) {
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, newGroup(t, diamond, func(string) scheduler.Task {
				return scheduler.Func(func(context.Context) error { return sdk.NewCanceledError() })
			}, nil), temporal.Options{})
		})
		require.False(t, sdk.IsCanceledError(env.GetWorkflowError()), env.GetWorkflowError())
		require.Equal(t, "a", temporal.FailedNodes(env.GetWorkflowError())[0].Node)
	})
	t.Run("of what is no node comes back as it is", func(t *testing.T) {
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, scheduler.Func(func(context.Context) error { return errors.New("plain") }), temporal.Options{})
		})
		require.ErrorContains(t, env.GetWorkflowError(), "plain")
		require.Empty(t, temporal.FailedNodes(env.GetWorkflowError()))
	})
	t.Run("is told in place of a drain", func(t *testing.T) {
		env := newEnv(t)
		env.SetCurrentHistoryLength(1)
		var err error
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			err = temporal.Drive(ctx, newGroup(t, edges{{"a", nil}, {"b", nil}, {"c", []string{"b"}}}, func(k string) scheduler.Task {
				if k == "a" {
					return scheduler.Func(func(context.Context) error { return errors.New("no a") })
				}
				return scheduler.Pause(scheduler.After(time.Minute))
			}, &scheduler.GroupOptions[string]{AggregateErrors: true}),
				temporal.Options{Drain: true, MaxHistory: 1})
			return err
		})
		require.NotErrorIs(t, err, scheduler.ErrDrained)
		require.Equal(t, []temporal.NodeFailure{{Node: "a", Message: "no a"}}, temporal.FailedNodes(err))
		require.Equal(t, temporal.FailedNodes(err), temporal.FailedNodes(env.GetWorkflowError()))
	})
	t.Run("names nodes inside of nodes", func(t *testing.T) {
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			inner := newGroup(t, diamond, task, &scheduler.GroupOptions[string]{AggregateErrors: true})
			return temporal.Drive(ctx, newGroup(t, edges{{"outer", nil}}, func(string) scheduler.Task { return inner }, nil), temporal.Options{})
		})
		nodes := temporal.FailedNodes(env.GetWorkflowError())
		require.Len(t, nodes, 2)
		require.Contains(t, []string{"outer/b", "outer/c"}, nodes[0].Node)
	})
}

func TestDrive_explain(t *testing.T) {
	env := newEnv(t)
	var text string
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(temporal.QueryExplain)
		require.NoError(t, err)
		require.NoError(t, value.Get(&text))
		env.SignalWorkflow("b", nil)
	}, time.Minute)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		return temporal.Drive(ctx, newGroup(t, diamond, func(k string) scheduler.Task {
			if k == "b" {
				return temporal.Signal[any](k)
			}
			return temporal.Activity[string](k, quick, Echo, k)
		}, &scheduler.GroupOptions[string]{Name: "stack"}), temporal.Options{})
	})
	require.NoError(t, env.GetWorkflowError())
	require.Contains(t, text, "stack: round")
	require.Contains(t, text, "b: running")
	require.Contains(t, text, "d: pending")
	require.Contains(t, text, "requires b")
	require.Contains(t, text, "pending: signal b")
}

// Rounds without a pause do not add up to a deadlock: after each the SDK goes around,
// and gives every goroutine of the workflow its turn, with a new term.
func TestDrive_slices(t *testing.T) {
	env := newEnv(t)
	steps, turns := 0, 0
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		over := false
		workflow.Go(ctx, func(ctx workflow.Context) {
			_ = workflow.Await(ctx, func() bool { turns++; return over })
		})
		return temporal.Drive(ctx, scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			require.GreaterOrEqual(t, turns, steps)
			if steps++; steps == 150 {
				over = true
				return scheduler.Done, nil
			}
			return scheduler.Next, nil
		}), temporal.Options{})
	})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, 150, steps)
}

func TestDrive_wait(t *testing.T) {
	env := newEnv(t)
	var took time.Duration
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		start := workflow.Now(ctx)
		err := temporal.Drive(ctx, scheduler.Pause(scheduler.Rounds(60)), temporal.Options{Wait: time.Minute})
		took = workflow.Now(ctx).Sub(start)
		return err
	})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, time.Hour, took)
}

var dataConverter = converter.GetDefaultDataConverter()

func named(name string) activity.RegisterOptions { return activity.RegisterOptions{Name: name} }
