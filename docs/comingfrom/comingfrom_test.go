package comingfrom

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // Terraform's package traces every move
	goleak.VerifyTestMain(m)
}

var update = flag.Bool("update", false, "rewrite testdata")

// takes is distinct for what runs side by side, so that the order is certain.
var takes = map[string]time.Duration{
	"network": 1 * time.Second, "volume": 3 * time.Second, "bucket": 6 * time.Second,
	"server": 2 * time.Second, "dns": 2500 * time.Millisecond,
}

// Every program is run twice, and prints what its page says.
func TestPrograms(t *testing.T) {
	for name, run := range map[string]program{
		"errgroup_before": errgroupBefore, "errgroup_after": errgroupAfter,
		"walker_before": walkerBefore, "walker_after": walkerAfter,
		"terraform_before": terraformBefore, "terraform_after": terraformAfter,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			show(t, &out, run, "")
			fmt.Fprintln(&out)
			show(t, &out, run, "volume")
			requireGolden(t, name, out.Bytes())
		})
	}
}

// show runs a program in a world where one thing cannot be made.
func show(t *testing.T, w io.Writer, run program, fails string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		start := time.Now()
		say := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(w, "%4.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
		}
		err := run(t.Context(), func(ctx context.Context, name string) error {
			select {
			case <-ctx.Done():
				say("%s is broken off", name)
				return context.Cause(ctx)
			case <-time.After(takes[name]):
			}
			if name == fails {
				return errors.New("no more quota")
			}
			say("%s is ready", name)
			return nil
		})
		if err != nil {
			say("error: %v", err)
		}
	})
}

func requireGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// The walker hangs in a cycle; a group says where it is.
func TestAfter_cycle(t *testing.T) {
	requires["network"] = []string{"dns"}
	defer delete(requires, "network")
	for _, run := range []program{errgroupAfter, walkerAfter, terraformAfter} {
		err := run(t.Context(), func(context.Context, string) error { return nil })
		require.EqualError(t, err, "scheduler: circular dependency: dns -> server -> network -> dns")
		require.ErrorIs(t, err, scheduler.ErrCircularDependency)
	}
	require.Error(t, terraformBefore(t.Context(), nil))
}

// What the program in Python printed was recorded with this very text of it, and
// the program in Go prints the same.
func TestHeat(t *testing.T) {
	text, err := os.ReadFile("heat_before.py")
	require.NoError(t, err)
	recorded, err := os.ReadFile(filepath.Join("testdata", "heat_before.txt"))
	require.NoError(t, err)
	sum, want, _ := strings.Cut(string(recorded), "\n")
	require.Equal(t, fmt.Sprintf("%x  heat_before.py", sha256.Sum256(text)), sum, "it has changed: run ./record again")

	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var out bytes.Buffer
		require.NoError(t, heatAfter(t.Context(), &out))
		require.Equal(t, want, out.String())
		require.Equal(t, 8*time.Second, time.Since(start))
	})
}
