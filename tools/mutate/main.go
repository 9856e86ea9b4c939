// Command mutate finds what no test of the package in the current directory
// notices. It changes the package in one small way after the other, runs the
// tests, and lists the changes with which all of them still pass.
//
//	mutate [-files regexp] [-again file] [-explained file] [-tags tags]
//
// All changes are compiled in at once, and a variable of the environment says
// which is the active one; and only those tests run that get to the place of the
// change, the quickest first. So a mutant takes as long as a test needs to fail,
// and nothing to build. It needs Linux.
//
// It exits with 1 if a change survives that the -explained file does not quote.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

var (
	files     = flag.String("files", "", "mutate files with names that match only")
	tags      = flag.String("tags", "", "build tags")
	again     = flag.String("again", "", "file with the output of an earlier run: try only what survived in it")
	explained = flag.String("explained", "", "file that quotes the mutants that may survive, and says why")
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

// mutate tries all mutants and reports whether all survivors are explained.
func mutate() (ok bool, err error) {
	of, err := regexp.Compile(*files)
	if err != nil {
		return false, err
	}
	why, err := contents(*explained)
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
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	s, err := newSuite(in, dir)
	if err != nil {
		return false, err
	}
	began := time.Now()
	tried, killed, unexplained := 0, 0, 0
	for i, m := range in.mutants {
		if !of.MatchString(m.file) || *again != "" && !survivedIn(survived, m) {
			continue
		}
		tried++
		verdict := s.try(i + 1)
		mark := "killed   "
		switch {
		case verdict != "":
			killed++
		case strings.Contains(why, m.String()):
			mark = "explained"
		default:
			unexplained++
			mark = "SURVIVED "
		}
		fmt.Printf("%s %s:%d %s %s\n", mark, m.file, m.line, m, verdict)
	}
	lived := tried - killed - unexplained
	fmt.Printf("%d mutants: %d killed (%.1f %%), %d survived and explained, %d survived; %v\n",
		tried, killed, 100*float64(killed)/float64(max(tried, 1)), lived, unexplained, time.Since(began).Round(time.Second))
	return unexplained == 0, nil
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
