package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
)

// The SDK's test environment runs the workflow as a server would, but passes over
// the time in which nothing happens.
func TestDeploy(t *testing.T) {
	var out bytes.Buffer
	log := &nodeLog{out: &out}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log)
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute) // the machine may be busy
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	log.now, log.start = env.Now, env.Now()

	world := &world{readyAfter: map[string]int{"network": 1, "volume": 2, "bucket": 4}}
	register(env, Activities{Create: world.create, Ready: world.ready})
	env.ExecuteWorkflow(Deploy)

	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, 2, world.created["server"], "the worker that was lost is made up for")
	requireGolden(t, "15.txt", out.Bytes())
}

// world is what the activities work on. Workers are other processes, so it has a
// lock.
type world struct {
	mu         sync.Mutex
	readyAfter map[string]int // how often to ask
	created    map[string]int
}

func (w *world) create(_ context.Context, name string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.created == nil {
		w.created = map[string]int{}
	}
	w.created[name]++
	if name == "server" && w.created[name] == 1 {
		return "", errors.New("worker lost")
	}
	return name, nil
}

func (w *world) ready(_ context.Context, id string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readyAfter[id]--
	return w.readyAfter[id] < 0, nil
}

// nodeLog writes down what temporal.Log says, with the workflow's time.
type nodeLog struct {
	out   *bytes.Buffer
	now   func() time.Time
	start time.Time
}

func (l *nodeLog) Debug(message string, fields ...any) {
	if message == "Node" {
		node, state := fields[slices.Index(fields, any("Node"))+1], fields[slices.Index(fields, any("State"))+1]
		fmt.Fprintf(l.out, "%4.1fs  %v: %v\n", l.now().Sub(l.start).Seconds(), node, state)
	}
}

func (l *nodeLog) Info(string, ...any)  {}
func (l *nodeLog) Warn(string, ...any)  {}
func (l *nodeLog) Error(string, ...any) {}
