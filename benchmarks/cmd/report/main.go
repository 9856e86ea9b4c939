// Command report measures the library beside floors and peers and prints what
// it finds as Markdown.
//
//	go run ./benchmarks/cmd/report           everything, some minutes
//	go run ./benchmarks/cmd/report -quick    the same, smaller, under a minute
//	go run ./benchmarks/cmd/report -check    the limits only; exits with 1 and the first that is broken
//	go run ./benchmarks/cmd/report -growth   how the cost of each operation grows with its size
//	go run ./benchmarks/cmd/report -write .  measure the tables of README.md and docs/performance.md, and write them
//	go run ./benchmarks/cmd/report -soak 5m  random groups made, run and cancelled; heap and goroutines stay flat
//
// With -check, -quick allows twice each limit, but for what is counted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/steptask/scheduler/benchmarks/internal/limits"
	"github.com/steptask/scheduler/benchmarks/internal/soak"
)

func main() {
	var r report
	flag.BoolVar(&r.quick, "quick", false, "smaller and fewer: under a minute")
	flag.IntVar(&r.reps, "reps", 0, "runs of which the median is taken (default 9, quick 3)")
	flag.StringVar(&r.only, "rows", "", "only the limits whose names contain `text`")
	check := flag.Bool("check", false, "compare with the limits, nothing else")
	grows := flag.Bool("growth", false, "print the table of growth, nothing else")
	write := flag.String("write", "", "measure the tables of README.md and docs/performance.md, and write them below this `directory`")
	long := flag.Duration("soak", 0, "make, run and cancel random groups for this `time`")
	flag.Parse()
	if r.reps == 0 {
		r.reps = 9
		if r.quick {
			r.reps = 3
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *long > 0:
		err = soak.Run(ctx, *long, os.Stdout)
	case *check:
		err = r.check()
	case *grows:
		err = r.print(ctx, r.growth)
	case *write != "":
		err = r.write(ctx, *write)
	default:
		err = r.all(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		stop()
		os.Exit(1)
	}
}

// report is one run of the command.
type report struct {
	quick bool
	reps  int
	only  string
}

// most is the number of nodes of the largest graphs.
func (r *report) most() int {
	if r.quick {
		return 100_000
	}
	return 1_000_000
}

// check measures the limits one by one. A row that seems broken is measured
// again, twice at most: noise passes, and what is slow stays so.
func (r *report) check() error {
	var first error
	broken := 0
	for _, row := range slices.Concat(limits.Rows(r.most()), limits.Growth()) {
		if !strings.Contains(row.Name, r.only) {
			continue
		}
		result := row.Measure(r.reps)
		for range 2 {
			if row.Exact || !row.Broken(result.Value, r.quick) || row.Missed(result.Value, r.quick) {
				break
			}
			result = row.Measure(2 * r.reps)
		}
		verdict := "ok"
		if row.Missed(result.Value, r.quick) {
			verdict = "missed"
		} else if row.Broken(result.Value, r.quick) {
			verdict = "BROKEN"
			broken++
			if first == nil {
				first = fmt.Errorf("%s: %.3g, at most %.3g (%s)", row.Name, result.Value, row.Most(r.quick), result.Detail)
			}
		}
		fmt.Printf("%-6s %7.3g <= %-6.3g %s (%s)\n", verdict, result.Value, row.Most(r.quick), row.Name, result.Detail)
	}
	if first != nil {
		return fmt.Errorf("%d limits are broken, the first is %w", broken, first)
	}
	return nil
}

// all prints every table.
func (r *report) all(ctx context.Context) error {
	start := time.Now()
	fmt.Println(machine(ctx))
	for _, part := range []func(context.Context) (*table, error){
		r.limits, r.growth, r.shapes, r.kinds, r.keys, r.peers, r.std, r.scaling,
	} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.print(ctx, part); err != nil {
			return err
		}
	}
	fmt.Printf("Measured in %v.\n", time.Since(start).Round(time.Second))
	return nil
}

func (r *report) print(ctx context.Context, part func(context.Context) (*table, error)) error {
	t, err := part(ctx)
	if err == nil {
		fmt.Println(t)
	}
	return err
}
