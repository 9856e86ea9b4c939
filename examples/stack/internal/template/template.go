// Package template reads templates in the languages of OpenStack Heat: HOT and
// CloudFormation's. A template has parameters, conditions, resources and
// outputs, written in YAML, with intrinsic functions that refer from one to
// another.
//
// [Parse] reads a file and finds what is wrong with its form. [Template.Bind]
// fills in the parameters, decides the conditions and checks every reference:
// what is wrong with a template is known before anything is created, with file,
// line and resource. [Stack.Dependencies] says what requires what, and
// [Stack.Eval] computes a value once the resources it refers to are there.
package template

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Template is a template as it was written.
type Template struct {
	File        string
	Description string
	Parameters  []*Parameter
	Resources   []*Resource
	Outputs     []*Output

	version    version
	mappings   *Value // nil: none
	conditions []entry
}

// Resource is the declaration of a resource.
type Resource struct {
	Name string // in a [Stack] the full one: "web/server" for a resource of a nested stack
	Type string // in a [Stack] what the environment has for it
	Line int

	stack      *Stack // nil in a [Template]
	properties *Value // a map, or nil
	metadata   *Value
	dependsOn  []*Value
	condition  *Value // nil: none
}

// File returns the file that declares the resource of a [Stack].
func (r *Resource) File() string { return r.stack.Template.File }

// Property returns the value that the declaration gives a property, or nil.
func (r *Resource) Property(name string) *Value {
	if r.properties == nil {
		return nil
	}
	return r.properties.get(name)
}

// Properties yields the properties in the order of the file.
func (r *Resource) Properties(yield func(string, *Value) bool) {
	if r.properties == nil {
		return
	}
	for _, e := range r.properties.entries {
		if !yield(e.key, e.value) {
			return
		}
	}
}

// Output is the declaration of an output.
type Output struct {
	Name        string
	Description string
	Line        int

	value     *Value
	condition *Value
}

// HasParameter returns an error if the template has no parameter of that name.
func (t *Template) HasParameter(name string) error {
	var names []string
	for _, p := range t.Parameters {
		if p.Name == name {
			return nil
		}
		names = append(names, p.Name)
	}
	return fmt.Errorf("there is no parameter %q%s", name, didYouMean(name, names))
}

// Parse reads a template. file is what errors call it. The error, if any, is
// one [*Error] or several joined, in the order of the file.
func Parse(file string, source []byte) (*Template, error) {
	p := &parser{errs: errorList{file: file}, t: &Template{File: file}}
	root, err := load(source)
	if err != nil {
		line, msg := position(err)
		p.errs.add(line, "", "%s", msg)
		return nil, p.errs.err()
	}
	p.document(root)
	if err := p.errs.err(); err != nil {
		return nil, err
	}
	return p.t, nil
}

// load reads YAML. The root is nil for an empty document.
func load(source []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(source))
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	err = loader.Load(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

// position tells where a YAML error is.
func position(err error) (line int, msg string) {
	if le, ok := errors.AsType[*yaml.LoadError](err); ok {
		return le.Mark.Line, "not valid YAML: " + le.Message
	}
	return 0, "not valid YAML: " + err.Error()
}

// parser reads the sections of a template.
type parser struct {
	t    *Template
	errs errorList
	r    *reader
}

func (p *parser) document(root *yaml.Node) {
	if root == nil || root.Kind != yaml.MappingNode {
		p.errs.add(0, "", "not a template: it must be a map with heat_template_version")
		return
	}
	p.r = &reader{errs: &p.errs}
	pairs := p.r.pairs(root, where{})
	if !p.version(pairs) {
		return
	}
	sections := p.t.version.names(templateKeys)
	for _, section := range pairs {
		read := p.sections()[sections[section.key]]
		switch {
		case versionKeys[section.key] != nil:
		case sections[section.key] == "":
			p.errs.add(section.line, "", "unknown section %q%s", section.key, didYouMean(section.key, keysOf(sections)))
		case read != nil && section.node.ShortTag() != "!!null":
			read(section)
		}
	}
	if p.r.overflow != "" {
		p.errs.only(p.r.overflow)
	}
}

// version reads the template's version, which all else depends on.
func (p *parser) version(pairs []pair) (ok bool) {
	for _, section := range pairs {
		versions := versionKeys[section.key]
		if versions == nil {
			continue
		}
		v, known := versions[section.node.Value]
		if !known {
			p.errs.add(section.line, "", "unknown %s %q", section.key, section.node.Value)
			return false
		}
		p.t.version, p.r.version = v, v
		return true
	}
	p.errs.add(0, "", "not a template: heat_template_version is missing")
	return false
}

// sections says how each section is read. What it leaves out is not.
func (p *parser) sections() map[string]func(pair) {
	return map[string]func(pair){
		"description": func(s pair) { p.t.Description = s.node.Value },
		"mappings":    func(s pair) { p.t.mappings = p.r.value(s.node, where{}) },
		"parameters":  p.parameters,
		"conditions":  p.conditions,
		"resources":   p.resources,
		"outputs":     p.outputs,
	}
}

// named returns the pairs of a section that maps names to something.
func (p *parser) named(section pair) []pair {
	n := section.node
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		p.errs.add(section.line, "", "%s must be a map of names", section.key)
		return nil
	}
	return p.r.pairs(n, where{})
}

// fields reads a map with known keys. at says for each key where its value is;
// where it does not, the value is data.
func (p *parser) fields(of pair, resource string, keys []key, at map[string]place) map[string]entry {
	names := p.t.version.names(keys)
	fields := map[string]entry{}
	for _, f := range p.r.pairs(of.node, where{resource: resource}) {
		name := names[f.key]
		if name == "" {
			p.errs.add(f.line, resource, "unknown key %q%s", f.key, didYouMean(f.key, keysOf(names)))
			continue
		}
		v := p.r.value(f.node, where{resource: resource, place: at[name], depth: 2})
		fields[name] = entry{f.key, f.line, v}
	}
	return fields
}

// literal returns the text of a field; "" if it has none.
func literal(fields map[string]entry, name string) string {
	if fields[name].value == nil {
		return ""
	}
	text, _ := fields[name].value.text()
	return text
}

func isMap(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode || n.Kind == yaml.AliasNode && n.Alias.Kind == yaml.MappingNode
}

func (p *parser) conditions(section pair) {
	for _, c := range p.named(section) {
		p.t.conditions = append(p.t.conditions, entry{c.key, c.line, p.r.value(c.node, where{place: inCondition})})
	}
}

func (p *parser) resources(section pair) {
	for _, r := range p.named(section) {
		switch {
		case strings.Contains(r.key, "/"):
			p.errs.add(r.line, r.key, "the name of a resource cannot have a slash")
		case !isMap(r.node):
			p.errs.add(r.line, r.key, "must be a map with a type")
		default:
			p.resource(r)
		}
	}
}

func (p *parser) resource(r pair) {
	fields := p.fields(r, r.key, resourceKeys, map[string]place{
		"properties": inValue, "metadata": inValue, "deletion_policy": inValue, "update_policy": inValue, "condition": inCondition,
	})
	res := &Resource{
		Name: r.key, Type: literal(fields, "type"), Line: r.line,
		metadata: fields["metadata"].value, condition: fields["condition"].value,
	}
	switch typ, given := fields["type"]; {
	case !given:
		p.errs.add(r.line, r.key, "type is missing")
	case res.Type == "":
		p.errs.add(typ.line, r.key, "type must be a string")
	}
	if properties, given := fields["properties"]; given {
		res.properties = properties.value
		if v := properties.value; v.kind != mapKind && (v.kind != scalarKind || v.scalar != nil) {
			p.errs.add(properties.line, r.key, "properties must be a map")
		}
	}
	if depends, given := fields["depends_on"]; given {
		res.dependsOn = p.dependsOn(r.key, depends)
	}
	p.t.Resources = append(p.t.Resources, res)
}

func (p *parser) dependsOn(resource string, e entry) []*Value {
	list := e.value.list
	if e.value.kind != listKind {
		list = []*Value{e.value}
	}
	for _, v := range list {
		if _, ok := v.text(); !ok {
			p.errs.add(v.Line, resource, "depends_on must be the name of a resource, or a list of names")
			return nil
		}
	}
	return list
}

func (p *parser) outputs(section pair) {
	for _, o := range p.named(section) {
		if !isMap(o.node) {
			p.errs.add(o.line, "", "output %q: must be a map with a value", o.key)
			continue
		}
		fields := p.fields(o, "", outputKeys, map[string]place{"value": inValue, "condition": inCondition})
		value := fields["value"].value
		if value == nil {
			p.errs.add(o.line, "", "output %q: value is missing", o.key)
			continue
		}
		p.t.Outputs = append(p.t.Outputs, &Output{
			Name: o.key, Line: o.line, Description: literal(fields, "description"),
			value: value, condition: fields["condition"].value,
		})
	}
}
