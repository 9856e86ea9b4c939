package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// simulated returns an engine in a simulation and the plan of a template.
func simulated(t *testing.T, resources string, o engine.Options) (*engine.Engine, *engine.Plan) {
	t.Helper()
	times, err := resource.ParseTimes("Slow=1m,*=1s")
	require.NoError(t, err)
	tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: rocky\nresources:\n"+resources))
	require.NoError(t, err)
	stack, err := tmpl.Bind(template.Options{StandIns: true})
	require.NoError(t, err)
	plan, err := engine.NewPlan(stack, engine.Types(&times))
	require.NoError(t, err)
	o.Name, o.Dir, o.Simulate, o.Clock = "test", t.TempDir(), &times, schedulertest.NewClock(time.Time{})
	e, err := engine.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e, plan
}

// diamond has a slow side beside it.
const diamond = `
  base: {type: A}
  left: {type: A, depends_on: base}
  right: {type: A, depends_on: base}
  top: {type: A, depends_on: [left, right]}
  slow: {type: Slow}
  late: {type: A, depends_on: slow}
`

func TestUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options engine.Options
		want    string
	}{
		"all goes well": {
			engine.Options{},
			"left: base left right top slow late",
		},
		"stop": {
			engine.Options{Failures: map[string]string{"left": engine.StepMade}},
			"failed: left; skipped: top(left); cancelled: right slow; unstarted: late; left: base left right slow",
		},
		"stop, with grace for the quick": {
			engine.Options{Failures: map[string]string{"left": engine.StepMade}, Grace: 10 * time.Second},
			"failed: left; skipped: top(left); cancelled: slow; unstarted: late; left: base left right slow",
		},
		"stop, before its neighbour starts": {
			engine.Options{Failures: map[string]string{"left": engine.StepBegin}, Grace: time.Hour},
			"failed: left; skipped: top(left); unstarted: right late; left: base slow",
		},
		"continue": {
			engine.Options{Failures: map[string]string{"left": engine.StepMade, "slow": engine.StepBegin}, Policy: engine.Continue},
			"failed: slow left; skipped: top(left) late(slow); left: base left right",
		},
		"timeout": {
			engine.Options{Timeout: 30 * time.Second},
			"cancelled: slow; unstarted: late; left: base left right top slow",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, plan := simulated(t, diamond, c.options)
			report, err := e.Up(t.Context(), plan, "source")
			require.NoError(t, err)
			require.Equal(t, c.want, summary(report))

			report, err = e.Down(t.Context())
			require.NoError(t, err)
			require.NoError(t, report.Err)
			require.Empty(t, report.Left)
		})
	}
}

// summary is a report in one line.
func summary(r *engine.Report) string {
	var parts []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+": "+strings.Join(names, " "))
		}
	}
	var failed, skipped, left []string
	for _, f := range r.Failed {
		failed = append(failed, f.Name)
	}
	for _, s := range r.Skipped {
		skipped = append(skipped, fmt.Sprintf("%s(%s)", s.Name, strings.Join(s.Because, ",")))
	}
	for _, rec := range r.Left {
		left = append(left, rec.Name)
	}
	add("failed", failed)
	add("skipped", skipped)
	add("cancelled", r.Cancelled)
	add("unstarted", r.Unstarted)
	add("left", left)
	return strings.Join(parts, "; ")
}

// TestUp_timeout: the error of the run is the scheduler's Timeout.
func TestUp_timeout(t *testing.T) {
	t.Parallel()
	e, plan := simulated(t, diamond, engine.Options{Timeout: 30 * time.Second})
	report, err := e.Up(t.Context(), plan, "source")
	require.NoError(t, err)
	var timeout *scheduler.Timeout
	require.ErrorAs(t, report.Err, &timeout)
	require.ErrorIs(t, report.Err, context.DeadlineExceeded)
	var text strings.Builder
	report.WriteFailure(&text)
	require.Equal(t, "  timed out    after 30s\n  cancelled    slow\n  not started  late\n", text.String())
}

// TestRollback_deleteFails: what cannot be deleted keeps what it requires.
func TestRollback_deleteFails(t *testing.T) {
	t.Parallel()
	e, plan := simulated(t, diamond, engine.Options{Failures: map[string]string{"left": engine.StepDelete}})
	_, err := e.Up(t.Context(), plan, "source")
	require.NoError(t, err)
	report, err := e.Down(t.Context())
	require.NoError(t, err)
	require.Equal(t, "failed: left; skipped: base(left); left: base left", summary(report))
}

// TestRandomStacks: whatever the graph, the failures and the policy, every
// resource has exactly one fate, nothing is made before what it requires, and a
// roll-back leaves nothing.
func TestRandomStacks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			n := 1 + r.IntN(12)
			var text strings.Builder
			failures := map[string]string{}
			for i := range n {
				fmt.Fprintf(&text, "  r%d: {type: %s, depends_on: [", i, []string{"A", "Slow"}[r.IntN(2)])
				for j := range i {
					if r.IntN(3) == 0 {
						fmt.Fprintf(&text, "r%d, ", j)
					}
				}
				text.WriteString("]}\n")
				if r.IntN(6) == 0 {
					failures[fmt.Sprintf("r%d", i)] = []string{engine.StepBegin, engine.StepMade}[r.IntN(2)]
				}
			}
			o := engine.Options{
				Failures: failures,
				Policy:   []engine.Policy{engine.Stop, engine.Continue, engine.Rollback}[r.IntN(3)],
				Grace:    time.Duration(r.IntN(3)) * 20 * time.Second,
				Timeout:  time.Duration(r.IntN(2)*r.IntN(200)) * time.Second,
			}
			order := &orderChecker{t: t, done: map[string]bool{}}
			o.View = order
			e, plan := simulated(t, text.String(), o)
			order.plan = plan
			report, err := e.Up(t.Context(), plan, "source")
			require.NoError(t, err)
			fates := len(order.done) + len(report.Failed) + len(report.Skipped) + len(report.Cancelled) + len(report.Unstarted)
			require.Equal(t, n, fates, summary(report))

			order.reverse, order.done = true, map[string]bool{}
			for _, rec := range report.Left {
				order.done[rec.Name] = true
			}
			report, err = e.Down(t.Context())
			require.NoError(t, err)
			require.NoError(t, report.Err)
			require.Empty(t, report.Left)
		})
	}
}

// orderChecker looks at the order of creation and deletion. done has what is
// there.
type orderChecker struct {
	t       *testing.T
	plan    *engine.Plan
	done    map[string]bool
	reverse bool
}

func (o *orderChecker) Begin(string, []engine.Item) {}
func (o *orderChecker) Note(string, string)         {}
func (o *orderChecker) End()                        {}

func (o *orderChecker) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.NodeChanged) }

func (o *orderChecker) Observe(tr scheduler.Record) {
	name := tr.Key().(string)
	switch {
	case tr.To == scheduler.StateRunning && o.reverse:
		for user := range o.plan.Deps.RequiredBy(name) {
			require.False(o.t, o.done[user], "%s is deleted before %s", name, user)
		}
	case tr.To == scheduler.StateRunning:
		for required := range o.plan.Deps.Requires(name) {
			require.True(o.t, o.done[required], "%s is created before %s", name, required)
		}
	case tr.To == scheduler.StateSucceeded:
		o.done[name] = !o.reverse
	}
}

// TestUp_afterDeletion: a deletion that was complete, and whose files were left because the
// program died, is not in the way of a new stack.
func TestUp_afterDeletion(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir, left := filepath.Join(root, ".stack"), filepath.Join(root, "left")
	const file = "  f: {type: Local::File, properties: {path: f, content: x}}\n"
	e, plan := opened(t, dir, file)
	_, err := e.Up(t.Context(), plan, "source")
	require.NoError(t, err)
	_, err = e.Down(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(left, os.DirFS(dir)))
	require.NoError(t, e.Close())
	require.NoError(t, os.Rename(left, dir))

	e, plan = opened(t, dir, file)
	report, err := e.Up(t.Context(), plan, "source")
	require.NoError(t, err)
	require.NoError(t, report.Err)
	require.FileExists(t, filepath.Join(dir, "demo", "f"))
	_, err = e.Down(t.Context())
	require.NoError(t, err)
	require.NoError(t, e.Close())
	require.NoDirExists(t, dir)
}
