package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Each engine walks each kind of graph to its end.
func TestEngines(t *testing.T) {
	for _, e := range engines {
		for _, g := range []graph{wide(7), layered(3, 4), chain(5)} {
			t.Run(e.name+" "+g.name, func(t *testing.T) {
				took, err := e.walk(t.Context(), t.TempDir(), g)
				require.NoError(t, err)
				require.Positive(t, took)
			})
		}
	}
}

func TestGraph(t *testing.T) {
	g := layered(3, 2)
	require.Equal(t, [][]string{{key(0), key(1)}, {key(2), key(3)}, {key(4), key(5)}}, g.layers())
	require.Equal(t, []string{key(3), key(2)}, g.requires[key(5)])
	deps := g.dependencies()
	require.NoError(t, deps.Validate())
	require.Equal(t, 6, deps.Len())
}
