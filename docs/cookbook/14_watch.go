package main

import (
	"context"
	"strings"
	"time"

	"github.com/steptask/scheduler"
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
			Observer: scheduler.ObserverFunc(func(t scheduler.Transition) {
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
