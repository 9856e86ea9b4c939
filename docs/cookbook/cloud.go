package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

var (
	errBusy  = errors.New("the API is busy")
	errQuota = errors.New("no more quota")
	errInUse = errors.New("in use")
)

// cloud stands for somebody's SDK: its calls block, and what they begin goes on
// by itself. It is safe for concurrent use, as an SDK has to be.
type cloud struct {
	mu     sync.Mutex
	things map[string]thing
	made   map[string]int     // how often a thing was created
	fails  map[string][]error // what the next calls for a thing answer
}

type thing struct {
	id    string
	ready time.Time
}

func newCloud() *cloud {
	return &cloud{things: map[string]thing{}, made: map[string]int{}, fails: map[string][]error{}}
}

// takes says how long it takes to make a thing; others take a second.
var takes = map[string]time.Duration{
	"volume": 3 * time.Second,
	"server": 2 * time.Second,
	"bucket": 6 * time.Second,
}

func (c *cloud) takes(name string) time.Duration {
	if d, ok := takes[name]; ok {
		return d
	}
	return time.Second
}

// fail lets the next calls that create or delete a thing fail.
func (c *cloud) fail(name string, errs ...error) { c.fails[name] = errs }

// create begins to make a thing and returns its id. If there is one of that name
// it returns that one's.
func (c *cloud) create(ctx context.Context, name string) (id string, err error) {
	if err := c.call(ctx, name, 0); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.things[name]
	if !ok {
		c.made[name]++
		t = thing{fmt.Sprintf("%s#%d", name, c.made[name]), time.Now().Add(c.takes(name))}
		c.things[name] = t
	}
	return t.id, nil
}

// ready says whether a thing is ready for use.
func (c *cloud) ready(_ context.Context, id string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.things {
		if t.id == id {
			return !time.Now().Before(t.ready), nil
		}
	}
	return false, fmt.Errorf("no %s", id)
}

// delete returns when a thing is gone, or was not there.
func (c *cloud) delete(ctx context.Context, name string) error {
	if err := c.call(ctx, name, c.takes(name)/2); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.things, name)
	return nil
}

// isReady says whether there is a thing of that name, ready for use. It does not
// block: it looks at what is known here.
func (c *cloud) isReady(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.things[name]
	return ok && !time.Now().Before(t.ready)
}

// call is the way to the cloud and back, and takes a tenth of a second besides d.
// For each thing it takes a little longer or less, as things do: so no two calls
// return at the same moment, and the recipes print the same each time.
func (c *cloud) call(ctx context.Context, name string, d time.Duration) error {
	hash := fnv.New32()
	_, _ = hash.Write([]byte(name)) // never fails
	if err := sleep(ctx, d+100*time.Millisecond+time.Duration(hash.Sum32()%40)*time.Millisecond); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if errs := c.fails[name]; len(errs) > 0 {
		c.fails[name] = errs[1:]
		return errs[0]
	}
	return nil
}

// sleep blocks, as calls over a network do.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// site is the graph of most recipes.
func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume") // the server requires both
	deps.Add("dns", "server")
	deps.Add("bucket") // on its own
	return deps
}
