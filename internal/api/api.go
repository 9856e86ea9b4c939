// Package api lists what a package of this module exports, for tests that must not
// forget anything of it.
package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
)

// Functions returns the exported functions of the package in dir and the exported
// methods of its exported types, as Type.Method, sorted and each once, whatever system
// their files are for. It fails if there is no package of that name, or if a file
// cannot be parsed.
func Functions(dir, name string) ([]string, error) {
	ours := func(info fs.FileInfo) bool { return !strings.HasSuffix(info.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), dir, ours, 0) //nolint:staticcheck // all files of one folder, whatever the system
	if err != nil {
		return nil, err
	}
	if packages[name] == nil {
		return nil, &fs.PathError{Op: "list package " + name, Path: dir, Err: fs.ErrNotExist}
	}
	var found []string
	for _, file := range packages[name].Files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			if f.Recv == nil {
				found = append(found, f.Name.Name)
			} else if of := receiver(f.Recv.List[0].Type); ast.IsExported(of) {
				found = append(found, of+"."+f.Name.Name)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// receiver returns the name of a receiver's type.
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
