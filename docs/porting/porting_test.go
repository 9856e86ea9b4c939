package porting

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite testdata")

// site is the graph that the walkers of dag walk.
var site = map[string][]string{
	"network": nil, "volume": nil, "server": {"network", "volume"}, "dns": {"server"}, "report": {"dns", "volume"},
}

// scenario is what happens to a program.
type scenario struct {
	title string
	stop  time.Duration      // when ctx ends; 0: never
	fails map[string]failure // by the name of the call
}

// failure is what the first calls of a name fail with; all of them without a count.
type failure struct {
	err   error
	first int
}

func (f failure) of(attempt int) error {
	if f.first == 0 || attempt <= f.first {
		return f.err
	}
	return nil
}

var (
	errQuota     = errors.New("no more quota")
	errInterrupt = errors.New("interrupt")
)

// takes is how long a call takes; distinct for what runs side by side.
var takes = map[string]time.Duration{
	"network": 1 * time.Second, "volume": 3 * time.Second, "server": 2 * time.Second, "dns": 2500 * time.Millisecond,
	"report": 500 * time.Millisecond, "etcd": 4 * time.Second, "certificates": time.Second, "api server": 3 * time.Second,
	"start db": 500 * time.Millisecond, "start cache": 700 * time.Millisecond, "start migrate": 100 * time.Millisecond,
	"start web": 600 * time.Millisecond, "start worker": 400 * time.Millisecond,
	"stop db": 900 * time.Millisecond, "stop cache": 300 * time.Millisecond, "stop migrate": 100 * time.Millisecond,
	"stop web": 800 * time.Millisecond, "stop worker": 200 * time.Millisecond,
}

// A program prints what the page says, in each scenario, and leaves no goroutine.
func TestPrograms(t *testing.T) {
	dag := []scenario{
		{title: "all goes well"},
		{title: "no quota for the volume", fails: map[string]failure{"volume": {err: errQuota}}},
		{title: "interrupted at 2s", stop: 2 * time.Second},
	}
	healthy := func(more map[string]failure) map[string]failure {
		fails := map[string]failure{"check db": {errNotYet, 2}, "check migrate": {errNotYet, 1}}
		maps.Copy(fails, more)
		return fails
	}
	compose := []scenario{
		{title: "interrupted at 10s", stop: 10 * time.Second, fails: healthy(nil)},
		{title: "no image for the cache; interrupted at 10s", stop: 10 * time.Second, fails: healthy(map[string]failure{
			"start cache": {err: errors.New("no such image")},
		})},
		{title: "the migration fails", fails: healthy(map[string]failure{"check migrate": {err: errors.New("exit status 1")}})},
		{title: "interrupted at 1s, on the way up", stop: time.Second, fails: healthy(nil)},
	}
	down := []scenario{
		{title: "all goes well"},
		{title: "the cache does not stop", fails: map[string]failure{"stop cache": {err: errors.New("permission denied")}}},
		{title: "interrupted at 500ms", stop: 500 * time.Millisecond},
	}
	flow := []scenario{
		{title: "etcd needs three attempts", fails: map[string]failure{"etcd": {errors.New("no leader"), 2}}},
		{title: "etcd never comes up", fails: map[string]failure{"etcd": {err: errors.New("no leader")}}},
		{title: "interrupted at 3s", stop: 3 * time.Second},
	}
	kops := []scenario{
		{title: "the record needs three attempts", fails: map[string]failure{"dns": {errTryAgainLater, 2}}},
		{title: "the record never comes up", fails: map[string]failure{
			"dns": {err: fmt.Errorf("the server has no address yet: %w", errTryAgainLater)},
		}},
		{title: "interrupted at 2s", stop: 2 * time.Second},
	}
	walk := func(walker func(context.Context, map[string][]string, world) error) program {
		return func(ctx context.Context, w world) error { return walker(ctx, site, w) }
	}
	for _, test := range []struct {
		name      string
		run       program
		scenarios []scenario
	}{
		{"dag_before", walk(dagBefore), dag},
		{"dag_after", walk(dagAfter), dag},
		{"compose_before", composeBefore, compose},
		{"compose_after", composeAfter, compose},
		{"compose_down", composeDown, down},
		{"flow_before", flowBefore, flow},
		{"flow_after", flowAfter, flow},
		{"kops_before", kopsBefore, kops},
		{"kops_after", kopsAfter, kops},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			for i, s := range test.scenarios {
				if i > 0 {
					fmt.Fprintln(&out)
				}
				show(t, &out, s, test.run)
			}
			path := filepath.Join("testdata", test.name+".txt")
			if *update {
				require.NoError(t, os.WriteFile(path, out.Bytes(), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), out.String())
		})
	}
}

type program func(ctx context.Context, w world) error

// show runs a program in a bubble. Lines of the same moment are sorted, since they
// come from several goroutines.
func show(t *testing.T, out *bytes.Buffer, s scenario, run program) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var (
			mu       sync.Mutex
			lines    []string
			start    = time.Now()
			attempts = map[string]int{}
		)
		at := func() float64 { return time.Since(start).Seconds() }
		say := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, fmt.Sprintf("%5.1fs  %s", at(), fmt.Sprintf(format, args...)))
		}
		call := func(ctx context.Context, name string) error {
			mu.Lock()
			attempts[name]++
			attempt := attempts[name]
			mu.Unlock()
			select {
			case <-ctx.Done():
				say("%s: broken off", name)
				return ctx.Err()
			case <-time.After(takes[name]):
			}
			if err := s.fails[name].of(attempt); err != nil {
				return err
			}
			if !strings.HasPrefix(name, "check ") {
				say("%s: done", name)
			}
			return nil
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		if s.stop > 0 {
			time.AfterFunc(s.stop, func() { cancel(errInterrupt) })
		}
		err := run(ctx, world{call, say})
		slices.Sort(lines)
		fmt.Fprintf(out, "-- %s\n", s.title)
		for _, line := range lines {
			fmt.Fprintln(out, line)
		}
		switch {
		case err != nil:
			fmt.Fprintf(out, "%5.1fs  error: %v\n", at(), err)
		default:
			fmt.Fprintf(out, "%5.1fs  end\n", at())
		}
	})
}
