// Command temporal creates a stack of simulated resources from a Heat template,
// as a Temporal workflow: nodes are run by two worker processes, either of which
// may be killed at any time.
//
//	go run . create   start two workers and create the stack
//	go run . worker   be one more worker
//	go run . show     which resource is in which state, and what it waits for
//	go run . cancel   ask the workflow to end
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"github.com/steptask/scheduler/temporal"
)

const (
	stack = "example-stack" // the workflow
	queue = "example-stack" // that the workers ask for tasks
	file  = "stack.yaml"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	f := flag.NewFlagSet("temporal", flag.ExitOnError)
	f.Usage = func() { fmt.Fprintln(f.Output(), usage) }
	_ = f.Parse(os.Args[1:]) // it has no flags but -h
	command := commands[f.Arg(0)]
	if f.NArg() != 1 || command == nil {
		f.Usage()
		os.Exit(2)
	}
	if err := run(ctx, command); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const usage = `usage: temporal create | worker | show | cancel

  create   start two workers and create the stack
  worker   be one more worker
  show     which resource is in which state, and what it waits for
  cancel   ask the workflow to end`

var commands = map[string]func(context.Context, client.Client) error{
	"create": create, "worker": work, "show": show, "cancel": stop,
}

func run(ctx context.Context, command func(context.Context, client.Client) error) error {
	address := os.Getenv("TEMPORAL_ADDRESS") // as for the temporal command
	if address == "" {
		address = client.DefaultHostPort
	}
	warnings := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Logger: log.NewStructuredLogger(warnings)})
	if err != nil {
		return fmt.Errorf("no Temporal server at %s (README.md says how to start one): %w", address, err)
	}
	defer c.Close()
	return command(ctx, c)
}

// work is a worker, until it is interrupted.
func work(ctx context.Context, c client.Client) error {
	w := worker.New(c, queue, temporal.WorkerOptions(worker.Options{}))
	register(w, w)
	if err := w.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	w.Stop()
	return nil
}

// create starts the workflow, or finds it running, and waits for its end.
func create(ctx context.Context, c client.Client) error {
	graph, err := readTemplate(file)
	if err != nil {
		return err
	}
	for range 2 {
		w, err := startWorker()
		if err != nil {
			return err
		}
		fmt.Println("started worker", w.Process.Pid)
		defer endWorker(w)
	}
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: stack, TaskQueue: queue}, temporal.GraphType,
		temporal.GraphInput{
			Run:      temporal.Run{Graph: graph},
			Settings: temporal.Settings{Grace: time.Minute, Heartbeat: 5 * time.Second},
		})
	if err != nil {
		return err
	}
	err = run.Get(ctx, nil)
	for _, node := range temporal.FailedNodes(err) {
		fmt.Printf("%s failed: %s\n", node.Node, node.Message)
	}
	if err != nil {
		return fmt.Errorf("the stack was not created: %w", err)
	}
	fmt.Println("the stack is created")
	return nil
}

// startWorker starts this program as a worker, in a process of its own.
func startWorker() (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := exec.Command(program, "worker")
	w.Stdout, w.Stderr = os.Stdout, os.Stderr
	return w, w.Start()
}

func endWorker(w *exec.Cmd) {
	_ = w.Process.Signal(os.Interrupt) // it may be dead already
	_ = w.Wait()
}

// show prints what the group in the workflow says of itself.
func show(ctx context.Context, c client.Client) error {
	value, err := c.QueryWorkflow(ctx, stack, "", temporal.QueryExplain)
	if err != nil {
		return err
	}
	var text string
	if err := value.Get(&text); err != nil {
		return err
	}
	fmt.Print(text)
	return nil
}

// stop asks the workflow to cancel: what is being created has the grace.
func stop(ctx context.Context, c client.Client) error {
	return c.CancelWorkflow(ctx, stack, "")
}
