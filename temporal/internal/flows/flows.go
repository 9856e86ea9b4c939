// Package flows has workflows and activities for tests: those that recorded
// histories were made with, so that a change here may make histories fail to
// replay.
package flows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/activity"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
)

// RegisterWorkflows registers all workflows.
func RegisterWorkflows(r worker.WorkflowRegistry) {
	temporal.Register(r)
	// One by one: workflowcheck looks at what is named in such a call.
	r.RegisterWorkflow(Diamond)
	r.RegisterWorkflow(Wide)
	r.RegisterWorkflow(Local)
	r.RegisterWorkflow(Wraps)
	r.RegisterWorkflow(Patients)
	r.RegisterWorkflow(Busy)
	r.RegisterWorkflow(Services)
}

// RegisterActivities registers all activities.
func RegisterActivities(r worker.ActivityRegistry) {
	for _, activity := range []any{Work, Slow, Held, Fail, Patient, Copy} {
		r.RegisterActivity(activity)
	}
}

// Options are those of activities that take a moment.
func Options() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute, HeartbeatTimeout: 2 * time.Second,
		RetryPolicy: &sdk.RetryPolicy{InitialInterval: 100 * time.Millisecond},
	}
}

// Diamond is a graph made by code: nodes a to d, in the order given, of which
// the last requires those in the middle and they the first.
func Diamond(ctx workflow.Context, keys []string) error {
	return DiamondOf(ctx, keys, nil)
}

// DiamondOf is Diamond with an observer.
func DiamondOf(ctx workflow.Context, keys []string, o scheduler.Observer) error {
	deps := scheduler.NewDependencies[string]()
	deps.Add(keys[0])
	deps.Add(keys[1], keys[0])
	deps.Add(keys[2], keys[0])
	deps.Add(keys[3], keys[1], keys[2])
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
		return temporal.Activity[string](k, Options(), Work, temporal.NodeInput{Key: k})
	}, &scheduler.GroupOptions[string]{Name: "diamond", Observer: o})
	if err != nil {
		return err
	}
	return temporal.Drive(ctx, group, temporal.Options{})
}

// Wide runs n activities that wait for nothing, with no limit but Drive's.
func Wide(ctx workflow.Context, n, limit int) error {
	group, err := numbered(n, func(k int) scheduler.Task {
		return temporal.Activity[string](fmt.Sprint(k), Options(), Work, temporal.NodeInput{})
	})
	if err != nil {
		return err
	}
	return temporal.Drive(ctx, group, temporal.Options{Limit: limit})
}

// Local runs n local activities, width in each layer.
func Local(ctx workflow.Context, n, width int) error {
	deps := scheduler.NewDependencies[int]()
	for k := range n {
		deps.Add(k)
		if before := (k/width - 1) * width; before >= 0 {
			deps.Add(k, before+k%width, before+(k+1)%width)
		}
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
		return temporal.LocalActivity[string](fmt.Sprint(k),
			workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute}, Work, temporal.NodeInput{})
	}, &scheduler.GroupOptions[int]{Budget: 100})
	if err != nil {
		return err
	}
	return temporal.Drive(ctx, group, temporal.Options{Limit: 100})
}

func numbered(n int, task func(int) scheduler.Task) (*scheduler.DependencyTaskGroup[int], error) {
	deps := scheduler.NewDependencies[int]()
	for k := range n {
		deps.Add(k)
	}
	return scheduler.NewDependencyTaskGroup(deps, task, &scheduler.GroupOptions[int]{Budget: 100})
}

// Wraps runs n coroutines, each of which runs an activity, waits, and runs
// another one.
func Wraps(ctx workflow.Context, n int, pause time.Duration) (int, error) {
	done := 0
	group, err := numbered(n, func(k int) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			for _, step := range []string{"first", "second"} {
				id := fmt.Sprintf("%d/%s", k, step)
				if _, err := temporal.Await(co, temporal.Activity[string](id, Options(), Work, temporal.NodeInput{Key: id})); err != nil {
					return err
				}
				if err := co.Yield(scheduler.After(pause)); err != nil {
					return err
				}
			}
			done++
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	err = temporal.Drive(ctx, group, temporal.Options{})
	return done, err
}

// Services runs two services, one on the other, and two jobs that need them. It returns
// the order in which they were up and down.
func Services(ctx workflow.Context) ([]string, error) {
	deps := scheduler.NewDependencies[string]()
	deps.Add("api", "db")
	deps.Add("one", "api")
	deps.Add("two", "db")
	var did []string
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
		if k == "one" || k == "two" {
			return temporal.Activity[string](k, Options(), Work, temporal.NodeInput{Key: k})
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if _, err := temporal.Await(co, temporal.Activity[string](k+"/up", Options(), Work, temporal.NodeInput{Key: k})); err != nil {
				return err
			}
			co.Ready()
			did = append(did, k+" is up")
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			if err := co.Yield(scheduler.After(10 * time.Millisecond)); err != nil {
				return err
			}
			did = append(did, k+" is down")
			return nil
		})
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	if err != nil {
		return nil, err
	}
	err = temporal.Drive(ctx, group, temporal.Options{})
	return did, err
}

// Patients runs three activities that end only when they are cancelled, and
// then take cleanup to do so.
func Patients(ctx workflow.Context, grace, cleanup time.Duration) error {
	group, err := numbered(3, func(k int) scheduler.Task {
		return temporal.Activity[string](fmt.Sprint(k), Options(), Patient, cleanup)
	})
	if err != nil {
		return err
	}
	return temporal.Drive(ctx, group, temporal.Options{Grace: grace})
}

// Busy makes a number of steps which take time each.
func Busy(ctx workflow.Context, steps int, each time.Duration) error {
	return temporal.Drive(ctx, scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		spin(each)
		if steps--; steps <= 0 {
			return scheduler.Done, nil
		}
		return scheduler.Next, nil
	}), temporal.Options{})
}

// spin keeps the processor busy.
//
//workflowcheck:ignore
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// Work does nothing.
func Work(_ context.Context, in temporal.NodeInput) (string, error) { return in.Key, nil }

// Slow takes a while. It notes its start and its end in files that outlive its
// process, in the folder that is its input.
func Slow(ctx context.Context, in temporal.NodeInput) (string, error) {
	var folder string
	if err := json.Unmarshal(in.Input, &folder); err != nil {
		return "", err
	}
	if err := note(folder, in.Key+".start"); err != nil {
		return "", err
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(300 * time.Millisecond):
	}
	return in.Key, note(folder, in.Key+".end")
}

// Held is Slow once there is a file "on" in its folder.
func Held(ctx context.Context, in temporal.NodeInput) (string, error) {
	var folder string
	if err := json.Unmarshal(in.Input, &folder); err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "on")); err == nil {
			return Slow(ctx, in)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func note(folder, name string) error {
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Close())
}

// Fail fails for good.
func Fail(_ context.Context, in temporal.NodeInput) error {
	return sdk.NewNonRetryableApplicationError("boom in "+in.Key, "Boom", nil)
}

// Patient waits for its cancellation.
func Patient(ctx context.Context, cleanup time.Duration) (string, error) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		return "", errors.New("nobody cancelled it")
	}
	<-time.After(cleanup)
	activity.GetLogger(ctx).Info("cleaned up")
	return "", ctx.Err()
}

// Copy notes how far it is, once, and then waits for its cancellation.
func Copy(ctx context.Context, _ temporal.NodeInput) error {
	activity.RecordHeartbeat(ctx, map[string]int{"parts": 3})
	<-ctx.Done()
	return ctx.Err()
}
