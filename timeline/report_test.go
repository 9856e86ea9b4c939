package timeline_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/timeline"
)

// span is one of the group "g", in seconds.
func span(key any, from, to int) timeline.Span {
	return timeline.Span{
		Group: "g", Path: fmt.Sprint(key), Key: key, State: scheduler.StateSucceeded,
		Start: time.Unix(int64(from), 0), End: time.Unix(int64(to), 0),
	}
}

var named = &scheduler.GroupOptions[string]{Name: "g"}

// chain says what a chain is made of.
func chain(r *timeline.Report[string]) string {
	var links []string
	for _, l := range r.Chain {
		text := fmt.Sprintf("%s %v-%v", l.Key, l.Start, l.End)
		if l.Limited {
			text += fmt.Sprintf(" (ready at %v)", l.Ready)
		}
		links = append(links, text)
	}
	return strings.Join(links, ", ")
}

func TestNewReport_chooses_its_spans(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("b", "a")
	other := span("a", 0, 90)
	other.Group = "other"
	nameless := span("a", 10, 12)
	nameless.Group = "DependencyTaskGroup"
	spans := []timeline.Span{
		other, span("a", 1, 2), span(7, 1, 90), span("unknown", 1, 90), // none of ours, or too early
		span("a", 3, 5), span("b", 6, 9), nameless,
	}
	r, err := timeline.NewReport(spans, deps, named)
	require.NoError(t, err)
	require.Equal(t, "a 0s-2s, b 3s-6s", chain(r))
	require.Equal(t, 6*time.Second, r.Took)
	require.Equal(t, time.Second, r.Held)
	require.Equal(t, time.Second, r.Waited("b"))
	require.Zero(t, r.Waited("unknown"))
	require.Equal(t, 5*time.Second, r.LongestTook)
	require.Len(t, r.Spans(), 2)
	require.True(t, r.Spans()[1].Chain)
	require.Equal(t, time.Unix(5, 0), r.Spans()[1].Ready)

	r, err = timeline.NewReport(spans, deps, nil)
	require.NoError(t, err)
	require.Equal(t, "a 0s-2s", chain(r))
	require.Equal(t, "DependencyTaskGroup", r.Name)
}

func TestReport_of_nothing(t *testing.T) {
	t.Parallel()
	r, err := timeline.NewReport(nil, site(), nil)
	require.NoError(t, err)
	require.Empty(t, r.Chain)
	require.Empty(t, r.Longest)
	require.Zero(t, r.Slack("server"))
	took, err := r.Under(0)
	require.NoError(t, err)
	require.Zero(t, took)
	var b strings.Builder
	_, err = r.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, "DependencyTaskGroup: 0 nodes in 0s\n", b.String())
}

func TestNewReport_cycle(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("a", "a")
	_, err := timeline.NewReport(nil, deps, nil)
	require.EqualError(t, err, "scheduler: circular dependency: a -> a")
	_, err = timeline.Simulate(deps, func(string) time.Duration { return 0 }, nil)
	require.ErrorIs(t, err, scheduler.ErrCircularDependency)
}

func TestReport_Under_a_negative_limit(t *testing.T) {
	t.Parallel()
	r, err := timeline.NewReport(nil, site(), nil)
	require.NoError(t, err)
	_, err = r.Under(-1)
	var bad *scheduler.OptionError
	require.ErrorAs(t, err, &bad)
}

// Spans that cannot be, such as a start before what it requires has ended, give
// some report, not a hang.
func TestNewReport_of_impossible_spans(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("a", "b")
	deps.Add("c", "a")
	r, err := timeline.NewReport([]timeline.Span{span("a", 0, 4), span("b", 4, 9), span("c", 4, 9)}, deps, named)
	require.NoError(t, err)
	require.Equal(t, "a 0s-4s, b 4s-9s (ready at 0s)", chain(r))
	require.Zero(t, r.Waited("a"))
}

// What is waited for outside of the group leaves a gap in the chain.
func TestReport_Chain_with_a_gap(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("b", "a")
	deps.Add("c")
	r, err := timeline.NewReport([]timeline.Span{span("a", 0, 4), span("c", 0, 3), span("b", 6, 9)}, deps, named)
	require.NoError(t, err)
	require.Equal(t, "a 0s-4s, b 6s-9s", chain(r))
	require.Equal(t, 2*time.Second, r.Held)
}

// Of a chain of a thousand nodes the text has those that took longest, in their
// order, and of the longest path both ends.
// A key begins no line, no column, and tells a terminal nothing.
func TestReport_WriteTo_control_characters(t *testing.T) {
	deps := scheduler.NewDependencies[string]()
	deps.Add("b\x1b[2J\n", "a\t")
	deps.Add("c\v", "a\t")
	r, err := timeline.NewReport([]timeline.Span{
		span("a\t", 0, 1), span("b\x1b[2J\n", 1, 60), span("c\v", 1, 2),
	}, deps, named)
	require.NoError(t, err)
	var b strings.Builder
	_, err = r.WriteTo(&b)
	require.NoError(t, err)
	require.Contains(t, b.String(), "The longest path takes 1m0s: a  > b [2J \n")
	require.Contains(t, b.String(), "a \n")
	require.Contains(t, b.String(), "c \n")
	require.NotContains(t, b.String(), "\x1b")
}

func TestReport_WriteTo_is_short(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	var spans []timeline.Span
	at := 0
	name := func(i int) string { return fmt.Sprintf("n%03d", i) }
	for i := range 1000 {
		took := 1
		if i%100 == 0 {
			took = 100
		}
		spans = append(spans, span(name(i), at, at+took))
		at += took
		deps.Add(name(i))
		if i > 0 {
			deps.Add(name(i), name(i-1))
		}
	}
	r, err := timeline.NewReport(spans, deps, named)
	require.NoError(t, err)
	var b strings.Builder
	n, err := r.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, int64(b.Len()), n)
	require.Contains(t, b.String(), "g: 1000 nodes in 33m10s\n")
	require.Contains(t, b.String(), "  26m32s  1m40s                   n800\n  29m51s  1m40s                   n900\n")
	require.Contains(t, b.String(), "  and 980 more between them, that took 16m20s\n")
	require.Contains(t, b.String(), "n016 > n017 > (981 more) > n999\n")
	require.Less(t, strings.Count(b.String(), "\n"), 40)
}

func TestSimulate_deadlock(t *testing.T) {
	t.Parallel()
	_, err := timeline.Simulate(site(), func(string) time.Duration { return time.Second },
		&scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim {
			return []scheduler.Claim{{Limiter: scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1}), Weight: 2}}
		}})
	require.ErrorContains(t, err, "weight 2 of limiter exceeds its capacity 1")
}

// Estimates change the order in which things start under a limit.
func TestSimulate_Estimate(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	for _, k := range []string{"a", "b", "cccc"} {
		deps.Add(k)
	}
	length := func(k string) time.Duration { return time.Duration(len(k)) * time.Second }
	opts := &scheduler.GroupOptions[string]{Limit: 2}
	took, err := timeline.Simulate(deps, length, opts)
	require.NoError(t, err)
	require.Equal(t, 5*time.Second, took)
	opts.Estimate = length
	took, err = timeline.Simulate(deps, length, opts)
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, took)
	opts.Limit = 0
	took, err = timeline.Simulate(deps, length, opts)
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, took, "estimates without a limit are left out")
}

// So do priorities, before estimates.
func TestSimulate_Priority(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	for _, k := range []string{"a", "b", "cccc"} {
		deps.Add(k)
	}
	length := func(k string) time.Duration { return time.Duration(len(k)) * time.Second }
	opts := &scheduler.GroupOptions[string]{Limit: 2, Estimate: length, Priority: func(k string) int { return -len(k) }}
	took, err := timeline.Simulate(deps, length, opts)
	require.NoError(t, err)
	require.Equal(t, 5*time.Second, took, "a, b, and then the long one")
	opts.Limit = 0
	_, err = timeline.Simulate(deps, length, opts)
	require.NoError(t, err, "priorities without a limit are left out")
}
