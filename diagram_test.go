package scheduler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

func TestDependencies_diagrams_escape_names(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[any]()
	deps.Add(`a "quoted" \N back\slash`, "<b>&#35;`x`")
	deps.Add("two\nlines\x00\xff\u202e", 1)
	deps.Add("1", "größe")
	var dot, mermaid strings.Builder
	require.NoError(t, deps.WriteDOT(&dot))
	require.NoError(t, deps.WriteMermaid(&mermaid))
	require.Equal(t, `digraph dependencies {
	n0 [label="<b>&amp;#35;`+"`x`"+`"]
	n1 [label="a \"quoted\" \\N back\\slash"]
	n2 [label="1"]
	n3 [label="two\\nlines\\x00\\xff\\u202e"]
	n4 [label="größe"]
	n5 [label="1"]
	n1 -> n0
	n3 -> n2
	n5 -> n4
}
`, dot.String())
	require.Equal(t, `flowchart TD
	n0["#60;b#62;#38;#35;35;#96;x#96;"]
	n1["a #34;quoted#34; #92;N back#92;slash"]
	n2["1"]
	n3["two#92;nlines#92;x00#92;xff#92;u202e"]
	n4["größe"]
	n5["1"]
	n1 --> n0
	n3 --> n2
	n5 --> n4
`, mermaid.String())
}

// failingWriter takes no more than so many bytes.
type failingWriter int

var errFull = errors.New("full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > int(*w) {
		return 0, errFull
	}
	*w -= failingWriter(len(p))
	return len(p), nil
}

func TestDiagrams_return_the_error_of_the_writer(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[int]()
	for i := range 10_000 {
		deps.Add(i+1, i)
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return nil }, nil)
	require.NoError(t, err)
	for _, room := range []failingWriter{0, 10_000} {
		w := room
		require.ErrorIs(t, deps.WriteDOT(&w), errFull)
		w = room
		require.ErrorIs(t, deps.WriteMermaid(&w), errFull)
		w = room
		require.ErrorIs(t, group.WriteDOT(&w), errFull)
		w = room
		require.ErrorIs(t, group.WriteMermaid(&w), errFull)
	}
}

// office is the graph of docs/graphs.md.
func office() *scheduler.Dependencies[string] {
	return graph("server:network,volume dns:server backup:volume console:network monitor:network alerts:monitor")
}

// officeGroup returns a group that has nodes in six states after a minute.
func officeGroup(t *testing.T, opts scheduler.GroupOptions[string]) (*scheduler.DependencyTaskGroup[string], *schedulertest.Driver) {
	t.Helper()
	opts.Name, opts.AggregateErrors = "office", true
	opts.Timeout = byKey(map[string]time.Duration{"console": time.Second})
	group, err := scheduler.NewDependencyTaskGroup(office(), func(name string) scheduler.Task {
		switch name {
		case "network":
			return scheduler.Func(func(context.Context) error { return nil })
		case "volume":
			return scheduler.Func(func(context.Context) error { return errOops })
		}
		return scheduler.Pause(scheduler.After(time.Hour))
	}, &opts)
	require.NoError(t, err)
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	d.Clock.Advance(time.Minute)
	d.Step()
	return group, d
}

// The pictures of docs/graphs.md are what is written, byte for byte.
func TestDiagrams_of_the_page(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/graphs.md")
	require.NoError(t, err)
	block := func(heading, language string) string {
		_, section, found := strings.Cut(string(page), "\n## "+heading+"\n")
		require.True(t, found, heading)
		_, text, found := strings.Cut(section, "\n```"+language+"\n")
		require.True(t, found, heading)
		text, _, _ = strings.Cut(text, "```\n")
		return text
	}
	written := func(write func(w io.Writer) error) string {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		return b.String()
	}
	group, d := officeGroup(t, scheduler.GroupOptions[string]{})
	looped := office()
	looped.Add("network", "dns")

	require.Equal(t, block("A graph", "mermaid"), written(office().WriteMermaid))
	require.Equal(t, block("A cycle", "mermaid"), written(looped.WriteMermaid))
	require.Equal(t, block("A run", "mermaid"), written(group.WriteMermaid))
	require.Equal(t, block("Graphviz", "dot"), written(group.WriteDOT))
	require.NoError(t, d.Runner.Cancel())
	require.Equal(t, block("A run that was cancelled", "mermaid"), written(group.WriteMermaid))
}

// A reverse group has the same arrows: from requirer to required.
func TestDependencyTaskGroup_diagrams_in_reverse(t *testing.T) {
	t.Parallel()
	for _, reverse := range []bool{false, true} {
		group := newGroup(t, "b:a c:a,b", func(string) scheduler.Task { return nil },
			&scheduler.GroupOptions[string]{Name: `a "name"`, Reverse: reverse})
		var dot strings.Builder
		require.NoError(t, group.WriteDOT(&dot))
		text := dot.String()
		require.True(t, strings.HasPrefix(text, "digraph \"a \\\"name\\\"\" {\n"), text)
		for i := range 3 { // numbers are by key order: put the names in their place
			_, label, _ := strings.Cut(text, fmt.Sprintf("n%d [label=\"", i))
			text = strings.ReplaceAll(text, fmt.Sprintf("n%d ->", i), label[:1]+" ->")
			text = strings.ReplaceAll(text, fmt.Sprintf("-> n%d\n", i), "-> "+label[:1]+"\n")
		}
		for _, edge := range []string{"\tb -> a\n", "\tc -> a\n", "\tc -> b\n"} {
			require.Contains(t, text, edge)
		}
		require.Equal(t, 3, strings.Count(text, "->"))
	}
}

// Only edges within a cycle are shown as such, not those that lead out of one.
func TestDependencies_diagrams_mark_the_edges_of_cycles(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	require.NoError(t, edgesOf("b<-a,a<-b,c<-a,d<-c,c<-d,x<-a").WriteDOT(&text))
	var marked []string
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, "->") && strings.Contains(line, "[") {
			marked = append(marked, strings.Fields(line)[0]+strings.Fields(line)[2])
		}
	}
	require.Len(t, marked, 4, text.String())
	text.Reset()
	require.NoError(t, edgesOf("\uFFFD<-a").WriteDOT(&text))
	require.Contains(t, text.String(), "\uFFFD", "it is valid, and printable")
}
