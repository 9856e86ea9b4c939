package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlan_errors: what is wrong is said before anything is created.
func TestPlan_errors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, `
  a:
    type: Local::File
    properties: {content: [1], pat: x}
  b: {type: OS::Nova::Server}
  c: {type: Local::Port, properties: {port: many}}
  d: {type: OS::Heat::Value, properties: {value: {get_attr: [c, colour]}}}
  e: {type: Local::Process, properties: {command: [], health_check: {file: x}}}
  f: {type: Local::Process, properties: {command: ["true"], health_check: {timeout: 3}}}
  g: {type: Local::Process, properties: {command: ["true"], health_check: {tcp: "h:1", timeout: soon}}}
`)
	code, text := run(t, dir, "up", "-template", file)
	require.Equal(t, exitFailed, code)
	for _, want := range []string{
		`template.yaml:6: resource "a": Local::File has no property "pat": it has content, mode, path`,
		`template.yaml:4: resource "a": property "path" is missing`,
		`template.yaml:7: resource "b": unknown type "OS::Nova::Server": it needs -simulate, or is one of `,
		`template.yaml:8: resource "c": property "port" must be a number, not "many"`,
		`template.yaml:9: resource "d": get_attr: c (Local::Port) has no attribute "colour": it has port, address`,
		`template.yaml:10: resource "e": property "command": is empty`,
		`template.yaml:10: resource "e": property "health_check": unknown key "file": there are http, tcp, interval and timeout`,
		`template.yaml:11: resource "f": property "health_check": needs http or tcp`,
		`template.yaml:12: resource "g": property "health_check": property "timeout" must be a number, not "soon"`,
	} {
		require.Contains(t, text, want)
	}
	nothingIsLeft(t, dir)
}

// TestCommandLine has what is refused: each in a line, with one exit code.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"up -on-error panic", "-on-error must be stop, continue or rollback"},
		{"up -fail store:later", "the step must be begin, made or delete"},
		{"up -fail nobody", `there is no resource "nobody"`},
		{"up -grace -1s", "cannot be negative"},
		{"up -grace long", `invalid value "long" for flag -grace`},
		{"up -progress loud", "-progress must be live, plain or auto"},
		{"up -param x", "not name=value"},
		{"up -param x=1", `there is no parameter "x"`},
		{"up -name ../x", "cannot be the name of a stack"},
		{"up -simulate -sim-time x", "is not a type and a time"},
		{"up now", `unexpected argument "now"`},
		{"up -fly", "flag provided but not defined: -fly"},
		{"down -template x", "flag provided but not defined: -template"},
		{"down -progress loud", "-progress must be live, plain or auto"},
		{"plan -fly", "flag provided but not defined: -fly"},
		{"status now", `unexpected argument "now"`},
		{"types -name /", "cannot be the name of a stack"},
		{"up -name demo.db", "cannot be the name of a stack"}, // it would be in the way of the state of demo
		{"up -name demo.journal", "cannot be the name of a stack"},
		{"serve -fly", "flag provided but not defined: -fly"},
		{"serve -upstream x", "not a name and a URL"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			code, text := run(t, dir, strings.Fields(c.args)...)
			require.Equal(t, exitUsage, code, text)
			require.Contains(t, text, c.want)
			require.Equal(t, 1, strings.Count(text, "\n"), text)
			nothingIsLeft(t, dir)
		})
	}
}

// TestCommands: the exit code and the beginning of the output of what creates
// nothing.
func TestCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "  stack up  "},
		{"fly", exitUsage, "\nThere is no command \"fly\".\n"},
		{"help", 0, "  stack up  "},
		{"up -h", 0, "Usage of stack up:"},
		{"down -h", 0, "Usage of stack down:"},
		{"serve -h", 0, "-upstream"},
		{"up -template none.yaml", exitFailed, "none.yaml: no such file"},
		{"up -env none.yaml", exitFailed, "-env: open none.yaml: no such file"},
		{"down", 0, `Nothing to delete: there is no stack "demo".`},
		{"status", 0, `There is no stack "demo".`},
		{"types", 0, "Local::Process: a process"},
	} {
		code, text := run(t, dir, strings.Fields(c.args)...)
		require.Equal(t, c.code, code, "%v: %s", c.args, text)
		require.Contains(t, text, c.want)
		nothingIsLeft(t, dir)
	}
}

// TestMessages: why something failed is said once, and whatever is said first is
// still on the screen.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"stop", "continue", "rollback"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, text := run(t, dir, "up", "-on-error", policy, "-template", write(t, dir, `
  p:
    type: Local::Process
    properties:
      command: [sh, -c, "printf 'no such luck \\\\033[2J\\\\033]52;c;eA==\\\\007'; exit 3"]
      health_check: {tcp: "127.0.0.1:1"}
`))
			require.NotContains(t, text, "\x1b")
			require.Contains(t, text, "[2J") // and not the sequence that it was a part of
			require.Equal(t, 1, strings.Count(text, "no such luck"), text)
			require.Equal(t, 1, strings.Count(text, "exit status 3"), text)
		})
	}
}

// TestSecrets: only the owner may read what a hidden parameter gets into.
func TestSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "t.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`heat_template_version: wallaby
parameters: {password: {type: string, hidden: true}}
resources:
  p: {type: Local::Process, properties: {command: [sh, -c, "echo $PW; exec sleep 3600"], environment: {PW: {get_param: password}}}}
`), 0o600))
	up := start(t, dir, "up", "-template", file, "-param", "password=hunter2")
	up.until(isUp)
	checked := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, ".stack"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if strings.Contains(string(text), "hunter2") || strings.Contains(path, "demo.db") {
			checked++
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
		}
		return nil
	}))
	require.GreaterOrEqual(t, checked, 4)
	require.NotContains(t, up.out.String(), "hunter2")
	up.interrupt()
	require.Zero(t, up.wait())
	nothingIsLeft(t, dir)
}

// TestOutputs: an output that cannot be computed is said, and the stack is up all the same.
func TestOutputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, text := run(t, dir, "up", "-simulate", "-template", write(t, dir, `
  v: {type: OS::Heat::Value, properties: {value: ninety}}
outputs:
  url: {value: {make_url: {scheme: http, host: h, port: {get_attr: [v, value]}}}}
  value: {value: {get_attr: [v, value]}}
`))
	require.Zero(t, code)
	require.Regexp(t, `  url: .*template.yaml:\d+: make_url: port "ninety" is not a number`, text)
	require.Contains(t, text, "  value = ninety\n")
	require.Contains(t, text, "create 1 resource\n")
	require.Contains(t, text, "Nothing is left behind.")
}
