package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write measures what the pages show and writes it into them, below dir: what stands
// between a comment "report NAME" and a comment "end of report" is replaced. A page
// is written once all of it is measured.
func (r *report) write(ctx context.Context, dir string) error {
	for _, page := range []struct {
		path  string
		parts []part
	}{
		{"docs/performance.md", []part{{"limits", r.limits}, {"scaling", r.scaling}, {"growth", r.growth}}},
		{"README.md", []part{{"nodes", r.nodes}}},
	} {
		path := filepath.Join(dir, page.path)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, part := range page.parts {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			t, err := part.measure(ctx)
			if err != nil {
				return err
			}
			t.title = "" // the page has its own
			if text, err = replace(text, part.name, t.String()+"\n"+machine(ctx)+"\n"); err != nil {
				return fmt.Errorf("%s: %w", page.path, err)
			}
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // a page that everybody may read
			return err
		}
		fmt.Println("written:", page.path)
	}
	return nil
}

// part is a table of a page.
type part struct {
	name    string
	measure func(context.Context) (*table, error)
}

// replace puts text between the comments of a part.
func replace(page []byte, name, text string) ([]byte, error) {
	begin, end := fmt.Sprintf("<!-- report %s -->\n", name), "<!-- end of report -->\n"
	before, rest, ok := strings.Cut(string(page), begin)
	if !ok {
		return nil, fmt.Errorf("there is no line %q", strings.TrimSpace(begin))
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return nil, fmt.Errorf("no line %q follows %q", strings.TrimSpace(end), strings.TrimSpace(begin))
	}
	return []byte(before + begin + text + end + after), nil
}
