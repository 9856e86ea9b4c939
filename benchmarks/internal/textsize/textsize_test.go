package textsize

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSum(t *testing.T) {
	size, err := sum([]byte(`  4a0 100 T scheduler.New[go.shape.[5]int8]
  4b0  20 t type:.eq.scheduler.Outcome[main.key]
  4c0 300 T scheduler.(*engine).Step
  4d0  50 D scheduler.table[go.shape.[5]int8]
  4e0   7 T main.use[go.shape.[5]int8]
`))
	require.NoError(t, err)
	require.Equal(t, 120, size)
	_, err = sum([]byte("4c0 300 T scheduler.(*engine).Step\n"))
	require.Error(t, err)
}
