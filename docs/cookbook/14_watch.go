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

// watched is a group that explains itself when it is asked.
type watched struct {
	*scheduler.DependencyTaskGroup[string]
	ask  scheduler.Event // may be set from any goroutine
	tell func(explanation string)
}

// Step answers before it goes on.
func (w *watched) Step(ctx context.Context) (scheduler.Yield, error) {
	if w.ask.IsSet() {
		w.ask.Reset()
		var text strings.Builder
		if _, err := w.WriteTo(&text); err != nil {
			return scheduler.Yield{}, err
		}
		w.tell(strings.TrimSpace(text.String()))
	}
	y, err := w.DependencyTaskGroup.Step(ctx)
	return y.Or(scheduler.On(&w.ask)), err
}

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
	w := &watched{DependencyTaskGroup: group, tell: func(text string) { say("%s", text) }}
	time.AfterFunc(3*time.Second, w.ask.Set) // a signal, a request: whatever asks
	return scheduler.Run(ctx, w, nil)
}

// watchInBrowser shows the run at /debug/scheduler/ of a server.
func watchInBrowser(ctx context.Context, cloud *cloud, mux *http.ServeMux) error {
	page := inspect.New(nil)
	mux.Handle("/debug/scheduler/", page)

	group, err := inspect.NewGroup(page, site(), creating(cloud, func(string, ...any) {}),
		&scheduler.GroupOptions[string]{Name: "site", Limit: 2})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}

// watchers are all that watch a group at once.
type watchers struct {
	page     *inspect.Page
	traces   *otel.Observer
	progress *progress.Progress
	log      *scheduler.LogObserver
	times    *timeline.Recorder
}

// newGroup makes a group that they watch. All but the page find groups inside by
// themselves, and are told once of each.
func (w watchers) newGroup(
	name string, deps *scheduler.Dependencies[string], create func(string) scheduler.Task,
) (*inspect.Group[string], error) {
	return inspect.NewGroup(w.page, deps, create, &scheduler.GroupOptions[string]{
		Name:     name,
		Observer: scheduler.Observers(w.traces, w.progress, w.log, w.times),
	})
}
