package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/steptask/scheduler/schedulertest"
)

// things is what simulated resources are made in.
type things struct {
	w    *schedulertest.World
	made int
	live []string // name-number
}

func (t *things) of(name string) (ids []string) {
	for _, id := range t.live {
		if strings.HasPrefix(id, name+"-") {
			ids = append(ids, id)
		}
	}
	return ids
}

// kind is a type of resource in things: known by its name alone, as most are.
func (t *things) kind() *resource.Kind {
	blocking := func(co *scheduler.Coroutine, label string, effect func()) error {
		return co.Await(scheduler.Blocking(func(ctx context.Context) error {
			return t.w.Do(ctx, label, func() error { effect(); return nil })
		}))
	}
	return &resource.Kind{
		AnyProps: true,
		Create: func(co *scheduler.Coroutine, r *resource.Resource) error {
			err := r.Intend(co, "begin", func(context.Context) (map[string]any, error) { return nil, nil })
			if err != nil {
				return err
			}
			return blocking(co, "create "+r.Name, func() {
				if len(t.of(r.Name)) == 0 { // it is the same thing in each attempt
					t.made++
					t.live = append(t.live, fmt.Sprint(r.Name, "-", t.made))
				}
			})
		},
		Delete: func(co *scheduler.Coroutine, r *resource.Resource) error {
			return blocking(co, "delete "+r.Name, func() {
				t.live = slices.DeleteFunc(t.live, func(id string) bool { return strings.HasPrefix(id, r.Name+"-") })
			})
		},
	}
}

var exploreRuns = flag.Int("explore.runs", 60, "schedules")

// Whatever happens to the engine on its way, nothing of a stack is left behind once it
// was deleted, and it is deleted in order. The state is on a real disk.
func TestEngine_explored(t *testing.T) {
	source := "heat_template_version: rocky\nresources:\n  network: {type: A}\n  volume: {type: A}\n  server: {type: A, depends_on: [network, volume]}\n"
	tmpl, err := template.Parse("t.yaml", []byte(source))
	require.NoError(t, err)
	stack, err := tmpl.Bind(template.Options{StandIns: true})
	require.NoError(t, err)
	runs := *exploreRuns
	if testing.Short() {
		runs = min(runs, 25)
	}
	synctest.Test(t, func(t *testing.T) {
		schedulertest.Explore(t, &schedulertest.ExploreOptions{Bubble: synctest.Wait, Runs: runs}, func(w *schedulertest.World) error {
			dir, err := os.MkdirTemp("", "explored") //nolint:usetesting // one for each schedule
			if err != nil {
				return err
			}
			defer func() { _ = os.RemoveAll(dir) }()
			all := &things{w: w}
			w.Always("order", func() error {
				if len(all.of("server")) > 0 && (len(all.of("network")) == 0 || len(all.of("volume")) == 0) {
					return fmt.Errorf("there are only %v", all.live)
				}
				return nil
			})
			// life is a process: it creates the stack, or what is missing of it, and deletes it.
			life := func(ctx context.Context) (err error) {
				plan, err := engine.NewPlan(stack, func(string) *resource.Kind { return all.kind() })
				if err != nil {
					return err
				}
				e, err := engine.Open(ctx, engine.Options{Name: "test", Dir: dir, Policy: engine.Rollback, Grace: 10 * time.Second, Timeout: 10 * time.Minute})
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, e.Close()) }()
				// An error here may say that there is a deletion to be completed first.
				if report, err := e.Up(ctx, plan, source); err == nil && report.Err == nil && len(all.live) != 3 {
					w.Always("up", func() error { return fmt.Errorf("up says that all is well, and there is %v", all.live) })
				}
				report, err := e.Down(context.WithoutCancel(ctx))
				if err != nil {
					return err
				}
				return report.Err
			}
			for range 3 {
				if w.Process("process", life) == nil {
					break
				}
			}
			w.Settle()
			w.Calm()
			if err := w.Process("last process", life); err != nil {
				return err
			}
			if len(all.live) > 0 {
				return fmt.Errorf("left behind: %v", all.live)
			}
			return nil
		})
	})
}
