package template

import (
	"maps"
	"path"

	"go.yaml.in/yaml/v4"
)

// Environment is what is given for a template beside it: from files in the form
// of Heat's environments, or from a command line.
type Environment struct {
	Parameters map[string]any    // values of parameters of the outermost template
	Defaults   map[string]any    // values of parameters that are given nowhere else, in nested templates too
	Types      map[string]string // types, or the files of templates, that stand for types
}

// ParseEnvironment reads an environment. file is what errors call it, and the
// names of templates in it are relative to folder.
func ParseEnvironment(file, folder string, source []byte) (Environment, error) {
	errs := &errorList{file: file}
	env := Environment{Parameters: map[string]any{}, Defaults: map[string]any{}, Types: map[string]string{}}
	root, err := load(source)
	if err != nil {
		line, msg := position(err)
		errs.add(line, "", "%s", msg)
		return env, errs.err()
	}
	if root != nil && root.Kind != yaml.MappingNode {
		errs.add(root.Line, "", "not an environment: it must be a map")
		return env, errs.err()
	}
	if root == nil {
		return env, nil
	}
	r := &reader{errs: errs}
	for _, section := range r.pairs(root, where{}) {
		v := r.value(section.node, where{})
		if v.kind != mapKind {
			errs.add(section.line, "", "%s must be a map", section.key)
			continue
		}
		for _, e := range v.entries {
			env.take(section.key, e, folder, errs)
		}
	}
	if r.overflow != "" {
		errs.only(r.overflow)
	}
	return env, errs.err()
}

var environmentSections = []string{"parameters", "parameter_defaults", "resource_registry"}

// take takes one entry of a section.
func (env Environment) take(section string, e entry, folder string, errs *errorList) {
	given, err := (&evaluator{stack: &Stack{}}).value(e.value)
	switch {
	case err != nil:
		errs.add(e.line, "", "%v", err)
	case section == "parameters":
		env.Parameters[e.key] = given
	case section == "parameter_defaults":
		env.Defaults[e.key] = given
	case section == "resource_registry":
		typ, isText := given.(string)
		switch {
		case !isText:
			errs.add(e.line, "", "resource_registry: %q must stand for a type or a file: nothing else is supported", e.key)
			return
		case IsTemplate(typ):
			typ = path.Join(folder, typ)
		}
		env.Types[e.key] = typ
	default:
		errs.add(e.line, "", "unknown section %q%s", section, didYouMean(section, environmentSections))
	}
}

// Add adds what another environment has. Where both have something, the other
// one counts.
func (env *Environment) Add(other Environment) {
	env.Parameters = joined(env.Parameters, other.Parameters)
	env.Defaults = joined(env.Defaults, other.Defaults)
	env.Types = joined(env.Types, other.Types)
}

func joined[V any](a, b map[string]V) map[string]V {
	all := map[string]V{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}
