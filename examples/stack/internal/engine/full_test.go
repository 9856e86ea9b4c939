package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
)

// connections are the open files of all tests, by name.
var connections sync.Map

func init() {
	sqlite.RegisterConnectionHook(func(conn sqlite.ExecQuerierContext, dsn string) error {
		file, _, _ := strings.Cut(strings.TrimPrefix(dsn, "file:"), "?")
		connections.Store(file, conn)
		return nil
	})
}

// fillDisk keeps the journal of the stack in dir from growing, as a disk that is full
// does. Nothing may be under way.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	conn, ok := connections.Load(filepath.Join(dir, "demo.journal"))
	require.True(t, ok)
	rows, err := conn.(sqlite.ExecQuerierContext).QueryContext(context.Background(), `PRAGMA max_page_count = 1`, nil)
	require.NoError(t, err)
	require.NoError(t, rows.Close())
}

// manyFiles are a directory and more files in it than the records of their deletion fit
// into one page.
func manyFiles() string {
	var b strings.Builder
	b.WriteString("  d: {type: Local::Directory, properties: {path: d}}\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  f%d: {type: Local::File, properties: {path: d/f%d, content: %s}, depends_on: d}\n", i, i, strings.Repeat("x", 100))
	}
	return b.String()
}

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
	e, plan := opened(t, dir, manyFiles())
	report, err := e.Up(t.Context(), plan, "source")
	require.NoError(t, err)
	require.NoError(t, report.Err)
	require.FileExists(t, filepath.Join(dir, "demo", "d", "f99"))
	require.FileExists(t, filepath.Join(dir, "demo.db-reserve"))
	fillDisk(t, dir)
	report, err = e.Down(t.Context())
	require.NoError(t, err)
	require.NoError(t, report.Err)
	require.Empty(t, report.Left)
	require.NoFileExists(t, filepath.Join(dir, "demo.db-reserve"), "it was of no use")
	require.NoError(t, e.Close())
	require.NoDirExists(t, dir)
}

// TestFull_creation: the report says what to do, once.
func TestFull_creation(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".stack")
	e, plan := opened(t, dir, manyFiles())
	fillDisk(t, dir)
	report, err := e.Up(t.Context(), plan, "source")
	require.NoError(t, err)
	require.Error(t, report.Err)
	var text strings.Builder
	report.WriteFailure(&text)
	require.Equal(t, 1, strings.Count(text.String(), "no space left"), text.String())
	require.Equal(t, 1, strings.Count(text.String(), state.FullAdvice), text.String())
	report, err = e.Down(t.Context())
	require.NoError(t, err)
	require.NoError(t, report.Err)
	require.NoError(t, e.Close())
	require.NoDirExists(t, dir)
}

// TestFull_interrupted: what is gone, and is still in the journal because there was
// no room, can be deleted again.
func TestFull_interrupted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".stack")
	e, plan := opened(t, dir, manyFiles())
	_, err := e.Up(t.Context(), plan, "source")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "demo", "d", "other"), nil, 0o600))
	fillDisk(t, dir)
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
