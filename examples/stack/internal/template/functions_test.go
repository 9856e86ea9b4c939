package template_test

import (
	"os"
	"strings"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/stretchr/testify/require"
)

// samples are correct arguments for each function.
var samples = map[string]string{
	"get_param": "name", "get_resource": "db", "get_attr": "[db, address]", "get_file": "functions_test.go",
	"resource_facade": "metadata", "str_replace": "{template: a, params: {a: b}}",
	"str_replace_strict": "{template: a, params: {a: b}}", "str_replace_vstrict": "{template: a, params: {a: b}}",
	"str_split": `[",", "a,b"]`, "list_join": `["", [a, b]]`, "list_concat": "[[a], [b]]", "list_concat_unique": "[[a], [b]]",
	"filter": "[[a], [a, b]]", "map_merge": "[{a: b}, {c: d}]", "map_replace": "[{a: b}, {keys: {a: c}}]",
	"repeat": "{for_each: {x: [a]}, template: x}", "digest": "[md5, a]", "make_url": "{host: h}",
	"yaql": "{expression: $}", "if": "[true, a, b]", "contains": "[a, [a]]", "equals": "[a, a]", "not": "true",
	"and": "[true, true]", "or": "[true, true]", "Ref": "name", "Fn::GetAtt": "[db, address]",
	"Fn::FindInMap": "[sizes, small, cpu]", "Fn::GetAZs": `""`, "Fn::Select": "[0, [a]]", "Fn::Join": `["", [a, b]]`,
	"Fn::Split": `[",", "a,b"]`, "Fn::Replace": "[{a: b}, a]", "Fn::Base64": "a",
	"Fn::MemberListToMap": "[Name, Value, []]", "Fn::ResourceFacade": "Metadata", "Fn::If": "[true, a, b]",
	"Fn::Equals": "[a, a]", "Fn::Not": "[true]", "Fn::And": "[true, true]", "Fn::Or": "[true, true]",
}

// TestFunctions_table checks the table of docs/functions.md: every function in
// every version, in values and in conditions.
func TestFunctions_table(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/functions.md")
	require.NoError(t, err)
	var versions []string
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		switch {
		case cells[0] == "function" && versions == nil:
			versions = cells[1:]
		case len(cells) != len(versions)+1 || samples[cells[0]] == "":
			continue
		default:
			seen[cells[0]] = true
			for i, version := range versions {
				if testing.Short() && i%4 != len(seen)%4 {
					continue
				}
				require.Equal(t, cells[i+1], kindOf(t, cells[0], version), "%s in %s", cells[0], version)
			}
		}
	}
	require.Len(t, versions, 13)
	require.Len(t, seen, len(samples))
}

// kindOf finds out what a name is in a version, from what becomes of templates
// that use it.
func kindOf(t *testing.T, name, version string) string {
	t.Helper()
	version = strings.NewReplacer("AWS", "AWSTemplateFormatVersion.2010-09-09", "CFN", "HeatTemplateFormatVersion.2012-12-12").Replace(version)
	call := `{"` + name + `": ` + samples[name] + `}`
	kind := ""
	tmpl, err := template.Parse("t.yaml", []byte(around(version, call)))
	if err != nil {
		require.ErrorContains(t, err, name+": not in this version of the language")
		return "x"
	}
	stack, err := tmpl.Bind(template.Options{StandIns: true, ReadFile: os.ReadFile})
	require.NoError(t, err)
	got, err := stack.Output(stack.Outputs[0], heatEnv{})
	if m, isMap := got.(map[string]any); err != nil || !isMap || m[name] == nil {
		kind = "v"
	}
	for _, words := range []string{"conditions:\n  big:", "Conditions:\n  big:"} {
		text := around(version, "a")
		before, after, found := strings.Cut(text, words)
		if !found {
			continue
		}
		_, after, _ = strings.Cut(after, "\n")
		_, err := template.Parse("t.yaml", []byte(before+words+" "+call+"\n"+after))
		if err == nil && isFunctionThere(before+words+" "+call+"\n"+after) {
			kind += "c"
		}
	}
	return kind
}

// isFunctionThere reports whether the condition in a template is a call: a map
// is no condition.
func isFunctionThere(text string) bool {
	tmpl, err := template.Parse("t.yaml", []byte(text))
	if err != nil {
		return false
	}
	_, err = tmpl.Bind(template.Options{StandIns: true})
	return err == nil || !strings.Contains(err.Error(), "not a condition: \"{") && !strings.Contains(err.Error(), "cannot be used")
}
