// Stack creates a stack of real things on this machine from a template: files,
// ports, processes, a database. It creates them in the order of their
// dependencies and side by side, waits for Ctrl-C, and deletes them in reverse.
//
// It is what the scheduler was made for, in small: an orchestration engine. The
// templates are those of OpenStack Heat; see README.md beside this file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/service"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/examples/stack/internal/view"
)

const usage = `Stack creates real things on this machine from a Heat template, and deletes them again.

  stack up      create the stack, wait for Ctrl-C or down, delete it
  stack down    delete the stack; also after up was killed
  stack plan    show what up would create, and in which order
  stack status  show what there is
  stack types   list the types of resources
  stack serve   run the small HTTP service that the built-in template starts

"stack COMMAND -h" lists the flags of a command.
`

// The program's exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// stdout and stderr take what others have a say in: templates and processes.
var (
	stdout = view.Clean{W: os.Stdout}
	stderr = view.Clean{W: os.Stderr}
)

// errReported ends the program without a further message.
var errReported = errors.New("reported")

// errInterrupted ends the program after an interrupt and what it led to.
var errInterrupted = errors.New("interrupted")

func main() {
	process.Gate()
	commands := map[string]func(context.Context, []string) error{
		"up": up, "down": down, "plan": plan, "status": status, "types": types, "serve": serve,
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(exitUsage)
	}
	name := os.Args[1]
	switch command := commands[name]; {
	case command != nil:
		os.Exit(exitCode(name, command(context.Background(), os.Args[2:])))
	case slices.Contains([]string{"-h", "-help", "--help", "help"}, name):
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "%s\nThere is no command %q.\n", usage, name)
		os.Exit(exitUsage)
	}
}

// exitCode says what went wrong with a command, if that was not said before,
// and returns the program's exit code.
func exitCode(command string, err error) int {
	var wrong usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "%v; \"stack %s -h\" lists the flags.\n", err, command)
		return exitUsage
	}
	fmt.Fprintln(stderr, err)
	if state.IsFull(err) {
		fmt.Fprintln(os.Stderr, state.FullAdvice)
	}
	return exitFailed
}

// usageError is the error of a command that was called in a wrong way.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func plan(_ context.Context, args []string) error {
	var s settings
	f := s.flags("plan")
	s.templateFlags(f)
	dot := f.Bool("dot", false, "print the dependencies in the language of Graphviz")
	if err := s.parse(f, args); err != nil {
		return err
	}
	p, _, err := s.load()
	if err != nil {
		return err
	}
	if *dot {
		return p.Deps.WriteDOT(os.Stdout)
	}
	return p.WriteTree(os.Stdout)
}

func status(ctx context.Context, args []string) error {
	var s settings
	if err := s.parse(s.flags("status"), args); err != nil {
		return err
	}
	if !state.Exists(engine.StatePath(s.dir, s.name)) {
		fmt.Printf("There is no stack %q.\n", s.name)
		return nil
	}
	store, err := state.Open(engine.StatePath(s.dir, s.name))
	if err != nil {
		return err
	}
	defer store.Close()
	run, err := store.Run(ctx)
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, name := range sortedKeys(run.Records) {
		rec := run.Records[name]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, rec.Type, rec.Status, rec.Reason)
	}
	return errors.Join(err, table.Flush())
}

func types(_ context.Context, args []string) error {
	var s settings
	if err := s.parse(s.flags("types"), args); err != nil {
		return err
	}
	kinds := resource.Kinds()
	for _, name := range sortedKeys(kinds) {
		kind := kinds[name]
		fmt.Printf("%s: %s\n", name, kind.Summary)
		for _, p := range sortedKeys(kind.Properties) {
			required := ""
			if kind.Properties[p].Required {
				required = ", required"
			}
			fmt.Printf("    %-20s %s%s\n", p, kind.Properties[p].Type, required)
		}
		if len(kind.Attributes) > 0 {
			fmt.Printf("    attributes: %s\n", strings.Join(kind.Attributes, ", "))
		}
	}
	return nil
}

func serve(ctx context.Context, args []string) error {
	ctx, end := catchInterrupts().phase(ctx)
	defer end()
	config, err := service.ParseFlags(args, os.Stdout)
	if err != nil {
		return usageError{err}
	}
	return service.Run(ctx, config, os.Stderr)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
