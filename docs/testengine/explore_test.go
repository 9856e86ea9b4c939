package testengine_test

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

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// fakeCloud is a fake for all orders. Do decides when, whether and how: the functions
// say only what happens. It needs no locks.
type fakeCloud struct {
	w    *schedulertest.World
	made int
	live []string // ids
}

func (c *fakeCloud) Create(ctx context.Context, name string) (string, error) {
	var id string
	err := c.w.Do(ctx, "create "+name, func() error {
		c.made++
		id = fmt.Sprintf("%s-%d", name, c.made)
		c.live = append(c.live, id)
		return nil
	})
	if err != nil {
		return "", err // it may have been created: only its answer is lost
	}
	return id, nil
}

func (c *fakeCloud) Find(ctx context.Context, name string) ([]string, error) {
	var ids []string
	err := c.w.Do(ctx, "find "+name, func() error {
		ids = c.of(name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

func (c *fakeCloud) Delete(ctx context.Context, id string) error {
	return c.w.Do(ctx, "delete "+id, func() error {
		c.live = slices.DeleteFunc(c.live, func(other string) bool { return other == id })
		return nil
	})
}

func (c *fakeCloud) of(name string) (ids []string) {
	for _, id := range c.live {
		if strings.HasPrefix(id, name+"-") {
			ids = append(ids, id)
		}
	}
	return ids
}

// scenario is the life of a site. change may plant a mistake into each engine.
func scenario(w *schedulertest.World, change func(e *engine)) error {
	c := &fakeCloud{w: w}
	disk := map[string]record{}
	process := func() *engine { // knows only what is on disk
		e := &engine{cloud: c, disk: disk}
		e.save = func(name string, r record) { w.Save(name, func() { disk[name] = r }) }
		change(e)
		return e
	}
	w.Always("one of each", func() error {
		for _, name := range []string{"network", "server"} {
			if ids := c.of(name); len(ids) > 1 {
				return fmt.Errorf("there are %s", strings.Join(ids, " and "))
			}
		}
		return nil
	})
	w.Always("the network is there as long as the server", func() error {
		if len(c.of("server")) > 0 && len(c.of("network")) == 0 {
			return errors.New("it is gone")
		}
		return nil
	})

	run := func(name string, make func() (*scheduler.DependencyTaskGroup[string], error)) error {
		task, err := make()
		if err != nil {
			return err
		}
		return w.Run(name, task)
	}
	err := run("up", process().up)
	for errors.Is(err, schedulertest.ErrCrashed) {
		err = run("up, after the crash", process().up)
	}
	if err == nil && len(c.live) != 2 {
		return fmt.Errorf("up says that all is well, and there is %v", c.live)
	}

	_ = run("down", process().down) // as far as it gets
	w.Settle()                      // what is on its way arrives
	w.Calm()                        // and now all goes well
	if err := run("down, when all is calm", process().down); err != nil {
		return err
	}
	if len(c.live) > 0 {
		return fmt.Errorf("left behind: %v", c.live)
	}
	return nil
}

var budget = flag.Duration("explore", 0, "how long to explore; 0 is 1,000 schedules")

func TestEngine_explored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		schedulertest.Explore(t, &schedulertest.ExploreOptions{
			Bubble: synctest.Wait, For: *budget,
		}, func(w *schedulertest.World) error {
			return scenario(w, func(*engine) {})
		})
	})
}

var update = flag.Bool("update", false, "rewrite testdata")

// failing keeps what a failure prints.
type failing struct{ text string }

func (f *failing) Helper()                           {}
func (f *failing) Cleanup(func())                    {}
func (f *failing) Errorf(format string, args ...any) { f.text = fmt.Sprintf(format, args...) }
func (f *failing) Fatalf(format string, args ...any) { f.Errorf(format, args...) }

// What is found in an engine that records a resource only once it is complete.
func TestEngine_that_forgets(t *testing.T) {
	forgetful := func(w *schedulertest.World) error {
		return scenario(w, func(e *engine) {
			save := e.save
			e.save = func(name string, r record) {
				if !r.Begun || r.ID != "" {
					save(name, r)
				}
			}
		})
	}
	var found failing
	synctest.Test(t, func(*testing.T) {
		schedulertest.Explore(&found, &schedulertest.ExploreOptions{Bubble: synctest.Wait}, forgetful)
	})
	if *update {
		require.NoError(t, os.WriteFile("testdata/story.txt", []byte(found.text+"\n"), 0o644))
	}
	want, err := os.ReadFile("testdata/story.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), found.text+"\n")
}
