package schedulertest_test

import (
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler/schedulertest"
)

var exploreSeeds = flag.Int("explore.seeds", 3, "seeds from which each planted mistake has to be found")

// explored is a TestingT that keeps how an Explore failed.
type explored struct{ text, log string }

func (f *explored) Helper()                           {}
func (f *explored) Cleanup(func())                    {}
func (f *explored) Errorf(format string, args ...any) { f.text += fmt.Sprintf(format, args...) }
func (f *explored) Fatalf(format string, args ...any) { f.Errorf(format, args...) }
func (f *explored) Logf(format string, args ...any)   { f.log += fmt.Sprintf(format, args...) }

// Each mistake is found, from any seed, and told in at most ten lines.
func TestExplore_finds_mistakes(t *testing.T) {
	for _, m := range mistakes {
		t.Run(string(m), func(t *testing.T) {
			var longest time.Duration
			worst, sum, lines, most := 0, 0, 0, 0
			for i := range *exploreSeeds {
				var f explored
				start := time.Now()
				c := schedulertest.Explore(&f, &schedulertest.ExploreOptions{Seed: uint64(i) * 1_000_000}, lifecycle(m))
				longest = max(longest, time.Since(start))
				require.NotEmpty(t, f.text, "seed %d: not found\n%v", i, c)
				var n, all, taken, left, tries int
				_, err := fmt.Sscanf(f.text, "schedule %d of %d fails; %d choices, shrunk to %d in %d", &n, &all, &taken, &left, &tries)
				require.NoError(t, err, f.text)
				worst, sum = max(worst, n), sum+n
				most = max(most, left)
				lines = max(lines, strings.Count(f.text, "\n")-2)
				if i == 0 {
					t.Logf("%s", f.text)
				}
			}
			t.Logf("found after %d schedules on average, %d at worst, in %v at most; %d choices and %d lines at most",
				sum / *exploreSeeds, worst, longest, most, lines)
			require.LessOrEqual(t, lines, 10)
			require.LessOrEqual(t, most, 4)
		})
	}
}

// The engine without a mistake passes, in a bubble and outside of one.
func TestExplore_passes(t *testing.T) {
	t.Parallel()
	f := &explored{}
	runs, bubble := 2000, 500
	if testing.Short() {
		runs, bubble = 300, 150
	}
	require.Equal(t, runs, schedulertest.Explore(f, &schedulertest.ExploreOptions{Runs: runs}, lifecycle("")).Schedules)
	require.Empty(t, f.text)
	synctest.Test(t, func(t *testing.T) {
		c := schedulertest.Explore(f, &schedulertest.ExploreOptions{Runs: bubble, Bubble: synctest.Wait}, lifecycle(""))
		require.Empty(t, f.text)
		require.Greater(t, c.Stories, bubble*9/10)
	})
}

// A replay line tells the same story again, and that of a mistake passes without it.
func TestExplore_Replay(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes {
		f, again := &explored{}, &explored{}
		schedulertest.Explore(f, nil, lifecycle(m))
		_, line, ok := strings.Cut(f.text, "replay: schedulertest.ExploreOptions{Replay: ")
		require.True(t, ok, f.text)
		line, err := strconv.Unquote(strings.TrimSuffix(line, "}"))
		require.NoError(t, err)
		c := schedulertest.Explore(again, &schedulertest.ExploreOptions{Replay: line}, lifecycle(m))
		require.Equal(t, 1, c.Schedules)
		require.Contains(t, f.text, again.text)
		require.NotEmpty(t, again.text)
		schedulertest.Explore(t, &schedulertest.ExploreOptions{Replay: line}, lifecycle(""))
	}
	for _, line := range []string{"create", "=1", "create=x", "create=-1"} {
		f := &explored{}
		schedulertest.Explore(f, &schedulertest.ExploreOptions{Replay: line}, lifecycle(""))
		require.Contains(t, f.text, "is not of the form label=number")
	}
}

// A seed tells the same stories each time, on any number of processors, in a bubble and
// outside.
func TestExplore_is_deterministic(t *testing.T) {
	stories := func(bubble func()) (all []string) {
		schedulertest.Explore(&explored{}, &schedulertest.ExploreOptions{Runs: 100, Seed: 7, Bubble: bubble}, func(w *schedulertest.World) error {
			defer func() { all = append(all, strings.Join(w.Story(), "\n")) }()
			return lifecycle("")(w)
		})
		return all
	}
	first := stories(nil)
	require.Len(t, first, 100)
	before := runtime.GOMAXPROCS(1)
	again := stories(nil)
	runtime.GOMAXPROCS(before)
	require.Equal(t, first, again)
	synctest.Test(t, func(*testing.T) { again = stories(synctest.Wait) })
	require.Equal(t, first, again)
}
