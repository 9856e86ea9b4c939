package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

//go:embed active/active.go
var active string

// mutant is one change of the source.
type mutant struct {
	file, fn string
	line     int
	from, to string
	nth      int // of those of its function that make the same change, from 1
}

// String names the mutant by its function and the change: code that moves to
// another line or file keeps the names of its mutants. A function may have the
// same expression more than once: the names of its second and later mutants end
// with #2 and so on.
func (m mutant) String() string {
	name := fmt.Sprintf("%s: %s → %s", m.fn, m.from, m.to)
	if m.nth > 1 {
		name += fmt.Sprintf(" #%d", m.nth)
	}
	return name
}

// instrumented is a package with all its mutants in it: mutant n is number n+1.
type instrumented struct {
	mutants []mutant
	names   list              // theirs: each has one of its own
	files   map[string][]byte // by path, to be compiled in place of what is there
}

// instrument puts all mutants into the package in dir.
func instrument(dir string) (*instrumented, error) {
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedDeps,
		Dir:  dir,
	}, ".")
	if err != nil {
		return nil, err
	}
	if len(loaded[0].Errors) > 0 {
		return nil, loaded[0].Errors[0]
	}
	p := loaded[0]
	in := &instrumented{names: list{}, files: map[string][]byte{}}
	for _, file := range p.Syntax {
		path := p.Fset.File(file.Pos()).Name()
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f := &fileEditor{in: in, info: p.TypesInfo, file: p.Fset.File(file.Pos()), source: source, name: filepath.Base(path)}
		ast.Inspect(file, f.visit)
		in.files[path] = f.apply()
	}
	in.files[filepath.Join(filepath.Dir(p.GoFiles[0]), "mutant_active.go")] = []byte(strings.Replace(active, "package active", "package "+p.Name, 1))
	return in, nil
}

// fileEditor collects the changes of a file.
type fileEditor struct {
	in     *instrumented
	info   *types.Info
	file   *token.File
	source []byte
	name   string
	fn     string
	edits  []edit
}

// edit puts text in place of source[at:end]. Of several at one place suffixes
// come first, the innermost before all, then operators, then prefixes.
type edit struct {
	at, end int
	rank    int
	text    string
}

func (f *fileEditor) offset(p token.Pos) int { return f.file.Offset(p) }
func (f *fileEditor) text(n ast.Node) string { return f.between(n.Pos(), n.End()) }
func (f *fileEditor) between(a, b token.Pos) string {
	return strings.Join(strings.Fields(string(f.source[f.offset(a):f.offset(b)])), " ")
}

func (f *fileEditor) prefix(n ast.Node, format string, args ...any) {
	at := f.offset(n.Pos())
	f.edits = append(f.edits, edit{at, at, 1 << 30, fmt.Sprintf(format, args...)})
}

func (f *fileEditor) suffix(n ast.Node, format string, args ...any) {
	at := f.offset(n.End())
	f.edits = append(f.edits, edit{at, at, -len(f.edits), fmt.Sprintf(format, args...)})
}

func (f *fileEditor) replace(p token.Pos, old token.Token, text string) {
	at := f.offset(p)
	f.edits = append(f.edits, edit{at, at + len(old.String()), 1 << 29, text})
}

// add makes a mutant and returns its number.
func (f *fileEditor) add(n ast.Node, to string) int {
	m := mutant{file: f.name, fn: f.fn, line: f.file.Line(n.Pos()), from: f.text(n), to: to, nth: 1}
	for f.in.names[m.String()] {
		m.nth++
	}
	f.in.names[m.String()] = true
	f.in.mutants = append(f.in.mutants, m)
	return len(f.in.mutants)
}

func (f *fileEditor) apply() []byte {
	slices.SortStableFunc(f.edits, func(a, b edit) int {
		if a.at != b.at {
			return a.at - b.at
		}
		return a.rank - b.rank
	})
	var out bytes.Buffer
	last := 0
	for _, e := range f.edits {
		out.Write(f.source[last:e.at])
		out.WriteString(e.text)
		last = e.end
	}
	out.Write(f.source[last:])
	return out.Bytes()
}

func (f *fileEditor) isConstant(e ast.Expr) bool {
	return f.info.Types[e].Value != nil && f.info.Types[e].Value.Kind() != constant.Unknown
}

func (f *fileEditor) isNumber(e ast.Expr) bool {
	basic, ok := f.info.TypeOf(e).Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsNumeric != 0
}

func (f *fileEditor) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok == token.VAR
	case *ast.FuncDecl:
		f.fn = n.Name.Name
		if n.Recv != nil {
			receiver := n.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			if index, ok := receiver.(*ast.IndexExpr); ok {
				receiver = index.X
			}
			f.fn = f.text(receiver) + "." + f.fn
		}
	case *ast.IfStmt:
		f.condition(n.Cond)
	case *ast.ForStmt:
		f.condition(n.Cond)
	case *ast.BinaryExpr:
		if !f.isConstant(n) {
			f.binary(n)
		}
	case *ast.UnaryExpr:
		f.unary(n)
	case *ast.IncDecStmt:
		op, to := "+=", "--"
		if n.Tok == token.DEC {
			op, to = "-=", "++"
		}
		x := f.text(n.X)
		f.replace(n.TokPos, n.Tok, fmt.Sprintf(" %s mutantSigned(%d, %s, 1)", op, f.add(n, x+to), x))
	case *ast.AssignStmt:
		if (n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN) && f.isNumber(n.Lhs[0]) {
			x, to := f.text(n.Lhs[0]), "-="
			if n.Tok == token.SUB_ASSIGN {
				to = "+="
			}
			f.prefix(n.Rhs[0], "mutantSigned(%d, %s, ", f.add(n, x+" "+to+" "+f.text(n.Rhs[0])), x)
			f.suffix(n.Rhs[0], ")")
		}
	}
	return true
}

// condition negates a condition that is no comparison.
func (f *fileEditor) condition(e ast.Expr) {
	switch e.(type) {
	case *ast.Ident, *ast.SelectorExpr, *ast.CallExpr:
		n := f.add(e, "!"+f.text(e))
		f.prefix(e, "(")
		f.suffix(e, ") != mutantOn(%d)", n)
	}
}

// names of the operators in package active, and what becomes of them.
var operators = map[token.Token]struct {
	name string
	to   []token.Token
}{
	token.LSS: {"mutantLSS", []token.Token{token.LEQ, token.GEQ}},
	token.LEQ: {"mutantLEQ", []token.Token{token.LSS, token.GTR}},
	token.GTR: {"mutantGTR", []token.Token{token.GEQ, token.LEQ}},
	token.GEQ: {"mutantGEQ", []token.Token{token.GTR, token.LSS}},
	token.ADD: {"mutantADD", []token.Token{token.SUB}},
	token.SUB: {"mutantSUB", []token.Token{token.ADD}},
	token.MUL: {"mutantMUL", []token.Token{token.QUO}},
	token.QUO: {"mutantQUO", []token.Token{token.MUL}},
	token.REM: {"mutantREM", []token.Token{token.MUL}},
}

func (f *fileEditor) binary(n *ast.BinaryExpr) {
	switch n.Op {
	case token.EQL, token.NEQ:
		to := token.NEQ
		if n.Op == token.NEQ {
			to = token.EQL
		}
		f.prefix(n, "((")
		f.suffix(n, ") != mutantOn(%d))", f.with(n, to))
	case token.LAND:
		f.operand(n, n.X, "true", "mutantOn(%d) ||")
		f.operand(n, n.Y, "true", "mutantOn(%d) ||")
	case token.LOR:
		f.operand(n, n.X, "false", "!mutantOn(%d) &&")
		f.operand(n, n.Y, "false", "!mutantOn(%d) &&")
	default:
		op, ok := operators[n.Op]
		if !ok || !f.isNumber(n.X) {
			return
		}
		number := 0
		for i, to := range op.to {
			if at := f.with(n, to); i == 0 {
				number = at
			}
		}
		f.prefix(n, "%s(%d, ", op.name, number)
		f.replace(n.OpPos, n.Op, ",")
		f.suffix(n, ")")
	}
}

// with makes a mutant with another operator.
func (f *fileEditor) with(n *ast.BinaryExpr, to token.Token) int {
	return f.add(n, f.text(n.X)+" "+to.String()+" "+f.text(n.Y))
}

// operand makes a mutant without an operand of n, which is a value instead and
// is not asked.
func (f *fileEditor) operand(n *ast.BinaryExpr, e ast.Expr, value, with string) {
	if inner, ok := e.(*ast.BinaryExpr); ok && inner.Op == n.Op {
		return // its operands have theirs
	}
	x, y := f.text(n.X), f.text(n.Y)
	if e == n.X {
		x = value
	} else {
		y = value
	}
	number := f.add(n, x+" "+n.Op.String()+" "+y)
	f.prefix(e, "("+with+" (", number)
	f.suffix(e, "))")
}

func (f *fileEditor) unary(n *ast.UnaryExpr) {
	switch {
	case n.Op == token.NOT:
		f.prefix(n, "((")
		f.suffix(n, ") != mutantOn(%d))", f.add(n, f.text(n.X)))
	case n.Op == token.SUB && !f.isConstant(n):
		f.replace(n.OpPos, n.Op, fmt.Sprintf("mutantNEG(%d, ", f.add(n, f.text(n.X))))
		f.suffix(n, ")")
	}
}
