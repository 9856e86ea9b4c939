package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// action is what go build writes of a step of a build.
type action struct {
	ID                  int
	Deps                []int
	TimeStart, TimeDone time.Time
}

// Std is the graph of Go's own build of the standard library, made on the spot
// with the go command. With fresh it is built anew, in a cache of its own, which
// takes a minute or more; otherwise what is in the cache already takes next to
// no time in the recording either.
func Std(ctx context.Context, fresh bool) (g *Graph, err error) {
	dir, err := os.MkdirTemp("", "actiongraph")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "graph.json")
	cmd := exec.CommandContext(ctx, "go", "build", "-debug-actiongraph="+file, "std")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if fresh {
		cmd.Env = append(cmd.Env, "GOCACHE="+filepath.Join(dir, "cache"))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build std: %w: %s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var actions []action
	if err := json.Unmarshal(text, &actions); err != nil {
		return nil, err
	}
	return ofActions(actions), nil
}

// ofActions numbers the actions so that each comes after those that it requires.
// (The go command numbers the last one 0.)
func ofActions(actions []action) *Graph {
	g := &Graph{Name: "std", N: len(actions), Spans: make([]time.Duration, len(actions))}
	number := make([]int, len(actions))
	next := 1
	var visit func(i int)
	visit = func(i int) {
		if number[i] != 0 {
			return
		}
		for _, j := range actions[i].Deps {
			visit(j)
		}
		number[i] = next
		next++
	}
	for i := range actions {
		visit(i)
	}
	for i, a := range actions {
		n := number[i] - 1
		g.Spans[n] = max(a.TimeDone.Sub(a.TimeStart), 0)
		for _, j := range a.Deps {
			g.edge(n, number[j]-1)
		}
	}
	return g
}
