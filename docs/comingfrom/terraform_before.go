package comingfrom

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform/dag"
)

// terraformBefore walks an AcyclicGraph: two goroutines for each vertex.
func terraformBefore(ctx context.Context, create func(ctx context.Context, name string) error) error {
	var graph dag.AcyclicGraph
	for _, name := range names {
		graph.Add(name)
	}
	for name, required := range requires {
		for _, r := range required {
			graph.Connect(dag.BasicEdge(name, r))
		}
	}
	if cycles := graph.Cycles(); len(cycles) > 0 {
		return fmt.Errorf("cycles: %v", cycles)
	}
	slots := make(chan struct{}, 3) // as for -parallelism
	return graph.Walk(func(v dag.Vertex) error {
		slots <- struct{}{}
		defer func() { <-slots }()
		return create(ctx, v.(string))
	})
}
