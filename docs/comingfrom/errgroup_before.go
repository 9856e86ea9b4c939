package comingfrom

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// errgroupBefore creates the site wave by wave.
func errgroupBefore(ctx context.Context, create func(ctx context.Context, name string) error) error {
	for _, wave := range [][]string{{"network", "volume", "bucket"}, {"server"}, {"dns"}} {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(3)
		for _, name := range wave {
			g.Go(func() error { return create(ctx, name) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}
