package template

import (
	"errors"
	"slices"
	"strings"
)

// resolve checks the references of all resources and outputs, and keeps those
// that are dependencies.
func (s *Stack) resolve(errs *errorList) {
	for _, declared := range s.Template.Resources {
		if r := s.enabled[declared.Name]; r != nil {
			refs := append(slices.Clone(s.inherited), s.walkResource(r, errs)...)
			s.root().references[r.Name] = append(refs, s.nestedIn(r)...)
		}
	}
	for _, o := range s.Outputs {
		w := &walker{stack: s, errs: errs}
		w.walk(o.value)
		s.ofOutputs[o.Name] = w.found
	}
}

// walkResource returns where a resource refers to other ones of its template.
func (s *Stack) walkResource(r *Resource, errs *errorList) []Reference {
	w := &walker{stack: s, errs: errs, resource: r.Name}
	for _, v := range r.dependsOn {
		name, _ := v.text()
		w.refer(Reference{To: name, Via: "depends_on", Line: v.Line})
	}
	w.walk(r.properties)
	w.walk(r.metadata)
	return w.found
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
	if !w.stack.spend() {
		w.errs.add(v.Line, w.resource, "%v", errTooMuch)
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
	switch v.fn.role {
	case refersToResource, refersToAttribute:
		w.reference(v)
	case refersToFile:
		w.file(v)
	case refersToParameter:
		w.parameter(v)
	case refersToEither:
		w.either(v)
	case branches:
		w.branch(v)
		return
	case repeats:
		w.repeat(v)
		return
	case computes, refersToTheTemplate:
	}
	w.walk(v.arg)
}

// reference takes the resource that get_resource or get_attr names.
func (w *walker) reference(v *Value) {
	named := v.arg
	ref := Reference{Via: v.name, Line: v.Line}
	if v.fn.role == refersToAttribute {
		named = v.arg.list[0]
		if len(v.arg.list) > 1 {
			ref.Attribute, _ = v.arg.list[1].text()
		}
	}
	var known bool
	if ref.To, known = w.name(v, named); known {
		w.refer(ref)
	}
}

// file reads the file that get_file names, if it names one literally: better
// now than in the middle of a creation.
func (w *walker) file(v *Value) {
	if name, ok := v.arg.text(); !ok || w.variable(name) {
		return
	}
	if _, err := (&evaluator{stack: w.stack}).value(v); err != nil {
		w.errs.add(v.Line, w.resource, "%v", err)
	}
}

// name computes the name that a reference gives. It has to be known now: what
// requires what cannot depend on what is created.
func (w *walker) name(call, v *Value) (_ string, known bool) {
	got, err := (&evaluator{stack: w.stack}).value(v)
	_, isStandIn := got.(StandIn)
	switch {
	case isStandIn:
		return "", false
	case errors.Is(err, errNoResources):
		w.errs.add(call.Line, w.resource, "%s: the name must be known before anything is created", call.name)
	case err != nil:
		w.errs.add(call.Line, w.resource, "%s: %v", call.name, err)
	}
	return Text(got), err == nil
}

func (w *walker) parameter(v *Value) {
	named := v.arg
	if named.kind == listKind {
		named = named.list[0]
	}
	if name, ok := named.text(); ok {
		w.parameterNamed(name, v)
	}
}

func (w *walker) either(v *Value) {
	name, _ := v.arg.text()
	if w.stack.declared[name] {
		w.refer(Reference{To: name, Via: v.name, Line: v.Line})
		return
	}
	w.parameterNamed(name, v)
}

func (w *walker) parameterNamed(name string, v *Value) {
	s := w.stack
	_, known := s.parameters[name]
	waiting, isWaiting := s.waiting[name]
	switch {
	case known || w.variable(name):
	case isWaiting:
		outer := &walker{stack: s.parent, errs: &errorList{}, resource: s.facade.Name}
		outer.walk(waiting.value)
		w.found = append(w.found, outer.found...)
	case v.fn.role == refersToEither:
		w.errs.add(v.Line, w.resource, "%s: there is no resource or parameter %q%s", v.name, name,
			didYouMean(name, append(keysOf(s.declared), s.parameterNames()...)))
	default:
		w.errs.add(v.Line, w.resource, "there is no parameter %q%s", name, didYouMean(name, s.parameterNames()))
	}
}

func (s *Stack) parameterNames() []string { return append(keysOf(s.parameters), keysOf(s.waiting)...) }

// branch goes into the chosen side of an if only.
func (w *walker) branch(v *Value) {
	chosen, err := (&evaluator{stack: w.stack}).choose(v.arg)
	if err != nil {
		w.errs.add(v.Line, w.resource, "%s: %v", v.name, err)
		return
	}
	w.walk(chosen)
}

// repeat goes into what the repeat gives, if its lists are known by now.
func (w *walker) repeat(v *Value) {
	rounds, err := (&evaluator{stack: w.stack}).rounds(v.fn.repeat, v.arg)
	if err == nil {
		for _, round := range rounds {
			if w.stack.root().work > maxWork {
				return // which is an error already
			}
			w.walk(v.arg.get("template").replaceNames(round))
		}
		return
	}
	each := v.arg.get("for_each")
	w.walk(each)
	outer := w.loop
	for _, e := range each.entries {
		w.loop = append(w.loop, e.key)
	}
	w.walk(v.arg.get("template"))
	w.loop = outer
}

// variable reports whether a name has a loop variable in it.
func (w *walker) variable(name string) bool {
	return slices.ContainsFunc(w.loop, func(v string) bool { return strings.Contains(name, v) })
}

// refer keeps a reference by the name in this file.
func (w *walker) refer(ref Reference) {
	ref.File = w.stack.Template.File
	name := ref.To
	ref.To = w.stack.path + name
	switch {
	case w.variable(name):
	case w.stack.enabled[name] != nil:
		w.found = append(w.found, ref)
	case w.stack.declared[name]: // its condition does not hold
	default:
		w.errs.add(ref.Line, w.resource, "%s: there is no resource %q%s",
			ref.Via, name, didYouMean(name, keysOf(w.stack.declared)))
	}
}

func hasReference(refs []Reference, to string) bool {
	return slices.ContainsFunc(refs, func(ref Reference) bool { return ref.To == to })
}
