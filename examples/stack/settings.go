package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/view"
	"github.com/steptask/scheduler/progress"
)

// settings are the flags that several commands share.
type settings struct {
	name         string
	dir          string
	template     string
	environments []string
	parameters   map[string]string
	simulate     bool
	times        string
	progress     string
}

func (s *settings) flags(command string) *flag.FlagSet {
	s.parameters = map[string]string{}
	f := flag.NewFlagSet("stack "+command, flag.ContinueOnError)
	f.SetOutput(io.Discard) // an error is said once, and not followed by all flags
	f.StringVar(&s.name, "name", "demo", "`name` of the stack")
	f.StringVar(&s.dir, "dir", ".stack", "`directory` for the state and the stack's own files")
	return f
}

func (s *settings) templateFlags(f *flag.FlagSet) {
	f.StringVar(&s.template, "template", "", "template `file` (default: the one built in)")
	f.Func("env", "environment `file` with parameters and a resource_registry; may be repeated, later files win", func(v string) error {
		s.environments = append(s.environments, v)
		return nil
	})
	f.Func("param", "`name=value` of a parameter; may be repeated", func(v string) error {
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
	f.StringVar(&s.progress, "progress", "auto", "`how` to show progress: live, plain, or auto (live on a terminal)")
}

// parse parses the flags and refuses what is left over.
func (s *settings) parse(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf("Usage of %s:\n", f.Name())
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return err
	case err != nil:
		return usageError{err}
	case f.NArg() > 0:
		return wrongUsage("unexpected argument %q", f.Arg(0))
	case s.name == "" || strings.ContainsAny(s.name, `/\`) || strings.HasPrefix(s.name, ".") || strings.Contains(s.name, ".db"), strings.Contains(s.name, ".journal"):
		return wrongUsage("-name %q cannot be the name of a stack", s.name)
	}
	return nil
}

func wrongUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// view returns what shows progress, by the clock of the run.
func (s *settings) view(clock scheduler.Clock) (engine.View, error) {
	mode, known := map[string]progress.Mode{
		"live": progress.Live, "plain": progress.Plain, "auto": progress.Auto,
	}[s.progress]
	if !known {
		return nil, wrongUsage("-progress must be live, plain or auto, not %q", s.progress)
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
	if err != nil {
		return nil, usageError{fmt.Errorf("-sim-time: %w", err)}
	}
	return &times, nil
}
