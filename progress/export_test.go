package progress

import "io"

// NewSized is New for a terminal of that size.
func NewSized(w io.Writer, opts *Options, size func() (width, height int)) *Progress {
	return newProgress(w, opts, size)
}
