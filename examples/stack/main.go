// Stack creates a stack of real things on this machine from a template: files,
// ports, processes, a database. It creates them in the order of their
// dependencies and side by side, waits for Ctrl-C, and deletes them in reverse.
//
// It is what the scheduler was made for, in small: an orchestration engine. The
// templates are those of OpenStack Heat; see README.md beside this file.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/service"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/steptask/scheduler/examples/stack/internal/view"
	"github.com/steptask/scheduler/progress"
)

//go:embed default.yaml
var defaultTemplate string

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

// errReported ends the program without a further message.
var errReported = errors.New("reported")

// errInterrupted ends the program after an interrupt and what it led to.
var errInterrupted = errors.New("interrupted")

func main() {
	process.Gate()
	commands := map[string]func(context.Context, []string) error{
		"up": up, "down": down, "plan": plan, "status": status, "types": types, "serve": serve,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(exitUsage)
	}
	err := commands[os.Args[1]](context.Background(), os.Args[2:])
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errInterrupted):
		os.Exit(exitInterrupted)
	case errors.Is(err, errReported):
		os.Exit(exitFailed)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
}

// interrupts takes Ctrl-C and SIGTERM for the phases of a command.
type interrupts chan os.Signal

func catchInterrupts() interrupts {
	i := make(interrupts, 1)
	signal.Notify(i, os.Interrupt, syscall.SIGTERM)
	return i
}

// phase returns a context that the next interrupt ends. Each phase of a command
// has one of its own: an interrupt ends the phase that is under way, or the next
// one if it comes between two. end says whether the phase was interrupted.
func (i interrupts) phase(ctx context.Context) (_ context.Context, end func() bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	watching := make(chan struct{})
	interrupted := false
	go func() {
		defer close(watching)
		select {
		case sig := <-i:
			interrupted = true
			cancel(fmt.Errorf("%w: %v", errInterrupted, sig))
		case <-ctx.Done():
		}
	}()
	return ctx, func() bool {
		cancel(nil)
		<-watching
		return interrupted
	}
}

// settings are the flags that several commands share.
type settings struct {
	name       string
	dir        string
	template   string
	parameters map[string]string
	simulate   bool
	times      string
	progress   string
}

func (s *settings) flags(command string) *flag.FlagSet {
	s.parameters = map[string]string{}
	f := flag.NewFlagSet("stack "+command, flag.ContinueOnError)
	f.StringVar(&s.name, "name", "demo", "`name` of the stack")
	f.StringVar(&s.dir, "dir", ".stack", "`directory` for the state file and the stack's own files")
	return f
}

func (s *settings) templateFlags(f *flag.FlagSet) {
	f.StringVar(&s.template, "template", "", "HOT template `file` (default: the one built in)")
	f.Func("param", "`name=value` of a parameter; may be given again", func(v string) error {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return errors.New("not name=value")
		}
		s.parameters[name] = value
		return nil
	})
	f.BoolVar(&s.simulate, "simulate", false, "create stand-ins for resources of any type, in simulated time")
	f.StringVar(&s.times, "sim-time", "", "`type=time,...` that stand-ins take; a type may be a pattern such as OS::Nova::*")
}

func (s *settings) progressFlag(f *flag.FlagSet) {
	f.StringVar(&s.progress, "progress", "auto", "`how` to show progress: live, plain, or auto by whether this is a terminal")
}

// parse parses the flags and refuses what is left over.
func (s *settings) parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return errors.Join(errReported, err)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if s.name == "" || s.name != filepath.Base(s.name) || strings.HasPrefix(s.name, ".") {
		return fmt.Errorf("-name %q cannot be the name of a stack", s.name)
	}
	return nil
}

// view returns what shows progress, by the clock of the run.
func (s *settings) view(clock scheduler.Clock) (engine.View, error) {
	mode, known := map[string]progress.Mode{
		"live": progress.Live, "plain": progress.Plain, "auto": progress.Auto,
	}[s.progress]
	if !known {
		return nil, fmt.Errorf("-progress must be live, plain or auto, not %q", s.progress)
	}
	if s.simulate && mode == progress.Auto {
		mode = progress.Plain // it is over before there is anything to see
	}
	return &view.Progress{W: os.Stdout, Mode: mode, Clock: clock}, nil
}

// standIns returns how long stand-ins take; nil without -simulate.
func (s *settings) standIns() (*resource.Times, error) {
	if !s.simulate {
		return nil, nil
	}
	times, err := resource.ParseTimes(s.times)
	return &times, err
}

// load reads the template and makes a plan of it.
func (s *settings) load() (*engine.Plan, state.Stack, error) {
	source := state.Stack{Template: s.template, Source: defaultTemplate, Parameters: s.parameters}
	if s.template == "" {
		source.Template = "default.yaml"
	} else {
		b, err := os.ReadFile(s.template)
		if err != nil {
			return nil, source, err
		}
		source.Source = string(b)
	}
	times, err := s.standIns()
	if err != nil {
		return nil, source, err
	}
	t, err := template.Parse(source.Template, []byte(source.Source))
	if err != nil {
		return nil, source, err
	}
	bound, err := t.Bind(template.Options{
		Parameters: s.parameters,
		Pseudo:     s.pseudoParameters(),
		StandIns:   s.simulate,
		ReadFile: func(name string) ([]byte, error) {
			return os.ReadFile(filepath.Join(filepath.Dir(source.Template), name))
		},
	})
	if err != nil {
		return nil, source, err
	}
	plan, err := engine.NewPlan(bound, engine.Types(times))
	return plan, source, err
}

// pseudoParameters are those that every template has.
func (s *settings) pseudoParameters() map[string]any {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	dir := filepath.Join(s.dir, s.name)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return map[string]any{
		"OS::stack_name": s.name, "OS::stack_id": s.name, "OS::project_id": "local",
		"Local::program": program, "Local::directory": dir,
	}
}

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
	records, err := store.Records(ctx)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, name := range sortedKeys(records) {
		rec := records[name]
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
	return service.Run(ctx, args, os.Stderr)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
