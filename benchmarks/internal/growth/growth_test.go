package growth_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/benchmarks/internal/growth"
	"github.com/steptask/scheduler/internal/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each exported operation is measured in some row, and no other.
func TestRows_haveEveryOperation(t *testing.T) {
	var used []string
	names := map[string]bool{}
	for _, row := range growth.Rows() {
		require.False(t, names[row.Name], row.Name)
		names[row.Name] = true
		used = append(used, strings.Fields(row.Uses)...)
	}
	slices.Sort(used)
	exported, err := api.Functions("../../..", "scheduler")
	require.NoError(t, err)
	require.Equal(t, exported, slices.Compact(used))
}

// Each row can be run.
func TestRows_run(t *testing.T) {
	for _, row := range growth.Rows() {
		t.Run(row.Name, func(t *testing.T) {
			row.N = 10
			g := row.Measure(1)
			require.Positive(t, g.Times)
		})
	}
}
