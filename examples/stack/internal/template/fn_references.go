package template

import (
	"errors"
	"fmt"
	"path"
)

var errUnsupported = errors.New("not supported outside a simulation")

var getResource = function{role: refersToResource, eval: func(ev *evaluator, arg *Value) (any, error) {
	name, err := ev.value(arg)
	if err != nil {
		return nil, err
	}
	return ev.resource(Text(name))
}}

func (ev *evaluator) resource(name string) (any, error) {
	return ev.reference(name, func(full string) (any, error) { return ev.env.Resource(full) })
}

// getAttr takes the names of a resource and an attribute, which newer versions
// may leave out.
func getAttr(least int) function {
	what := "the name of a resource and an attribute"
	return function{role: refersToAttribute, check: items(least, unlimited, what), eval: func(ev *evaluator, arg *Value) (any, error) {
		args, err := ev.values(arg.list)
		if err != nil {
			return nil, err
		}
		name, attribute, rest := Text(args[0]), "", args[1:]
		if len(rest) > 0 {
			attribute, rest = Text(rest[0]), rest[1:]
		}
		return ev.reference(name, func(full string) (any, error) {
			v, err := ev.env.Attribute(full, attribute)
			if err != nil {
				return nil, err
			}
			v, _ = follow(v, rest)
			return v, nil
		})
	}}
}

var fnGetAtt = function{
	role: refersToAttribute, check: items(2, 2, "the name of a resource and an attribute"), eval: getAttr(2).eval,
}

// reference asks for a resource by its full name. One whose condition does not
// hold is nil.
func (ev *evaluator) reference(name string, ask func(full string) (any, error)) (any, error) {
	s := ev.stack
	switch {
	case s.enabled[name] == nil && s.declared[name]:
		return nil, nil
	case s.enabled[name] == nil:
		return nil, fmt.Errorf("there is no resource %q", name)
	case ev.env == nil:
		return nil, errNoResources
	case !ev.mayAsk(s.path + name):
		return nil, fmt.Errorf("the dependency on %q was not known beforehand: name it in depends_on", name)
	}
	return ask(s.path + name)
}

var getParam = function{role: refersToParameter, check: nameOrPath, eval: func(ev *evaluator, arg *Value) (any, error) {
	v, err := ev.value(arg)
	if err != nil {
		return nil, err
	}
	steps, isPath := v.([]any)
	if !isPath {
		steps = []any{v}
	}
	if len(steps) == 0 {
		return nil, errors.New("needs the name of a parameter")
	}
	got, err := ev.parameter(Text(steps[0]))
	if err != nil {
		return nil, err
	}
	if got, found := follow(got, steps[1:]); found {
		return got, nil
	}
	return "", nil
}}

func nameOrPath(arg *Value) string {
	if _, ok := arg.text(); ok || arg.kind == callKind || arg.kind == listKind && len(arg.list) > 0 {
		return ""
	}
	return "needs the name of a parameter, or a list of a name and a path"
}

// parameter returns the value of a parameter. That of a nested stack may come
// from resources around it.
func (ev *evaluator) parameter(name string) (any, error) {
	s := ev.stack
	if v, known := s.parameters[name]; known {
		return v, nil
	}
	waiting, ok := s.waiting[name]
	if !ok {
		return nil, fmt.Errorf("there is no parameter %q", name)
	}
	if ev.env == nil {
		return nil, errNoResources
	}
	v, err := (&evaluator{stack: s.parent, env: ev.env, of: s.facade.Name}).value(waiting.value)
	if err != nil {
		return nil, err
	}
	return s.accept(waiting.parameter, v)
}

// ref is CloudFormation's get_resource and get_param in one.
var ref = function{role: refersToEither, check: literalName, eval: func(ev *evaluator, arg *Value) (any, error) {
	name, _ := arg.text()
	if ev.stack.declared[name] {
		return ev.resource(name)
	}
	return ev.parameter(name)
}}

var refParameter = function{role: refersToParameter, check: literalName, eval: func(ev *evaluator, arg *Value) (any, error) {
	name, _ := arg.text()
	return ev.parameter(name)
}}

func literalName(arg *Value) string {
	if _, ok := arg.text(); !ok {
		return "needs the name of a resource or a parameter"
	}
	return ""
}

var getFile = function{role: refersToFile, eval: func(ev *evaluator, arg *Value) (any, error) {
	name, err := ev.value(arg)
	if err != nil {
		return nil, err
	}
	b, err := ev.stack.readFile(path.Join(ev.stack.folder, Text(name)))
	return string(b), err
}}

// readFile reads a file once: what was checked before is what is used.
func (s *Stack) readFile(name string) ([]byte, error) {
	if s.options.ReadFile == nil {
		return nil, errors.New("no files can be read here")
	}
	files := s.root().files
	if b, isRead := files[name]; isRead {
		return b, nil
	}
	b, err := s.options.ReadFile(name)
	if err == nil {
		files[name] = b
	}
	return b, err
}

// resourceFacade gives what was said of a nested stack where it is used. parts
// has the words for it, and which of them are supported.
func resourceFacade(parts map[string]string) function {
	return function{
		role: refersToTheTemplate,
		check: func(arg *Value) string {
			name, _ := arg.text()
			if _, known := parts[name]; !known {
				return "needs one of " + quoted(parts)
			}
			return ""
		},
		eval: func(ev *evaluator, arg *Value) (any, error) {
			name, _ := arg.text()
			s := ev.stack
			switch {
			case parts[name] == "":
				return nil, errUnsupported
			case s.parent == nil:
				return nil, errors.New("this is not a nested stack")
			case s.facade.metadata == nil:
				return map[string]any{}, nil
			}
			return (&evaluator{stack: s.parent, env: ev.env, of: s.facade.Name}).value(s.facade.metadata)
		},
	}
}

var fnResourceFacade = resourceFacade(map[string]string{"Metadata": "metadata", "DeletionPolicy": "", "UpdatePolicy": ""})

var findInMap = function{role: refersToTheTemplate, check: items(3, 3, "the names of a map and of two keys"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	if ev.stack.Template.mappings == nil {
		return nil, errors.New("there are no mappings")
	}
	maps, err := ev.value(ev.stack.Template.mappings)
	if err != nil {
		return nil, err
	}
	if v, found := follow(maps, args); found {
		return v, nil
	}
	return nil, fmt.Errorf("there is no %s in the mappings", JSON(args))
}}

var getAZs = function{eval: func(ev *evaluator, arg *Value) (any, error) {
	_, err := ev.value(arg)
	return []any{"local"}, err
}}
