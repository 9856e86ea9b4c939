package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// nestedFiles are a template, an environment, and two templates nested in it,
// one in the other.
var nestedFiles = map[string]string{
	"main.yaml": `heat_template_version: wallaby
parameters: {greeting: {type: string}}
resources:
  word: {type: OS::Heat::RandomString, properties: {length: 4}}
  site: {type: My::Site, properties: {text: {get_attr: [word, value]}, greeting: {get_param: greeting}}}
  after: {type: Local::File, properties: {path: after.txt, content: {get_attr: [site, page]}}}
outputs:
  page: {value: {get_attr: [site, page]}}
  name: {value: {get_attr: [site, name]}}
`,
	"env.yaml": `parameters: {greeting: hello}
parameter_defaults: {mark: "!"}
resource_registry: {"My::Site": lib/site.yaml}
`,
	"lib/site.yaml": `heat_template_version: 2018-08-31
parameters:
  text: {type: string}
  greeting: {type: string, constraints: [{length: {max: 10}}]}
conditions: {greets: {not: {equals: [{get_param: greeting}, ""]}}}
resources:
  data: {type: Local::Directory, properties: {path: {list_join: ["", [data-, {get_param: text}]]}}}
  page: {type: page.yaml, condition: greets, properties: {dir: {get_resource: data}, text: {get_param: text}}}
outputs:
  page: {value: {get_attr: [page, content]}}
  name: {value: {get_param: "OS::stack_name"}}
`,
	"lib/page.yaml": `heat_template_version: 2018-08-31
parameters: {dir: {type: string}, text: {type: string}, mark: {type: string}}
resources:
  file:
    type: Local::File
    properties:
      path: {list_join: [/, [{get_param: dir}, page.txt]]}
      content: {str_replace: {template: {get_file: page.txt}, params: {TEXT: {get_param: text}, MARK: {get_param: mark}}}}
outputs:
  content: {value: {str_replace: {template: P-T, params: {P: {get_resource: file}, T: {get_param: text}}}}}
`,
	"lib/page.txt": "TEXTMARK",
}

// TestNested creates resources of nested stacks in order, and deletes them.
func TestNested(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, nestedFiles)
	args := []string{"-template", "main.yaml", "-env", "env.yaml"}
	code, text := run(t, dir, append([]string{"plan"}, args...)...)
	require.Zero(t, code, text)
	require.Equal(t, `6 after (Local::File)
└─ 5 site (lib/site.yaml)
   ├─ 1 word (OS::Heat::RandomString)
   ├─ 2 site/data (Local::Directory)
   │  └─ 1 word (OS::Heat::RandomString)
   └─ 4 site/page (page.yaml)
      ├─ 1 word (OS::Heat::RandomString)
      ├─ 2 site/data (Local::Directory) ...
      └─ 3 site/page/file (Local::File)
         ├─ 1 word (OS::Heat::RandomString)
         └─ 2 site/data (Local::Directory) ...
`, text)
	up := start(t, dir, append([]string{"up"}, args...)...)
	up.until(isUp)
	pages, err := filepath.Glob(filepath.Join(dir, ".stack", "demo", "data-????", "page.txt"))
	require.NoError(t, err)
	require.Len(t, pages, 1)
	word := filepath.Base(filepath.Dir(pages[0]))[len("data-"):]
	content, err := os.ReadFile(pages[0])
	require.NoError(t, err)
	require.Equal(t, word+"!", string(content))
	require.Contains(t, up.out.String(), "page = "+pages[0]+"-"+word+"\n")
	require.Contains(t, up.out.String(), "name = demo-site\n")
	_, status := run(t, dir, "status")
	require.Equal(t, 6, strings.Count(status, "CREATE_COMPLETE"), status)
	up.kill()
	up = start(t, dir, append([]string{"up"}, args...)...)
	up.until(isUp)
	require.Contains(t, up.out.String(), "page = "+pages[0]+"-"+word+"\n")
	require.NotContains(t, up.out.String(), "create complete", "made twice")
	up.kill()
	code, text = run(t, dir, "down")
	require.Zero(t, code, text)
	nothingIsLeft(t, dir)
}

// TestNested_simulated: what is nested is part of a simulation.
func TestNested_simulated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, nestedFiles)
	code, text := run(t, dir, "up", "-simulate", "-template", "main.yaml", "-env", "env.yaml")
	require.Zero(t, code, text)
	require.Contains(t, text, "create 6 resources")
	require.Regexp(t, `page = site/page/file-\w{4}\n`, text)
}

// TestNested_changed: a second up wants the same files, those that are nested
// and those that are read too.
func TestNested_changed(t *testing.T) {
	t.Parallel()
	for file := range nestedFiles {
		t.Run(strings.ReplaceAll(file, "/", "_"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, nestedFiles)
			args := []string{"up", "-template", "main.yaml", "-env", "env.yaml", "-fail", "after"}
			code, text := run(t, dir, args...)
			require.Equal(t, exitFailed, code, text)
			put(t, dir, map[string]string{file: nestedFiles[file] + "\n"})
			code, text = run(t, dir, args...)
			require.Equal(t, exitFailed, code, text)
			require.Contains(t, text, "created from another template or with other parameters")
			code, text = run(t, dir, "down")
			require.Zero(t, code, text)
			nothingIsLeft(t, dir)
		})
	}
}

// TestNested_errors: each is said with the file that it is in.
func TestNested_errors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no such parameter": {
			map[string]string{
				"main.yaml": "heat_template_version: wallaby\nresources:\n  s:\n    type: a.yaml\n    properties: {nope: 1}\n",
				"a.yaml":    "heat_template_version: wallaby\n",
			},
			`main.yaml:5: resource "s": a.yaml has no parameter "nope"`,
		},
		"parameter missing": {
			map[string]string{
				"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml}\n",
				"a.yaml":    "heat_template_version: wallaby\nparameters: {p: {type: string}}\n",
			},
			`main.yaml:3: resource "s": property "p", a parameter of a.yaml: has no default, and no value was given`,
		},
		"no such file": {
			map[string]string{"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml}\n"},
			`main.yaml:3: resource "s": type a.yaml: open a.yaml: no such file or directory`,
		},
		"in itself": {
			map[string]string{
				"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml}\n",
				"a.yaml":    "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml}\n",
			},
			`a.yaml:3: resource "s/s": type a.yaml: is nested in itself`,
		},
		"in itself, around": {
			map[string]string{
				"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml}\n",
				"a.yaml":    "heat_template_version: wallaby\nresources:\n  s: {type: main.yaml}\n",
			},
			`a.yaml:3: resource "s/s": type main.yaml: is nested in itself`,
		},
		"elsewhere": {
			map[string]string{"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: ../a.yaml}\n"},
			`main.yaml:3: resource "s": type ../a.yaml: not in the folder of the template`,
		},
		"inside": {
			map[string]string{
				"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml}\n",
				"a.yaml":    "heat_template_version: wallaby\nresources:\n  b: {type: Local::Fil}\n  c: {type: Local::File, properties: {pth: x}}\n",
			},
			`a.yaml:4: resource "s/c": Local::File has no property "pth"`,
		},
		"a form of it": {
			map[string]string{"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml}\n", "a.yaml": "resources:\n"},
			`a.yaml: not a template: heat_template_version is missing`,
		},
		"no such output": {
			map[string]string{
				"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml}\noutputs: {o: {value: {get_attr: [s, nope]}}}\n",
				"a.yaml":    "heat_template_version: wallaby\noutputs: {yes: {value: 1}}\n",
			},
			`main.yaml:4: get_attr: s (a.yaml) has no attribute "nope": it has yes`,
		},
		"cycle": {
			map[string]string{
				"main.yaml": "heat_template_version: wallaby\nresources:\n  s: {type: a.yaml, properties: {p: {get_resource: r}}}\n  r: {type: OS::Heat::Value, properties: {value: {get_attr: [s, v]}}}\n",
				"a.yaml":    "heat_template_version: wallaby\nparameters: {p: {type: string}}\noutputs: {v: {value: 1}}\n",
			},
			`the dependencies form a cycle: s -> r (get_resource in line 3) -> s (get_attr in line 4)`,
		},
		"condition": {
			map[string]string{
				"main.yaml": "heat_template_version: wallaby\nresources:\n  r: {type: OS::Heat::RandomString}\n  s: {type: a.yaml, properties: {p: {get_attr: [r, value]}}}\n",
				"a.yaml":    "heat_template_version: wallaby\nparameters: {p: {type: string}}\nconditions: {c: {equals: [{get_param: p}, x]}}\n",
			},
			`a.yaml:3: condition "c": equals: get_param: a resource cannot be referred to here`,
		},
		"environment": {
			map[string]string{"main.yaml": "heat_template_version: wallaby\n", "env.yaml": "parameter: {a: b}\nresource_registry: {x: [1]}\n"},
			`env.yaml:1: unknown section "parameter" (did you mean "parameters"?)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, dir, c.files)
			args := []string{"plan", "-template", "main.yaml"}
			if c.files["env.yaml"] != "" {
				args = append(args, "-env", "env.yaml")
			}
			code, text := run(t, dir, args...)
			require.Equal(t, exitFailed, code, text)
			require.Contains(t, text, c.want)
			for line := range strings.Lines(text) {
				require.Regexp(t, `^[a-z/]+\.yaml`, line)
			}
		})
	}
}
