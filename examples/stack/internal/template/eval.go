package template

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Env gives the references in a template their values. The names of resources
// in a nested stack begin with those of the stacks around it: "web/server".
type Env interface {
	// Resource returns what get_resource gives: what identifies the resource.
	Resource(name string) (any, error)
	// Attribute returns an attribute of a resource, or all of them as a map
	// for "".
	Attribute(name, attribute string) (any, error)
}

// Eval computes a value of a resource, or of nothing in particular for "". env
// is asked for the resources that it refers to; it may be nil if there are
// none, see [Stack.Constant]. A value that an if leaves out is nil.
func (s *Stack) Eval(resource string, v *Value, env Env) (any, error) {
	in := s
	if r := s.Resource(resource); r != nil {
		in = r.stack
	}
	s.root().work = 0
	got, err := (&evaluator{stack: in, env: env, of: resource}).value(v)
	if err != nil {
		return nil, &Error{in.Template.File, v.Line, resource, err.Error()}
	}
	return got, nil
}

// Output computes the value of an output.
func (s *Stack) Output(o *Output, env Env) (any, error) {
	s.root().work = 0
	got, err := (&evaluator{stack: s, env: env}).value(o.value)
	if err != nil {
		return nil, &Error{s.Template.File, o.value.Line, "", err.Error()}
	}
	return got, nil
}

// Constant reports whether a value of a resource refers to no other one.
func (s *Stack) Constant(resource string, v *Value) bool {
	in := s
	if r := s.Resource(resource); r != nil {
		in = r.stack
	}
	s.root().work = 0
	return in.constant(v)
}

func (s *Stack) constant(v *Value) bool {
	w := &walker{stack: s, errs: &errorList{}}
	w.walk(v)
	return len(w.found) == 0
}

// evaluator computes values of one stack.
type evaluator struct {
	stack    *Stack
	env      Env
	of       string   // the resource whose value is computed, by its full name; may be ""
	deciding []string // the conditions that are being decided
}

var errNoResources = errors.New("a resource cannot be referred to here")

// mayAsk reports whether the value that is computed may refer to a resource:
// one that is complete by then, because it is required.
func (ev *evaluator) mayAsk(name string) bool {
	refs := ev.stack.root().references[ev.of]
	return ev.of == "" || hasReference(refs, name)
}

// value computes v. What an if leaves out is nil.
func (ev *evaluator) value(v *Value) (any, error) {
	got, err := ev.computed(v)
	if _, isLeftOut := got.(leftOut); isLeftOut {
		return nil, err
	}
	return got, err
}

// computed computes v, which may be leftOut.
func (ev *evaluator) computed(v *Value) (any, error) {
	if !ev.stack.spend() {
		return nil, errTooMuch
	}
	switch v.kind {
	case listKind:
		return ev.items(v.list)
	case mapKind:
		m := make(map[string]any, len(v.entries))
		for _, e := range v.entries {
			got, err := ev.computed(e.value)
			if err != nil {
				return nil, err
			}
			if _, isLeftOut := got.(leftOut); !isLeftOut {
				m[e.key] = got
			}
		}
		return m, nil
	case callKind:
		return ev.call(v)
	default:
		return v.scalar, nil
	}
}

// call computes a call of a function.
func (ev *evaluator) call(v *Value) (any, error) {
	got, err := v.fn.eval(ev, v.arg)
	if err == nil {
		return got, nil
	}
	// Whether a stand-in can take the place of a failed call is decided once,
	// and not again in each call around it.
	if _, decided := errors.AsType[*callError](err); !decided && ev.isUnknown(v.arg, err) {
		return StandIn("<" + v.name + ">"), nil
	}
	return nil, &callError{v.name, err}
}

// callError is the error of a call of a function.
type callError struct {
	name string
	err  error
}

func (e *callError) Error() string { return e.name + ": " + e.err.Error() }

func (e *callError) Unwrap() error { return e.err }

// maxWork bounds how many values are computed to fill a template in, or to
// compute one of its values: repeats multiply.
const maxWork = 1_000_000

var errTooMuch = fmt.Errorf("takes more than %d steps to compute", maxWork)

// spend counts a step of work, and reports whether there is any left.
func (s *Stack) spend() bool {
	root := s.root()
	root.work++
	return root.work <= maxWork
}

// items computes the items of a list, without those that are left out.
func (ev *evaluator) items(list []*Value) ([]any, error) {
	got := make([]any, 0, len(list))
	for _, item := range list {
		g, err := ev.computed(item)
		if err != nil {
			return nil, err
		}
		if _, isLeftOut := g.(leftOut); !isLeftOut {
			got = append(got, g)
		}
	}
	return got, nil
}

// values computes arguments. One that is left out is nil: each has its place.
func (ev *evaluator) values(list []*Value) ([]any, error) {
	got := make([]any, len(list))
	for i, item := range list {
		g, err := ev.value(item)
		if err != nil {
			return nil, err
		}
		got[i] = g
	}
	return got, nil
}

// isUnknown reports whether a call failed because it is a simulation: it takes a
// stand-in for an argument, or needs what is not there.
func (ev *evaluator) isUnknown(arg *Value, err error) bool {
	if !ev.stack.options.StandIns || errors.Is(err, errNoResources) || errors.Is(err, errTooMuch) {
		return false
	}
	if errors.Is(err, errUnsupported) || errors.Is(err, fs.ErrNotExist) {
		return true
	}
	args, err := ev.value(arg)
	return err == nil && hasStandIn(args)
}

func hasStandIn(v any) bool {
	switch v := v.(type) {
	case StandIn:
		return true
	case []any:
		return slices.ContainsFunc(v, hasStandIn)
	case map[string]any:
		for _, item := range v {
			if hasStandIn(item) {
				return true
			}
		}
	}
	return false
}

// madeOf returns a text, as a stand-in if it was made of one.
func madeOf(text string, parts any) any {
	if hasStandIn(parts) {
		return StandIn(text)
	}
	return text
}
