package engine

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/template"
)

// Plan is a template that can be created: its types are known, its properties
// are of the right form, its dependencies have an order.
type Plan struct {
	Stack *template.Stack
	Deps  *scheduler.Dependencies[string]
	Kinds map[string]*resource.Kind // by resource
}

// NewPlan checks all that can be checked before anything is created.
func NewPlan(stack *template.Stack, kindOf func(typ string) *resource.Kind) (*Plan, error) {
	p := &Plan{Stack: stack, Kinds: map[string]*resource.Kind{}}
	var errs []error
	for _, r := range stack.Resources {
		kind := kindOf(r.Type)
		if nested := stack.Nested(r.Name); nested != nil {
			kind = resource.NestedStack(outputsOf(nested))
		}
		if kind == nil {
			errs = append(errs, p.wrong(r.File(), r.Line, r.Name, "unknown type %q: it needs -simulate, or is one of %s",
				r.Type, strings.Join(slices.Sorted(maps.Keys(resource.Kinds())), ", ")))
			continue
		}
		p.Kinds[r.Name] = kind
		errs = append(errs, p.properties(r, kind)...)
	}
	for _, r := range stack.Resources {
		errs = append(errs, p.attributes(r.Name, stack.References(r.Name))...)
	}
	for _, o := range stack.Outputs {
		errs = append(errs, p.attributes("", stack.OutputReferences(o.Name))...)
	}
	var err error
	p.Deps, err = stack.Dependencies()
	return p, errors.Join(append(errs, err)...)
}

func outputsOf(stack *template.Stack) []string {
	var names []string
	for _, o := range stack.Outputs {
		names = append(names, o.Name)
	}
	return names
}

func (p *Plan) wrong(file string, line int, resource, format string, args ...any) error {
	return &template.Error{File: file, Line: line, Resource: resource, Message: fmt.Sprintf(format, args...)}
}

// properties checks the properties of a resource; their values too, as far as
// they do not wait for other resources.
func (p *Plan) properties(r *template.Resource, kind *resource.Kind) []error {
	if kind.AnyProps {
		return nil
	}
	var errs []error
	for name, v := range r.Properties {
		if _, known := kind.Properties[name]; !known {
			errs = append(errs, p.wrong(r.File(), v.Line, r.Name, "%s has no property %q: it has %s",
				r.Type, name, strings.Join(slices.Sorted(maps.Keys(kind.Properties)), ", ")))
			continue
		}
		if !p.Stack.Constant(r.Name, v) {
			continue
		}
		got, err := p.Stack.Eval(r.Name, v, nil)
		if err != nil {
			errs = append(errs, err)
		} else if err := kind.Check(name, got); err != nil {
			errs = append(errs, p.wrong(r.File(), v.Line, r.Name, "%v", err))
		}
	}
	for _, name := range kind.Missing(func(name string) bool { return r.Property(name) != nil }) {
		errs = append(errs, p.wrong(r.File(), r.Line, r.Name, "property %q is missing", name))
	}
	return errs
}

// attributes checks that what get_attr asks for exists.
func (p *Plan) attributes(resource string, refs []template.Reference) []error {
	var errs []error
	for _, ref := range refs {
		kind := p.Kinds[ref.To]
		isStandIn := kind != nil && kind.AnyProps && p.Stack.Nested(ref.To) == nil
		if kind == nil || isStandIn || ref.Attribute == "" || slices.Contains(kind.Attributes, ref.Attribute) {
			continue
		}
		errs = append(errs, p.wrong(ref.File, ref.Line, resource, "get_attr: %s (%s) has no attribute %q: it has %s",
			ref.To, p.Stack.Resource(ref.To).Type, ref.Attribute, strings.Join(kind.Attributes, ", ")))
	}
	return errs
}

// WriteTree shows the plan as trees: under each resource what it requires, down
// to what was shown before. The number is the place in the order.
func (p *Plan) WriteTree(w io.Writer) error {
	t := &treeWriter{plan: p, number: map[string]int{}, shown: map[string]bool{}}
	for name := range p.Deps.All() {
		t.number[name] = len(t.number) + 1
	}
	for name := range p.Deps.Roots() {
		t.write(name, "", "")
	}
	_, err := io.WriteString(w, t.text.String())
	return err
}

type treeWriter struct {
	plan   *Plan
	number map[string]int
	shown  map[string]bool
	text   strings.Builder
}

func (t *treeWriter) write(name, first, rest string) {
	fmt.Fprintf(&t.text, "%s%d %s (%s)", first, t.number[name], name, t.plan.Stack.Resource(name).Type)
	required := slices.Collect(t.plan.Deps.Requires(name))
	if t.shown[name] && len(required) > 0 {
		t.text.WriteString(" ...\n")
		return
	}
	t.shown[name] = true
	t.text.WriteString("\n")
	for i, r := range required {
		if i == len(required)-1 {
			t.write(r, rest+"└─ ", rest+"   ")
		} else {
			t.write(r, rest+"├─ ", rest+"│  ")
		}
	}
}
