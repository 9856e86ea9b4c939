package template_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/template"
)

// FuzzTemplate: whatever a file holds, it is a template whose values can be
// computed, or an error; and the same the second time.
func FuzzTemplate(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*.yaml", "../../*.yaml", "../../testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(source)
		}
	}
	f.Add([]byte("heat_template_version: wallaby\nparameters: {p: {type: string, default: x}}\nresources:\n" +
		"  a: {type: a.yaml, properties: {p: {get_resource: b}}}\n  b: {type: b.yaml, condition: {equals: [{get_param: p}, y]}}\n"))
	f.Add([]byte(around("2013-05-23", `{"Fn::Join": [",", [{Ref: db}, {"Fn::Select": [0, {Ref: zones}]}]]}`)))
	f.Add([]byte(around("AWSTemplateFormatVersion.2010-09-09", `{"Fn::If": [both, {"Fn::FindInMap": [sizes, small, cpu]}, {Ref: db}]}`)))
	f.Add([]byte(around("2021-04-16", `{repeat: {for_each: {"%k%": {get_param: limits}}, template: {str_replace: {template: "%k%", params: {k: {get_attr: [db, tags]}}}}}}`)))
	f.Fuzz(func(t *testing.T, source []byte) {
		first := use(t, source)
		if second := use(t, source); first != second {
			t.Errorf("first: %s\nthen: %s", first, second)
		}
	})
}

// use does with a template all that can be done without resources, and returns
// what is wrong with it.
func use(t *testing.T, source []byte) string {
	tmpl, err := template.Parse("fuzz.yaml", source)
	if err != nil {
		return err.Error()
	}
	// Whatever is nested in the template is the template.
	stack, err := tmpl.Bind(template.Options{
		StandIns: true, ReadFile: func(string) ([]byte, error) { return source, nil },
	})
	if err != nil {
		return err.Error()
	}
	deps, err := stack.Dependencies()
	if err != nil {
		return err.Error()
	}
	if deps.Len() != len(stack.Resources) {
		t.Errorf("%d resources, %d of them have a place in the order", len(stack.Resources), deps.Len())
	}
	for _, o := range stack.Outputs {
		_, _ = stack.Output(o, heatEnv{})
	}
	for _, r := range stack.Resources {
		for _, v := range r.Properties {
			if stack.Constant(r.Name, v) {
				_, _ = stack.Eval(r.Name, v, nil)
			}
		}
	}
	return ""
}
