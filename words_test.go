package scheduler_test

import (
	"bufio"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// promising are the words that make a sentence of a doc comment a promise.
var promising = regexp.MustCompile(`(?i)\b(never|always|must|panics?|blocks?)\b`)

// TestWords holds testdata/words.txt complete: each promise of the README and of
// doc.go, and each sentence of an exported doc comment with a promising word,
// names a test that there is, and the list has nothing else.
func TestWords(t *testing.T) {
	t.Parallel()
	listed, tests := promisesListed(t), testNames(t)
	for _, made := range promisesMade(t) {
		i := slices.IndexFunc(listed, func(p promise) bool { return strings.HasPrefix(made, p.words) })
		if i < 0 {
			t.Errorf("no test is named for:\n%s", made)
			continue
		}
		listed[i].isMade = true
	}
	for _, p := range listed {
		if !p.isMade {
			t.Errorf("nobody promises any more:\n%s", p.words)
		}
		if len(p.tests) == 0 && !p.isExcused {
			t.Errorf("neither a test nor a reason, for:\n%s", p.words)
		}
		for _, name := range p.tests {
			if !slices.Contains(tests, name) {
				t.Errorf("there is no test %s, for:\n%s", name, p.words)
			}
		}
	}
}

// promise is what somebody says, or the beginning of that, and the tests that
// bear it out.
type promise struct {
	words     string
	tests     []string
	isExcused bool // there can be no test, and the list says why
	isMade    bool
}

// promisesListed reads the list: a promise in a line, and indented in the next its
// tests, or why there can be none.
func promisesListed(t *testing.T) (listed []promise) {
	t.Helper()
	file, err := os.Open("testdata/words.txt")
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		text, isTests := strings.CutPrefix(lines.Text(), "\t")
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
		case !isTests:
			listed = append(listed, promise{words: text})
		case strings.HasPrefix(text, "caller: "), strings.HasPrefix(text, "no test: "):
			listed[len(listed)-1].isExcused = true
		default:
			last := &listed[len(listed)-1]
			last.tests = append(last.tests, strings.Fields(text)...)
		}
	}
	require.NoError(t, lines.Err())
	return listed
}

// testNames are those of the tests and examples of this module, and behind a /
// those of what is quoted in them: the names of subtests.
func testNames(t *testing.T) (names []string) {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*_test.go", "schedulertest/*_test.go", "internal/*/*_test.go"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Test") && !strings.HasPrefix(fn.Name.Name, "Example") {
				continue
			}
			names = append(names, fn.Name.Name)
			ast.Inspect(fn, func(n ast.Node) bool {
				if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
					names = append(names, fn.Name.Name+"/"+strings.ReplaceAll(strings.Trim(s.Value, "\"`"), " ", "_"))
				}
				return true
			})
		}
	}
	return names
}

// promisesMade are all, each behind the name of who makes it.
func promisesMade(t *testing.T) (all []string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(readme), "| promise | test |\n|---|---|\n")
	require.True(t, found)
	for row := range strings.Lines(table) {
		if !strings.HasPrefix(row, "|") {
			break
		}
		all = append(all, "README: "+strings.TrimSpace(strings.Split(row, "|")[1]))
	}
	p := documentation(t)
	all = append(all, promisesOfPackage(p)...)
	eachComment(p, func(name, text string) {
		for _, sentence := range sentencesOf(text) {
			if promising.MatchString(sentence) {
				all = append(all, name+": "+sentence)
			}
		}
	})
	return all
}

func documentation(t *testing.T) *doc.Package {
	t.Helper()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(fset, files, "github.com/steptask/scheduler")
	require.NoError(t, err)
	return p
}

// promisesOfPackage are the points of the lists of guarantees and duties in
// doc.go, and the rows of its table of what blocks.
func promisesOfPackage(p *doc.Package) (all []string) {
	section := ""
	for _, block := range p.Parser().Parse(p.Doc).Content {
		switch block := block.(type) {
		case *comment.Heading:
			section = plainText(block.Text)
		case *comment.List:
			for _, item := range block.Items {
				all = append(all, section+": "+blocksText(item.Content))
			}
		case *comment.Code:
			if !strings.HasPrefix(section, "What blocks") {
				continue
			}
			_, rows, _ := strings.Cut(block.Text, "\n") // below the head
			for row := range strings.Lines(rows) {
				if row = strings.Join(strings.Fields(row), " "); row != "" {
					all = append(all, section+": "+row)
				}
			}
		}
	}
	return all
}

// eachComment calls do for every exported doc comment.
func eachComment(p *doc.Package, do func(name, text string)) {
	values := func(list []*doc.Value) {
		for _, v := range list {
			do(v.Names[0], v.Doc)
			for _, spec := range v.Decl.Specs {
				spec := spec.(*ast.ValueSpec)
				do(spec.Names[0].Name, spec.Doc.Text()+spec.Comment.Text())
			}
		}
	}
	functions := func(list []*doc.Func) {
		for _, f := range list {
			name := f.Name
			if f.Recv != "" {
				receiver, _, _ := strings.Cut(strings.TrimPrefix(f.Recv, "*"), "[")
				name = receiver + "." + name
			}
			do(name, f.Doc)
		}
	}
	values(p.Consts)
	values(p.Vars)
	functions(p.Funcs)
	for _, of := range p.Types {
		do(of.Name, of.Doc)
		values(of.Consts)
		values(of.Vars)
		functions(of.Funcs)
		functions(of.Methods)
		ast.Inspect(of.Decl, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if ok && len(field.Names) > 0 && field.Names[0].IsExported() {
				do(of.Name+"."+field.Names[0].Name, field.Doc.Text()+field.Comment.Text())
			}
			return true
		})
	}
}

// sentencesOf returns the sentences of a comment's paragraphs and lists.
func sentencesOf(text string) (sentences []string) {
	var parser comment.Parser
	for _, block := range parser.Parse(text).Content {
		left := blocksText([]comment.Block{block})
		for left != "" {
			end := sentenceEnd.FindStringIndex(left)
			if end == nil {
				end = []int{len(left), len(left)}
			}
			// The last byte is the first of the next sentence.
			sentences = append(sentences, strings.TrimSpace(left[:max(end[0], end[1]-1)]))
			left = left[max(end[0], end[1]-1):]
			if end[0] == end[1] {
				break
			}
		}
	}
	return sentences
}

var sentenceEnd = regexp.MustCompile(`[.!?]\)? [A-Z("]`)

func blocksText(blocks []comment.Block) string {
	var texts []string
	for _, block := range blocks {
		switch block := block.(type) {
		case *comment.Paragraph:
			texts = append(texts, plainText(block.Text))
		case *comment.List:
			for _, item := range block.Items {
				texts = append(texts, blocksText(item.Content))
			}
		}
	}
	return strings.Join(texts, " ")
}

func plainText(text []comment.Text) string {
	var b strings.Builder
	for _, part := range text {
		switch part := part.(type) {
		case comment.Plain:
			b.WriteString(string(part))
		case comment.Italic:
			b.WriteString(string(part))
		case *comment.Link:
			b.WriteString(plainText(part.Text))
		case *comment.DocLink:
			b.WriteString(plainText(part.Text))
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
