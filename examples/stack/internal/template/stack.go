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
	// Environment has what is given for the template: values of parameters and
	// what types stand for.
	Environment

	// Pseudo are further parameters that every template has, such as
	// OS::stack_name. Where it ends with the stack's name, that of a nested
	// stack is appended.
	Pseudo map[string]any

	// ReadFile reads the files that get_file names, and the templates of nested
	// stacks. Names are relative to the template's folder. An error that is
	// [fs.ErrNotExist] says that there is no such file.
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
	Resources []*Resource // those whose condition holds, in the order of the file, each after those nested in it
	Outputs   []*Output   // those whose condition holds

	options    Options
	parameters map[string]any
	conditions map[string]bool
	declared   map[string]bool      // by the name in the file
	enabled    map[string]*Resource // the same
	nested     map[string]*Stack    // the same

	byName     map[string]*Resource   // by full name, those of nested stacks too; of the outermost stack
	references map[string][]Reference // the same
	files      map[string][]byte      // that were read, by name; of the outermost stack
	templates  map[string]*Template   // of nested stacks, by the name of their file; the same
	work       int                    // see spend; of the outermost stack
	ofOutputs  map[string][]Reference

	// Of a nested stack.
	parent    *Stack
	facade    *Resource // what stands for it in the parent
	path      string    // what the full names of its resources begin with: "web/"
	file      string    // its template, from the folder of the outermost one
	folder    string    // where its template is, from that of the outermost one
	waiting   map[string]waiting
	inherited []Reference // what every resource of it requires
}

// waiting is a parameter of a nested stack whose value refers to resources
// around it.
type waiting struct {
	parameter *Parameter
	value     *Value
}

// Reference is a mention of a resource in another one, or in an output.
type Reference struct {
	To        string // the resource, by its full name
	Via       string // get_resource, get_attr, depends_on, ...
	Attribute string // of get_attr
	File      string
	Line      int
}

// Bind fills the template in and checks every reference. The error is one
// [*Error] or several joined.
func (t *Template) Bind(options Options) (*Stack, error) {
	s := newStack(t, options)
	s.byName, s.references = map[string]*Resource{}, map[string][]Reference{}
	s.files, s.templates = map[string][]byte{}, map[string]*Template{}
	errs := &errorList{file: t.File}
	if s.bindGiven(errs); errs.empty() {
		s.bind(errs)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return s, nil
}

func newStack(t *Template, options Options) *Stack {
	s := &Stack{
		Template: t, options: options,
		parameters: maps.Clone(options.Pseudo), conditions: map[string]bool{}, waiting: map[string]waiting{},
		declared: map[string]bool{}, enabled: map[string]*Resource{}, nested: map[string]*Stack{},
		ofOutputs: map[string][]Reference{},
	}
	if s.parameters == nil {
		s.parameters = map[string]any{}
	}
	return s
}

// bind does what does not depend on where parameters come from.
func (s *Stack) bind(errs *errorList) {
	s.decideConditions(errs)
	s.enable(errs)
	if errs.empty() {
		s.nest(errs)
	}
	s.resolve(errs)
}

// bindGiven gives parameters their values: of the outermost stack.
func (s *Stack) bindGiven(errs *errorList) {
	declared := map[string]bool{}
	for _, p := range s.Template.Parameters {
		declared[p.Name] = true
		given, isGiven := s.options.Parameters[p.Name]
		v, err := s.parameterValue(p, given, isGiven)
		if err != nil {
			errs.add(p.Line, "", "parameter %q: %v", p.Name, err)
			continue
		}
		s.parameters[p.Name] = v
	}
	for _, name := range sortedKeys(s.options.Parameters) {
		if !declared[name] {
			errs.add(0, "", "there is no parameter %q%s", name, didYouMean(name, keysOf(declared)))
		}
	}
}

// parameterValue is what is given, or else a default.
func (s *Stack) parameterValue(p *Parameter, given any, isGiven bool) (any, error) {
	fallback, hasDefault := s.options.Defaults[p.Name]
	switch {
	case isGiven:
		return s.accept(p, given)
	case hasDefault:
		return s.accept(p, fallback)
	case p.fallback != nil && (p.fallback.kind != scalarKind || p.fallback.scalar != nil):
		v, err := (&evaluator{stack: s}).value(p.fallback)
		if err != nil {
			return nil, err
		}
		return s.accept(p, v)
	case s.options.StandIns:
		return StandIn(p.Name), nil
	}
	return nil, errors.New("has no default, and no value was given")
}

// accept makes a value one of a parameter.
func (s *Stack) accept(p *Parameter, given any) (any, error) {
	if standIn, ok := given.(StandIn); ok {
		return standIn, nil
	}
	v, err := p.convert(given)
	if err == nil {
		err = p.validate(v)
	}
	if err != nil && p.Hidden {
		return nil, errors.New("the value is not allowed; it is hidden, and so is the reason")
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
	ev := &evaluator{stack: s, deciding: append(slices.Clone(path), name)}
	holds, err := ev.holds(s.Template.conditions[i].value)
	if err == nil {
		s.conditions[name] = holds
	}
	return holds, err
}

// enable picks the resources and outputs whose condition holds.
func (s *Stack) enable(errs *errorList) {
	for _, declared := range s.Template.Resources {
		s.declared[declared.Name] = true
		if !s.wanted(declared.condition, declared.Line, s.path+declared.Name, errs) {
			continue
		}
		r := *declared
		r.Name, r.stack = s.path+declared.Name, s
		s.enabled[declared.Name] = &r
		s.root().byName[r.Name] = &r
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

// root returns the outermost stack.
func (s *Stack) root() *Stack {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// References returns where a resource mentions other ones.
func (s *Stack) References(resource string) []Reference { return s.root().references[resource] }

// OutputReferences returns where an output mentions resources.
func (s *Stack) OutputReferences(output string) []Reference { return s.ofOutputs[output] }

// Resource returns the resource of that full name, or nil if there is none or
// its condition does not hold.
func (s *Stack) Resource(name string) *Resource { return s.root().byName[name] }

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
	if circle, ok := errors.AsType[*scheduler.CircularDependencyError[string]](err); ok {
		return nil, s.cycle(circle.Path)
	}
	return deps, err
}

// cycle describes a cycle, each step with the reference that makes it.
func (s *Stack) cycle(path []string) error {
	if len(path) > 1 && path[0] == path[len(path)-1] {
		path = path[:len(path)-1]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the dependencies form a cycle: %s", path[0])
	var first Reference
	for i, name := range path {
		next := path[(i+1)%len(path)]
		refs := s.references[name]
		ref := refs[slices.IndexFunc(refs, func(r Reference) bool { return r.To == next })]
		if i == 0 {
			first = ref
		}
		file := ""
		if ref.File != first.File {
			file = " of " + ref.File
		}
		fmt.Fprintf(&b, " -> %s (%s in line %d%s)", next, ref.Via, ref.Line, file)
	}
	return &Error{first.File, first.Line, path[0], b.String()}
}
