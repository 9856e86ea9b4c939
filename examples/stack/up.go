package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/steptask/scheduler/examples/stack/internal/view"
	"github.com/steptask/scheduler/schedulertest"
)

// upFlags are the flags of up.
type upFlags struct {
	settings
	policy   string
	grace    time.Duration
	timeout  time.Duration
	failures map[string]string
	timeline bool
	inspect  string
	keepPage bool
}

func (u *upFlags) parse(args []string) error {
	u.failures = map[string]string{}
	f := u.flags("up")
	u.templateFlags(f)
	u.progressFlag(f)
	f.StringVar(&u.policy, "on-error", string(engine.Stop), "what to do after a failure: stop, continue or rollback")
	f.DurationVar(&u.grace, "grace", 3*time.Second, "how long running resources may continue after a failure or an interrupt")
	f.DurationVar(&u.timeout, "timeout", 0, "time limit of the whole creation; 0 means none")
	f.BoolVar(&u.timeline, "timeline", false, "draw a timeline at the end, as -simulate does")
	f.StringVar(&u.inspect, "inspect", "", "`address` at which to show the runs in a browser, such as :8080; without a host only on this machine")
	f.BoolVar(&u.keepPage, "keep-page", term.IsTerminal(int(os.Stdout.Fd())), "keep the page of -inspect after a failure until Ctrl-C; on a terminal this is the default")
	f.Func("fail", "`resource[:step]` to make fail: step begin (the default), made or delete; may be repeated", u.addFailure)
	if err := u.settings.parse(f, args); err != nil {
		return err
	}
	switch engine.Policy(u.policy) {
	case engine.Stop, engine.Continue, engine.Rollback:
	default:
		return wrongUsage("-on-error must be stop, continue or rollback, not %q", u.policy)
	}
	if u.grace < 0 || u.timeout < 0 {
		return wrongUsage("-grace and -timeout cannot be negative")
	}
	return nil
}

func (u *upFlags) addFailure(v string) error {
	name, step, given := strings.Cut(v, ":")
	if !given {
		step = engine.StepBegin
	}
	switch step {
	case engine.StepBegin, engine.StepMade, engine.StepDelete:
		u.failures[name] = step
		return nil
	}
	return errors.New("the step must be begin, made or delete")
}

func up(ctx context.Context, args []string) (err error) {
	signals := catchInterrupts()
	var u upFlags
	if err := u.parse(args); err != nil {
		return err
	}
	plan, source, err := u.load()
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(u.failures) {
		if plan.Stack.Resource(name) == nil {
			return wrongUsage("-fail: there is no resource %q", name)
		}
	}
	opts, timeline, err := u.options()
	if err != nil {
		return err
	}
	if u.inspect != "" {
		var closePage func()
		if opts.Page, closePage, err = servePage(u.inspect); err != nil {
			return err
		}
		defer func() {
			if u.keepPage && errors.Is(err, errReported) {
				waiting, end := signals.phase(ctx)
				fmt.Println("\nThe page stays until Ctrl-C.")
				<-waiting.Done()
				end()
			}
			closePage()
		}()
	}
	e, err := engine.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = closed(e, err) }()
	err = u.lifecycle(ctx, signals, e, plan, source)
	if u.simulate || u.timeline {
		timeline.Write(os.Stdout)
	}
	return err
}

func (u *upFlags) options() (engine.Options, *view.Timeline, error) {
	var clock scheduler.Clock // nil: the system's
	if u.simulate {
		clock = schedulertest.NewClock(time.Unix(0, 0))
	}
	progress, err := u.view(clock)
	if err != nil {
		return engine.Options{}, nil, err
	}
	timeline := &view.Timeline{}
	opts := engine.Options{
		Name: u.name, Dir: u.dir, Policy: engine.Policy(u.policy),
		Grace: u.grace, Timeout: u.timeout, Failures: u.failures,
		View: view.All{progress, timeline}, Clock: clock,
	}
	opts.Simulate, err = u.standIns()
	return opts, timeline, err
}

// closed closes the engine after a command that has come to err. What goes wrong
// with that is said at once: err may stand for something that was.
func closed(e *engine.Engine, err error) error {
	closeErr := e.Close()
	if closeErr == nil {
		return err
	}
	fmt.Fprintln(stderr, closeErr)
	if err == nil {
		return errReported
	}
	return err
}

// lifecycle creates the stack, waits, and deletes it.
func (u *upFlags) lifecycle(ctx context.Context, signals *interrupts, e *engine.Engine, plan *engine.Plan, source string) error {
	creating, end := signals.phase(ctx)
	report, err := e.Up(creating, plan, source)
	interrupted := end()
	if err != nil {
		return err
	}
	if report.Err != nil {
		return u.failed(ctx, signals, e, report, interrupted)
	}
	printOutputs(e, plan.Stack)
	if !u.simulate && !interrupted {
		waiting, end := signals.phase(ctx)
		fmt.Printf("\nThe stack %q is up. Ctrl-C deletes it, and so does \"down\" from elsewhere.\n", u.name)
		err := e.Watch(waiting)
		end()
		fmt.Println()
		if err != nil {
			return err
		}
	}
	return finish(ctx, signals, e.Down)
}

// failed tells of a creation that did not go well, and rolls it back if that is
// wanted.
func (u *upFlags) failed(ctx context.Context, signals *interrupts, e *engine.Engine, report *engine.Report, interrupted bool) error {
	if interrupted {
		fmt.Println("\nInterrupted.")
	} else {
		fmt.Println("\nThe creation failed.")
	}
	report.WriteFailure(stdout)
	if !interrupted && engine.Policy(u.policy) != engine.Rollback {
		report.WriteLeft(stdout)
		if len(report.Left) > 0 && !u.simulate {
			fmt.Println("\"down\" deletes it; another \"up\" continues from here.")
		}
		return errReported
	}
	fmt.Println("Rolling back.")
	if err := finish(ctx, signals, e.Down); err != nil {
		return err
	}
	if interrupted {
		return errInterrupted
	}
	return errReported
}

// finish deletes what there is; an interrupt leaves the rest behind.
func finish(ctx context.Context, signals *interrupts, remove func(context.Context) (*engine.Report, error)) error {
	deleting, end := signals.phase(ctx)
	report, err := remove(deleting)
	interrupted := end()
	if err != nil {
		return err
	}
	switch {
	case report.Err == nil:
		report.WriteLeft(stdout)
		return nil
	case interrupted:
		fmt.Println("\nInterrupted.")
	default:
		fmt.Println("\nThe deletion failed.")
	}
	report.WriteFailure(stdout)
	report.WriteLeft(stdout)
	fmt.Println("Another \"down\" continues from here.")
	if interrupted {
		return errInterrupted
	}
	return errReported
}

// printOutputs prints the outputs. As in Heat, one that cannot be computed does no harm to
// the stack.
func printOutputs(env template.Env, stack *template.Stack) {
	for i, o := range stack.Outputs {
		if i == 0 {
			fmt.Println("\nOutputs:")
		}
		if v, err := stack.Output(o, env); err != nil {
			fmt.Fprintf(stdout, "  %s: %v\n", o.Name, err)
		} else {
			fmt.Fprintf(stdout, "  %s = %s\n", o.Name, outputText(v))
		}
	}
}

// outputText is an output as a user wants it: a text as it is, all else as JSON.
func outputText(v any) string {
	switch v := v.(type) {
	case string, template.StandIn:
		return template.Text(v)
	}
	return template.JSON(v)
}
