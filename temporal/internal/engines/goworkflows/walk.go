package goworkflows

import (
	"context"
	"slices"

	"github.com/cschleiden/go-workflows/workflow"
)

// activities has what every node runs; the workflow needs it for its name only.
type activities struct {
	work func(ctx context.Context, key string) (string, error)
}

// Work is exported, or the engine would not find it.
func (a *activities) Work(ctx context.Context, key string) (string, error) { return a.work(ctx, key) }

// walk is the workflow: it starts an activity for each node when those of all
// that the node requires have ended, and waits for whichever ends next. After a
// failure nothing more starts; it returns the first.
func walk(ctx workflow.Context, g Graph) error {
	waits := make(map[string]int, len(g.Nodes)) // for how many
	requirers := make(map[string][]string, len(g.Nodes))
	w := walker{options: workflow.ActivityOptions{RetryOptions: workflow.DefaultRetryOptions}}
	w.options.RetryOptions.MaxAttempts = g.Attempts
	for _, n := range g.Nodes {
		waits[n.Key] = len(n.Requires)
		for _, r := range n.Requires {
			requirers[r] = append(requirers[r], n.Key)
		}
	}
	for _, n := range g.Nodes {
		if len(n.Requires) == 0 {
			w.start(ctx, n.Key)
		}
	}
	for len(w.cases) > 0 {
		ended := w.next(ctx)
		if w.failed != nil {
			continue // what is pending has to end before the workflow may
		}
		for _, r := range requirers[ended] {
			if waits[r]--; waits[r] == 0 {
				w.start(ctx, r)
			}
		}
	}
	return w.failed
}

// walker has the activities that are pending.
type walker struct {
	options workflow.ActivityOptions
	keys    []string
	cases   []workflow.SelectCase // one for each key
	ended   string
	failed  error
}

func (w *walker) start(ctx workflow.Context, key string) {
	var a *activities
	f := workflow.ExecuteActivity[string](ctx, w.options, a.Work, key)
	w.keys = append(w.keys, key)
	w.cases = append(w.cases, workflow.Await(f, func(ctx workflow.Context, f workflow.Future[string]) {
		w.ended = key
		if _, err := f.Get(ctx); err != nil && w.failed == nil {
			w.failed = err
		}
	}))
}

// next waits for the end of an activity and returns its key.
func (w *walker) next(ctx workflow.Context) string {
	workflow.Select(ctx, w.cases...)
	i := slices.Index(w.keys, w.ended)
	w.keys, w.cases = slices.Delete(w.keys, i, i+1), slices.Delete(w.cases, i, i+1)
	return w.ended
}
