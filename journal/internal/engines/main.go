// Command engines measures the journal beside other ways to make a run durable, each
// with SQLite or a file on the same disk, and prints what it finds as Markdown:
//
//	go run .           some minutes
//	go run . -quick    smaller graphs, once each: half a minute
//	go run . -check    the promises of the journal alone; exits with 1 if one is broken
//
// It is a module of its own, since no go.work could join what the engines require.
// All nodes do nothing, so that what is measured is what durability costs. Each row
// is the median of runs that take turns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "smaller graphs, once each")
	check := flag.Bool("check", false, "the promises alone")
	dir := flag.String("dir", "", "where the files go: the disk that is measured (default the system's for temporary files)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	m := measure{dir: *dir, reps: 3, nodes: 1000, quick: *quick}
	if *quick {
		m.reps, m.nodes = 1, 100
	}
	err := m.promises(ctx)
	if !*check {
		err = errors.Join(err, m.report(ctx))
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		os.Exit(1)
	}
}

// measure is one run of the command.
type measure struct {
	dir   string
	quick bool
	reps  int
	nodes int
}

// report prints a table of engines, by graph.
func (m measure) report(ctx context.Context) error {
	for _, g := range []graph{wide(m.nodes), layered(m.nodes/50, 50), chain(m.nodes)} {
		rates, err := m.rates(ctx, g)
		if err != nil {
			return err
		}
		fmt.Printf("\n| %s | survives | nodes/s | journal is |\n|---|---|---:|---:|\n", g.name)
		for i, e := range engines {
			like := rates[0]
			if e.survives == process {
				like = rates[1]
			}
			fmt.Printf("| %s | the %s | %.0f | %.1f× |\n", e.name, e.survives, rates[i], like/rates[i])
		}
	}
	return nil
}

// rates returns the nodes a second of each engine.
func (m measure) rates(ctx context.Context, g graph) ([]float64, error) {
	samples := make([][]float64, len(engines))
	for range m.reps {
		for i, e := range engines {
			took, err := m.inDir(func(dir string) (time.Duration, error) { return e.walk(ctx, dir, g) })
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", e.name, g.name, err)
			}
			samples[i] = append(samples[i], float64(len(g.keys))/took.Seconds())
		}
	}
	rates := make([]float64, len(engines))
	for i := range samples {
		rates[i] = median(samples[i])
	}
	return rates, nil
}

// inDir calls fn with a folder of its own.
func (m measure) inDir(fn func(dir string) (time.Duration, error)) (time.Duration, error) {
	dir, err := os.MkdirTemp(m.dir, "engines")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	return fn(dir)
}

func median(samples []float64) float64 {
	slices.Sort(samples)
	return samples[len(samples)/2]
}
