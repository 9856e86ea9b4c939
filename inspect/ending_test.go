package inspect_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

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

	runner.Stop(errors.New("somebody has pressed Ctrl-C"))
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
