package growth_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/benchmarks/internal/growth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exported returns the exported functions and methods of the root package.
func exported(t *testing.T) []string {
	t.Helper()
	var found []string
	ours := func(info fs.FileInfo) bool { return !strings.HasSuffix(info.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), "../../..", ours, 0) //nolint:staticcheck // all files of one folder, whatever the system
	require.NoError(t, err)
	for _, file := range packages["scheduler"].Files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			if f.Recv == nil {
				found = append(found, f.Name.Name)
			} else if name := receiver(f.Recv.List[0].Type); ast.IsExported(name) {
				found = append(found, name+"."+f.Name.Name)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

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
	require.Equal(t, exported(t), slices.Compact(used))
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
