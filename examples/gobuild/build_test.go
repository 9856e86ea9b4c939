package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A build by the real go command, of a module that needs nothing of the standard
// library, so that it takes no time. The times are the machine's; what must hold
// is that the graph is right and that all of it fits together.
func TestRun(t *testing.T) {
	module, out := t.TempDir(), t.TempDir()
	file := func(name, text string) {
		name = filepath.Join(module, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	file("go.mod", "module m\n\ngo 1.25\n")
	file("base/base.go", "package base\n\nconst N = 1\n")
	file("left/left.go", "package left\n\nimport \"m/base\"\n\nconst N = base.N\n")
	file("right/right.go", "package right\n\nimport \"m/base\"\n\nconst N = base.N\n")
	file("top/top.go", "package top\n\nimport (\n\t\"m/left\"\n\t\"m/right\"\n)\n\nconst N = left.N + right.N\n")
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	t.Chdir(module)

	b, err := Make(t.Context(), 1, "./...")
	require.NoError(t, err)
	var edges []string
	for requirer, required := range b.deps.Edges() {
		if strings.HasPrefix(requirer, "m/") {
			edges = append(edges, requirer+" > "+required)
		}
	}
	require.ElementsMatch(t, []string{"m/left > m/base", "m/right > m/base", "m/top > m/left", "m/top > m/right"}, edges)
	alone, err := b.report.Under(1)
	require.NoError(t, err)
	require.GreaterOrEqual(t, b.report.Took, alone, "one at a time")

	var report strings.Builder
	require.NoError(t, run(t.Context(), []string{"-p", "2", "-o", out, "./top"}, &report))
	require.Contains(t, report.String(), "go build: 5 nodes in ")
	svg, err := os.ReadFile(filepath.Join(out, "gobuild.svg"))
	require.NoError(t, err)
	require.Contains(t, string(svg), ">m/base</text>")
	trace, err := os.ReadFile(filepath.Join(out, "gobuild.json"))
	require.NoError(t, err)
	require.True(t, json.Valid(trace))
}

func TestMake_reports_what_does_not_build(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Make(t.Context(), 1, "./none")
	require.ErrorContains(t, err, "go build: exit status 1")
}

// What is made of a recorded build.
func TestBuild_WriteReport(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	build := func(id int, name string, from, to int, deps ...int) action {
		return action{ID: id, Priority: id, Mode: "build", Package: name, Deps: deps, TimeStart: at(from), TimeDone: at(to)}
	}
	b, err := newBuild([]action{
		{ID: 9, Priority: 9, Mode: "go build", Deps: []int{4, 6, 8}, TimeStart: at(13), TimeDone: at(13)},
		{ID: 1, Priority: 1, Mode: cacheCheck, Package: "runtime", TimeStart: at(0), TimeDone: at(0)},
		build(2, "runtime", 0, 4, 1),
		{ID: 3, Priority: 3, Mode: "cgo compile /tmp/x/b1/net.c", Package: "net", Deps: []int{2}, TimeStart: at(4), TimeDone: at(7)},
		build(4, "net", 7, 8, 3),
		build(5, "fmt", 4, 10, 2),
		build(6, "log", 10, 12, 5),
		build(7, "math", 8, 11, 2),
		build(8, "math", 11, 13, 7), // for a test, say
		{ID: 10, Priority: 10, Mode: "link", Package: "of nobody"},
	}, 2)
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, b.WriteReport(&text))
	require.Equal(t, `go build: 8 nodes in 13s

What made it as long as it was:
  at   took  waited for room  node
  0s   4s                     runtime
  4s   3s                     cgo compile net.c net
  7s   1s                     net
  8s   3s    4s               math
  11s  2s                     math (2)

The longest path takes 12s: runtime > fmt > log
Something was ready and kept waiting for 4s (30 %).

With the same durations it would take:
  limit 2   13s  the limit that it had
  limit 4   12s
  no limit  12s

What has the least slack beside that path:
  slack  took  node
  3s     3s    math
  3s     2s    math (2)
  4s     3s    cgo compile net.c net
  4s     1s    net

With the limit that it had, and the longest remaining path first: 13s
`, text.String())
	require.Len(t, b.report.Spans(), 8)
}
