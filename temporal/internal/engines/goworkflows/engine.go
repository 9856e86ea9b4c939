// Package goworkflows walks graphs on go-workflows, another engine of durable
// workflows, so that docs/temporal.md can say how fast each of the two is. It is
// a module of its own: nothing else depends on it.
package goworkflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cschleiden/go-workflows/backend"
	"github.com/cschleiden/go-workflows/backend/monoprocess"
	"github.com/cschleiden/go-workflows/backend/sqlite"
	"github.com/cschleiden/go-workflows/client"
	"github.com/cschleiden/go-workflows/worker"
)

// Engine is go-workflows with its database, SQLite in memory, and a worker in
// this process. It runs one walk at a time.
type Engine struct {
	backend backend.Backend
	client  *client.Client
	worker  *worker.Worker
	stop    context.CancelFunc
	walks   int
}

// Start starts an engine whose activities call work with the node's key, from
// several goroutines at once. The caller has to close it.
func Start(work func(ctx context.Context, key string) (string, error)) (*Engine, error) {
	quiet := backend.WithLogger(slog.New(slog.DiscardHandler))
	// It wakes the worker, which would look for work every 200 ms otherwise.
	b := monoprocess.NewMonoprocessBackend(sqlite.NewInMemoryBackend(sqlite.WithBackendOptions(quiet)))
	options := worker.DefaultOptions
	// After ten seconds, the default, it would close a workflow that is just
	// being run.
	options.WorkflowExecutorCacheTTL = time.Hour
	e := &Engine{backend: b, client: client.New(b), worker: worker.New(b, &options)}
	err := errors.Join(
		e.worker.RegisterWorkflow(walk),
		e.worker.RegisterActivity(&activities{work: work}),
	)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.stop = cancel
	if err := e.worker.Start(ctx); err != nil {
		cancel()
		return nil, errors.Join(err, b.Close())
	}
	return e, nil
}

// Close stops the worker and drops the database.
func (e *Engine) Close() error {
	e.stop()
	return errors.Join(e.worker.WaitForCompletion(), e.backend.Close())
}

// Result is what a walk took.
type Result struct {
	Took   time.Duration
	Events int // in the history
}

// Walk runs a graph to its end and returns the workflow's error, if it has one.
func (e *Engine) Walk(ctx context.Context, g Graph) (Result, error) {
	e.walks++
	start := time.Now()
	run, err := e.client.CreateWorkflowInstance(ctx, client.WorkflowInstanceOptions{InstanceID: fmt.Sprintf("walk-%d", e.walks)}, walk, g)
	if err != nil {
		return Result{}, err
	}
	if _, err := client.GetWorkflowResult[any](ctx, e.client, run, time.Hour); err != nil {
		return Result{}, err
	}
	events, err := e.backend.GetWorkflowInstanceHistory(ctx, run, nil)
	if err != nil {
		return Result{}, err
	}
	// The client notices the end with a delay that grows with the run.
	return Result{Took: events[len(events)-1].Timestamp.Sub(start), Events: len(events)}, nil
}
