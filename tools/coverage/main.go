// Command coverage holds a coverage profile to its promises: a least share of
// statements is covered, and every block that is not says why.
//
//	coverage -min 95 profile
//
// A block says why by a comment inside it that begins with "Not covered:".
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/cover"
)

const mark = "// Not covered: "

func main() {
	least := flag.Float64("min", 0, "least covered share of statements, in percent")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := check(flag.Arg(0), *least); err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(1)
	}
}

// check reads the profile of the package in the current directory. It prints
// each block that is not covered, with its reason.
func check(name string, least float64) error {
	profiles, err := cover.ParseProfiles(name)
	if err != nil {
		return err
	}
	var statements, covered, unexplained int
	for _, profile := range profiles {
		file := filepath.Base(profile.FileName)
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		lines := strings.Split(string(source), "\n")
		for _, block := range profile.Blocks {
			statements += block.NumStmt
			if block.Count > 0 {
				covered += block.NumStmt
				continue
			}
			if block.NumStmt == 0 {
				continue
			}
			why := reason(lines[block.StartLine-1 : block.EndLine])
			if why == "" {
				why = "says no reason"
				unexplained++
			}
			fmt.Printf("%s:%d: not covered: %s\n", file, block.StartLine, why)
		}
	}
	if statements == 0 {
		return fmt.Errorf("%s: no statements", name)
	}
	share := 100 * float64(covered) / float64(statements)
	fmt.Printf("%.2f %% of %d statements covered\n", share, statements)
	if share < least {
		return fmt.Errorf("less than %g %%", least)
	}
	if unexplained > 0 {
		return fmt.Errorf("%d blocks say no reason; cover them, or begin a comment inside with %q", unexplained, mark)
	}
	return nil
}

// reason returns what follows the mark in the lines of a block, or "".
func reason(lines []string) string {
	for _, line := range lines {
		if _, why, found := strings.Cut(line, mark); found {
			return strings.TrimSpace(why)
		}
	}
	return ""
}
