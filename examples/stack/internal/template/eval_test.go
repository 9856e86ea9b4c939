package template_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/stretchr/testify/require"
)

// env is what the resources of a test have for attributes.
type env map[string]map[string]any

func (e env) Resource(name string) (any, error) { return "id-of-" + name, nil }

func (e env) Attribute(name, attribute string) (any, error) {
	if attribute == "" {
		return e[name], nil
	}
	v, ok := e[name][attribute]
	if !ok {
		return nil, errors.New("no such attribute")
	}
	return v, nil
}

var testEnv = env{"db": {
	"address": "10.0.0.7", "ports": []any{int64(80), int64(443)}, "tags": map[string]any{"tier": "data"},
}}

// bind makes a stack with one resource "x", a Value whose value is given, beside
// a resource "db" and one that a condition excludes.
func bind(t *testing.T, value string, o template.Options) *template.Stack {
	t.Helper()
	tmpl, err := template.Parse("t.yaml", []byte(`heat_template_version: 2021-04-16
parameters:
  name: {type: string, default: web}
  count: {type: number, default: 3}
  zones: {type: comma_delimited_list, default: "a,b"}
  limits: {type: json, default: {cpu: {max: 4}, list: [x, y]}}
  flag: {type: boolean, default: yes}
conditions:
  big: {equals: [{get_param: count}, 3]}
  small: {not: big}
  both: {and: [big, {equals: [{get_param: name}, web]}]}
  either: {or: [small, {contains: [b, {get_param: zones}]}]}
resources:
  db: {type: DB}
  excluded: {type: DB, condition: small}
  x:
    type: Value
    properties:
      value: `+value+"\n"))
	require.NoError(t, err)
	stack, err := tmpl.Bind(o)
	require.NoError(t, err)
	return stack
}

// TestEval has a line for each thing that a value can be.
func TestEval(t *testing.T) {
	t.Parallel()
	list := func(v ...any) any { return v }
	for _, c := range []struct {
		value string
		want  any
	}{
		{`plain`, "plain"},
		{`12`, int64(12)},
		{`1.5`, 1.5},
		{`true`, true},
		{`null`, nil},
		{`2014-10-16`, "2014-10-16"},
		{`[1, {a: b}]`, list(int64(1), map[string]any{"a": "b"})},
		{`{get_param: name}`, "web"},
		{`{get_param: [limits, cpu, max]}`, int64(4)},
		{`{get_param: [limits, list, 1]}`, "y"},
		{`{get_param: [limits, list, 7]}`, ""},
		{`{get_param: zones}`, list("a", "b")},
		{`{get_param: flag}`, true},
		{`{get_param: "OS::stack_name"}`, "demo"},
		{`{get_resource: db}`, "id-of-db"},
		{`{get_resource: excluded}`, nil},
		{`{get_attr: [db, address]}`, "10.0.0.7"},
		{`{get_attr: [db, ports, 1]}`, int64(443)},
		{`{get_attr: [db, tags, tier]}`, "data"},
		{`{get_attr: [db]}`, map[string]any(testEnv["db"])},
		{`{get_file: hello.txt}`, "hello from hello.txt"},
		{`{str_replace: {template: "$name-$names-$n", params: {$n: 1, $name: {get_param: name}, $names: [a]}}}`, `web-["a"]-1`},
		{`{str_replace: {template: "a b", params: {a: b, b: c}}}`, "b c"},
		{`{str_replace_strict: {template: "a", params: {a: 1}}}`, "1"},
		{`{str_split: [",", "a,b"]}`, list("a", "b")},
		{`{str_split: [",", "a,b", 1]}`, "b"},
		{`{list_join: [", ", {get_param: zones}, [1, true, {a: 1}]]}`, `a, b, 1, True, {"a": 1}`},
		{`{list_concat: [[1], [1, 2]]}`, list(int64(1), int64(1), int64(2))},
		{`{list_concat_unique: [[1], [1, 2]]}`, list(int64(1), int64(2))},
		{`{filter: [[a, c], [a, b, c, d]]}`, list("b", "d")},
		{`{map_merge: [{a: 1, b: 1}, {b: 2}]}`, map[string]any{"a": int64(1), "b": int64(2)}},
		{`{map_replace: [{a: x, b: y}, {keys: {a: A}, values: {y: Y}}]}`, map[string]any{"A": "x", "b": "Y"}},
		{`{repeat: {for_each: {"%z%": {get_param: zones}, "%n%": [1, 2]}, template: "%z%%n%"}}`, list("a1", "a2", "b1", "b2")},
		{`{repeat: {for_each: {N: [db]}, template: {N: {get_resource: N}}}}`, list(map[string]any{"db": "id-of-db"})},
		{`{digest: [md5, abc]}`, "900150983cd24fb0d6963f7d28e17f72"},
		{`{make_url: {scheme: http, host: "::1", port: 80, path: /a, query: {b: c}}}`, "http://[::1]:80/a?b=c"},
		{`{if: [big, "yes", no]}`, "yes"},
		{`{if: [small, {get_resource: excluded}, no]}`, false},
		{`{if: [small, yes]}`, nil},
		{`[{if: [both, 1, 2]}, {if: [either, 1, 2]}]`, list(int64(1), int64(1))},
		{`{get_param: name, and: more}`, map[string]any{"get_param": "name", "and": "more"}},
		{`&a {b: 1}`, map[string]any{"b": int64(1)}},
	} {
		t.Run(c.value, func(t *testing.T) {
			t.Parallel()
			stack := bind(t, c.value, template.Options{
				Pseudo:   map[string]any{"OS::stack_name": "demo"},
				ReadFile: func(name string) ([]byte, error) { return []byte("hello from " + name), nil },
			})
			got, err := stack.Eval("x", stack.Resource("x").Property("value"), testEnv)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// TestEval_fails has what is known to be wrong only when it is computed.
func TestEval_fails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ value, want string }{
		{`{str_replace_strict: {template: "a", params: {b: 1}}}`, `str_replace_strict: "b" does not occur in the template`},
		{`{str_replace_vstrict: {template: "a", params: {a: ""}}}`, `str_replace_vstrict: "a" has no value`},
		{`{str_replace: {template: "a", params: [a]}}`, `str_replace: "[\"a\"]" is not a map`},
		{`{str_split: [",", "a,b", 2]}`, `str_split: index 2 of 2 parts`},
		{`{list_join: [",", text]}`, `list_join: "text" is not a list`},
		{`{map_merge: [[1]]}`, `map_merge: "[1]" is not a map`},
		{`{digest: [crc, a]}`, `digest: unknown algorithm "crc"`},
		{`{yaql: {expression: $}}`, `yaql: not supported outside a simulation`},
		{`{get_attr: [db, colour]}`, `get_attr: no such attribute`},
		{`{get_file: {list_join: ["", [gone]]}}`, `get_file: ` + os.ErrNotExist.Error()},
		{`{repeat: {for_each: {a: [1,2,3,4,5,6,7,8,9,10], b: [1,2,3,4,5,6,7,8,9,10], c: [1,2,3,4,5,6,7,8,9,10],
         d: [1,2,3,4,5,6,7,8,9,10], e: [1, 2]}, template: x}}`, `repeat: gives more than 10000 items`},
		{
			`{repeat: {for_each: {"%a%": {get_attr: [db, ports]}}, template: {repeat: {for_each: {b: [1,2,3,4,5,6,7,8,9,10],
         c: [1,2,3,4,5,6,7,8,9,10], d: [1,2,3,4,5,6,7,8,9,10], e: [1,2,3,4,5,6,7,8,9,10]}, template: [` + strings.Repeat("x, ", 60) + `]}}}}`,
			`repeat: repeat: takes more than 1000000 steps to compute`,
		},
	} {
		t.Run(c.value, func(t *testing.T) {
			t.Parallel()
			stack := bind(t, c.value, template.Options{
				ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
			})
			_, err := stack.Eval("x", stack.Resource("x").Property("value"), testEnv)
			require.EqualError(t, err, `t.yaml:19: resource "x": `+c.want)
		})
	}
}

// TestEval_standIns: in a simulation there is an answer to everything.
func TestEval_standIns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value string
		want  any
	}{
		{`{get_attr: [db, address]}`, "10.0.0.7"},
		{`{yaql: {expression: $}}`, template.StandIn("<yaql>")},
		{`{get_file: gone}`, template.StandIn("<get_file>")},
		{`{list_join: [",", {yaql: x}]}`, template.StandIn("<list_join>")},
	} {
		stack := bind(t, c.value, template.Options{
			StandIns: true, ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
		})
		got, err := stack.Eval("x", stack.Resource("x").Property("value"), testEnv)
		require.NoError(t, err)
		require.Equal(t, c.want, got, c.value)
	}
	tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: rocky\nparameters: {key: {type: string}}\nresources: {a: {type: A}}"))
	require.NoError(t, err)
	_, err = tmpl.Bind(template.Options{StandIns: true})
	require.NoError(t, err, "a parameter without a value")
}

// TestBind_parameters converts what is given on the command line.
func TestBind_parameters(t *testing.T) {
	t.Parallel()
	stack := bind(t, `[{get_param: count}, {get_param: zones}, {get_param: flag}, {get_param: [limits, cpu]}]`, template.Options{
		Environment: template.Environment{
			Parameters: map[string]any{"count": "2.5", "zones": "", "flag": "off", "limits": `{"cpu": 1}`},
		},
	})
	got, err := stack.Eval("x", stack.Resource("x").Property("value"), nil)
	require.NoError(t, err)
	require.Equal(t, []any{2.5, []any{}, false, int64(1)}, got)

	tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: rocky\nparameters: {key: {type: string}}\nresources: {a: {type: A}}"))
	require.NoError(t, err)
	_, err = tmpl.Bind(template.Options{Environment: template.Environment{Parameters: map[string]any{"key": "1", "kay": "2"}}})
	require.EqualError(t, err, `t.yaml: there is no parameter "kay" (did you mean "key"?)`)
}

// TestDependencies: what requires what, by each of the three ways to refer, and
// not by way of what a condition excludes.
func TestDependencies(t *testing.T) {
	t.Parallel()
	tmpl, err := template.Parse("t.yaml", []byte(`heat_template_version: wallaby
conditions: {never: {equals: [1, 2]}}
resources:
  last:
    type: A
    depends_on: [one, absent]
    metadata: {x: {get_resource: two}}
    properties: {y: {str_replace: {template: z, params: {z: {get_attr: [three, a]}}}}}
  one: {type: A}
  two: {type: A}
  three: {type: A}
  four: {type: A, properties: {v: {if: [never, {get_resource: last}, {get_resource: one}]}}}
  absent: {type: A, condition: never, depends_on: four}
  many: {type: A, properties: {r: {repeat: {for_each: {N: [one, two]}, template: {get_resource: N}}}}}
  later: {type: A, properties: {r: {repeat: {for_each: {N: {get_attr: [one, list]}}, template: {get_resource: N}}}}}
`))
	require.NoError(t, err)
	stack, err := tmpl.Bind(template.Options{})
	require.NoError(t, err)
	deps, err := stack.Dependencies()
	require.NoError(t, err)
	for name, want := range map[string][]string{
		"last": {"one", "two", "three"}, "one": nil, "four": {"one"}, "many": {"one", "two"}, "later": {"one"},
	} {
		got := slices.Sorted(deps.Requires(name))
		slices.Sort(want)
		require.Equal(t, want, got, name)
	}
	require.False(t, deps.Contains("absent"))
	require.Nil(t, stack.Resource("absent"))
}

// TestParse_olderVersion: what is a function today was a map like any other
// before it was one.
func TestParse_olderVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]any{"2013-05-23": map[string]any{"if": []any{true, "a", "b"}}, "rocky": "a"} {
		tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: "+version+
			"\nresources: {a: {type: A, properties: {v: {if: [true, a, b]}}}}"))
		require.NoError(t, err)
		stack, err := tmpl.Bind(template.Options{})
		require.NoError(t, err)
		got, err := stack.Eval("a", stack.Resource("a").Property("v"), nil)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestParse_merge reads YAML's anchors and merges.
func TestParse_merge(t *testing.T) {
	t.Parallel()
	tmpl, err := template.Parse("t.yaml", []byte(`heat_template_version: rocky
resources:
  a: {type: A, properties: &base {x: 1, y: 1}}
  b: {type: A, properties: {<<: *base, y: 2}}
`))
	require.NoError(t, err)
	stack, err := tmpl.Bind(template.Options{})
	require.NoError(t, err)
	got := map[string]any{}
	for name, v := range stack.Resource("b").Properties {
		got[name], err = stack.Eval("b", v, nil)
		require.NoError(t, err)
	}
	require.Equal(t, map[string]any{"x": int64(1), "y": int64(2)}, got)
}
