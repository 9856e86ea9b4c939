// Command mutate finds what no test of the package in the current directory
// notices. It changes the package in one small way after the other, runs the
// tests, and lists the changes with which all of them still pass.
//
//	mutate [-files regexp] [-again file] [-equivalent file] [-listed] [package ...]
//
// All changes are compiled in at once, and a variable of the environment says
// which is the active one; and only those tests run that get to the place of the
// change, first the quick ones and those that have noticed changes of the same file.
// So a mutant takes as long as a test needs to fail, and nothing to build. As many
// are tried at a time as there are processors. It needs Linux.
//
// The tests are those of the packages named, by default of the one that is
// changed, in their short form. The -equivalent file lists the changes that no test
// can notice, a line each, as survivors are printed; lines that begin with # are
// comments, and say why. They are only tried with -listed, since a change that is not
// noticed takes as long as all tests that get there. It exits with 1 if a change
// survives that is not listed, or if a run of all finds one listed that does not exist.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

var (
	files      = flag.String("files", "", "mutate files with names that match only")
	again      = flag.String("again", "", "file with the output of an earlier run: try only what survived in it")
	equivalent = flag.String("equivalent", "", "file that lists the mutants that may survive, and says why")
	tryListed  = flag.Bool("listed", false, "try the listed ones too")
	workers    = flag.Int("workers", runtime.NumCPU(), "how many mutants are tried at the same time")
	long       = flag.Bool("long", false, "run the tests in their long form")
	times      = flag.Bool("times", false, "print the number of each mutant and the processor time that it took")
	keep       = flag.String("keep", "", "directory for the tests that are built, which are kept: run one with MUTANT=number")
)

func main() {
	flag.Parse()
	ok, err := mutate()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// mutate tries all mutants and reports whether all survivors are listed.
func mutate() (ok bool, err error) {
	of, err := regexp.Compile(*files)
	if err != nil {
		return false, err
	}
	listed, err := readList(*equivalent)
	if err != nil {
		return false, err
	}
	survived, err := contents(*again)
	if err != nil {
		return false, err
	}
	in, err := instrument(".")
	if err != nil {
		return false, err
	}
	var stale []string
	if *files == "" && *again == "" { // all of them are looked at
		stale = listed.without(in.mutants)
	}
	for _, line := range stale {
		fmt.Printf("no such mutant: %s\n", line)
	}
	dir := *keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "mutate"); err != nil {
			return false, err
		}
		defer os.RemoveAll(dir)
	}
	s, err := newSuite(in, tested(), dir)
	if err != nil {
		return false, err
	}
	began := time.Now()
	var numbers []int
	untried := 0
	for i, m := range in.mutants {
		switch {
		case !of.MatchString(m.file) || *again != "" && !survivedIn(survived, m):
		case listed[m.String()] && !*tryListed:
			untried++
		default:
			numbers = append(numbers, i+1)
		}
	}
	killed, lived, unlisted := 0, 0, 0
	for i, v := range s.tryAll(in, numbers, *workers) {
		m := in.mutants[numbers[i]-1]
		mark := "killed   "
		switch {
		case v.killer != "":
			killed++
		case listed[m.String()]:
			mark = "listed   "
			lived++
		default:
			unlisted++
			mark = "SURVIVED "
		}
		if *times {
			mark += fmt.Sprintf("%4d %7.2fs ", numbers[i], v.used.Seconds())
		}
		fmt.Printf("%s %s:%d %s %s\n", mark, m.file, m.line, m, v.killer)
	}
	fmt.Printf("%d mutants: %d killed (%.1f %%), %d listed, of which %d were tried, %d survived; %v\n", len(numbers)+untried,
		killed, 100*float64(killed)/float64(max(len(numbers)+untried, 1)), untried+lived, lived, unlisted, time.Since(began).Round(time.Second))
	return unlisted+len(stale) == 0, nil
}

// tested returns the packages whose tests count.
func tested() []string {
	if flag.NArg() == 0 {
		return []string{"."}
	}
	return flag.Args()
}

// list is the names of mutants.
type list map[string]bool

func readList(file string) (list, error) {
	text, err := contents(file)
	l := list{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			l[line] = true
		}
	}
	return l, err
}

// without returns the names in l that none of the mutants has, sorted.
func (l list) without(mutants []mutant) []string {
	left := maps.Clone(l)
	for _, m := range mutants {
		delete(left, m.String())
	}
	return slices.Sorted(maps.Keys(left))
}

// contents returns what is in a file, if one is named.
func contents(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	return string(b), err
}

// survivedIn reports whether a mutant is among the survivors of a run's output.
func survivedIn(output string, m mutant) bool {
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "killed") && strings.HasSuffix(strings.TrimSpace(line), " "+m.String()) {
			return true
		}
	}
	return false
}
