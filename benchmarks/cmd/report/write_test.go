package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplace(t *testing.T) {
	page := "above\n<!-- report growth -->\nold\n<!-- end of report -->\nbelow\n"

	got, err := replace([]byte(page), "growth", "new\n")

	require.NoError(t, err)
	require.Equal(t, "above\n<!-- report growth -->\nnew\n<!-- end of report -->\nbelow\n", string(got))
	_, err = replace([]byte(page), "limits", "new\n")
	require.EqualError(t, err, `there is no line "<!-- report limits -->"`)
	_, err = replace([]byte("<!-- report limits -->\n"), "limits", "new\n")
	require.EqualError(t, err, `no line "<!-- end of report -->" follows "<!-- report limits -->"`)
}

// The pages have a place for each table.
func TestWrite_finds_its_places(t *testing.T) {
	for path, names := range map[string][]string{
		"docs/performance.md": {"limits", "scaling", "growth"},
		"README.md":           {"nodes"},
	} {
		page, err := os.ReadFile(filepath.Join("../../..", path))
		require.NoError(t, err)
		for _, name := range names {
			page, err = replace(page, name, "")
			require.NoError(t, err, path)
		}
	}
}
