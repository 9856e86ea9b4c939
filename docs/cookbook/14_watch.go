package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
	"github.com/steptask/scheduler/otel"
	"github.com/steptask/scheduler/progress"
	"github.com/steptask/scheduler/timeline"
)

// watchLive prints every change, and after three seconds what holds things up.
func watchLive(ctx context.Context, cloud *cloud, say say) error {
	group, err := scheduler.NewDependencyTaskGroup(site(), creating(cloud, func(string, ...any) {}),
		&scheduler.GroupOptions[string]{
			Name:  "site",
			Limit: 2,
			Observer: scheduler.ObserverFunc(func(t scheduler.Record) {
				say("%s: %v", t.Path(), t.To)
			}),
		})
	if err != nil {
		return err
	}
	runner := scheduler.NewTaskRunner(group, nil)
	explain := func() {
		var text strings.Builder
		_, _ = group.WriteTo(&text) // a Builder takes everything
		say("%s", strings.TrimSpace(text.String()))
	}
	// A signal, a request: whatever asks, on whatever goroutine.
	time.AfterFunc(3*time.Second, func() { runner.Post(explain) })
	return runner.Run(ctx)
}

// watchInBrowser shows the run at /debug/scheduler/ of a server.
func watchInBrowser(ctx context.Context, cloud *cloud, mux *http.ServeMux) error {
	page := inspect.New(nil)
	mux.Handle("/debug/scheduler/", page)

	group, err := scheduler.NewDependencyTaskGroup(site(), creating(cloud, func(string, ...any) {}),
		&scheduler.GroupOptions[string]{Name: "site", Limit: 2, Observer: page})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}

// watchers joins everything that can watch a group in one Observer. It is made once,
// for all groups of a program.
func watchers(
	traces *otel.Observer, page *inspect.Page, progress *progress.Progress, log *scheduler.LogObserver, times *timeline.Recorder,
) scheduler.Observer {
	return scheduler.Observers(traces, page, progress, log, times)
}
