// Command cookbook runs the recipes of the cookbook, in real time:
//
//	go run ./docs/cookbook 1
//
// The tests run them in bubbles of testing/synctest, where time costs nothing,
// and compare what they print with testdata. The pages quote both.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"time"
)

// recipe is a program that prints what it does.
type recipe struct {
	number int
	run    func(ctx context.Context, cloud *cloud, say say) error
}

// Recipes 11 and 15 are tests.
var recipes = []recipe{
	{1, createWithPolling},
	{2, deleteInReverse},
	{3, rollBack},
	{4, resume},
	{5, limitVolumes},
	{6, retryWithBackoff},
	{7, deadlineAroundPart},
	{8, cleanUpUnderGrace},
	{9, replaceUpdate},
	{10, reconcileLoop},
	{12, nestedGroups},
	{13, resultsBetweenTasks},
	{14, watchLive},
	{16, makeWhatArrives},
	{17, testBehindServices},
}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: cookbook number\nRecipes 11 and 15 are tests: go test -v ./docs/cookbook")
	}
	flag.Parse()
	if flag.NArg() == 1 {
		number, _ := strconv.Atoi(flag.Arg(0)) // 0 is no recipe either
		for _, r := range recipes {
			if r.number == number {
				ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
				r.show(ctx, os.Stdout)
				stop()
				return
			}
		}
	}
	flag.Usage()
	os.Exit(2)
}

// show runs the recipe and prints how it ended.
func (r recipe) show(ctx context.Context, w io.Writer) {
	say := sayTo(w)
	if err := r.run(ctx, newCloud(), say); err != nil {
		say("error: %v", err)
	}
}

// say prints a line, with the seconds since the start of the recipe.
type say func(format string, args ...any)

func sayTo(w io.Writer) say {
	start := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(w, "%4.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
}
