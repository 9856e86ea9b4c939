package timeline_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/timeline"
)

// life is how long a service takes until it is ready, and to end.
type life struct{ up, down time.Duration }

// runServices runs deps in a group with opts: nodes with a life are services, and others
// take a second for each letter of their names.
func runServices(
	t *testing.T, deps *scheduler.Dependencies[string], lives map[string]life, opts *scheduler.GroupOptions[string],
) ([]timeline.Span, *timeline.Report[string]) {
	t.Helper()
	rec := timeline.NewRecorder()
	opts.Observer, opts.Grace = rec, scheduler.NoLimit
	g, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		life, isService := lives[name]
		if !isService {
			return scheduler.Pause(scheduler.After(time.Duration(len(name)) * time.Second))
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(life.up)); err != nil {
				return err
			}
			co.Ready()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			return co.Yield(scheduler.After(life.down))
		})
	}, opts)
	require.NoError(t, err)
	require.NoError(t, schedulertest.NewDriver(t, g, nil).RunToEnd())
	r, err := timeline.NewReport(rec.Spans(), deps, opts)
	require.NoError(t, err)
	return rec.Spans(), r
}

// parts says of each link from when to when it is.
func parts(r *timeline.Report[string]) string {
	var all []string
	for _, l := range r.Chain {
		all = append(all, fmt.Sprintf("%s %v-%v", l.Key, l.Start, l.End))
	}
	return strings.Join(all, ", ")
}

// A service lets two jobs start when it is ready, and ends after them.
func TestReport_of_a_service(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("job", "db")
	deps.Add("longer", "db")
	spans, r := runServices(t, deps, map[string]life{"db": {2 * time.Second, time.Second}}, &scheduler.GroupOptions[string]{})
	began := spans[0].Start
	require.Equal(t, 2*time.Second, spans[0].ReadySince.Sub(began))
	require.Equal(t, 9*time.Second, spans[0].Took())
	require.Zero(t, spans[1].ReadySince, "it is no service")

	require.Equal(t, "db 0s-2s, longer 2s-8s, db 8s-9s", parts(r))
	require.Equal(t, []string{"db", "longer", "db"}, r.Longest)
	require.Equal(t, 9*time.Second, r.LongestTook)
	require.Equal(t, 9*time.Second, r.Took)
	require.Equal(t, 3*time.Second, r.Slack("job"))
	require.Zero(t, r.Slack("longer"))
	require.Zero(t, r.Slack("db"))
	require.Zero(t, r.Held, "the jobs did not wait for the end of db")
	require.Equal(t, 2*time.Second, r.Spans()[1].Ready.Sub(began))
	took, err := r.Under(0)
	require.NoError(t, err)
	require.Equal(t, r.Took, took)
	took, err = r.Under(1)
	require.NoError(t, err)
	require.Equal(t, 12*time.Second, took, "one job after the other")

	var b strings.Builder
	_, err = r.WriteTo(&b)
	require.NoError(t, err)
	require.Contains(t, b.String(), "The longest path takes 9s: db > longer > db\n")
	b.Reset()
	require.NoError(t, timeline.WriteSVG(&b, r.Spans()))
	golden(t, "service.svg", b.String())
	b.Reset()
	require.NoError(t, timeline.WriteTrace(&b, r.Spans()))
	golden(t, "service.json", b.String())
}

// Services on each other, also one that nothing requires, end in reverse. What limits
// them changes the run, and the report follows.
func TestReport_of_services(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("api", "db")
	deps.Add("web", "api")
	deps.Add("job", "api")
	deps.Add("alone")
	lives := map[string]life{
		"db": {2 * time.Second, 4 * time.Second}, "api": {time.Second, 3 * time.Second},
		"web": {5 * time.Second, 2 * time.Second},
	}
	for limit, want := range []struct {
		chain       string
		waited      time.Duration // job
		took        time.Duration
		slackOfJob  time.Duration
		slackOfLast time.Duration
	}{
		{"db 0s-2s, api 2s-3s, web 3s-10s, api 10s-13s, db 13s-17s", 0, 17 * time.Second, 2 * time.Second, 3 * time.Second},
		{
			"db 0s-2s, api 2s-3s, web 3s-8s, job 8s-11s, alone 11s-16s, web 16s-18s, api 18s-21s, db 21s-25s",
			5 * time.Second, 25 * time.Second, 2 * time.Second, 3 * time.Second,
		},
	} {
		_, r := runServices(t, deps, lives, &scheduler.GroupOptions[string]{Limit: limit})
		require.Equal(t, want.chain, parts(r))
		require.Equal(t, []string{"db", "api", "web", "api", "db"}, r.Longest)
		require.Equal(t, 17*time.Second, r.LongestTook)
		require.Equal(t, want.took, r.Took)
		require.Equal(t, want.waited, r.Waited("job"))
		require.Equal(t, want.slackOfJob, r.Slack("job"))
		require.Equal(t, want.slackOfLast, r.Slack("alone"))
		require.Zero(t, r.Slack("web"))
	}
}

// The claims of a service are there for others after its end.
func TestReport_of_the_claims_of_a_service(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("job", "db")
	deps.Add("zzz")
	deps.Add("zz", "zzz")
	gpu := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "gpu", Capacity: 1})
	_, r := runServices(t, deps, map[string]life{"db": {time.Second, 2 * time.Second}}, &scheduler.GroupOptions[string]{
		Claims: func(k string) []scheduler.Claim {
			if k == "db" || k == "zz" {
				return []scheduler.Claim{{Limiter: gpu, Weight: 1}}
			}
			return nil
		},
	})
	require.Equal(t, "db 0s-6s, zz 6s-8s", parts(r))
	require.True(t, r.Chain[1].Limited)
	var b strings.Builder
	require.NoError(t, timeline.WriteSVG(&b, r.Spans()))
	golden(t, "service-claims.svg", b.String())
}

// A service that has not ended is ready.
func TestRecorder_of_a_service(t *testing.T) {
	t.Parallel()
	rec := timeline.NewRecorder()
	deps := scheduler.NewDependencies[string]()
	deps.Add("job", "db")
	g, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Second)); err != nil || name == "job" {
				return err
			}
			co.Ready()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			return errBoom
		})
	}, &scheduler.GroupOptions[string]{Observer: rec, Grace: time.Second})
	require.NoError(t, err)
	d := schedulertest.NewDriver(t, g, nil)
	d.StepUntil(func() bool { return len(rec.Spans()) == 2 })
	require.Equal(t, []string{
		"DependencyTaskGroup db db: 0s-1s ready <nil>",
		"DependencyTaskGroup job job: 1s-1s running <nil>",
	}, lines(rec.Spans()))
	since := rec.Spans()[0].ReadySince
	require.Equal(t, time.Second, since.Sub(rec.Spans()[0].Start))
	require.ErrorIs(t, d.RunToEnd(), errBoom)
	require.Equal(t, "DependencyTaskGroup db db: 0s-2s failed boom", lines(rec.Spans())[0])
	require.Equal(t, since, rec.Spans()[0].ReadySince)

	rec.Reset()
	d = schedulertest.NewDriver(t, ready(t, rec), nil)
	d.StepUntil(func() bool { return len(rec.Spans()) == 1 })
	rec.Reset()
	require.NoError(t, d.RunToEnd())
	require.Empty(t, rec.Spans(), "it was ready, and ended, after a Reset")
}

// ready returns a group of one node that is ready after a second, and ends.
func ready(t *testing.T, rec *timeline.Recorder) scheduler.Task {
	t.Helper()
	deps := scheduler.NewDependencies[string]()
	deps.Add("db")
	g, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Second)); err != nil {
				return err
			}
			co.Ready()
			return nil
		})
	}, &scheduler.GroupOptions[string]{Observer: rec})
	require.NoError(t, err)
	return g
}

// Of random graphs with services: the longest path takes as long as the run without a
// limit, the chain has no gap with one, a limit is simulated as it is, and a node can
// take longer by its slack, and by no more.
func TestReport_of_random_services(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 3))
		seconds := func(most int) time.Duration { return time.Duration(random.IntN(most)) * time.Second }
		deps, lives, keys := scheduler.NewDependencies[string](), map[string]life{}, []string{}
		for i := range 1 + random.IntN(7) {
			k := strings.Repeat("n", 1+random.IntN(4)) + string(rune('a'+i))
			deps.Add(k)
			for _, q := range keys {
				if random.IntN(3) == 0 {
					deps.Add(k, q)
				}
			}
			if keys = append(keys, k); random.IntN(2) == 0 {
				lives[k] = life{seconds(4), seconds(4)}
			}
		}
		limit := random.IntN(3)
		_, free := runServices(t, deps, lives, &scheduler.GroupOptions[string]{})
		_, r := runServices(t, deps, lives, &scheduler.GroupOptions[string]{Limit: limit})
		require.Equal(t, free.Took, free.LongestTook, seed)
		require.Equal(t, free.LongestTook, r.LongestTook, seed)
		under, err := free.Under(limit)
		require.NoError(t, err)
		require.Equal(t, r.Took, under, seed)
		for _, r := range []*timeline.Report[string]{free, r} {
			at := time.Duration(0)
			for _, l := range r.Chain {
				require.Equal(t, at, l.Start, "%d: %s", seed, parts(r))
				at = l.End
			}
			require.Equal(t, r.Took, at, seed)
		}
		for _, k := range keys {
			life, isService := lives[k]
			if !isService {
				continue
			}
			slack, longer := free.Slack(k), false
			for _, more := range []time.Duration{slack, slack + time.Second} {
				for _, add := range [][2]time.Duration{{more, 0}, {0, more}} {
					l := life
					l.up, l.down = l.up+add[0], l.down+add[1]
					lives[k] = l
					_, later := runServices(t, deps, lives, &scheduler.GroupOptions[string]{})
					if more == slack {
						require.Equal(t, free.Took, later.Took, "%d: %s", seed, k)
					}
					longer = longer || later.Took > free.Took
				}
			}
			require.True(t, longer, "%d: %s", seed, k)
			lives[k] = life
		}
	}
}

// Spans of services that cannot be give some report.
func TestNewReport_of_impossible_services(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 4))
		deps := scheduler.NewDependencies[string]()
		deps.Add("b", "a")
		deps.Add("c", "b")
		deps.Add("d", "a")
		var spans []timeline.Span
		for _, k := range []string{"a", "b", "c", "d"} {
			s := span(k, random.IntN(6), random.IntN(6))
			if random.IntN(2) == 0 {
				s.ReadySince = time.Unix(random.Int64N(6), 0)
			}
			spans = append(spans, s)
		}
		r, err := timeline.NewReport(spans, deps, named)
		require.NoError(t, err)
		require.NotEmpty(t, r.Chain)
		_, err = r.WriteTo(io.Discard)
		require.NoError(t, err)
	}
}
