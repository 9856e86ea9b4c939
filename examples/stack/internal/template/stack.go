package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/steptask/scheduler"
)

// Options say how [Template.Bind] fills a template in.
type Options struct {
	// Parameters are the values given for parameters, by name.
	Parameters map[string]string

	// Pseudo are further parameters that every template has, such as
	// OS::stack_name.
	Pseudo map[string]any

	// ReadFile reads the files that get_file names.
	ReadFile func(name string) ([]byte, error)

	// StandIns gives what only a real cloud could tell a [StandIn]: parameters
	// without a value, files that are missing, functions that cannot be
	// computed from other stand-ins.
	StandIns bool
}

// StandIn takes the place of a value that is not known in a simulation. Its
// text says where it would have come from.
type StandIn string

// Stack is a template that was filled in: its parameters have values, its
// conditions are decided, its references lead somewhere.
type Stack struct {
	Template  *Template
	Resources []*Resource // those whose condition holds, in the order of the file
	Outputs   []*Output   // the same

	options    Options
	parameters map[string]any
	conditions map[string]bool
	enabled    map[string]*Resource
	declared   map[string]*Resource
	references map[string][]Reference // by resource
}

// Reference is a mention of a resource in another one, or in an output.
type Reference struct {
	To        string // the resource
	Via       string // get_resource, get_attr or depends_on
	Attribute string // of get_attr
	Line      int
}

// Bind fills the template in and checks every reference. The error is one
// [*Error] or several joined.
func (t *Template) Bind(options Options) (*Stack, error) {
	s := &Stack{
		Template: t, options: options,
		parameters: maps.Clone(options.Pseudo), conditions: map[string]bool{},
		enabled: map[string]*Resource{}, declared: map[string]*Resource{}, references: map[string][]Reference{},
	}
	if s.parameters == nil {
		s.parameters = map[string]any{}
	}
	errs := &errorList{file: t.File}
	s.bindParameters(errs)
	if err := errs.err(); err != nil {
		return nil, err
	}
	s.decideConditions(errs)
	s.enable(errs)
	s.resolve(errs)
	if err := errs.err(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Stack) bindParameters(errs *errorList) {
	declared := map[string]bool{}
	for _, p := range s.Template.Parameters {
		declared[p.Name] = true
		v, err := s.parameterValue(p)
		if err != nil {
			errs.add(p.Line, "", "parameter %q: %v", p.Name, err)
			continue
		}
		s.parameters[p.Name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(s.options.Parameters)) {
		if !declared[name] {
			errs.add(0, "", "there is no parameter %q%s", name, didYouMean(name, keysOf(declared)))
		}
	}
}

func (s *Stack) parameterValue(p *Parameter) (any, error) {
	var given any
	text, isGiven := s.options.Parameters[p.Name]
	switch {
	case isGiven:
		given = text
	case p.fallback != nil:
		v, err := (&evaluator{stack: s}).value(p.fallback)
		if err != nil {
			return nil, err
		}
		given = v
	case s.options.StandIns:
		return StandIn(p.Name), nil
	default:
		return nil, errors.New("has no default, and no value was given")
	}
	v, err := p.convert(given)
	if err == nil {
		err = p.validate(v)
	}
	return v, err
}

func (s *Stack) decideConditions(errs *errorList) {
	for _, c := range s.Template.conditions {
		if _, err := s.condition(c.key, nil); err != nil {
			errs.add(c.line, "", "condition %q: %v", c.key, err)
		}
	}
}

// condition decides the condition of that name. path holds those that are
// being decided because of each other.
func (s *Stack) condition(name string, path []string) (bool, error) {
	if holds, known := s.conditions[name]; known {
		return holds, nil
	}
	if slices.Contains(path, name) {
		return false, fmt.Errorf("refers to itself: %s", strings.Join(append(path, name), " -> "))
	}
	i := slices.IndexFunc(s.Template.conditions, func(c entry) bool { return c.key == name })
	if i < 0 {
		var names []string
		for _, c := range s.Template.conditions {
			names = append(names, c.key)
		}
		return false, fmt.Errorf("there is no condition %q%s", name, didYouMean(name, names))
	}
	ev := &evaluator{stack: s, deciding: append(path, name)}
	holds, err := ev.holds(s.Template.conditions[i].value)
	if err == nil {
		s.conditions[name] = holds
	}
	return holds, err
}

// enable picks the resources and outputs whose condition holds.
func (s *Stack) enable(errs *errorList) {
	for _, r := range s.Template.Resources {
		s.declared[r.Name] = r
		if s.wanted(r.condition, r.Line, r.Name, errs) {
			s.Resources = append(s.Resources, r)
			s.enabled[r.Name] = r
		}
	}
	for _, o := range s.Template.Outputs {
		if s.wanted(o.condition, o.Line, "", errs) {
			s.Outputs = append(s.Outputs, o)
		}
	}
}

func (s *Stack) wanted(condition *Value, line int, resource string, errs *errorList) bool {
	if condition == nil {
		return true
	}
	holds, err := (&evaluator{stack: s}).holds(condition)
	if err != nil {
		errs.add(line, resource, "condition: %v", err)
	}
	return holds
}

// resolve checks the references of all resources and outputs, and keeps those
// that are dependencies.
func (s *Stack) resolve(errs *errorList) {
	for _, r := range s.Resources {
		w := &walker{stack: s, errs: errs, resource: r.Name}
		for _, v := range r.dependsOn {
			name, _ := v.text()
			w.refer(Reference{To: name, Via: "depends_on", Line: v.Line})
		}
		w.walk(r.properties)
		w.walk(r.metadata)
		s.references[r.Name] = w.found
	}
	for _, o := range s.Outputs {
		w := &walker{stack: s, errs: errs}
		w.walk(o.value)
		s.references["output "+o.Name] = w.found
	}
}

// References returns where resource mentions other ones.
func (s *Stack) References(resource string) []Reference { return s.references[resource] }

// OutputReferences returns where an output mentions resources.
func (s *Stack) OutputReferences(output string) []Reference { return s.references["output "+output] }

// Resource returns the resource of that name, or nil if there is none or its
// condition does not hold.
func (s *Stack) Resource(name string) *Resource { return s.enabled[name] }

// Dependencies returns which resource requires which. A cycle is an error that
// shows it as a path, with the line of each step.
func (s *Stack) Dependencies() (*scheduler.Dependencies[string], error) {
	deps := scheduler.NewDependencies[string]()
	for _, r := range s.Resources {
		deps.Add(r.Name)
	}
	for _, r := range s.Resources {
		for _, ref := range s.references[r.Name] {
			deps.Add(r.Name, ref.To)
		}
	}
	err := deps.Validate()
	var circle *scheduler.CircularDependencyError[string]
	if errors.As(err, &circle) {
		return nil, s.cycle(circle.Path)
	}
	return deps, err
}

// cycle describes a cycle, each step with the reference that makes it.
func (s *Stack) cycle(path []string) error {
	if len(path) > 1 && path[0] == path[len(path)-1] {
		path = path[:len(path)-1]
	}
	first := s.enabled[path[0]]
	var b strings.Builder
	fmt.Fprintf(&b, "the dependencies form a cycle: %s", path[0])
	line := first.Line
	for i, name := range path {
		next := path[(i+1)%len(path)]
		refs := s.references[name]
		k := slices.IndexFunc(refs, func(r Reference) bool { return r.To == next })
		if i == 0 {
			line = refs[k].Line
		}
		fmt.Fprintf(&b, " -> %s (%s in line %d)", next, refs[k].Via, refs[k].Line)
	}
	return &Error{s.Template.File, line, first.Name, b.String()}
}

// walker finds the references in the values of one resource or output.
type walker struct {
	stack    *Stack
	errs     *errorList
	resource string
	loop     []string // the variables of the repeats around: names with one in them are not known yet
	found    []Reference
}

func (w *walker) walk(v *Value) {
	if v == nil {
		return
	}
	for _, item := range v.list {
		w.walk(item)
	}
	for _, e := range v.entries {
		w.walk(e.value)
	}
	if v.kind != callKind {
		return
	}
	switch v.fn {
	case "get_resource":
		if name, ok := v.arg.text(); ok {
			w.refer(Reference{To: name, Via: v.fn, Line: v.Line})
		}
	case "get_attr":
		w.attribute(v)
	case "get_param":
		w.parameter(v)
	case "if":
		w.branch(v)
		return
	case "repeat":
		w.repeat(v)
		return
	}
	w.walk(v.arg)
}

func (w *walker) attribute(v *Value) {
	name, ok := v.arg.list[0].text()
	if !ok {
		return
	}
	ref := Reference{To: name, Via: v.fn, Line: v.Line}
	if len(v.arg.list) > 1 {
		ref.Attribute, _ = v.arg.list[1].text()
	}
	w.refer(ref)
}

func (w *walker) parameter(v *Value) {
	name, ok := v.arg.text()
	if !ok && v.arg.kind == listKind {
		name, ok = v.arg.list[0].text()
	}
	if !ok || w.variable(name) {
		return
	}
	if _, known := w.stack.parameters[name]; !known {
		w.errs.add(v.Line, w.resource, "there is no parameter %q%s", name, didYouMean(name, keysOf(w.stack.parameters)))
	}
}

// branch goes into the chosen side of an if only.
func (w *walker) branch(v *Value) {
	chosen, err := (&evaluator{stack: w.stack}).choose(v.arg)
	if err != nil {
		w.errs.add(v.Line, w.resource, "if: %v", err)
		return
	}
	w.walk(chosen)
}

// repeat goes into what the repeat gives, if its lists are known by now.
func (w *walker) repeat(v *Value) {
	items, err := (&evaluator{stack: w.stack}).expand(v.arg)
	if err == nil {
		for _, item := range items {
			w.walk(item)
		}
		return
	}
	w.walk(v.arg.get("for_each"))
	outer := w.loop
	for _, e := range v.arg.get("for_each").entries {
		w.loop = append(w.loop, e.key)
	}
	w.walk(v.arg.get("template"))
	w.loop = outer
}

// variable reports whether a name has a loop variable in it.
func (w *walker) variable(name string) bool {
	return slices.ContainsFunc(w.loop, func(v string) bool { return strings.Contains(name, v) })
}

func (w *walker) refer(ref Reference) {
	switch {
	case w.variable(ref.To):
	case w.stack.enabled[ref.To] != nil:
		w.found = append(w.found, ref)
	case w.stack.declared[ref.To] != nil: // its condition does not hold
	default:
		w.errs.add(ref.Line, w.resource, "%s: there is no resource %q%s",
			ref.Via, ref.To, didYouMean(ref.To, keysOf(w.stack.declared)))
	}
}
