package porting

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// seen is what two walkers must have in common, whatever order they choose.
type seen struct {
	visited []string // sorted
	failed  []string // those whose errors are in the result, sorted
	early   []string // those visited before the end of something that they require
	most    int      // visits at the same time
}

type dagWalker func(ctx context.Context, graph map[string][]string, w world) error

// record walks a graph and records the visits. Visits of fails fail.
func record(walk dagWalker, graph map[string][]string, takes map[string]time.Duration, fails map[string]error) seen {
	var (
		mu           sync.Mutex
		s            seen
		begun, ended = map[string]bool{}, map[string]bool{}
	)
	visit := func(_ context.Context, v string) error {
		mu.Lock()
		for other, required := range graph {
			if slices.Contains(required, v) && begun[other] {
				s.early = append(s.early, other)
			}
		}
		for _, r := range graph[v] {
			if begun[r] && !ended[r] {
				s.early = append(s.early, v)
			}
		}
		begun[v] = true
		s.visited = append(s.visited, v)
		s.most = max(s.most, len(begun)-len(ended))
		mu.Unlock()

		time.Sleep(takes[v]) //nolint:forbidigo // in a bubble
		mu.Lock()
		defer mu.Unlock()
		ended[v] = true
		return fails[v]
	}
	err := walk(context.Background(), graph, world{visit, func(string, ...any) {}})
	for v, failure := range fails {
		if errors.Is(err, failure) {
			s.failed = append(s.failed, v)
		}
	}
	slices.Sort(s.visited)
	slices.Sort(s.failed)
	return s
}

// Both walkers visit the same vertices of random graphs and report the same failures.
func TestDag_same_visits(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			graph, takes, fails := randomGraph(rand.New(rand.NewPCG(seed, 0)))
			before := record(dagBefore, graph, takes, fails)
			after := record(dagAfter, graph, takes, fails)
			require.Equal(t, before.visited, after.visited, "seed %d", seed)
			require.Equal(t, before.failed, after.failed, "seed %d", seed)
			require.Empty(t, after.early, "seed %d", seed)
			require.LessOrEqual(t, after.most, 2, "seed %d", seed)

			if len(after.visited) < len(graph) {
				kinds["skipped"]++
			}
			if len(after.failed) > 1 {
				kinds["several failed"]++
			}
			if after.most == 2 {
				kinds["full"]++
			}
			if slices.Contains(after.visited, "report") && len(after.failed) > 0 {
				kinds["always"]++
			}
		})
	}
	for _, kind := range []string{"skipped", "several failed", "full", "always"} {
		require.Greater(t, kinds[kind], 20, kind)
	}
}

// randomGraph returns a graph without cycles, how long visits take, and which fail.
func randomGraph(r *rand.Rand) (map[string][]string, map[string]time.Duration, map[string]error) {
	graph, takes, fails := map[string][]string{}, map[string]time.Duration{}, map[string]error{}
	var names []string
	for i := range 2 + r.IntN(9) {
		name := fmt.Sprintf("v%d", i)
		if i == 4 {
			name = "report"
		}
		graph[name] = nil
		for _, earlier := range names {
			if r.IntN(3) == 0 {
				graph[name] = append(graph[name], earlier)
			}
		}
		names = append(names, name)
		takes[name] = time.Duration(1+r.IntN(1000)) * time.Millisecond
		if r.IntN(4) == 0 {
			fails[name] = errors.New(name + " failed")
		}
	}
	return graph, takes, fails
}

// Whenever a project is interrupted, what was started is stopped, before what it
// requires.
func TestComposeAfter_leaves_nothing(t *testing.T) {
	for stop := time.Duration(0); stop < 6*time.Second; stop += 50 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			up, checks := map[string]bool{}, map[string]int{}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			time.AfterFunc(stop+time.Nanosecond, func() { cancel(errInterrupt) })
			err := composeAfter(ctx, world{
				call: func(ctx context.Context, name string) error {
					select {
					case <-time.After(takes[name]):
					case <-ctx.Done():
						t.Errorf("%s was broken off, stopped after %v", name, stop)
					}
					mu.Lock()
					defer mu.Unlock()
					what, service, _ := strings.Cut(name, " ")
					switch what {
					case "check":
						checks[service]++
						if checks[service] < 3 {
							return errNotYet
						}
					case "start":
						up[service] = true
					case "stop":
						for _, other := range []string{"web", "worker"} {
							if up[other] && slices.Contains(project[other], service) {
								t.Errorf("%s ended before %s, stopped after %v", service, other, stop)
							}
						}
						delete(up, service)
					}
					return nil
				},
				say: t.Logf,
			})
			require.ErrorIs(t, err, errInterrupt)
			delete(up, "migrate")
			require.Empty(t, up, "stopped after %v", stop)
		})
	}
}
