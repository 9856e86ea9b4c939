package main

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUp_inspect: with -inspect the runs are shown in a browser.
func TestUp_inspect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, "up", "-inspect", "127.0.0.1:0", "-template", write(t, dir, `
  r: {type: OS::Heat::RandomString}
  f: {type: Local::File, properties: {path: f, content: {get_attr: [r, value]}}}
`))
	p.until("is up.")
	url := regexp.MustCompile(`http://\S+`).FindString(p.out.String())
	require.Regexp(t, `<title>scheduler</title>`, get(t, url))
	var answer struct {
		Run struct {
			Name, Status string
			Counts       map[string]int
		}
		Nodes []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(get(t, url+"run?id=1")), &answer))
	require.Equal(t, "create", answer.Run.Name)
	require.Equal(t, "succeeded", answer.Run.Status)
	require.Equal(t, map[string]int{"succeeded": 2}, answer.Run.Counts)
	require.Equal(t, "r", answer.Nodes[0].Name)
	p.interrupt()
	require.Zero(t, p.wait())
	nothingIsLeft(t, dir)
}

// TestUp_inspect_of_a_failure: the page stays, and whoever reads it decides for
// how long, unless nobody is there to press Ctrl-C.
func TestUp_inspect_of_a_failure(t *testing.T) {
	t.Parallel()
	failing := []string{"up", "-inspect", "127.0.0.1:0", "-simulate", "-fail", "r", "-template", write(t, t.TempDir(), `
  r: {type: OS::Heat::RandomString}
`)}
	for _, policy := range []string{"stop", "continue", "rollback"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir(), append(failing, "-on-error", policy, "-keep-page")...)
			p.until("The page stays until Ctrl-C.")
			url := regexp.MustCompile(`http://\S+`).FindString(p.out.String())
			require.Regexp(t, `"status": *"failed"`, get(t, url+"run?id=1"))
			p.interrupt()
			require.Equal(t, exitFailed, p.wait())
		})
	}
	t.Run("without a terminal", func(t *testing.T) {
		t.Parallel()
		code, text := run(t, t.TempDir(), failing...)
		require.Equal(t, exitFailed, code)
		require.NotContains(t, text, "The page stays")
	})
}

func TestUp_inspect_at_no_address(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, up(t.Context(), []string{"-dir", t.TempDir(), "-inspect", "nowhere"}), "-inspect: listen tcp")
}
