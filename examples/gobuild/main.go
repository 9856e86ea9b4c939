// Gobuild has the go command build packages from scratch and says what took the
// time: which chain of packages made the build as long as it was, which others
// came close, and what a higher limit of processes would have brought.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("gobuild", flag.ContinueOnError)
	limit := f.Int("p", runtime.GOMAXPROCS(0), "how many `processes` at a time")
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "usage: gobuild [flags] [package ...]    says what takes the time when Go builds packages")
		f.PrintDefaults()
	}
	dir := f.String("o", "", "`directory` for the timeline, as gobuild.svg and gobuild.json (open that in ui.perfetto.dev)")
	if err := f.Parse(args); err != nil {
		return err
	}
	packages := f.Args()
	if len(packages) == 0 {
		packages = []string{"net/http"}
	}
	fmt.Fprintf(os.Stderr, "building %v and all that it requires, from scratch, %d at a time ...\n", packages, *limit)
	b, err := Make(ctx, *limit, packages...)
	if err != nil {
		return err
	}
	if err := b.WriteReport(out); err != nil {
		return err
	}
	if *dir == "" {
		return nil
	}
	return errors.Join(
		write(filepath.Join(*dir, "gobuild.svg"), b.WriteSVG),
		write(filepath.Join(*dir, "gobuild.json"), b.WriteTrace))
}

func write(name string, content func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(content(file), file.Close())
}
