package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

// TestBrowser_of_services: those that require a service waited from when it was ready
// until they started, and not from its end, which comes after theirs.
func TestBrowser_of_services(t *testing.T) {
	page := inspect.New(nil)
	w := open(t, page, 1360, 800)
	if w == nil {
		return
	}
	service := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(100 * time.Millisecond)); err != nil || name[0] == 'j' {
				return err
			}
			co.Ready()
			return co.Yield(scheduler.On(new(scheduler.Event)))
		})
	}
	group := watchedGroup(t, page, graph("database cache api:database,cache job-1:api job-2:api job-3:job-1"), service,
		&scheduler.GroupOptions[string]{Limit: 1, Name: "services"})
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	w.until(`document.getElementById('status').innerText === 'succeeded'`)
	w.do(click("#tab-timeline"))
	w.until(`document.querySelectorAll('#bars .row').length === 6 && document.querySelectorAll('#bars .served').length === 3`)
	w.shot("services")
	w.scheme("dark")
	w.shot("services-dark")
	// By name: where the wait, the run and the service begin, in percent.
	left := func(name, kind string) float64 {
		return eval[float64](w, fmt.Sprintf(`parseFloat([...document.querySelectorAll('#bars .row')].find(r => r.innerText.includes(%q)).querySelector('.%s').style.left)`, name, kind))
	}
	require.Equal(t, left("api", "served"), left("job-2", "waited"))
	require.Less(t, left("job-2", "waited"), left("job-2", "ran"), "it waits for the limit")
	require.Equal(t, left("api", "waited"), max(left("database", "served"), left("cache", "served")))
	w.do(click("#only-longest"))
	w.until(`document.querySelectorAll('#bars .row').length === document.querySelectorAll('#bars .longest').length`)
	require.Contains(t, w.text("#bars"), "job-")
	require.Contains(t, w.text("#bars"), "api")
	w.silent()
}

// TestBrowser_of_a_run_that_is_stopped: what nodes say of themselves, which are
// closing and for how long, why the group is to end, and what it ended with.
func TestBrowser_of_a_run_that_is_stopped(t *testing.T) {
	page := inspect.New(&inspect.Options{TraceURL: func(context.Context) string { return "https://traces.example.com/trace/4bf92f35" }})
	w := open(t, page, 1360, 800)
	if w == nil {
		return
	}
	release := make(chan struct{})
	deps := graph("network volume:network server:volume database:server dns:server backup:database upload:network")
	task := func(name string) scheduler.Task {
		switch name {
		case "network":
			return scheduler.Pause(scheduler.Next)
		case "volume":
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Note("volume-7 is still building")
				return co.Yield(scheduler.After(time.Hour))
			})
		case "upload":
			return scheduler.Blocking(func(context.Context) error { <-release; return nil })
		}
		return scheduler.Func(func(context.Context) error { return nil })
	}
	group := watchedGroup(t, page, deps, func(name string) scheduler.Task {
		if name == "volume" {
			attempts := 0
			return scheduler.Sequence(scheduler.Retry(
				scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.Next }),
				func(int, error) scheduler.Task {
					return scheduler.Func(func(context.Context) error {
						if attempts++; attempts < 3 {
							return errors.New("503 Service Unavailable")
						}
						return nil
					})
				}), task(name))
		}
		return task(name)
	}, &scheduler.GroupOptions[string]{Name: "create", Timeout: func(k string) time.Duration {
		return map[string]time.Duration{"upload": 50 * time.Millisecond}[k]
	}, GraceFor: func(k string) time.Duration {
		if k == "upload" {
			return scheduler.NoGrace
		}
		return time.Minute
	}, AggregateErrors: true})
	runner := scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Grace: time.Minute})
	end := make(chan error, 1)
	go func() { end <- runner.Run(context.Background()) }()

	// A call that does not return is closing, and the list says for how long.
	w.until(`[...document.querySelectorAll('#list .row')].some(r => r.innerText.includes('upload') && /closing for/.test(r.innerText))`)
	w.until(`[...document.querySelectorAll('#list .row')].some(r => r.innerText.includes('volume-7 is still building'))`)
	w.do(chromedp.Click(graphNode("volume")))
	w.until(`document.querySelector('#node')?.innerText.includes('volume-7 is still building')`)
	require.Equal(t, "https://traces.example.com/trace/4bf92f35", eval[string](w, `document.querySelector('#node a').href`))
	w.shot("closing")

	runner.Post(func() { runner.Stop(errors.New("somebody has pressed Ctrl-C")) })
	w.until(`document.getElementById('status').innerText === 'stopping'`)
	w.until(`document.getElementById('failure-text').innerText.includes('Ctrl-C')`)
	w.until(`document.querySelector('#node').innerText.toLowerCase().includes('asked to end')`)
	w.shot("stopping")
	w.scheme("dark")
	w.shot("stopping-dark")
	close(release)
	_ = runner.Post(func() { runner.Kill() })
	require.Error(t, <-end)
	w.until(`['cancelled', 'failed'].includes(document.getElementById('status').innerText)`)
	w.silent()
}
