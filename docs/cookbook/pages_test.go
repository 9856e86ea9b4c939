package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// Every recipe has its page, and all pages have one form: each says which goroutine
// runs what.
func TestPages_form(t *testing.T) {
	index, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for number := 1; number <= 17; number++ {
		found, err := filepath.Glob(fmt.Sprintf("%02d_*.md", number))
		require.NoError(t, err)
		require.Len(t, found, 1)
		page, err := os.ReadFile(found[0])
		require.NoError(t, err)

		title := regexp.MustCompile(`\A# \d+\. .*\n`).FindString(string(page))
		require.Contains(t, string(index), fmt.Sprintf("\n%d. [%s](%s)\n", number, title[len("# 1. ")+number/10:len(title)-1], found[0]))
		headings := regexp.MustCompile(`(?m)^## .*$`).FindAllString(string(page), -1)
		require.Equal(t, []string{
			"## Problem", "## Program", "## What happens, and why", "## Pitfalls", "## Next",
		}, headings, found[0])
		require.Equal(t, 1, strings.Count(string(page), "\n**Goroutines.** "), found[0])
	}
}

// All Go code and output on a page is quoted by embedmd from a file that tests run.
// Commands, plain text and pictures may stand alone.
func TestPages_quote_their_code(t *testing.T) {
	alone := regexp.MustCompile("^```(sh|text|dot|mermaid)\n")
	for _, dir := range []string{".", "..", "../comingfrom"} {
		pages, err := filepath.Glob(filepath.Join(dir, "*.md"))
		require.NoError(t, err)
		require.NotEmpty(t, pages)
		for _, page := range pages {
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			before, inside := "", false
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "```") {
					if !inside && !alone.MatchString(line) {
						require.True(t, strings.HasPrefix(before, "[embedmd]:# "), "%s: %s", page, line)
					}
					inside = !inside
				}
				before = line
			}
			require.False(t, inside, page)
		}
	}
}

// Links between files lead somewhere.
func TestPages_links(t *testing.T) {
	code := regexp.MustCompile("(?ms)^```.*?^```$")
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	links := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && len(name) > 2 && (name[0] == '.' || name == "testdata") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			_, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(target)))
			require.NoError(t, err, "%s links to %s", path, match[1])
		}
		return nil
	}))
	require.Greater(t, links, 50)
}
