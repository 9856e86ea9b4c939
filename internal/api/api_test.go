package api_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler/internal/api"
)

func TestFunctions(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("a.go", `package a

func F()              {}
func f()              {}
func (T) M()          {}
func (*G[K]) M()      {}
func (*H[K, V]) M()   {}
func (h *H[K, V]) m() {}
func (unexported) M() {}
`)
	write("a_linux.go", "package a\n\nfunc E() {}\n")
	write("a_windows.go", "package a\n\nfunc E() {}\n")
	write("a_test.go", "package a\n\nfunc TestF() {}\n")
	got, err := api.Functions(dir, "a")
	require.NoError(t, err)
	require.Equal(t, []string{"E", "F", "G.M", "H.M", "T.M"}, got)

	_, err = api.Functions(dir, "b")
	require.ErrorIs(t, err, fs.ErrNotExist)
	write("b.go", "package")
	_, err = api.Functions(dir, "a")
	require.Error(t, err)
}
