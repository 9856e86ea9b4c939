package template

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxResources bounds a stack with all that is nested in it.
const maxResources = 10_000

// nest fills in the templates that resources of this stack stand for, and puts
// all resources in order.
func (s *Stack) nest(errs *errorList) {
	root := s.root()
	for _, declared := range s.Template.Resources {
		r := s.enabled[declared.Name]
		if r == nil {
			continue
		}
		if other := s.options.Types[r.Type]; other != "" {
			r.Type = other
		}
		if IsTemplate(r.Type) {
			s.nestIn(r, errs)
		}
		root.Resources = append(root.Resources, r)
		if len(root.Resources) > maxResources {
			errs.add(r.Line, r.Name, "more than %d resources, with those of nested stacks", maxResources)
			return
		}
	}
}

// IsTemplate reports whether a type is the name of a template's file.
func IsTemplate(typ string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".template", ".json"}, path.Ext(typ))
}

// nestIn makes a nested stack of the template that r stands for. In a
// simulation r itself stands for one whose file is missing.
func (s *Stack) nestIn(r *Resource, errs *errorList) {
	file := path.Join(s.folder, r.Type)
	if s.options.Types[s.declaration(r).Type] != "" {
		file = path.Clean(r.Type) // the environment names it from the outermost folder
	}
	t, err := s.load(file)
	if s.options.StandIns && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		if !errs.includeParsed(err) {
			errs.add(r.Line, r.Name, "type %s: %v", r.Type, err)
		}
		return
	}
	inner := newStack(t, s.options)
	inner.parent, inner.facade = s, r
	inner.path, inner.file, inner.folder = r.Name+"/", file, path.Dir(file)
	inner.parameters["OS::stack_name"] = Text(s.parameters["OS::stack_name"]) + "-" + r.local()
	inner.inherited = slices.Clone(s.inherited)
	for _, ref := range s.walkResource(r, &errorList{}) {
		ref.Attribute = "" // it is checked where it is written
		inner.inherited = append(inner.inherited, ref)
	}
	s.nested[r.local()] = inner
	innerErrs := &errorList{file: t.File}
	inner.bindProperties(errs)
	if errs.empty() {
		inner.bind(innerErrs)
	}
	errs.include(innerErrs)
}

// load reads the template of a nested stack. It has to be in the folder of the
// outermost one, and cannot be one that it is nested in.
func (s *Stack) load(file string) (*Template, error) {
	if !filepath.IsLocal(file) {
		return nil, errors.New("not in the folder of the template")
	}
	outermost := s.root().Template.File
	for at := s; at.parent != nil; at = at.parent {
		if at.file == file {
			return nil, errors.New("is nested in itself")
		}
	}
	if file == filepath.Base(outermost) {
		return nil, errors.New("is nested in itself")
	}
	if t := s.root().templates[file]; t != nil {
		return t, nil
	}
	source, err := s.readFile(file)
	if err != nil {
		return nil, err
	}
	t, err := Parse(filepath.Join(filepath.Dir(outermost), file), source)
	if err != nil {
		return nil, err
	}
	s.root().templates[file] = t
	return t, nil
}

// bindProperties gives the parameters of a nested stack the values that the
// properties of its facade have. outer gets what is wrong with those.
func (s *Stack) bindProperties(outer *errorList) {
	given := maps.Collect(s.facade.Properties)
	declared := map[string]bool{}
	for _, p := range s.Template.Parameters {
		declared[p.Name] = true
		v := given[p.Name]
		if v != nil && !s.parent.constant(v) {
			s.waiting[p.Name] = waiting{p, v}
			continue
		}
		value, err := s.propertyValue(p, v)
		switch {
		case err == nil:
			s.parameters[p.Name] = value
		case v != nil:
			outer.add(v.Line, s.facade.Name, "property %q: %v", p.Name, err)
		default:
			outer.add(s.facade.Line, s.facade.Name, "property %q, a parameter of %s: %v", p.Name, s.Template.File, err)
		}
	}
	for name, v := range s.facade.Properties {
		if !declared[name] {
			outer.add(v.Line, s.facade.Name, "%s has no parameter %q%s", s.Template.File, name, didYouMean(name, keysOf(declared)))
		}
	}
}

func (s *Stack) propertyValue(p *Parameter, v *Value) (any, error) {
	if v == nil {
		return s.parameterValue(p, nil, false)
	}
	given, err := (&evaluator{stack: s.parent}).value(v)
	if err != nil {
		return nil, err
	}
	return s.parameterValue(p, given, given != nil)
}

// nestedIn are the references of a facade to all that is in its nested stack.
func (s *Stack) nestedIn(r *Resource) []Reference {
	inner := s.nested[r.local()]
	if inner == nil {
		return nil
	}
	var refs []Reference
	for _, declared := range inner.Template.Resources {
		if part := inner.enabled[declared.Name]; part != nil {
			refs = append(refs, Reference{To: part.Name, Via: "nested stack", File: s.Template.File, Line: r.Line})
		}
	}
	return refs
}

// Nested returns the nested stack that a resource stands for, or nil.
func (s *Stack) Nested(name string) *Stack {
	r := s.Resource(name)
	if r == nil {
		return nil
	}
	return r.stack.nested[r.local()]
}

// local returns the name that the resource has in its file.
func (r *Resource) local() string { return strings.TrimPrefix(r.Name, r.stack.path) }

// declaration returns what the file has for the resource.
func (s *Stack) declaration(r *Resource) *Resource {
	i := slices.IndexFunc(s.Template.Resources, func(d *Resource) bool { return d.Name == r.local() })
	return s.Template.Resources[i]
}
