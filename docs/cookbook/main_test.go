package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite testdata")

// Every recipe prints what its page says.
func TestRecipes(t *testing.T) {
	for _, r := range recipes {
		t.Run(fmt.Sprint(r.number), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				r.show(t.Context(), &out)
				requireGolden(t, fmt.Sprintf("%02d.txt", r.number), out.Bytes())
			})
		})
	}
}

// The same under a clock that begins and answers calls in order: no line moves.
func TestRecipes_with_the_clock_of_schedulertest(t *testing.T) {
	for _, r := range recipes {
		t.Run(fmt.Sprint(r.number), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait)
				var out bytes.Buffer
				r.show(scheduler.WithClock(t.Context(), clock), &out)
				requireGolden(t, fmt.Sprintf("%02d.txt", r.number), out.Bytes())
			})
		})
	}
}

// Another program of recipe 9.
func TestGiveUpNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		recipe{9, giveUpNodes}.show(t.Context(), &out)
		requireGolden(t, "09_onenode.txt", out.Bytes())
	})
}

// The graph of most recipes, for the page of the first.
func TestSite(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, site().WriteMermaid(&out))
	requireGolden(t, "site.mmd", out.Bytes())
}

func requireGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}
