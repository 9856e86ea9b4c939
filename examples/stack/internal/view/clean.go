package view

import (
	"io"
	"strings"
	"unicode"
)

// Clean is a writer that takes out of a text what would do anything to a terminal
// but show it: what a process or a URL has said is in many a message.
type Clean struct{ W io.Writer }

func (c Clean) Write(b []byte) (int, error) {
	text := strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return ' '
		}
		return r
	}, string(b))
	if _, err := io.WriteString(c.W, text); err != nil {
		return 0, err
	}
	return len(b), nil
}
