package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
	"github.com/steptask/scheduler/otel"
	"github.com/steptask/scheduler/progress"
	"github.com/steptask/scheduler/timeline"
)

// What a page answers, as far as the tests look at it.
type (
	shownRun struct {
		Run struct {
			Name, Path, Status string
			Parent             int
			Counts             map[string]int
		}
	}
	shownNode struct {
		Explanation struct{ Text string }
	}
)

// ask asks a page. Bubbles hold no listener, so it needs no server.
func ask[T any](t *testing.T, page http.Handler, path string) (answer T) {
	t.Helper()
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer
}

// spanName returns the key of the node, or the name of the group, that a span is of.
func spanName(s tracetest.SpanStub) (name string) {
	for _, a := range s.Attributes {
		if a.Key == "scheduler.node.key" || a.Key == "scheduler.group.name" && s.Name == "scheduler.group" {
			name = a.Value.AsString()
		}
	}
	return name
}

// Recipe 14: the page is there while the group runs, and after it.
func TestWatchInBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		ended := make(chan error)
		go func() { ended <- watchInBrowser(t.Context(), newCloud(), mux) }()
		time.Sleep(3 * time.Second) //nolint:forbidigo // in a bubble
		require.Equal(t, map[string]int{"succeeded": 1, "running": 2, "pending": 2},
			ask[shownRun](t, mux, "/debug/scheduler/run?id=1").Run.Counts)
		require.NoError(t, <-ended)
		require.Equal(t, "succeeded", ask[shownRun](t, mux, "/debug/scheduler/run?id=1").Run.Status)
	})
}

// Recipe 14: a group, and one inside of it, that all watch at once.
func TestWatchers(t *testing.T) {
	for _, test := range []struct {
		name   string
		finish func(*scheduler.TaskRunner) error
		status string // of both, on the page
		inside string // how the node inside ended, for the others
		line   string
		events []string // of the span of the group inside
	}{
		{
			"to the end",
			func(r *scheduler.TaskRunner) error {
				return r.RunToCompletion(context.Background(), 0)
			},
			"succeeded", "succeeded", "site/server  succeeded (1m0s)", nil,
		},
		{
			"closed",
			(*scheduler.TaskRunner).Cancel,
			"cancelled", "cancelled", "site/server  cancelled",
			[]string{"scheduler.close"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log, lines bytes.Buffer
				spans := tracetest.NewInMemoryExporter()
				traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
				observer, err := otel.New(&otel.Options{TracerProvider: traces})
				require.NoError(t, err)
				page, shown, times := inspect.New(nil), progress.New(&lines, nil), timeline.NewRecorder()
				opts := &scheduler.GroupOptions[string]{Name: "all", Observer: watchers(observer, page, shown,
					scheduler.NewLogObserver(slog.New(slog.NewTextHandler(&log, nil))), times)}
				outer, inner := scheduler.NewDependencies[string](), scheduler.NewDependencies[string]()
				outer.Add("site", "network")
				inner.Add("server")
				group, err := scheduler.NewDependencyTaskGroup(outer, func(name string) scheduler.Task {
					if name == "network" {
						return scheduler.Pause(scheduler.Next)
					}
					site, err := scheduler.NewDependencyTaskGroup(inner, func(string) scheduler.Task {
						return scheduler.Pause(scheduler.After(time.Minute))
					}, &scheduler.GroupOptions[string]{Name: "one"})
					require.NoError(t, err)
					return site
				}, opts)
				require.NoError(t, err)
				runner := scheduler.NewTaskRunner(group, nil)
				require.NoError(t, runner.Start(t.Context(), 0))
				for range 3 { // until all there is waits for the server
					_, err := runner.Step(t.Context())
					require.NoError(t, err)
				}

				// The page asks it between two steps.
				answers := make(chan shownNode)
				go func() { answers <- ask[shownNode](t, page, "/node?id=2&node=0") }()
				synctest.Wait()
				runner.RunPosted()
				require.Contains(t, (<-answers).Explanation.Text, "server: running since round 1, waits: at ")
				require.NoError(t, test.finish(runner))

				all, one := ask[shownRun](t, page, "/run?id=1").Run, ask[shownRun](t, page, "/run?id=2").Run
				require.Equal(t, "all", all.Name)
				require.Equal(t, test.status, all.Status)
				require.Equal(t, "one", one.Name)
				require.Equal(t, test.status, one.Status)
				require.Equal(t, 1, one.Parent)
				require.Equal(t, "site", one.Path)

				span := map[string]tracetest.SpanStub{}
				for _, s := range spans.GetSpans() {
					span[spanName(s)] = s
				}
				require.Len(t, span, 5)
				for name, parent := range map[string]string{"network": "all", "site": "all", "one": "site", "server": "one"} {
					require.Equal(t, span[parent].SpanContext.SpanID(), span[name].Parent.SpanID(), name)
				}
				require.False(t, span["all"].Parent.IsValid())
				var events []string
				for _, e := range span["one"].Events {
					events = append(events, e.Name)
				}
				require.Equal(t, test.events, events)

				require.NoError(t, shown.Close())
				require.Contains(t, lines.String(), test.line)
				require.Equal(t, 1, strings.Count(log.String(), `msg="group ended" group.name=one group.path=site`), "once")
				last := times.Spans()[2]
				require.Equal(t, "site/server", last.Path)
				require.Equal(t, test.inside, last.State.String())
			})
		})
	}
}
