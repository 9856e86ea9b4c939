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
	"math"
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
		err = r.check(ctx)
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

// check measures the limits one by one. Rows that seem broken are measured again when
// all others have been, with pauses, and the least that was found counts: noise passes,
// and what is slow stays so.
func (r *report) check(ctx context.Context) error {
	var suspects []found
	for _, row := range slices.Concat(limits.Rows(r.most()), limits.Growth()) {
		if !strings.Contains(row.Name, r.only) {
			continue
		}
		f := found{row, row.Measure(r.reps)}
		if f.isBroken(r.quick) {
			fmt.Println("later ", f.text(r.quick))
			suspects = append(suspects, f)
			continue
		}
		f.print(r.quick)
	}
	for round := 0; round < 4 && ctx.Err() == nil && slices.ContainsFunc(suspects, func(f found) bool { return f.isBroken(r.quick) }); round++ {
		select {
		case <-time.After(time.Duration(round) * 10 * time.Second): // somebody else may be at work
		case <-ctx.Done():
		}
		for i := range suspects {
			if f := &suspects[i]; f.isBroken(r.quick) {
				f.again(2 * r.reps)
			}
		}
	}
	var first error
	broken := 0
	for _, f := range suspects {
		f.print(r.quick)
		if f.isBroken(r.quick) {
			broken++
			if first == nil {
				first = fmt.Errorf("%s: %.3g, at most %.3g (%s)", f.row.Name, f.result.Value, f.row.Most(r.quick), f.result.Detail)
			}
		}
	}
	if first != nil {
		return fmt.Errorf("%d limits are broken, the first is %w", broken, first)
	}
	return nil
}

// found is what was measured for a row.
type found struct {
	row    limits.Row
	result limits.Result
}

func (f *found) isBroken(quick bool) bool {
	return f.row.Broken(f.result.Value, quick) && !f.row.Missed(f.result.Value, quick)
}

// again measures once more, and keeps the lesser of both.
func (f *found) again(reps int) {
	if result := f.row.Measure(reps); result.Value < f.result.Value || math.IsNaN(f.result.Value) {
		f.result = result
	}
}

func (f *found) print(quick bool) {
	verdict := "ok"
	switch {
	case f.isBroken(quick):
		verdict = "BROKEN"
	case f.row.Missed(f.result.Value, quick):
		verdict = "missed"
	}
	fmt.Printf("%-6s %s\n", verdict, f.text(quick))
}

func (f *found) text(quick bool) string {
	return fmt.Sprintf("%7.3g <= %-6.3g %s (%s)", f.result.Value, f.row.Most(quick), f.row.Name, f.result.Detail)
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
