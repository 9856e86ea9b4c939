package schedulertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// mistake is one that engines make. The zero one is the engine without it.
type mistake string

const (
	leaks      mistake = "a create that is cut off between its effect and its answer is forgotten"
	doubles    mistake = "a create is repeated after a crash, without a look at what is there"
	hurries    mistake = "the network is deleted while the deletion of the server is still under way"
	forgets    mistake = "a half-created resource is not rolled back"
	repeats    mistake = "a create that had succeeded is tried again"
	starts     mistake = "something new is begun after the stop"
	graceless  mistake = "there is no grace"
	swallows   mistake = "a failure is swallowed"
	unrecords  mistake = "the record goes before the resource"
	halfResume mistake = "what was only begun counts as complete after a crash"
)

var mistakes = []mistake{leaks, doubles, hurries, forgets, repeats, starts, graceless, swallows, unrecords, halfResume}

// cloud is a fake. It has no faults of its own and needs no locks.
type cloud struct {
	w       *schedulertest.World
	things  []*thing
	creates []context.Context // of those under way
	process context.Context   // of the engine
	stopped time.Time         // when that has ended
	late    string            // what was created after that
}

type thing struct {
	id, name string
	gone     time.Time // when its deletion ends; zero: it is not being deleted
}

func (c *cloud) live(name string) (ids []string) {
	for _, t := range c.things {
		if t.name == name && (t.gone.IsZero() || c.w.Now().Before(t.gone)) {
			ids = append(ids, t.id)
		}
	}
	return ids
}

func (c *cloud) create(ctx context.Context, name string) (id string, err error) {
	if !c.stopped.IsZero() && c.w.Now().After(c.stopped) {
		c.late = name
	}
	c.creates = append(c.creates, ctx)
	err = c.w.Do(ctx, "create "+name, func() error {
		id = fmt.Sprint(name, "-", len(c.things))
		c.things = append(c.things, &thing{id: id, name: name})
		return nil
	})
	c.creates = slices.DeleteFunc(c.creates, func(other context.Context) bool { return other == ctx })
	return id, err
}

func (c *cloud) find(ctx context.Context, name string) (ids []string, err error) {
	err = c.w.Do(ctx, "find "+name, func() error {
		ids = c.live(name)
		return nil
	})
	return ids, err
}

// delete begins a deletion. That of a server takes a while.
func (c *cloud) delete(ctx context.Context, id string) error {
	return c.w.Do(ctx, "delete "+id, func() error {
		for _, t := range c.things {
			if t.id == id && t.gone.IsZero() {
				t.gone = c.w.Now()
				if t.name == "server" {
					takes := []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute}
					t.gone = t.gone.Add(takes[c.w.Choose("deletion of a server", 3, 0.3)])
				}
			}
		}
		return nil
	})
}

// look looks for creates that were begun after a stop, or cut off within its grace.
func (c *cloud) look() error {
	if c.process.Err() != nil && c.stopped.IsZero() {
		c.stopped = c.w.Now()
	}
	if c.late != "" {
		return fmt.Errorf("%s is begun after the stop", c.late)
	}
	cut := func(ctx context.Context) bool { // other than by the time limit
		return ctx.Err() != nil && !errors.As(context.Cause(ctx), new(*scheduler.Timeout))
	}
	if !c.stopped.IsZero() && c.w.Now().Sub(c.stopped) < grace && slices.ContainsFunc(c.creates, cut) {
		return errors.New("a create is cut off within its grace")
	}
	return nil
}

// Here the engine begins: what a user would have written.

const grace = 10 * time.Second

// record is what the engine knows of a resource after a crash.
type record struct {
	begun bool
	id    string // once it is complete
}

type engine struct {
	cloud   *cloud
	w       *schedulertest.World
	disk    map[string]record
	mistake mistake
}

func (e *engine) save(name string, r record) { e.w.Save(name, func() { e.disk[name] = r }) }

func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	deps.Add("address", "server")
	return deps
}

func (e *engine) up(ctx context.Context) error {
	group, err := scheduler.NewDependencyTaskGroup(site(), e.create, &scheduler.GroupOptions[string]{
		Completed: func(name string) bool {
			return e.disk[name].id != "" || e.mistake == halfResume && e.disk[name].begun
		},
	})
	if err != nil {
		return err
	}
	opts := &scheduler.RunnerOptions{Name: "site", Grace: grace, Timeout: time.Hour}
	if e.mistake == graceless {
		opts.Grace = 0
	}
	err = scheduler.Run(ctx, group, opts)
	if ctx.Err() != nil && e.mistake == starts {
		return e.up(context.WithoutCancel(ctx)) // never give up
	}
	return err
}

func (e *engine) create(name string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) (err error) {
		look := e.disk[name].begun && e.mistake != doubles
		if e.mistake != leaks {
			e.save(name, record{begun: true})
		}
		id := ""
		for range 2 {
			if look { // an earlier request may have taken effect
				ids, err := scheduler.Call(co, func(ctx context.Context) ([]string, error) { return e.cloud.find(ctx, name) })
				if err != nil {
					return err
				}
				if len(ids) > 0 {
					id = ids[0]
					break
				}
			}
			if co.StopCause() != nil {
				return co.StopCause()
			}
			id, err = scheduler.Call(co, func(ctx context.Context) (string, error) { return e.cloud.create(ctx, name) })
			if !errors.Is(err, schedulertest.ErrFault) {
				break
			}
			look = e.mistake != repeats
		}
		if errors.Is(err, schedulertest.ErrFault) && e.mistake == swallows {
			return nil
		}
		if err == nil {
			e.save(name, record{begun: true, id: id})
		}
		return err
	})
}

func (e *engine) down() scheduler.Task {
	group, err := scheduler.NewDependencyTaskGroup(site(), e.delete, &scheduler.GroupOptions[string]{
		Reverse: true,
		Completed: func(name string) bool {
			return !e.disk[name].begun || e.mistake == forgets && e.disk[name].id == ""
		},
	})
	if err != nil {
		panic(err)
	}
	return group
}

func (e *engine) delete(name string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if e.mistake == unrecords {
			e.save(name, record{})
		}
		ids, err := scheduler.Call(co, func(ctx context.Context) ([]string, error) { return e.cloud.find(ctx, name) })
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := co.Await(scheduler.Blocking(func(ctx context.Context) error { return e.cloud.delete(ctx, id) })); err != nil {
				return err
			}
		}
		gone := scheduler.NewTaskRunner(scheduler.Poll(5*time.Second, func(ctx context.Context) (bool, error) {
			ids, err := e.cloud.find(ctx, name)
			return len(ids) == 0, err
		}), nil)
		err = co.Await(gone.AsTask(30 * time.Second))
		if e.mistake == hurries && errors.As(err, new(*scheduler.Timeout)) {
			err = nil // it will be gone soon
		}
		if err == nil {
			e.save(name, record{})
		}
		return err
	})
}

// Here it ends.

// lifecycle creates a site and deletes it again, whatever happens meanwhile.
func lifecycle(m mistake) func(w *schedulertest.World) error {
	return func(w *schedulertest.World) error {
		c := &cloud{w: w, process: context.Background()}
		disk := map[string]record{}
		e := func() *engine { return &engine{c, w, disk, m} }
		w.Always("one of each", func() error {
			for _, name := range []string{"network", "server", "address"} {
				if ids := c.live(name); len(ids) > 1 {
					return fmt.Errorf("there are %s", strings.Join(ids, " and "))
				}
			}
			return nil
		})
		w.Always("order", func() error {
			if len(c.live("server")) > 0 && len(c.live("network")) == 0 {
				return errors.New("there is a server without a network")
			}
			return nil
		})
		w.Always("stop", c.look)
		err := schedulertest.ErrCrashed
		for errors.Is(err, schedulertest.ErrCrashed) {
			err = w.Process("up", func(ctx context.Context) error {
				c.process, c.stopped, c.late, c.creates = ctx, time.Time{}, "", nil
				return e().up(ctx)
			})
		}
		if err == nil && (len(c.live("network")) == 0 || len(c.live("server")) == 0 || len(c.live("address")) == 0) {
			return errors.New("up has succeeded, and something is missing")
		}
		for tries := 0; ; tries++ {
			if tries == 3 {
				w.Settle()
				w.Calm()
			}
			if err := w.Run("down", e().down()); err == nil {
				break
			} else if tries == 40 {
				return fmt.Errorf("down does not come to its end: %w", err)
			}
		}
		w.Settle()
		for _, name := range []string{"network", "server", "address"} {
			if len(c.live(name)) > 0 {
				return fmt.Errorf("the %s is left behind", name)
			}
		}
		return nil
	}
}
