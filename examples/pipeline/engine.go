package main

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/steptask/scheduler"
)

// Conditions of a job.
const (
	success = "success" // all that it needs has succeeded
	always  = "always"  // all that it needs has ended
	failure = "failure" // something that it needs has failed, or was skipped because of a failure
)

// Engine runs one pipeline.
type Engine struct {
	// Exec runs a command. It calls line with each line that the command prints.
	Exec func(ctx context.Context, command string, env []string, line func(string)) error
	// Print shows a line that a job has printed. Jobs call it at the same time.
	Print func(job, line string)
	// Observer watches the run. It may be nil.
	Observer scheduler.Observer
	// Grace is how long jobs may take to end after an interrupt. Half of it is kept
	// for the jobs under Finally.
	Grace time.Duration

	runners []scheduler.Claim     // what a command claims
	run     *scheduler.TaskRunner // drives it all
}

// Run returns when all jobs have ended, and then those under Finally.
func (e *Engine) Run(ctx context.Context, p *Pipeline) error {
	limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "runners", Capacity: max(p.Runners, 1)})
	e.runners = []scheduler.Claim{{Limiter: limiter, Weight: 1}}
	jobs, err := e.group("jobs", p.Jobs)
	if err != nil {
		return err
	}
	last, err := e.group("finally", p.Finally)
	if err != nil {
		return err
	}
	e.run = scheduler.NewTaskRunner(
		scheduler.Finally(scheduler.Reserve(e.Grace/2, jobs), last),
		&scheduler.RunnerOptions{Name: "pipeline", Grace: e.Grace, EndCalls: true},
	)
	return e.run.Run(ctx)
}

// group has a node for each job.
func (e *Engine) group(name string, jobs map[string]*Job) (*scheduler.DependencyTaskGroup[string], error) {
	var g *scheduler.DependencyTaskGroup[string]
	hasFailed := func(job string) bool {
		err := g.Err(job)
		return err != nil && !errors.Is(err, scheduler.ErrSkip)
	}
	task := func(job string) scheduler.Task {
		if jobs[job].Matrix != "" {
			return e.matrix(job, jobs[job])
		}
		return e.command(job, jobs[job])
	}
	g, err := scheduler.NewDependencyTaskGroup(scheduler.DependenciesOf(needs(jobs)), task, &scheduler.GroupOptions[string]{
		Name: name, AggregateErrors: true, Observer: e.Observer,
		When: func(job string, needed iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			return verdict(jobs[job].If, needed, hasFailed)
		},
	})
	return g, err
}

// verdict decides about a job once all that it needs has ended.
func verdict(condition string, needed iter.Seq2[string, scheduler.State], hasFailed func(job string) bool) scheduler.Verdict {
	switch condition {
	case always:
		return scheduler.Start
	case failure:
		for job := range needed {
			if hasFailed(job) {
				return scheduler.Start
			}
		}
		return scheduler.Skip
	}
	return scheduler.Usual
}

// command waits for its approval, if it needs one, and only then for a runner.
func (e *Engine) command(name string, job *Job, env ...string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if job.Approve != "" {
			scheduler.Note(co.Context(), "waits for "+job.Approve)
			if err := co.Await(scheduler.Poll(time.Second, func(context.Context) (bool, error) { return exists(job.Approve) })); err != nil {
				return err
			}
		}
		return co.Await(e.onRunner(job.Run, env, func(ctx context.Context, line string) {
			scheduler.Note(ctx, line)
			e.Print(name, line)
		}))
	})
}

// onRunner runs a command while it holds a runner.
func (e *Engine) onRunner(command string, env []string, line func(ctx context.Context, line string)) scheduler.Task {
	return scheduler.Claiming(e.runners, scheduler.Blocking(func(ctx context.Context) error {
		return e.Exec(ctx, command, env, func(text string) { line(ctx, text) })
	}))
}

// matrix is a group that grows by a job for each line that a command prints. The
// first ones run before the command has ended.
func (e *Engine) matrix(name string, job *Job) scheduler.Task {
	jobs, err := scheduler.NewDependencyTaskGroup(scheduler.NewDependencies[string](), func(value string) scheduler.Task {
		return e.command(name+"/"+value, job, "MATRIX="+value)
	}, &scheduler.GroupOptions[string]{Name: "matrix", AggregateErrors: true, KeepOpen: true})
	if err != nil {
		return scheduler.Func(func(context.Context) error { return err })
	}
	var refused error // by jobs, of a line that comes twice
	list := e.onRunner(job.Matrix, nil, func(_ context.Context, value string) {
		e.run.Post(func() { refused = errors.Join(refused, jobs.Add(value)) })
	})
	end := scheduler.Func(func(context.Context) error { jobs.CloseInput(); return nil })
	all := scheduler.All(scheduler.Finally(list, end), jobs)
	return scheduler.Finally(all, scheduler.Func(func(context.Context) error { return refused }))
}

// exists reports whether there is such a file.
func exists(file string) (bool, error) {
	_, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
