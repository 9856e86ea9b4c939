package timeline_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/timeline"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// siteSpans are those of the examples, marked by a report.
func siteSpans(t *testing.T) []timeline.Span {
	t.Helper()
	opts := &scheduler.GroupOptions[string]{Name: "site", Limit: 2}
	r, err := timeline.NewReport(record(opts), site(), opts)
	require.NoError(t, err)
	return r.Spans()
}

// hostile are spans of every state whose names would break what does not escape
// them.
func hostile() []timeline.Span {
	began := time.Unix(0, 0)
	var spans []timeline.Span
	for s := scheduler.StateRunning; s <= scheduler.StateSkipped; s++ {
		spans = append(spans, timeline.Span{
			Group: `"><script>`, Path: `</text><script>alert("` + s.String() + `")</script>&amp;` + "\x00\xff\n", Task: "]]>'",
			State: s, Err: errors.New("</title>\"\\"), Start: began, End: began.Add(time.Duration(s) * time.Hour),
			Chain: s%2 == 0,
		})
		began = began.Add(20 * time.Minute)
	}
	return spans
}

func TestWriteSVG(t *testing.T) {
	t.Parallel()
	for name, spans := range map[string][]timeline.Span{"site": siteSpans(t), "hostile": hostile(), "empty": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			require.NoError(t, timeline.WriteSVG(&b, spans))
			elements := map[string]int{}
			for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				if e, ok := token.(xml.StartElement); ok {
					elements[e.Name.Local]++
					for _, a := range e.Attr {
						require.NotContains(t, a.Value, "script")
						require.NotContains(t, []string{"href", "src", "onload"}, a.Name.Local)
					}
				}
			}
			require.Equal(t, len(spans), elements["rect"])
			require.Zero(t, elements["script"])
			golden(t, name+".svg", b.String())
		})
	}
}

func TestWriteTrace(t *testing.T) {
	t.Parallel()
	for name, spans := range map[string][]timeline.Span{"site": siteSpans(t), "hostile": hostile(), "empty": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			require.NoError(t, timeline.WriteTrace(&b, spans))
			require.True(t, json.Valid([]byte(b.String())))
			golden(t, name+".json", b.String())
		})
	}
}

// event is what a trace viewer reads.
type event struct {
	Name     string
	Ph       string
	Ts, Dur  float64
	Pid, Tid int
}

// Threads of a trace never have two spans at a time, and no more of them are
// used than that takes.
func TestWriteTrace_threads(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		g := newSmall(rand.New(rand.NewPCG(seed, 2)))
		spans := g.run(t)
		var b strings.Builder
		require.NoError(t, timeline.WriteTrace(&b, spans))
		var trace struct{ TraceEvents []event }
		require.NoError(t, json.Unmarshal([]byte(b.String()), &trace))
		free := map[int]float64{}
		found, most := 0, 0
		for _, e := range trace.TraceEvents {
			if e.Ph != "X" {
				continue
			}
			require.Equal(t, float64(spans[found].Took().Microseconds()), e.Dur)
			require.Equal(t, float64(spans[found].Start.Sub(spans[0].Start).Microseconds()), e.Ts)
			found++
			require.GreaterOrEqual(t, e.Ts, free[e.Tid])
			free[e.Tid] = e.Ts + e.Dur
			running := 0
			for _, until := range free {
				if until > e.Ts || until == e.Ts+e.Dur {
					running++
				}
			}
			most = max(most, running)
		}
		require.Len(t, spans, found)
		require.Len(t, free, most)
	}
}

type fullDisk struct{ room int }

var errFull = errors.New("disk full")

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.room -= len(b); d.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWrite_errors(t *testing.T) {
	t.Parallel()
	require.Equal(t, errFull, timeline.WriteSVG(&fullDisk{}, hostile()))
	require.Equal(t, errFull, timeline.WriteTrace(&fullDisk{}, hostile()))
	r, err := timeline.NewReport(nil, site(), nil)
	require.NoError(t, err)
	_, err = r.WriteTo(&fullDisk{})
	require.Equal(t, errFull, err)
}

// The scale of a timeline has a few round steps, however long it is.
func TestWriteSVG_ticks(t *testing.T) {
	t.Parallel()
	for total := time.Duration(1); total < 100*365*24*time.Hour; total = total*3/2 + 1 {
		began := time.Unix(0, 0)
		var b strings.Builder
		require.NoError(t, timeline.WriteSVG(&b, []timeline.Span{{Start: began, End: began.Add(total)}}))
		ticks := strings.Count(b.String(), `class="tick"`)
		require.LessOrEqual(t, ticks, 25, total)
		require.GreaterOrEqual(t, ticks, min(int(total), 3), total)
	}
}

// Errors whose Error panics, and times from the first year to the last one, are written
// like any others.
func TestWrite_odd_spans(t *testing.T) {
	spans := []timeline.Span{
		{Key: "a", Path: "a", State: scheduler.StateFailed, Err: panicky{}, End: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	for _, write := range []func(io.Writer, []timeline.Span) error{timeline.WriteSVG, timeline.WriteTrace} {
		var b strings.Builder
		require.NoError(t, write(&b, spans))
		require.Contains(t, b.String(), "failed: %!v(PANIC=Error method: in Error)")
		require.Less(t, b.Len(), 10_000)
	}
}

type panicky struct{}

func (panicky) Error() string { panic("in Error") }

// What is nil is refused with a sentence.
func TestWrite_nil(t *testing.T) {
	r, err := timeline.NewReport(nil, site(), nil)
	require.NoError(t, err)
	_, err = r.WriteTo(nil)
	for _, err := range []error{timeline.WriteSVG(nil, nil), timeline.WriteTrace(nil, nil), err} {
		require.EqualError(t, err, "scheduler: w: nil Writer")
	}
	_, err = timeline.Simulate(site(), nil, nil)
	require.EqualError(t, err, "scheduler: took: nil function")
}
