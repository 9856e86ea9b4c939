package journal_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// asNobody calls fn with the rights of a user who owns nothing, on Linux also if
// the tests run as root, which may write everything.
func asNobody(t *testing.T, path string, fn func()) {
	t.Helper()
	if os.Getuid() == 0 {
		const nobody = 65534
		runtime.LockOSThread() // and never unlocked: the thread ends with the test
		require.NoError(t, os.Chown(path, nobody, nobody))
		require.NoError(t, os.Chown(filepath.Dir(path), nobody, nobody))
		require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755))
		require.NoError(t, syscall.Setfsuid(nobody))
		defer func() { require.NoError(t, syscall.Setfsuid(0)) }()
	}
	fn()
}
