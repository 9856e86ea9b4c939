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

func TestUp_inspect_at_no_address(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, up(t.Context(), []string{"-dir", t.TempDir(), "-inspect", "nowhere"}), "-inspect: listen tcp")
}
