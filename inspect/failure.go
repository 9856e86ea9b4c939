package inspect

import (
	"errors"
	"fmt"
	"strings"

	"github.com/steptask/scheduler"
)

// failure is an error as it was when it happened: its texts are taken on the
// driving goroutine, once.
type failure struct {
	Text  string    `json:"text"` // on one line, shortened
	Chain []wrapped `json:"chain"`
	Stack string    `json:"stack,omitempty"` // of a panic
}

// wrapped is an error of a chain, or of a tree of them.
type wrapped struct {
	Depth int    `json:"depth"` // 0 is the error itself; what it wraps is one deeper
	Type  string `json:"type"`
	Text  string `json:"text"`
}

const (
	chainMax   = 50       // errors of a tree
	textMax    = 4 << 10  // bytes of one text
	stackMax   = 16 << 10 // bytes
	summaryMax = 300      // bytes of Text
)

// newFailure describes err in at most room bytes, or by Text alone. It runs the methods of err.
func newFailure(err error, room int) *failure {
	f := &failure{}
	f.Text = strings.Join(strings.Fields(cut(text(err), summaryMax)), " ")
	if room <= 0 {
		return f
	}
	f.describe(err, 0)
	var p *scheduler.PanicError
	if errors.As(err, &p) {
		f.Stack = cut(string(p.Stack), stackMax)
	}
	return f
}

// describe adds err and what it wraps.
func (f *failure) describe(err error, depth int) {
	if len(f.Chain) == chainMax {
		return
	}
	f.Chain = append(f.Chain, wrapped{Depth: depth, Type: fmt.Sprintf("%T", err), Text: cut(text(err), textMax)})
	switch e := err.(type) { //nolint:errorlint // All of the tree is walked, level by level.
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			f.describe(inner, depth+1)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if inner != nil {
				f.describe(inner, depth+1)
			}
		}
	}
}

// size is how many bytes the texts take.
func (f *failure) size() int {
	n := len(f.Text) + len(f.Stack)
	for _, w := range f.Chain {
		n += len(w.Type) + len(w.Text)
	}
	return n
}

// text is err.Error(), also if that panics.
func text(err error) string { return fmt.Sprintf("%v", err) }

// cut shortens s to about n bytes, between two runes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
