package goworkflows_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/temporal/internal/engines/goworkflows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trace notes what its work is called for.
type trace struct {
	mu       sync.Mutex
	requires map[string][]string
	fails    string        // a node, or none
	failed   chan struct{} // closed once it has failed: all others wait for that
	ended    map[string]int
	early    []string // nodes that began before what they require had ended
}

func newTrace(g goworkflows.Graph) *trace {
	tr := &trace{requires: map[string][]string{}, failed: make(chan struct{}), ended: map[string]int{}}
	for _, n := range g.Nodes {
		tr.requires[n.Key] = n.Requires
	}
	return tr
}

func (tr *trace) work(_ context.Context, key string) (string, error) {
	if tr.fails != "" && key != tr.fails {
		<-tr.failed
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, r := range tr.requires[key] {
		if tr.ended[r] == 0 {
			tr.early = append(tr.early, key)
		}
	}
	if key == tr.fails {
		close(tr.failed)
		return "", errors.New("boom in " + key)
	}
	tr.ended[key]++
	return key, nil
}

func start(t *testing.T, tr *trace) *goworkflows.Engine {
	t.Helper()
	e, err := goworkflows.Start(tr.work)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func TestEngine_Walk(t *testing.T) {
	for _, test := range []struct {
		name          string
		layers, width int
		attempts      int
	}{
		{"wide", 1, 20, 1},
		{"layered", 4, 5, 1},
		{"layered, with retries", 4, 5, 3},
		{"chain", 10, 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := goworkflows.Grid(test.layers, test.width)
			g.Attempts = test.attempts
			tr := newTrace(g)
			result, err := start(t, tr).Walk(t.Context(), g)
			require.NoError(t, err)
			require.Empty(t, tr.early)
			require.Len(t, tr.ended, len(g.Nodes))
			for key, times := range tr.ended {
				require.Equal(t, 1, times, key)
			}
			require.Positive(t, result.Took)
			require.Greater(t, result.Events, 2*len(g.Nodes)) // begin and end of each
		})
	}
	t.Run("starts nothing after a failure", func(t *testing.T) {
		const layers, width = 12, 20
		g := goworkflows.Grid(layers, width)
		tr := newTrace(g)
		tr.fails = "n1"
		_, err := start(t, tr).Walk(t.Context(), g)
		require.ErrorContains(t, err, "boom in n1")
		require.Empty(t, tr.early)
		require.Zero(t, tr.ended["n20"]+tr.ended["n21"]) // they require n1
		// Some of the last layer do not. It is eleven steps of the workflow away: the
		// failure has been seen long before.
		for _, n := range g.Nodes[(layers-1)*width:] {
			require.Zero(t, tr.ended[n.Key], n.Key)
		}
	})
}

func TestGrid(t *testing.T) {
	require.Equal(t, []goworkflows.Node{
		{Key: "n0"},
		{Key: "n1"},
		{Key: "n2", Requires: []string{"n0", "n1"}},
		{Key: "n3", Requires: []string{"n1", "n0"}},
	}, goworkflows.Grid(2, 2).Nodes)
	require.Equal(t, []goworkflows.Node{
		{Key: "n0"},
		{Key: "n1", Requires: []string{"n0"}},
	}, goworkflows.Grid(2, 1).Nodes)
}
