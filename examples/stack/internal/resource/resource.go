// Package resource has the types of resources: what each really does on this
// machine when it is created and deleted.
//
// Creating and deleting are coroutines of the scheduler. They run side by side
// on one goroutine and so need no locks; what blocks is given to
// [scheduler.Call], and waiting is a yield. Before something is made it is
// written down how to find it, see [Resource.Intend]: after a crash it can be deleted,
// or its creation can continue.
package resource

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/state"
)

// Kind is a type of resource.
type Kind struct {
	Summary    string
	Properties map[string]Property
	AnyProps   bool     // properties are not looked at: of a stand-in
	Attributes []string // what get_attr gives: keys of Data

	// Reference is the attribute that get_resource gives; "" for the name.
	Reference string

	Create func(co *scheduler.Coroutine, r *Resource) error

	// Delete also deletes what is half made, and what is gone already; nil if
	// nothing is ever left behind.
	Delete func(co *scheduler.Coroutine, r *Resource) error

	// Watch waits until the resource is not there any more as it was created,
	// and says what has become of it, and whether that is a failure; nil if
	// that cannot happen.
	Watch func(co *scheduler.Coroutine, r *Resource) (what string, failed bool, err error)

	// Resume takes over a resource that an earlier run completed. An error
	// says that it is not there any more; it is made again then. It is called
	// before the run; nil if there is nothing to do.
	Resume func(r *Resource) error
}

// Recorder writes down what the steps of a creation return.
type Recorder interface {
	// Step calls fn on a goroutine of its own, unless an earlier attempt to create
	// the resource has recorded this step. It returns what is on record, once it is
	// on disk.
	Step(co *scheduler.Coroutine, r *Resource, step string, fn func(ctx context.Context) (state.Known, error)) (state.Known, error)
}

// Resource is a resource while it is created, used and deleted. Only tasks of
// the run use it, so it needs no lock.
type Resource struct {
	Name     string
	Type     string
	Props    Props
	Data     map[string]any // what it is known by, and its attributes
	Recorded bool           // there is something of it, or may be
	Complete bool           // it was created to its end: then all that has its name is its own

	Kind *Kind
	Host *Host
}

// Known returns what is to be kept of r.
func (r *Resource) Known() state.Known { return r.with(r.Data) }

func (r *Resource) with(data map[string]any) state.Known {
	return state.Known{Type: r.Type, Properties: state.Values(r.Props), Data: maps.Clone(data)}
}

// Intend writes down what is about to be made, and what it will be known by: what fn
// returns, or what it has returned in an earlier attempt. Only after it may the thing be
// made. Each attempt has the same steps in the same order.
func (r *Resource) Intend(co *scheduler.Coroutine, step string, fn func(ctx context.Context) (map[string]any, error)) error {
	known, err := r.Host.Recorder.Step(co, r, step, func(ctx context.Context) (state.Known, error) {
		data, err := fn(ctx)
		return r.with(data), err
	})
	r.set(known.Data)
	return err
}

// mayBeThere is what a step returns whose thing is known by its name alone.
func mayBeThere(context.Context) (map[string]any, error) { return nil, nil }

// Set adds attributes: those of a nested stack, which are its outputs.
func (r *Resource) Set(attributes map[string]any) { r.set(attributes) }

// set adds to what r is known by.
func (r *Resource) set(data map[string]any) {
	if r.Data == nil {
		r.Data = map[string]any{}
	}
	maps.Copy(r.Data, data)
}

// note tells the user what is going on.
func (r *Resource) note(format string, args ...any) {
	if r.Host.Note != nil {
		r.Host.Note(r.Name, fmt.Sprintf(format, args...))
	}
}

// path returns a property that is a path, as an absolute one.
func (r *Resource) path(property string) string {
	return r.Host.path(r.Props.String(property))
}

func (h *Host) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(h.Root, p)
}

// Reference returns what get_resource gives.
func (r *Resource) Reference() any {
	if r.Kind.Reference == "" {
		return r.Name
	}
	return r.Data[r.Kind.Reference]
}

// Attribute returns an attribute, or all of them for "".
func (r *Resource) Attribute(name string) (any, error) {
	if name == "" {
		all := map[string]any{}
		for _, a := range r.Kind.Attributes {
			all[a] = r.Data[a]
		}
		return all, nil
	}
	v, ok := r.Data[name]
	if !ok || !slices.Contains(r.Kind.Attributes, name) {
		return nil, fmt.Errorf("%s has no attribute %q (yet)", r.Name, name)
	}
	return v, nil
}

// Kinds returns the types that are real, by name.
func Kinds() map[string]*Kind {
	return map[string]*Kind{
		"Local::Directory":              directoryKind,
		"Local::File":                   fileKind,
		"Local::HTTPWait":               httpWaitKind,
		"Local::Port":                   portKind,
		"Local::Process":                processKind,
		"Local::SQLite":                 sqliteKind,
		"OS::Heat::None":                noneKind,
		"OS::Heat::RandomString":        randomStringKind,
		"OS::Heat::TestResource":        testKind,
		"OS::Heat::Value":               valueKind,
		"OS::Heat::WaitCondition":       waitConditionKind,
		"OS::Heat::WaitConditionHandle": handleKind,
	}
}

// done is [scheduler.Call] for a function without a result.
func done(co *scheduler.Coroutine, fn func(ctx context.Context) error) error {
	_, err := scheduler.Call(co, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// lastLines shortens a text to its end.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
