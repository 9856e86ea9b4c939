// Package engine creates and deletes stacks: it is where the resources' tasks
// meet the scheduler.
//
// Creating a stack is one run of a [journal] over the template's dependencies, deleting it
// the roll-back of that run. The rest is bookkeeping: what to start from, and what to tell
// afterwards.
package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/steptask/scheduler/inspect"
)

// Policy says what follows the failure of a resource.
type Policy string

// What follows a failure.
const (
	Stop     Policy = "stop"     // nothing new starts; what is there stays
	Continue Policy = "continue" // all that does not depend on the failure goes on; what is there stays
	Rollback Policy = "rollback" // as Stop, and then all is deleted, what is half made too
)

// View shows what is going on. Its methods are called on the goroutine that
// drives the run, and must be quick.
type View interface {
	scheduler.Observer
	// Begin starts the display of an action on some of the resources.
	Begin(action string, items []Item)
	// Note says what a resource is doing.
	Note(name, text string)
	// End ends the display that Begin started.
	End()
}

// Item is a resource as a View sees it.
type Item struct{ Name, Type string }

// Options are the options of an [Engine].
type Options struct {
	Name     string            // of the stack
	Dir      string            // where the state and the stack's own files are
	Policy   Policy            // after a failure
	Grace    time.Duration     // how long running resources may continue after a failure or an interrupt
	Timeout  time.Duration     // of the whole creation; 0 is none
	Failures map[string]string // resource to step: made to fail there, see [Steps]
	Simulate *resource.Times   // nil: real resources
	Clock    scheduler.Clock   // nil: the system's
	View     View              // may be nil
	Page     *inspect.Page     // shows the runs in a browser; may be nil
	Deleting bool              // it is opened to delete: the room that is kept for it may be used
}

// Steps are the moments at which a resource can be made to fail: before it does
// anything, when it is made but not yet complete, and before it is deleted.
const (
	StepBegin  = "begin"
	StepMade   = "made"
	StepDelete = "delete"
)

// Engine drives one stack.
type Engine struct {
	opts      Options
	store     *state.Store // nil in a simulation
	simulated memory       // in place of it
	host      *resource.Host
	stack     *template.Stack // nil when only the state is known
	deps      *scheduler.Dependencies[string]
	resources map[string]*resource.Resource
	kinds     map[string]*resource.Kind // of a plan, by resource
	unwell    map[string]string         // what is not well any more, and why
	resumed   map[string]bool           // complete since an earlier run
	deleted   map[string]bool           // there may have been no room on the disk to record that
}

// Types says which type of resource is what. In a simulation every type has an
// answer.
func Types(simulate *resource.Times) func(typ string) *resource.Kind {
	kinds := resource.Kinds()
	return func(typ string) *resource.Kind {
		if simulate != nil && !pure[typ] {
			return resource.StandIn(simulate.Of(typ))
		}
		if kinds[typ] == nil && template.IsTemplate(typ) {
			return resource.NestedStack(nil) // as a record has it; its attributes are in there
		}
		return kinds[typ]
	}
}

// pure are the types that touch nothing outside of the program: a simulation
// has the real ones.
var pure = map[string]bool{
	"OS::Heat::None": true, "OS::Heat::RandomString": true, "OS::Heat::TestResource": true, "OS::Heat::Value": true,
}

// Open returns an engine for the stack of that name. It fails with a
// [*state.HeldError] while another program drives the stack.
func Open(ctx context.Context, opts Options) (*Engine, error) {
	e := &Engine{opts: opts, resources: map[string]*resource.Resource{}, resumed: map[string]bool{}, deleted: map[string]bool{}}
	e.simulated = memory{}
	e.host = &resource.Host{Root: e.root(), Recorder: e.simulated}
	if opts.View != nil {
		e.host.Note = opts.View.Note
	}
	if opts.Simulate != nil {
		return e, nil
	}
	if err := e.openStore(ctx); err != nil {
		return nil, errors.Join(err, CleanUp(opts.Dir))
	}
	return e, nil
}

func (e *Engine) openStore(ctx context.Context) error {
	path := StatePath(e.opts.Dir, e.opts.Name)
	if err := makeDir(e.opts.Dir); err != nil {
		return err
	}
	err := e.acquire(ctx, path)
	if state.IsFull(err) && e.opts.Deleting && state.GiveReserve(path) {
		err = e.acquire(ctx, path)
	}
	return err
}

func (e *Engine) acquire(ctx context.Context, path string) (err error) {
	if e.store, err = state.Open(path); err != nil {
		return err
	}
	if err := e.store.Acquire(ctx); err != nil {
		return errors.Join(err, e.store.Close())
	}
	e.host.Store, e.host.Recorder = e.store, recorder{}
	return nil
}

// StatePath returns where the state of a stack is.
func StatePath(dir, name string) string { return filepath.Join(dir, name+".db") }

// root is where the stack's own files are.
func (e *Engine) root() string {
	root := filepath.Join(e.opts.Dir, e.opts.Name)
	if abs, err := filepath.Abs(root); err == nil {
		return abs
	}
	return root
}

// Close gives up what the engine holds. If nothing of the stack is left, its
// files go too.
func (e *Engine) Close() error {
	err := e.host.Close()
	if e.store == nil {
		return err
	}
	ctx := context.Background()
	left, readErr := e.left(ctx)
	if err = errors.Join(err, readErr); readErr != nil || len(left) > 0 {
		releaseErr := e.store.Release(ctx)
		if state.IsFull(releaseErr) {
			releaseErr = nil // it ends with this program
		}
		return errors.Join(err, releaseErr, e.store.Close())
	}
	return errors.Join(err, e.removeRoot(ctx), e.store.Remove(), CleanUp(e.opts.Dir))
}

// drive drives a group to its end and shows it.
func (e *Engine) drive(ctx context.Context, action string, group scheduler.Task,
	items []Item, opts *scheduler.RunnerOptions,
) error {
	if e.opts.View != nil {
		e.opts.View.Begin(action, items)
		defer e.opts.View.End()
	}
	opts.Name, opts.Clock = action+" "+e.opts.Name, e.opts.Clock
	err := scheduler.Run(ctx, group, opts)
	if closeErr := group.Close(); closeErr != nil { // it was never stepped if ctx had ended
		err = errors.Join(err, closeErr)
	}
	return err
}

// items are the resources that are to be worked on, in key order.
func (e *Engine) items(wanted func(string) bool) []Item {
	var items []Item
	for name := range e.deps.All() {
		if wanted(name) {
			items = append(items, Item{name, e.resources[name].Type})
		}
	}
	return items
}

// observer returns the view and the page, as far as there are any.
func (e *Engine) observer() scheduler.Observer {
	return scheduler.Observers(e.opts.View, e.opts.Page)
}

// note tells the user about a resource.
func (e *Engine) note(name, format string, args ...any) {
	if e.opts.View != nil {
		e.opts.View.Note(name, fmt.Sprintf(format, args...))
	}
}

// failAt fails if the user asked for a failure at that step.
func (e *Engine) failAt(name, step string) error {
	if at, ok := e.opts.Failures[name]; ok && at == step {
		return fmt.Errorf("made to fail at step %q", step)
	}
	return nil
}
