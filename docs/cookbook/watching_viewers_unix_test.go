//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

// TestWatchingViewers measures how many of its steps a busy run still makes on one
// processor while a viewer of the page asks in a loop, and fails if they are too few.
func TestWatchingViewers(t *testing.T) {
	if !*printWatching {
		t.Skip("without -watching")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	page := inspect.New(nil)
	group, err := scheduler.NewDependencyTaskGroup(wideGraph(1000), func(int) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil })
	}, &scheduler.GroupOptions[int]{Observer: page})
	require.NoError(t, err)
	runner := scheduler.NewTaskRunner(group, nil)
	require.NoError(t, runner.Start(t.Context(), 0))
	fmt.Println("| a viewer asks in a loop for | steps, of those without |\n|---|---:|")
	for _, path := range []string{"runs", "run?id=1", "node?id=1&node=500"} {
		const pairs = 11
		var left []float64
		for range pairs {
			alone := goRound(t, runner, nil)
			watched := goRound(t, runner, func() {
				answer := httptest.NewRecorder()
				page.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/"+path, nil))
				if answer.Code != http.StatusOK {
					t.Errorf("%s: %d", path, answer.Code)
				}
			})
			// What the viewer took of the processor, which other programs may use as well.
			viewer := watched.used - watched.rounds*alone.used/alone.rounds
			left = append(left, 1-viewer/watched.took)
		}
		slices.Sort(left)
		fmt.Printf("| `%s` | %.0f %% |\n", path, 100*left[pairs/2])
		require.GreaterOrEqual(t, left[pairs/2], 0.95, path)
	}
	_ = runner.Cancel()
}

// laps is how many rounds a run made, in how many seconds, and how many seconds of a
// processor were used meanwhile.
type laps struct{ rounds, took, used float64 }

// goRound drives a run for a second, while a viewer on another goroutine asks.
func goRound(t *testing.T, runner *scheduler.TaskRunner, ask func()) (l laps) {
	var over atomic.Bool
	var viewer sync.WaitGroup
	if ask != nil {
		viewer.Go(func() {
			for !over.Load() {
				ask()
			}
		})
	}
	used, began := processorTime(t), time.Now()
	for ; time.Since(began) < time.Second; l.rounds++ {
		_, err := runner.Step(t.Context())
		require.NoError(t, err)
	}
	l.took, l.used = time.Since(began).Seconds(), processorTime(t)-used
	over.Store(true)
	viewer.Wait() // its last question is given up soon
	return l
}

// processorTime returns for how many seconds the processors have worked for this process.
func processorTime(t *testing.T) float64 {
	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
