// Package comingfrom has programs twice: as they are written with something
// else, and with package scheduler. The pages beside it quote them; its tests
// run them.
package comingfrom

import (
	"context"

	"github.com/steptask/scheduler"
)

// program creates a site by calls of create, which blocks until a thing is made.
type program func(ctx context.Context, create func(ctx context.Context, name string) error) error

// names are what there is to create, and requires what it needs before.
var (
	names    = []string{"network", "volume", "bucket", "server", "dns"}
	requires = map[string][]string{"server": {"network", "volume"}, "dns": {"server"}}
)

// site is the same as a graph.
func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for _, name := range names {
		deps.Add(name, requires[name]...)
	}
	return deps
}
