package main

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files: only commit the changes if you understand what caused them")

// TestGolden compares what does not depend on the machine with golden files.
func TestGolden(t *testing.T) {
	t.Parallel()
	cloud := testdata(t, "cloud.yaml")
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"plan.txt":          {[]string{"plan"}, 0},
		"plan.dot":          {[]string{"plan", "-dot"}, 0},
		"cloud_plan.txt":    {[]string{"plan", "-simulate", "-template", cloud}, 0},
		"cloud_test.txt":    {[]string{"plan", "-simulate", "-template", cloud, "-param", "environment=test"}, 0},
		"cloud_up.txt":      {[]string{"up", "-simulate", "-template", cloud, "-sim-time", "*.yaml=3m"}, 0},
		"cloud_stop.txt":    {[]string{"up", "-simulate", "-template", cloud, "-fail", "database:made"}, exitFailed},
		"cloud_back.txt":    {[]string{"up", "-simulate", "-template", cloud, "-fail", "database:made", "-on-error", "rollback"}, exitFailed},
		"cloud_go_on.txt":   {[]string{"up", "-simulate", "-template", cloud, "-fail", "database:made", "-on-error", "continue"}, exitFailed},
		"cloud_timeout.txt": {[]string{"up", "-simulate", "-template", cloud, "-timeout", "2m", "-on-error", "rollback"}, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			code, text := run(t, dir, c.args...)
			require.Equal(t, c.code, code, text)
			golden := testdata(t, name)
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(text), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), text)
			nothingIsLeft(t, dir)
		})
	}
}
