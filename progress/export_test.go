package progress

import "io"

// NewSized is New for a terminal of that size.
func NewSized(w io.Writer, opts *Options, size func() (width, height int)) *Progress {
	return newProgress(w, opts, size)
}

// Kept returns how many groups, running nodes and paths are kept.
func (p *Progress) Kept() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nodes.groups.Len() + p.nodes.running.Len() + len(p.nodes.byPath)
}
