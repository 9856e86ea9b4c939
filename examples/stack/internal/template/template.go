// Package template reads templates in the language of OpenStack Heat (HOT):
// parameters, conditions, resources and outputs, written in YAML, with
// intrinsic functions that refer from one to another.
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
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Template is a template as it was written.
type Template struct {
	File        string
	Version     string
	Description string
	Parameters  []*Parameter
	Resources   []*Resource
	Outputs     []*Output

	conditions []entry
}

// Resource is the declaration of a resource.
type Resource struct {
	Name string
	Type string
	Line int

	properties *Value // a map, or nil
	metadata   *Value
	dependsOn  []*Value
	condition  *Value // nil: none
}

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

// versions are the values of heat_template_version; releases stand for a date.
var versions = map[string]string{
	"2013-05-23": "2013-05-23", "2014-10-16": "2014-10-16", "2015-04-30": "2015-04-30", "2015-10-15": "2015-10-15",
	"2016-04-08": "2016-04-08", "2016-10-14": "2016-10-14", "2017-02-24": "2017-02-24", "2017-09-01": "2017-09-01",
	"2018-03-02": "2018-03-02", "2018-08-31": "2018-08-31", "2021-04-16": "2021-04-16",
	"newton": "2016-10-14", "ocata": "2017-02-24", "pike": "2017-09-01", "queens": "2018-03-02", "rocky": "2018-08-31",
	"wallaby": "2021-04-16",
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
	var le *yaml.LoadError
	if errors.As(err, &le) {
		return le.Mark.Line, "not valid YAML: " + le.Message
	}
	return 0, "not valid YAML: " + err.Error()
}

// parser reads the sections of a template.
type parser struct {
	t    *Template
	errs errorList
}

func (p *parser) document(root *yaml.Node) {
	if root == nil || root.Kind != yaml.MappingNode {
		p.errs.add(0, "", "not a template: it must be a map with heat_template_version and resources")
		return
	}
	p.version(root)
	r := &reader{errs: &p.errs, version: versions[p.t.Version]}
	for i := 0; i+1 < len(root.Content) && !r.overflow; i += 2 {
		p.section(r, root.Content[i], root.Content[i+1])
	}
	if r.overflow {
		p.errs.list = nil // what was cut off looks wrong in many ways
		p.errs.add(0, "", "too large, or too deep: aliases count for what they stand for")
	}
	if len(p.errs.list) == 0 && len(p.t.Resources) == 0 {
		p.errs.add(0, "", "there are no resources")
	}
}

func (p *parser) version(root *yaml.Node) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "heat_template_version" {
			continue
		}
		p.t.Version = root.Content[i+1].Value
		if versions[p.t.Version] == "" {
			p.errs.add(root.Content[i].Line, "", "unknown heat_template_version %q", p.t.Version)
		}
		return
	}
	p.errs.add(0, "", "not a HOT template: heat_template_version is missing")
}

// sections are the keys a template may have, and how each is read.
var sections = map[string]func(*parser, *reader, *yaml.Node){
	"heat_template_version": nil,
	"parameter_groups":      nil,
	"description":           func(p *parser, _ *reader, n *yaml.Node) { p.t.Description = n.Value },
	"parameters":            (*parser).parameters,
	"conditions":            (*parser).conditionSection,
	"resources":             (*parser).resources,
	"outputs":               (*parser).outputs,
}

func (p *parser) section(r *reader, key, node *yaml.Node) {
	read, known := sections[key.Value]
	if !known {
		p.errs.add(key.Line, "", "unknown section %q%s", key.Value, didYouMean(key.Value, keysOf(sections)))
		return
	}
	if read != nil && node.ShortTag() != "!!null" {
		read(p, r, node)
	}
}

// named yields the entries of a section that maps names to something.
func (p *parser) named(r *reader, section string, n *yaml.Node) []entry {
	v := r.value(n, "", 0)
	if v.kind != mapKind {
		p.errs.add(n.Line, "", "%s must be a map of names", section)
		return nil
	}
	return v.entries
}

func (p *parser) conditionSection(r *reader, n *yaml.Node) {
	p.t.conditions = p.named(r, "conditions", n)
}

// resources reads the resources one by one, so that errors inside one name it.
func (p *parser) resources(r *reader, n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		p.errs.add(n.Line, "", "resources must be a map of names")
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content) && !r.overflow; i += 2 {
		key := n.Content[i]
		if first := lines[key.Value]; first > 0 {
			p.errs.add(key.Line, key.Value, "given twice, first in line %d", first)
			continue
		}
		lines[key.Value] = key.Line
		p.resource(key.Value, key.Line, r.value(n.Content[i+1], key.Value, 0))
	}
}

func (p *parser) resource(name string, line int, v *Value) {
	if v.kind != mapKind {
		p.errs.add(line, name, "must be a map with a type")
		return
	}
	res := &Resource{Name: name, Line: line}
	for _, e := range v.entries {
		p.attribute(res, e)
	}
	if v.get("type") == nil {
		p.errs.add(line, name, "type is missing")
	}
	p.t.Resources = append(p.t.Resources, res)
}

var resourceKeys = []string{
	"type", "properties", "metadata", "depends_on", "condition", "external_id", "deletion_policy", "update_policy",
}

func (p *parser) attribute(res *Resource, e entry) {
	v := e.value
	switch e.key {
	case "type":
		if res.Type, _ = v.text(); res.Type == "" {
			p.errs.add(e.line, res.Name, "type must be a string")
		}
	case "properties":
		if v.kind != mapKind && (v.kind != scalarKind || v.scalar != nil) {
			p.errs.add(e.line, res.Name, "properties must be a map")
			return
		}
		res.properties = v
	case "metadata":
		res.metadata = v
	case "depends_on":
		res.dependsOn = p.dependsOn(res.Name, e)
	case "condition":
		res.condition = v
	default:
		if !slices.Contains(resourceKeys, e.key) {
			p.errs.add(e.line, res.Name, "unknown key %q%s", e.key, didYouMean(e.key, resourceKeys))
		}
	}
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

func (p *parser) outputs(r *reader, n *yaml.Node) {
	for _, e := range p.named(r, "outputs", n) {
		out := &Output{Name: e.key, Line: e.line, value: e.value.get("value"), condition: e.value.get("condition")}
		if d := e.value.get("description"); d != nil {
			out.Description, _ = d.text()
		}
		if out.value == nil {
			p.errs.add(e.line, "", "output %q: value is missing", e.key)
			continue
		}
		p.t.Outputs = append(p.t.Outputs, out)
	}
}

// didYouMean proposes the known name that is nearest to a mistyped one.
func didYouMean(name string, known []string) string {
	best, distance := "", min(3, (len(name)+1)/2)
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance counts the letters to change, add or drop between a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}
