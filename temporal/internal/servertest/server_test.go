package servertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
	"github.com/steptask/scheduler/temporal/internal/flows"
)

// layers returns a graph of n layers in which each node requires all of the
// layer before: all of a layer becomes ready at once.
func layers(n, width int, activity string) temporal.Graph {
	var g temporal.Graph
	for i := range n * width {
		node := temporal.Node{Key: fmt.Sprintf("n%d", i), Activity: activity}
		for j := i - i%width - width; j >= 0 && j < i-i%width; j++ {
			node.Requires = append(node.Requires, fmt.Sprintf("n%d", j))
		}
		g.Nodes = append(g.Nodes, node)
	}
	return g
}

// grid is layers with two edges a node.
func grid(n, width int, activity string) temporal.Graph {
	var g temporal.Graph
	for i := range n * width {
		node := temporal.Node{Key: fmt.Sprintf("n%d", i), Activity: activity}
		if before := (i/width - 1) * width; before >= 0 {
			node.Requires = []string{fmt.Sprintf("n%d", before+i%width), fmt.Sprintf("n%d", before+(i+1)%width)}
		}
		g.Nodes = append(g.Nodes, node)
	}
	return g
}

func input(g temporal.Graph, s temporal.Settings) temporal.GraphInput {
	return temporal.GraphInput{Run: temporal.Run{Graph: g}, Settings: s}
}

// starts returns the IDs of the activities in the order of their starts.
func starts(t *testing.T, run client.WorkflowRun) []string {
	t.Helper()
	var ids []string
	for _, e := range events(t, shared, run.GetID(), run.GetRunID()).Events {
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			ids = append(ids, a.GetActivityId())
		}
	}
	return ids
}

func status(t *testing.T, run client.WorkflowRun) enums.WorkflowExecutionStatus {
	t.Helper()
	d, err := shared.DescribeWorkflowExecution(t.Context(), run.GetID(), run.GetRunID())
	require.NoError(t, err)
	return d.GetWorkflowExecutionInfo().GetStatus()
}

// count returns the number of events of a type.
func count(t *testing.T, run client.WorkflowRun, kind enums.EventType) int {
	t.Helper()
	n := 0
	for _, e := range events(t, shared, run.GetID(), run.GetRunID()).Events {
		if e.GetEventType() == kind {
			n++
		}
	}
	return n
}

// replayRun replays a run's history, and keeps it under a name when asked to.
func replayRun(t *testing.T, run client.WorkflowRun, name string) {
	t.Helper()
	replay(t, events(t, shared, run.GetID(), run.GetRunID()), run.GetID(), name)
}

func TestDiamond(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	run := begin(t, shared, queue, flows.Diamond, []string{"a", "b", "c", "d"})
	require.NoError(t, finish(t, shared, run, nil))
	require.Equal(t, []string{"a", "b", "c", "d"}, starts(t, run))
	replayRun(t, run, "diamond")
}

// The order of starts is that of the same graph in one process.
func TestOrder(t *testing.T) {
	for _, limit := range []int{0, 1} {
		t.Run(fmt.Sprintf("with limit %d", limit), func(t *testing.T) {
			graph := layers(4, 8, "Work")
			deps, err := graph.Dependencies()
			require.NoError(t, err)
			var want []string
			group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
				want = append(want, k)
				return scheduler.Pause(scheduler.Next)
			}, &scheduler.GroupOptions[string]{Limit: limit})
			require.NoError(t, err)
			require.NoError(t, scheduler.Run(t.Context(), group, nil))

			queue := startHere(t, shared)
			run := begin(t, shared, queue, temporal.GraphType, input(graph, temporal.Settings{Limit: limit}))
			require.NoError(t, finish(t, shared, run, nil))
			require.Equal(t, want, starts(t, run))
			replayRun(t, run, fmt.Sprintf("layers-limit-%d", limit))
		})
	}
}

// Services are up in order, and down in reverse.
func TestServices(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	run := begin(t, shared, queue, flows.Services)
	var did []string
	require.NoError(t, finish(t, shared, run, &did))
	require.Equal(t, []string{"db is up", "api is up", "api is down", "db is down"}, did)
	replayRun(t, run, "services")
}

func TestWraps(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	run := begin(t, shared, queue, flows.Wraps, 10, 50*time.Millisecond)
	var done int
	require.NoError(t, finish(t, shared, run, &done))
	require.Equal(t, 10, done)
	replayRun(t, run, "wraps")
}

func TestCancel(t *testing.T) {
	for _, test := range []struct {
		name           string
		grace, cleanup time.Duration
		cancelled      int // activities that came to their end
	}{
		{"long grace", time.Minute, 100 * time.Millisecond, 3},
		{"short grace", 30 * time.Millisecond, time.Minute, 0},
		{"no grace", 0, time.Minute, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			queue := startHere(t, shared)
			run := begin(t, shared, queue, flows.Patients, test.grace, test.cleanup)
			require.Eventually(t, func() bool { // all of them run
				d, err := shared.DescribeWorkflowExecution(t.Context(), run.GetID(), run.GetRunID())
				started := 0
				for _, a := range d.GetPendingActivities() {
					if a.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED {
						started++
					}
				}
				return err == nil && started == 3
			}, most, 20*time.Millisecond)
			require.NoError(t, shared.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
			require.Error(t, finish(t, shared, run, nil))
			require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_CANCELED, status(t, run))
			require.Equal(t, 3, count(t, run, enums.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED))
			require.Equal(t, test.cancelled, count(t, run, enums.EVENT_TYPE_ACTIVITY_TASK_CANCELED))
			replayRun(t, run, "cancel-"+strings.ReplaceAll(test.name, " ", "-"))
		})
	}
}

func TestFailure(t *testing.T) {
	for _, aggregate := range []bool{false, true} {
		t.Run(fmt.Sprintf("aggregate %v", aggregate), func(t *testing.T) {
			queue := startHere(t, shared)
			graph := grid(3, 4, "Work")
			graph.Nodes[5].Activity, graph.Nodes[10].Activity = "Fail", "Fail"
			run := begin(t, shared, queue, temporal.GraphType,
				input(graph, temporal.Settings{AggregateErrors: aggregate, GroupGrace: time.Minute}))
			err := finish(t, shared, run, nil)
			require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_FAILED, status(t, run))
			// They do not require each other: which one fails first is the workers' affair.
			var failed []string
			for _, n := range temporal.FailedNodes(err) {
				failed = append(failed, n.Node)
			}
			require.Subset(t, []string{"n5", "n10"}, failed)
			require.NotEmpty(t, failed)
			if aggregate {
				require.Len(t, failed, 2)
			}
			var activity *sdk.ActivityError
			require.ErrorAs(t, err, &activity)
			require.Equal(t, failed[0], activity.ActivityID())
			replayRun(t, run, fmt.Sprintf("failure-aggregate-%v", aggregate))
		})
	}
}

func TestContinueAsNew(t *testing.T) {
	queue := startHere(t, shared)
	depth := 50
	if raceEnabled { // the SDK and gRPC take ten times as long
		depth = 20
	}
	run := begin(t, shared, queue, temporal.GraphType, input(grid(depth, 100, "Work"), temporal.Settings{Limit: 500}))
	id := run.GetRunID() // later that of the last run
	require.NoError(t, finish(t, shared, run, nil))
	seen := map[string]int{}
	runs := 0
	for ; id != ""; runs++ {
		h := events(t, shared, run.GetID(), id)
		replay(t, h, run.GetID(), "")
		id = ""
		for _, e := range h.Events {
			if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
				seen[a.GetActivityId()]++
			}
			if a := e.GetWorkflowExecutionContinuedAsNewEventAttributes(); a != nil {
				id = a.GetNewExecutionRunId()
			}
		}
	}
	require.Len(t, seen, depth*100)
	for id, times := range seen {
		require.Equal(t, 1, times, id)
	}
	require.Greater(t, runs, 1)
	t.Log(runs, "runs")
}

// A short one, whose histories are kept.
func TestContinueAsNew_short(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	run := begin(t, shared, queue, temporal.GraphType, input(grid(6, 5, "Work"), temporal.Settings{MaxHistory: 50}))
	first := run.GetRunID() // later that of the last run
	require.NoError(t, finish(t, shared, run, nil))
	h := events(t, shared, run.GetID(), first)
	replay(t, h, run.GetID(), "continued-1")
	next := h.Events[len(h.Events)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	require.NotEmpty(t, next)
	replay(t, events(t, shared, run.GetID(), next), run.GetID(), "continued-2")
}

// Signals that come before anybody waits for them are handed on to the next run,
// whatever they carry.
func TestContinueAsNew_signals(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	graph := grid(6, 5, "Work")
	graph.Nodes = append(graph.Nodes,
		temporal.Node{Key: "bytes", Signal: "bytes", Requires: []string{"n29"}},
		temporal.Node{Key: "protobuf", Signal: "protobuf", Requires: []string{"bytes"}},
		temporal.Node{Key: "last", Activity: "Work", Requires: []string{"bytes", "protobuf"}})
	run := begin(t, shared, queue, temporal.GraphType, input(graph, temporal.Settings{MaxHistory: 80}))
	first := run.GetRunID() // later that of the last run
	for name, value := range map[string]any{"bytes": []byte("\x00raw"), "protobuf": wrapperspb.String("approved")} {
		require.NoError(t, shared.SignalWorkflow(t.Context(), run.GetID(), first, name, value))
	}
	require.NoError(t, finish(t, shared, run, nil))
	var last temporal.NodeInput
	for i, id := 1, first; id != ""; i++ {
		h := events(t, shared, run.GetID(), id)
		replay(t, h, run.GetID(), fmt.Sprintf("signals-%d", i))
		id = ""
		for _, e := range h.Events {
			if a := e.GetActivityTaskScheduledEventAttributes(); a.GetActivityId() == "last" {
				require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(a.GetInput(), &last))
			}
			id = e.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		}
	}
	require.Equal(t, map[string]json.RawMessage{"bytes": json.RawMessage(`"AHJhdw=="`), "protobuf": json.RawMessage(`"approved"`)}, last.Results)
}

// The heartbeats of WorkerOptions keep what the activity has noted.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	graph := temporal.Graph{Nodes: []temporal.Node{{Key: "copy", Activity: "Copy"}}}
	run := begin(t, shared, queue, temporal.GraphType, input(graph, temporal.Settings{Heartbeat: time.Second, Grace: time.Minute}))
	beats := map[time.Time]bool{}
	require.Eventually(t, func() bool {
		d, err := shared.DescribeWorkflowExecution(t.Context(), run.GetID(), run.GetRunID())
		for _, a := range d.GetPendingActivities() {
			if a.GetLastHeartbeatTime() == nil {
				continue
			}
			beats[a.GetLastHeartbeatTime().AsTime()] = true
			var details map[string]int
			if converter.GetDefaultDataConverter().FromPayloads(a.GetHeartbeatDetails(), &details) != nil || details["parts"] != 3 {
				t.Errorf("details after %d heartbeats: %v", len(beats), a.GetHeartbeatDetails())
			}
		}
		return err == nil && len(beats) >= 3
	}, most, 20*time.Millisecond)
	require.NoError(t, shared.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
	require.Error(t, finish(t, shared, run, nil))
}

func TestChildren(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	var graph temporal.Graph
	for i := range 6 { // pieces
		for _, n := range grid(5, 4, "Work").Nodes {
			n.Key = fmt.Sprintf("p%d-%s", i, n.Key)
			for j, k := range n.Requires {
				n.Requires[j] = fmt.Sprintf("p%d-%s", i, k)
			}
			graph.Nodes = append(graph.Nodes, n)
		}
	}
	split, err := graph.Split(40)
	require.NoError(t, err)
	run := begin(t, shared, queue, temporal.GraphType, input(split, temporal.Settings{}))
	require.NoError(t, finish(t, shared, run, nil))
	require.Equal(t, 3, count(t, run, enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED))
	replayRun(t, run, "children")
	child := run.GetID() + "/subgraph-1"
	replay(t, events(t, shared, child, ""), child, "")
}

// Without Drive's limit the server would let the workflow hang for ever.
func TestLimit(t *testing.T) {
	queue := startHere(t, shared)
	run := begin(t, shared, queue, flows.Wide, 2500, temporal.MaxLimit)
	require.NoError(t, finish(t, shared, run, nil))
	require.Equal(t, 2500, count(t, run, enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED))
	replayRun(t, run, "")
}

func TestLocal(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	run := begin(t, shared, queue, flows.Local, 60, 10)
	require.NoError(t, finish(t, shared, run, nil))
	replayRun(t, run, "local")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	queue := startHere(t, shared)
	graph := temporal.Graph{Nodes: []temporal.Node{
		{Key: "approval", Signal: "approve"},
		{Key: "work", Activity: "Work", Requires: []string{"approval"}},
	}}
	run := begin(t, shared, queue, temporal.GraphType, input(graph, temporal.Settings{}))
	value, err := shared.QueryWorkflow(t.Context(), run.GetID(), run.GetRunID(), temporal.QueryExplain)
	require.NoError(t, err)
	var text string
	require.NoError(t, value.Get(&text))
	require.Contains(t, text, "approval: running")
	require.Contains(t, text, "work: pending")
	require.Contains(t, text, "requires approval")
	require.NoError(t, shared.SignalWorkflow(t.Context(), run.GetID(), run.GetRunID(), "approve", "yes"))
	require.NoError(t, finish(t, shared, run, nil))
	replayRun(t, run, "signal")
}

// slow returns a graph of nodes that note in a folder what they do. The second half is
// held until survives is called.
func slow(t *testing.T, folder string) temporal.Graph {
	t.Helper()
	text, err := json.Marshal(folder)
	require.NoError(t, err)
	g := grid(6, 3, "Slow")
	for i := range g.Nodes {
		g.Nodes[i].Input = text
		if i >= 9 {
			g.Nodes[i].Activity = "Held"
		}
	}
	return g
}

// done returns the keys that have come to their end, with how often.
func done(t *testing.T, folder, what string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*."+what))
	require.NoError(t, err)
	times := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		times[strings.TrimSuffix(filepath.Base(file), "."+what)] = len(text)
	}
	return times
}

// survives calls rest, in which the run of the slow graph ends that was hit by a kill,
// and checks that all nodes come to their end, and those that the server knew as
// completed do not begin again. Before that one may have begun twice: its heartbeats
// were late on a busy machine.
func survives(t *testing.T, folder string, completed map[string]int, rest func()) {
	t.Helper()
	require.Less(t, len(completed), 18)
	before := done(t, folder, "start")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "on"), nil, 0o600))
	rest()
	require.Len(t, done(t, folder, "end"), 18)
	after := done(t, folder, "start")
	for k := range completed {
		require.Equal(t, before[k], after[k], "%s was completed, and ran again", k)
	}
}

func waitFor(t *testing.T, folder string, ends int) map[string]int {
	t.Helper()
	require.Eventually(t, func() bool { return len(done(t, folder, "end")) >= ends }, most, 20*time.Millisecond)
	return done(t, folder, "end")
}

func TestKilledWorker(t *testing.T) {
	t.Parallel()
	folder, queue := t.TempDir(), newQueue(t)
	first := startProcess(t, serverAddress, queue)
	run := begin(t, shared, queue, temporal.GraphType, input(slow(t, folder), temporal.Settings{Heartbeat: time.Second}))
	waitFor(t, folder, 5)
	require.NoError(t, first.Process.Kill())
	_, _ = first.Process.Wait()
	// What has ended but was not told to the server counts as not completed.
	completed := completedNodes(t, shared, run)
	survives(t, folder, completed, func() {
		startProcess(t, serverAddress, queue)
		require.NoError(t, finish(t, shared, run, nil))
	})
	replayRun(t, run, "")
}

// completedNodes returns the nodes that the server knows to be completed.
func completedNodes(t *testing.T, c client.Client, run client.WorkflowRun) map[string]int {
	t.Helper()
	nodes := map[string]int{}
	ids := map[int64]string{}
	for _, e := range events(t, c, run.GetID(), run.GetRunID()).Events {
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			ids[e.GetEventId()] = a.GetActivityId()
		}
		if a := e.GetActivityTaskCompletedEventAttributes(); a != nil {
			nodes[ids[a.GetScheduledEventId()]]++
		}
	}
	return nodes
}

func TestKilledServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "temporal.db")
	server := startServer(t, address, file)
	c := dial(t, address)
	queue := startHere(t, c)
	run := begin(t, c, queue, temporal.GraphType, input(slow(t, folder), temporal.Settings{Heartbeat: 2 * time.Second}))
	waitFor(t, folder, 5)
	require.NoError(t, server.Process.Kill())
	_, _ = server.Process.Wait()
	startServer(t, address, file)
	completed := completedNodes(t, dial(t, address), run)
	survives(t, folder, completed, func() { require.NoError(t, finish(t, c, run, nil)) })
	replay(t, events(t, c, run.GetID(), run.GetRunID()), run.GetID(), "")
}

// startServer starts a server of the test's own, on a file.
func startServer(t *testing.T, address, file string) *exec.Cmd {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	cmd := exec.Command(binary, append([]string{
		"server", "start-dev", "--ip", host, "--port", port, "--namespace", "default",
		"--headless", "--log-level", "error", "--db-filename", file,
	}, fast...)...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
	})
	return cmd
}

// dial waits for the server to answer.
func dial(t *testing.T, address string) client.Client {
	t.Helper()
	var c client.Client
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var err error
		if c, err = client.DialContext(ctx, client.Options{HostPort: address, Logger: quiet, Identity: "test"}); err != nil {
			return false
		}
		if _, err = c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			c.Close()
			return false
		}
		return true
	}, most, 200*time.Millisecond)
	t.Cleanup(c.Close)
	return c
}

// Rounds without a pause do not set off the deadlock detector; a single step
// of more than a second does, and the reason is in the history.
func TestBusy(t *testing.T) {
	queue := newQueue(t)
	w := worker.New(shared, queue, temporal.WorkerOptions(worker.Options{}))
	flows.RegisterWorkflows(w)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	t.Run("in many steps", func(t *testing.T) {
		run := begin(t, shared, queue, flows.Busy, 150, 10*time.Millisecond)
		require.NoError(t, finish(t, shared, run, nil))
		replayRun(t, run, "")
	})
	t.Run("in one step", func(t *testing.T) {
		if raceEnabled {
			t.Skip("the SDK itself has a data race once its deadlock detector has fired (temporalio/sdk-go#1240)")
		}
		run := begin(t, shared, queue, flows.Busy, 1, 1500*time.Millisecond)
		require.Eventually(t, func() bool {
			for _, e := range events(t, shared, run.GetID(), run.GetRunID()).Events {
				if failed := e.GetWorkflowTaskFailedEventAttributes(); failed != nil {
					return strings.Contains(failed.GetFailure().GetMessage(), "TMPRL1101")
				}
			}
			return false
		}, most, 50*time.Millisecond)
		require.NoError(t, shared.TerminateWorkflow(t.Context(), run.GetID(), run.GetRunID(), "seen"))
	})
}

// A workflow that is dropped from the cache leaves no goroutine. The cache is the
// process's: another one is used.
func TestEviction(t *testing.T) {
	address := os.Getenv(evictionEnv)
	if address == "" {
		t.Parallel()
		cmd := exec.Command(os.Args[0], "-test.run=^TestEviction$", "-test.v")
		cmd.Env = append(os.Environ(), evictionEnv+"="+serverAddress)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestEviction")
		t.Logf("%s", out)
		return
	}
	worker.SetStickyWorkflowCacheSize(4)
	c, err := client.Dial(client.Options{HostPort: address, Logger: quiet, Identity: "test"})
	require.NoError(t, err)
	defer c.Close()
	queue := startHere(t, c)
	warm := begin(t, c, queue, flows.Wraps, 20, 100*time.Millisecond)
	require.NoError(t, finish(t, c, warm, nil))
	worker.PurgeStickyWorkflowCache()
	before := settled()
	var runs []client.WorkflowRun
	for i := range 16 {
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
			ID: fmt.Sprintf("%s-%d", queue, i), TaskQueue: queue,
		}, flows.Wraps, 20, 300*time.Millisecond)
		require.NoError(t, err)
		runs = append(runs, run)
	}
	peak := 0
	for _, run := range runs {
		peak = max(peak, runtime.NumGoroutine())
		require.NoError(t, finish(t, c, run, nil))
	}
	worker.PurgeStickyWorkflowCache()
	after := settled()
	t.Logf("goroutines: %d before, %d at most, %d after", before, peak, after)
	// One evicted run alone has 20 coroutines suspended.
	require.Less(t, after, before+20)
	require.Less(t, peak, before+300)
}

// settled returns the number of goroutines once it has stopped falling.
func settled() int {
	n, still := runtime.NumGoroutine(), 0
	for still < 20 {
		<-time.After(50 * time.Millisecond)
		if now := runtime.NumGoroutine(); now < n {
			n, still = now, 0
		} else {
			still++
		}
	}
	return n
}
