// Command engines measures the journal beside other ways to make a run durable, each
// with SQLite or a file on the same disk, and prints what it finds as Markdown:
//
//	go run .           some minutes
//	go run . -quick    smaller graphs, once each: half a minute
//	go run . -check    the promises of the journal alone; exits with 1 if one is broken
//
// It is a module of its own, since no go.work could join what the engines require.
// All nodes do nothing, so that what is measured is what durability costs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
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
	m := measure{dir: *dir, reps: 5, nodes: 1000, quick: *quick}
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
		fmt.Printf("\n| %s | survives the death of | nodes/s | journal is |\n|---|---|---:|---:|\n", g.name)
		for i, e := range engines {
			if i < 2 {
				rate, _, err := m.beside(ctx, e, e, g)
				if err != nil {
					return err
				}
				fmt.Printf("| %s | the %s | %s | |\n", e.name, e.survives, round(rate))
				continue
			}
			like := engines[0]
			if e.survives == process {
				like = engines[1]
			}
			rate, ratio, err := m.beside(ctx, e, like, g)
			if err != nil {
				return err
			}
			fmt.Printf("| %s | the %s | %s | %s× |\n", e.name, e.survives, round(rate), times(ratio))
		}
	}
	return nil
}

// round returns a rate with two digits: more would not be the same tomorrow.
func round(rate float64) string {
	unit := math.Pow(10, math.Floor(math.Log10(rate))-1)
	return fmt.Sprintf("%.0f", math.Round(rate/unit)*unit)
}

func times(ratio float64) string {
	switch {
	case ratio >= 10:
		return fmt.Sprintf("%.0f", ratio)
	case ratio >= 1:
		return fmt.Sprintf("%.1f", ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}

// beside returns the nodes a second of an engine, and how many times as many another
// one walks: medians of turns, in each of which one walks right after the other, since
// a disk is fast now and slow then.
func (m measure) beside(ctx context.Context, e, like engine, g graph) (rate, ratio float64, err error) {
	var rates, ratios []float64
	for range m.reps {
		var turn [2]float64
		for i, e := range []engine{e, like} {
			took, err := m.inDir(func(dir string) (time.Duration, error) { return e.walk(ctx, dir, g) })
			if err != nil {
				return 0, 0, fmt.Errorf("%s, %s: %w", e.name, g.name, err)
			}
			turn[i] = float64(len(g.keys)) / took.Seconds()
		}
		rates, ratios = append(rates, turn[0]), append(ratios, turn[1]/turn[0])
	}
	return median(rates), median(ratios), nil
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
