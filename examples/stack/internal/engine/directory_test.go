package engine_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler/examples/stack/internal/engine"
)

// The one that creates a stack and the one that deletes it may clean up at the same
// time.
func TestCleanUp_by_two(t *testing.T) {
	root := t.TempDir()
	for range 200 {
		dir := filepath.Join(root, ".stack")
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".gitignore"), nil, 0o644))
		var both sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			both.Go(func() { errs[i] = engine.CleanUp(dir) })
		}
		both.Wait()
		require.Equal(t, []error{nil, nil}, errs)
		require.NoDirExists(t, dir)
	}
}
