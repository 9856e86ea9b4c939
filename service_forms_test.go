package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// forms hold a task in ways that change nothing of a service.
var forms = map[string]func(t *testing.T, task scheduler.Task) scheduler.Task{
	"all": func(_ *testing.T, task scheduler.Task) scheduler.Task { return scheduler.All(task) },
	"all of two": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		return scheduler.All(scheduler.Func(func(context.Context) error { return nil }), task)
	},
	"await": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
	},
	"as task": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, nil).AsTask(0)
	},
	"subrun": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		return scheduler.Subrun(scheduler.NewTaskRunner(task, nil))
	},
	"retry": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		never := scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.Done })
		return scheduler.Retry(never, func(int, error) scheduler.Task { return task })
	},
	"sequence": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		return scheduler.Sequence(scheduler.Func(func(context.Context) error { return nil }), task)
	},
	"finally": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		return scheduler.Finally(task, scheduler.Func(func(context.Context) error { return nil }))
	},
	"time limit": func(_ *testing.T, task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Hour, task) },
	"named":      func(_ *testing.T, task scheduler.Task) scheduler.Task { return scheduler.Named("name", task) },
	"wrapper":    func(_ *testing.T, task scheduler.Task) scheduler.Task { return wrapping{Task: task} },
	"claiming": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		return scheduler.Claiming([]scheduler.Claim{{Limiter: limiter(1), Weight: 1}}, task)
	},
	"deep": func(_ *testing.T, task scheduler.Task) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return co.Await(scheduler.All(wrapping{Task: scheduler.WithTimeout(time.Hour, scheduler.Sequence(task))}))
		})
	},
}

// formCase is how a run goes: from second 2.5 on, or by what its tasks do.
type formCase struct {
	end           func(r *scheduler.TaskRunner, inner *scheduler.DependencyTaskGroup[string], cancel context.CancelCauseFunc)
	opts          scheduler.GroupOptions[string] // of the group that has the service
	outer         scheduler.GroupOptions[string]
	run           scheduler.RunnerOptions
	serviceFails  error
	jobFails      error
	servesForever bool
}

func formCases() map[string]formCase {
	enough := errors.New("enough")
	type group = *scheduler.DependencyTaskGroup[string]
	type cancel = context.CancelCauseFunc
	opts := func(o scheduler.GroupOptions[string]) scheduler.GroupOptions[string] { return o }
	graced := scheduler.GroupOptions[string]{Grace: 20 * time.Second}
	timeout := func(key string, d time.Duration) func(string) time.Duration {
		return func(k string) time.Duration {
			if k == key {
				return d
			}
			return 0
		}
	}
	run := scheduler.RunnerOptions{Grace: 30 * time.Second}
	cases := map[string]formCase{
		"to the end":            {opts: graced},
		"to the end, no grace":  {},
		"with a limit":          {opts: opts(scheduler.GroupOptions[string]{Limit: 1, Grace: 20 * time.Second})},
		"stop":                  {run: run, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Stop(enough) }},
		"stop without a grace":  {end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Stop(enough) }},
		"kill":                  {run: run, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Kill() }},
		"context":               {run: run, end: func(_ *scheduler.TaskRunner, _ group, c cancel) { c(enough) }},
		"context without grace": {end: func(_ *scheduler.TaskRunner, _ group, c cancel) { c(enough) }},
		"interrupt":             {run: run, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Interrupt(enough) }},
		"cancel":                {run: run, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { _ = r.Cancel() }},
		"drain":                 {opts: graced, end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.Drain() }},
		"stop the service":      {opts: graced, end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.StopNode("S", enough) }},
		"cut the service off":   {end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.StopNode("S", enough) }},
		"skip the service":      {opts: graced, end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.SkipNode("S", nil) }},
		"stop the user":         {opts: graced, end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.StopNode("use", enough) }},
		"time until it is ready": {opts: opts(scheduler.GroupOptions[string]{
			Timeout: timeout("S", 500*time.Millisecond), AggregateErrors: true,
		})},
		"time after it is ready": {opts: opts(scheduler.GroupOptions[string]{Timeout: timeout("S", 1500*time.Millisecond), Grace: 20 * time.Second})},
		"time of the group":      {outer: opts(scheduler.GroupOptions[string]{Timeout: timeout("g", 2500*time.Millisecond)})},
		"time of the group with a grace": {
			opts: graced, outer: opts(scheduler.GroupOptions[string]{Timeout: timeout("g", 2500*time.Millisecond), Grace: 20 * time.Second}),
		},
		"the user fails":                  {jobFails: errSpace},
		"the user fails with a grace":     {opts: graced, jobFails: errSpace},
		"the service fails":               {serviceFails: errSpace},
		"the service fails with a grace":  {opts: graced, serviceFails: errSpace},
		"the service fails, aggregated":   {opts: opts(scheduler.GroupOptions[string]{AggregateErrors: true}), serviceFails: errSpace},
		"it lives until it is not needed": {opts: graced, servesForever: true},
		"it lives until the stop is over": {run: run, servesForever: true, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Stop(enough) }},
	}
	return cases
}

// play runs the case and says what happened. It holds the service, and the group that has
// the service, in some form.
func (c formCase) play(t *testing.T, service, group func(*testing.T, scheduler.Task) scheduler.Task, around bool) (string, error) {
	d := newServicePlay()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	opts, outerOpts, run := c.opts, c.outer, c.run
	inner := newGroup(t, "use:S late:use", func(k string) scheduler.Task {
		switch {
		case k == "S" && c.servesForever:
			return service(t, scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Ready()
				err := co.Yield(scheduler.After(1000 * time.Hour))
				d.add("S ends: %v", err)
				return err
			}))
		case k == "S" && c.serviceFails != nil:
			return service(t, scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Ready()
				err := co.Yield(scheduler.After(2 * time.Second))
				d.add("S ends: %v", err)
				return errors.Join(err, c.serviceFails)
			}))
		case k == "S":
			return service(t, d.service("S"))
		case k == "use":
			return d.job(k, 3, c.jobFails)
		}
		return d.job(k, 1, nil)
	}, &opts)
	var task scheduler.Task = inner
	if around {
		outer := newGroup(t, "g other after:g", func(k string) scheduler.Task {
			if k == "g" {
				return group(t, inner)
			}
			return d.job(k, 1, nil)
		}, &outerOpts)
		task = outer
	}
	run.Clock = d.clock
	r := startRunner(t, task, &run)
	var err error
	for i, acted := 0, c.end == nil; !r.Done(); i++ {
		require.Less(t, i, 1000, "%s", d)
		due := r.Due()
		at, timed := due.Time()
		timed = timed && due.Rounds() == 0
		switch when := d.start.Add(2500 * time.Millisecond); {
		case !acted && due.Rounds() == 0 && (!timed || at.After(when)):
			d.clock.Advance(when.Sub(d.clock.Now()))
			acted = true
			c.end(r, inner, cancel)
		case timed:
			d.clock.Advance(max(0, at.Sub(d.clock.Now())))
		}
		if !r.Done() {
			_, err = r.Step(ctx)
		}
	}
	if e := r.Err(); e != nil {
		err = e
	}
	return fmt.Sprintf("%s;%s; %d", d, endings(inner), d.clock.Now().Sub(d.start)/time.Millisecond), err
}

func asItIs(_ *testing.T, task scheduler.Task) scheduler.Task { return task }

// kind says what an error is.
func kind(err error) string {
	var timeout *scheduler.Timeout
	return fmt.Sprint(err == nil, errors.Is(err, errSpace), errors.Is(err, scheduler.ErrCancelled), errors.As(err, &timeout))
}

// Whatever holds a service, alone or in a group that something holds, the run is the same.
func TestReady_in_any_form(t *testing.T) {
	for name, c := range formCases() {
		t.Run(name, func(t *testing.T) {
			for _, around := range []bool{false, true} {
				want, wantErr := c.play(t, asItIs, asItIs, around)
				t.Log(around, want, wantErr)
				for form, holds := range forms {
					got, err := c.play(t, holds, asItIs, around)
					if got != want || kind(err) != kind(wantErr) {
						t.Errorf("%v service in %s:\n%s %v", around, form, got, err)
					}
					if !around || c.outer.Grace > 0 && slices.Contains([]string{"all", "all of two", "deep"}, form) {
						continue // All is a group: within the grace of its Timeout a group inside goes on to its end
					}
					got, err = c.play(t, asItIs, holds, around)
					if got != want || kind(err) != kind(wantErr) {
						t.Errorf("%v group in %s:\n%s %v", around, form, got, err)
					}
				}
			}
		})
	}
}
