package template_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/stretchr/testify/require"
)

// TestBind_hidden: the value of a hidden parameter is in no message.
func TestBind_hidden(t *testing.T) {
	t.Parallel()
	for _, c := range []string{
		"type: string, constraints: [{allowed_values: [a, b]}]", "type: string, constraints: [{length: {max: 3}}]",
		"type: string, constraints: [{allowed_pattern: '[a-z]'}]", "type: number", "type: boolean", "type: json",
	} {
		tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: rocky\nparameters: {p: {hidden: true, "+c+"}}"))
		require.NoError(t, err)
		_, err = tmpl.Bind(template.Options{Environment: template.Environment{Parameters: map[string]any{"p": "hunter2"}}})
		require.ErrorContains(t, err, `t.yaml:2: parameter "p": `)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// TestBind_constraints has a value that fits and one that does not for each
// constraint.
func TestBind_constraints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ declared, good, bad string }{
		{"type: string, constraints: [{length: {min: 2, max: 3}}]", "äöü", "äöüß"},
		{"type: comma_delimited_list, constraints: [{length: {max: 2}}]", "aaaa,bbbb", "a,b,c"},
		{"type: json, constraints: [{length: {min: 1}}]", `{"a": 1}`, `{}`},
		{"type: number, constraints: [{range: {min: 0.5}}]", "0.5", "0.4"},
		{"type: number, constraints: [{modulo: {step: 2, offset: 1}}]", "7", "8"},
		{"type: comma_delimited_list, constraints: [{allowed_values: [a, b]}]", "b,a", "a,c"},
		{"type: number, constraints: [{allowed_values: [1, 2]}]", "2", "3"},
		{"type: string, constraints: [{allowed_pattern: '(?=.*[0-9])[A-Za-z0-9]{8,}'}]", "Abcdef12", "Abcdefgh"},
		{"type: string, constraints: [{allowed_pattern: 'a|ab'}]", "a", "ab"},
		{"type: string, constraints: [{allowed_pattern: '(?P<x>[ab])(?P=x)'}]", "bb", "ab"},
		{"type: string, constraints: [{allowed_pattern: '(a+)+b'}]", "aab", strings.Repeat("a", 40)},
		{"type: string, constraints: [{custom_constraint: nova.flavor}]", "x", ""},
	} {
		tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: rocky\nparameters: {p: {"+c.declared+"}}"))
		require.NoError(t, err, c.declared)
		bind := func(given string) error {
			_, err := tmpl.Bind(template.Options{Environment: template.Environment{Parameters: map[string]any{"p": given}}})
			return err
		}
		require.NoError(t, bind(c.good), c.declared)
		if c.bad != "" {
			require.Error(t, bind(c.bad), c.declared)
		}
	}
	for _, wrong := range []string{"[{range: {mn: 1}}]", "[{length: {}}]", "[{modulo: {step: 0}}]", "[{allowed_values: a}]", "[{allowed_pattern: '('}]", "[{size: 1}]", "{}"} {
		_, err := template.Parse("t.yaml", []byte("heat_template_version: rocky\nparameters: {p: {type: string, constraints: "+wrong+"}}"))
		require.Error(t, err, wrong)
	}
}

// TestBind_references: a name that is computed is a dependency too, and one that
// is not known before is refused.
func TestBind_references(t *testing.T) {
	t.Parallel()
	bind := func(value string) (*template.Stack, error) {
		tmpl, err := template.Parse("t.yaml", []byte(`heat_template_version: rocky
parameters: {which: {type: string, default: b}}
resources:
  b: {type: A}
  a: {type: A, properties: {v: `+value+`}}
`))
		require.NoError(t, err)
		return tmpl.Bind(template.Options{})
	}
	for _, value := range []string{
		"{get_resource: {get_param: which}}", "{get_attr: [{get_param: which}, x]}", "{get_resource: {list_join: ['', [b]]}}",
		"{repeat: {for_each: {N: [b]}, template: {get_attr: [N, x]}}}", "{<<: {get_resource: b}}",
	} {
		stack, err := bind(value)
		require.NoError(t, err, value)
		deps, err := stack.Dependencies()
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, slices.Collect(deps.Requires("a")), value)
	}
	_, err := bind("{get_resource: {get_attr: [b, x]}}")
	require.EqualError(t, err, `t.yaml:5: resource "a": get_resource: the name must be known before anything is created`)
	_, err = bind("{get_file: gone}")
	require.EqualError(t, err, `t.yaml:5: resource "a": get_file: no files can be read here`)

	stack, err := bind("{repeat: {for_each: {N: {get_attr: [b, x]}}, template: {get_resource: N}}}")
	require.NoError(t, err)
	_, err = stack.Eval("a", stack.Resource("a").Property("v"), env{"b": {"x": []any{"a"}}})
	require.EqualError(t, err, `t.yaml:5: resource "a": repeat: get_resource: the dependency on "a" was not known beforehand: name it in depends_on`)
}

// TestFirstVersion: Ref and the Fn:: functions of the first HOT, and those of
// CloudFormation's language, are dependencies.
func TestFirstVersion(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`heat_template_version: 2013-05-23
resources:
  b: {type: A}
  a: {type: A, properties: {v: {"Fn::Join": ["-", [{Ref: b}, tail]]}}}
`, `heat_template_version: 2013-05-23
resources:
  b: {type: A}
  a: {type: A, properties: {v: {"Fn::Select": [0, {"Fn::Split": [",", {"Fn::Replace": [{x: {"Fn::Base64": {Ref: b}}}, "x"]}]}]}}}
`, `HeatTemplateFormatVersion: 2012-12-12
Resources:
  b: {Type: A}
  a: {Type: A, Properties: {v: {"Fn::GetAtt": [b, x]}}}
`, `AWSTemplateFormatVersion: 2010-09-09
Resources:
  b: {Type: A}
  a: {Type: A, DependsOn: b}
`, `AWSTemplateFormatVersion: 2010-09-09
Conditions: {c: {"Fn::Equals": [a, a]}}
Resources:
  b: {Type: A, Condition: c}
  a: {Type: A, Metadata: {v: {"Fn::If": [c, {Ref: b}, {Ref: gone}]}}}
`,
	} {
		tmpl, err := template.Parse("t.yaml", []byte(text))
		require.NoError(t, err)
		stack, err := tmpl.Bind(template.Options{})
		require.NoError(t, err)
		deps, err := stack.Dependencies()
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, slices.Collect(deps.Requires("a")), text)
	}
	tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: 2013-05-23\nresources:\n  server: {type: A}\n  a: {type: A, properties: {v: {Ref: servr}}}\n"))
	require.NoError(t, err)
	_, err = tmpl.Bind(template.Options{})
	require.EqualError(t, err, `t.yaml:4: resource "a": Ref: there is no resource or parameter "servr" (did you mean "server"?)`)
}

// TestBind_deep: what fails deep inside of calls is looked at once.
func TestBind_deep(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("{digest: [md5, ", 60) + "{digest: [crc, x]}" + strings.Repeat("]}", 60)
	tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: rocky\noutputs: {o: {value: "+value+"}}"))
	require.NoError(t, err)
	stack, err := tmpl.Bind(template.Options{StandIns: true})
	require.NoError(t, err)
	_, err = stack.Output(stack.Outputs[0], nil)
	require.ErrorContains(t, err, `digest: unknown algorithm "crc"`)
}
