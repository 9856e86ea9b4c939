package template_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files: only commit the changes if you understand what caused them")

// TestErrors compares what is said about wrong templates with golden files.
func TestErrors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/errors/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			err = check(filepath.Base(file), source)
			require.Error(t, err)
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644))
			}
			want, readErr := os.ReadFile(golden)
			require.NoError(t, readErr)
			require.Equal(t, string(want), err.Error()+"\n")
		})
	}
}

func check(file string, source []byte) error {
	tmpl, err := template.Parse(file, source)
	if err != nil {
		return err
	}
	stack, err := tmpl.Bind(template.Options{})
	if err != nil {
		return err
	}
	_, err = stack.Dependencies()
	return err
}

// TestError checks that a program gets at the place of an error.
func TestError(t *testing.T) {
	t.Parallel()
	err := check("web.yaml", []byte("heat_template_version: rocky\nresources:\n  web:\n    type: A\n    depends_on: db\n"))
	var at *template.Error
	require.ErrorAs(t, err, &at)
	require.Equal(t, &template.Error{
		File: "web.yaml", Line: 5, Resource: "web", Message: `depends_on: there is no resource "db"`,
	}, at)
}
