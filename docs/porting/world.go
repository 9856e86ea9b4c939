// Package porting has walkers of well-known shapes twice: as a sketch of the old
// one, and ported to package scheduler. The page docs/porting.md quotes them; the
// tests run them and record what they do.
package porting

import "context"

// world is what the programs act on.
type world struct {
	// call does the thing of that name, and blocks meanwhile. It returns when its
	// context ends.
	call func(ctx context.Context, name string) error
	// say writes a line; any goroutine may use it.
	say func(format string, args ...any)
}
