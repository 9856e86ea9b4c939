package scheduler_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that imports only the root package links none of what stands beside
// it, nothing of other modules, and none of the heavy parts of the standard
// library.
func TestImports(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}", ".")
	cmd.Env = append(cmd.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	const module = "github.com/steptask/scheduler"
	heavy := []string{
		"crypto/tls", "database/sql", "embed", "expvar", "flag", "html", "html/template", "net", "net/http",
		"os/exec", "os/signal", "plugin", "runtime/pprof", "runtime/trace", "testing", "text/template",
	}
	var ours []string
	for line := range strings.Lines(string(out)) {
		path, standard, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case path == module || strings.HasPrefix(path, module+"/"):
			ours = append(ours, strings.TrimPrefix(path, module))
		default:
			require.Equal(t, "true", standard, path)
			require.False(t, slices.Contains(heavy, path) || strings.HasPrefix(path, "testing/"), path)
		}
	}
	slices.Sort(ours)
	require.Equal(t, []string{
		"", "/internal/bitset", "/internal/coro", "/internal/digraph", "/internal/index", "/internal/wheel",
	}, ours)
}
