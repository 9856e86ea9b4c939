// Package servertest tests against a real server, which make server has built.
package servertest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/steptask/scheduler/temporal"
	"github.com/steptask/scheduler/temporal/internal/flows"
)

const (
	// workerEnv makes a process of this test a worker: the server's address.
	workerEnv = "SCHEDULER_SERVERTEST_WORKER"
	queueEnv  = "SCHEDULER_SERVERTEST_QUEUE"
	// evictionEnv is the same for the process that has a small cache.
	evictionEnv = "SCHEDULER_SERVERTEST_EVICTION"
)

var update = flag.Bool("update", false, "write the histories that are made to testdata")

var (
	binary        string        // the server's
	shared        client.Client // of a server in memory
	serverAddress string
	quiet         = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	most          = 3 * time.Minute // that anything may take
)

func TestMain(m *testing.M) {
	flag.Parse()
	if address := os.Getenv(workerEnv); address != "" {
		os.Exit(runWorker(address, os.Getenv(queueEnv)))
	}
	if os.Getenv(evictionEnv) != "" {
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if binary, err = findServer(); err != nil {
		fmt.Fprintln(os.Stderr, "servertest: no server:", err)
		return 1
	}
	server, err := testsuite.StartDevServer(context.Background(), testsuite.DevServerOptions{
		ExistingPath: binary, LogLevel: "error", Stdout: io.Discard, Stderr: io.Discard, ExtraArgs: fast,
		ClientOptions: &client.Options{Logger: quiet, Identity: "test"},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "servertest: starting the server:", err)
		return 1
	}
	defer func() { _ = server.Stop() }()
	shared, serverAddress = server.Client(), server.FrontendHostPort()
	return m.Run()
}

// findServer returns the path of the server: what TEMPORAL_BIN says, which may be
// the temporal command as well, or what make server has built. Building it takes
// minutes, which no test's time limit should have to include.
func findServer() (string, error) {
	if path := os.Getenv("TEMPORAL_BIN"); path != "" {
		return path, nil
	}
	path, err := filepath.Abs(filepath.Join("..", "..", ".bin", "devserver"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", errors.New(`"make -C temporal server", from the root of the repository, builds it (some minutes, once); TEMPORAL_BIN names another`)
	}
	return path, nil
}

// fast lets the server do more than 20 steps a second, and timers be exact.
var fast = []string{
	"--dynamic-config-value", `history.timerProcessorMaxTimeShift="1ms"`,
	"--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000",
	"--dynamic-config-value", "history.timerProcessorMaxPollRPS=2000",
	"--dynamic-config-value", "history.transferProcessorMaxPollHostRPS=100000",
	"--dynamic-config-value", "history.timerProcessorMaxPollHostRPS=100000",
}

// newWorker is a worker for all flows.
func newWorker(c client.Client, queue string) worker.Worker {
	w := worker.New(c, queue, temporal.WorkerOptions(worker.Options{
		Identity:                         "worker", // not the machine's name, in histories that are kept
		MaxConcurrentActivityTaskPollers: 8, MaxConcurrentWorkflowTaskPollers: 4,
		MaxHeartbeatThrottleInterval: 100 * time.Millisecond, DefaultHeartbeatThrottleInterval: 100 * time.Millisecond,
		// A busy machine is not to be taken for a deadlock.
		DeadlockDetectionTimeout: 30 * time.Second,
	}))
	flows.RegisterWorkflows(w)
	flows.RegisterActivities(w)
	return w
}

// runWorker is the main function of a worker process.
func runWorker(address, queue string) int {
	c, err := client.Dial(client.Options{HostPort: address, Logger: quiet, Identity: "test"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Close()
	w := newWorker(c, queue)
	if err := w.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer w.Stop()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	<-end
	return 0
}

// startProcess starts a worker process.
func startProcess(t *testing.T, address, queue string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"="+address, queueEnv+"="+queue)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
	})
	return cmd
}

// startHere starts a worker in this process, on a queue of the test's own.
func startHere(t *testing.T, c client.Client) (queue string) {
	t.Helper()
	queue = newQueue(t)
	w := newWorker(c, queue)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return queue
}

func newQueue(t *testing.T) string {
	return strings.ReplaceAll(t.Name(), "/", "-") + fmt.Sprintf("-%d", time.Now().UnixNano())
}

// begin starts a workflow.
func begin(t *testing.T, c client.Client, queue string, flow any, args ...any) client.WorkflowRun {
	t.Helper()
	return beginAs(t, c, queue, queue, flow, args...)
}

// beginAs starts a workflow with an ID of its own.
func beginAs(t *testing.T, c client.Client, id, queue string, flow any, args ...any) client.WorkflowRun {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: id, TaskQueue: queue, WorkflowTaskTimeout: 5 * time.Second,
	}, flow, args...)
	require.NoError(t, err)
	return run
}

// finish waits for the end of a workflow and returns its error. All its
// histories must replay.
func finish(t *testing.T, c client.Client, run client.WorkflowRun, result any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	err := run.Get(ctx, result)
	if ctx.Err() != nil {
		for _, e := range events(t, c, run.GetID(), "").Events {
			if failed := e.GetWorkflowTaskFailedEventAttributes(); failed != nil {
				t.Log(failed.GetCause(), failed.GetFailure().GetMessage())
			}
		}
		t.Fatal("it does not end: ", err)
	}
	return err
}

// events returns the history of a run, or the latest of a workflow.
func events(t *testing.T, c client.Client, id, run string) *history.History {
	t.Helper()
	h := &history.History{}
	all := c.GetWorkflowHistory(t.Context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for all.HasNext() {
		e, err := all.Next()
		require.NoError(t, err)
		h.Events = append(h.Events, e)
	}
	return h
}

// replay replays the history of a run, and keeps it under a name when asked to.
func replay(t *testing.T, h *history.History, id, name string) {
	t.Helper()
	// On a busy machine no second is too long for a step.
	r, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DisableDeadlockDetection: true})
	require.NoError(t, err)
	flows.RegisterWorkflows(r)
	require.NoError(t, r.ReplayWorkflowHistoryWithOptions(quiet, h, worker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: id},
	}))
	if !*update || name == "" {
		return
	}
	text, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(h)
	require.NoError(t, err)
	folder := filepath.Join("..", "..", "testdata", "histories")
	require.NoError(t, os.WriteFile(filepath.Join(folder, name+".json"), append(text, '\n'), 0o600))
}

// freeAddress returns an address at which a server can listen. A system gives no port
// below 30,000 to those that ask for any, so that it stays free until then.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000)))
		if err == nil {
			require.NoError(t, l.Close())
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}
