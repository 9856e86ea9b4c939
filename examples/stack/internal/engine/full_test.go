package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/stretchr/testify/require"
)

const twoFiles = `
  d: {type: Local::Directory, properties: {path: d}}
  f: {type: Local::File, properties: {path: d/f, content: x}, depends_on: d}
`

// opened returns an engine of real things in dir, and the plan of a template.
func opened(t *testing.T, dir, resources string) (*engine.Engine, *engine.Plan) {
	t.Helper()
	tmpl, err := template.Parse("t.yaml", []byte("heat_template_version: rocky\nresources:\n"+resources))
	require.NoError(t, err)
	stack, err := tmpl.Bind(template.Options{})
	require.NoError(t, err)
	plan, err := engine.NewPlan(stack, engine.Types(nil))
	require.NoError(t, err)
	e, err := engine.Open(t.Context(), engine.Options{Name: "demo", Dir: dir})
	require.NoError(t, err)
	return e, plan
}

// TestFull_deletion: without any room on the disk to write down what is gone, all
// of the stack can be deleted.
func TestFull_deletion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".stack")
	e, plan := opened(t, dir, twoFiles)
	report, err := e.Up(t.Context(), plan, state.Stack{})
	require.NoError(t, err)
	require.NoError(t, report.Err)
	require.FileExists(t, filepath.Join(dir, "demo", "d", "f"))
	e.FillDisk()
	report, err = e.Down(t.Context())
	require.NoError(t, err)
	require.NoError(t, report.Err)
	require.Empty(t, report.Left)
	require.NoError(t, e.Close())
	require.NoDirExists(t, dir)
}

// TestFull_creation: the report says what to do, once.
func TestFull_creation(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".stack")
	e, plan := opened(t, dir, twoFiles)
	e.FillDisk()
	report, err := e.Up(t.Context(), plan, state.Stack{})
	require.NoError(t, err)
	require.Error(t, report.Err)
	var text strings.Builder
	report.WriteFailure(&text)
	require.Equal(t, 1, strings.Count(text.String(), "no space left on device"), text.String())
	require.Contains(t, text.String(), state.FullAdvice)
	require.NoError(t, e.Close())
	require.NoDirExists(t, dir)
}

// TestFull_interrupted: what is gone, and is still in the state because there was
// no room, can be deleted again.
func TestFull_interrupted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".stack")
	e, plan := opened(t, dir, twoFiles)
	_, err := e.Up(t.Context(), plan, state.Stack{})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "demo", "d", "other"), nil, 0o600))
	e.FillDisk()
	report, err := e.Down(t.Context())
	require.NoError(t, err)
	require.Error(t, report.Err, "the directory is not empty")
	require.Len(t, report.Left, 1)
	require.NoError(t, e.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "demo", "d", "other")))

	e, err = engine.Open(t.Context(), engine.Options{Name: "demo", Dir: dir, Deleting: true})
	require.NoError(t, err)
	report, err = e.Down(t.Context())
	require.NoError(t, err)
	require.NoError(t, report.Err)
	require.NoError(t, e.Close())
	require.NoDirExists(t, dir)
}
