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
	Stack string    `json:"stack,omitempty"` // of a panic, or of a call that was left behind
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
	summaryMin = 60       // bytes of Text, if there is no room
)

// newFailure describes err in about room bytes, or by a short Text alone. It runs
// the methods of err, each once, and survives their panics.
func newFailure(err error, room int) (f *failure) {
	f = &failure{}
	whole := text(err)
	if room <= 0 {
		f.Text = oneLine(cut(whole, summaryMin))
		return f
	}
	f.Text = oneLine(cut(whole, summaryMax))
	defer func() { _ = recover() }() // of an Unwrap or As: what there is so far stays
	f.describe(err, whole, 0)
	var p *scheduler.PanicError
	var a *scheduler.AbandonedError
	switch {
	case errors.As(err, &p):
		f.Stack = cut(string(p.Stack), stackMax)
	case errors.As(err, &a):
		f.Stack = cut(string(a.Stack), stackMax)
	}
	return f
}

// oneLine puts a text on one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// describe adds err, which says said, and what it wraps.
func (f *failure) describe(err error, said string, depth int) {
	f.Chain = append(f.Chain, wrapped{Depth: depth, Type: fmt.Sprintf("%T", err), Text: cut(said, textMax)})
	switch e := err.(type) { //nolint:errorlint // All of the tree is walked, level by level.
	case interface{ Unwrap() error }:
		f.describeInner(e.Unwrap(), depth+1)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			f.describeInner(inner, depth+1)
		}
	}
}

func (f *failure) describeInner(err error, depth int) {
	if err != nil && len(f.Chain) < chainMax {
		f.describe(err, text(err), depth)
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
