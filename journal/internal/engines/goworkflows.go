package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/cschleiden/go-workflows/backend"
	"github.com/cschleiden/go-workflows/backend/monoprocess"
	"github.com/cschleiden/go-workflows/backend/sqlite"
	"github.com/cschleiden/go-workflows/client"
	"github.com/cschleiden/go-workflows/worker"
	"github.com/cschleiden/go-workflows/workflow"
)

// goWorkflows runs an activity for each node, layer by layer. Each engine has its own
// file and a worker in this process.
func goWorkflows(synchronous string) func(context.Context, string, graph) (time.Duration, error) {
	return func(ctx context.Context, dir string, g graph) (took time.Duration, err error) {
		quiet := sqlite.WithBackendOptions(backend.WithLogger(slog.New(slog.DiscardHandler)))
		path := filepath.Join(dir, "workflows.db") + "?_pragma=synchronous(" + synchronous + ")"
		b := monoprocess.NewMonoprocessBackend(sqlite.NewSqliteBackend(path, quiet))
		defer func() { err = errors.Join(err, b.Close()) }()
		options := worker.DefaultOptions
		options.WorkflowExecutorCacheTTL = time.Hour // or it would close a workflow that runs for long
		w := worker.New(b, &options)
		if err := errors.Join(w.RegisterWorkflow(walkLayers), w.RegisterActivity(activity)); err != nil {
			return 0, err
		}
		running, stop := context.WithCancel(ctx)
		defer stop()
		if err := w.Start(running); err != nil {
			return 0, err
		}
		defer func() { stop(); err = errors.Join(err, w.WaitForCompletion()) }()
		c := client.New(b)
		start := time.Now()
		run, err := c.CreateWorkflowInstance(ctx, client.WorkflowInstanceOptions{InstanceID: "walk"}, walkLayers, g.layers())
		if err != nil {
			return 0, err
		}
		if _, err := client.GetWorkflowResult[any](ctx, c, run, time.Hour); err != nil {
			return 0, err
		}
		events, err := b.GetWorkflowInstanceHistory(ctx, run, nil)
		if err != nil {
			return 0, err
		}
		// The client notices the end with a delay that grows with the run.
		return events[len(events)-1].Timestamp.Sub(start), nil
	}
}

func activity(_ context.Context, key string) (string, error) { return key, nil }

func walkLayers(ctx workflow.Context, layers [][]string) error {
	for _, layer := range layers {
		var all []workflow.Future[string]
		for _, key := range layer {
			all = append(all, workflow.ExecuteActivity[string](ctx, workflow.DefaultActivityOptions, activity, key))
		}
		for _, f := range all {
			if _, err := f.Get(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// layers returns the nodes by the length of the longest path to them.
func (g graph) layers() (layers [][]string) {
	depth := map[string]int{}
	for _, k := range g.keys {
		for _, r := range g.requires[k] {
			depth[k] = max(depth[k], depth[r]+1)
		}
		if depth[k] == len(layers) {
			layers = append(layers, nil)
		}
		layers[depth[k]] = append(layers[depth[k]], k)
	}
	return layers
}
