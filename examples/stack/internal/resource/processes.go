package resource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/process"
)

// Defaults for processes and what is asked for over the network.
const (
	pollEvery    = 100 * time.Millisecond
	healthyAfter = 30 * time.Second
	stopGrace    = 5 * time.Second
	killedWithin = 10 * time.Second
)

var processKind = &Kind{
	Summary: "a process",
	Properties: map[string]Property{
		"command":      {Type: List, Required: true, Check: checkCommand},
		"environment":  {Type: Map},
		"directory":    {Type: String},
		"log":          {Type: String},
		"listen":       {Type: List}, // ports to hand over as sockets, from descriptor 3 on
		"health_check": {Type: Map, Check: checkHealthCheck},
		"stop_grace":   {Type: Number},
	},
	Attributes: []string{"pid", "log"},
	Reference:  "pid",
	Create:     createProcess,
	Delete:     deleteProcess,
	Watch:      watchProcess,
	Resume: func(r *Resource) error {
		if !r.process().Alive() {
			return errors.New("the process has ended")
		}
		return nil
	},
}

func checkCommand(v any) error {
	if list, ok := v.([]any); ok && len(list) == 0 {
		return errors.New("is empty")
	}
	return nil
}

// checkHealthCheck: http is a URL, tcp an address; interval and timeout are seconds.
func checkHealthCheck(v any) error {
	check, _ := v.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(check)) {
		switch key {
		case "http", "tcp":
		case "interval", "timeout":
			if err := (&Kind{Properties: map[string]Property{key: {Type: Number}}}).Check(key, check[key]); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unknown key %q: there are http, tcp, interval and timeout", key)
		}
	}
	if len(check) > 0 && check["http"] == nil && check["tcp"] == nil {
		return errors.New("needs http or tcp")
	}
	return nil
}

// createProcess starts the process and waits until its health check passes.
func createProcess(co *scheduler.Coroutine, r *Resource) error {
	p, err := r.resumeOrStart(co)
	if err != nil {
		return err
	}
	check := r.Props.Map("health_check")
	if len(check) == 0 {
		return nil
	}
	r.note("pid %d: waiting until it is healthy", p.ID.PID)
	err = poll(co, pollOptions{
		every: check.Seconds("interval", pollEvery),
		limit: check.Seconds("timeout", healthyAfter),
		until: p.ended,
	}, func(ctx context.Context) error {
		if !p.ID.Alive() {
			return errEnded // one that an interrupted run started: nobody sets p.ended
		}
		return healthy(ctx, check)
	})
	if errors.Is(err, errEnded) {
		return r.endedEarly(co, p)
	}
	return err
}

// resumeOrStart returns the process, which an interrupted run may have started.
func (r *Resource) resumeOrStart(co *scheduler.Coroutine) (*running, error) {
	if id := r.process(); id.Alive() {
		return &running{process.Adopted(id), new(scheduler.Event)}, nil
	}
	if err := r.endRest(co); err != nil {
		return nil, err
	}
	if err := r.claimLog(co); err != nil {
		return nil, err
	}
	spec := process.Spec{Command: r.Props.Strings("command"), Dir: r.Host.Root, Env: r.environment()}
	if r.Props.String("directory") != "" {
		spec.Dir = r.path("directory")
	}
	defer func() {
		for _, f := range spec.Listen {
			f.Close() //nolint:errcheck // the process has its own
		}
	}()
	for _, port := range r.Props.Strings("listen") {
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, fmt.Errorf("property \"listen\": %q is not a port", port)
		}
		f, err := r.hand(co, n)
		if err != nil {
			return nil, err
		}
		spec.Listen = append(spec.Listen, f)
	}
	return r.start(co, spec)
}

// endRest ends what a process that is gone has left behind, which would be known
// to nobody once another one takes its place.
func (r *Resource) endRest(co *scheduler.Coroutine) error {
	id := r.process()
	kill := func() error { return id.Signal(syscall.SIGKILL) }
	gone, err := r.awaitEnd(co, id, killedWithin, kill)
	if err == nil && !gone {
		err = fmt.Errorf("processes that process %d started do not end", id.PID)
	}
	return err
}

// claimLog writes down which file takes the process's output, and that the
// process is about to be started.
func (r *Resource) claimLog(co *scheduler.Coroutine) error {
	log := r.Host.path(strings.ReplaceAll(r.Name, "/", ".") + ".log")
	if r.Props.String("log") != "" {
		log = r.path("log")
	}
	return r.Intend(co, "claim", func(context.Context) (map[string]any, error) {
		known := map[string]any{"log": log, "pid": nil, "start": nil}
		if r.known("log") == log {
			return known, r.removeLog() // of an earlier start
		}
		return known, mustNotExist(log)
	})
}

// hand takes a port out of its reservation. What a run that died had at the gate
// is on its way out, but may still have the port.
func (r *Resource) hand(co *scheduler.Coroutine, port int) (*os.File, error) {
	for attempt := 1; ; attempt++ {
		f, err := r.Host.hand(port)
		if err == nil || attempt == int(killedWithin/pollEvery) || co.Stopping().IsSet() {
			return f, err
		}
		if err := co.Yield(scheduler.After(pollEvery).Or(scheduler.On(co.Stopping()))); err != nil {
			return nil, err
		}
	}
}

// openLog makes an empty file that only its owner may read: a process may log
// secrets.
func (r *Resource) openLog() (*os.File, error) {
	if err := r.removeLog(); err != nil { // of a start that was interrupted
		return nil, err
	}
	return os.OpenFile(r.known("log"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// start starts a process, writes down its pid, and only then lets it go on. The
// processes that earlier attempts have started are gone: it passes them by.
func (r *Resource) start(co *scheduler.Coroutine, spec process.Spec) (*running, error) {
	ended := new(scheduler.Event)
	var p *process.Process
	for p == nil {
		err := r.Intend(co, "start", func(context.Context) (map[string]any, error) {
			log, err := r.openLog()
			if err != nil {
				return nil, err
			}
			defer log.Close()
			spec.Log = log
			if p, err = process.Start(spec, func(error) { ended.Set() }); err != nil {
				return nil, err
			}
			return map[string]any{"pid": p.ID.PID, "start": p.ID.Start}, nil
		})
		if err != nil {
			// What waits at the gate ends if nobody opens it.
			if p != nil {
				p.Abandon()
			}
			return nil, err
		}
	}
	run := &running{p, ended}
	if r.Host.processes == nil {
		r.Host.processes = map[process.ID]*running{}
	}
	r.Host.processes[run.ID] = run
	return run, run.Go()
}

func (r *Resource) environment() []string {
	var env []string
	variables := r.Props.Map("environment")
	for _, k := range slices.Sorted(maps.Keys(variables)) {
		env = append(env, k+"="+variables.String(k))
	}
	return env
}

// process returns what identifies the process; not alive if it was not started.
func (r *Resource) process() process.ID {
	return process.ID{PID: r.number("pid"), Start: r.known("start")}
}

// endedEarly says how a process ended that should have become healthy.
func (r *Resource) endedEarly(co *scheduler.Coroutine, p *running) error {
	return done(co, func(ctx context.Context) error {
		return fmt.Errorf("the process ended before it was healthy: %w", r.howItEnded(ctx, p))
	})
}

// watchProcess waits for the end of the process: as its parent, or by looking
// for one that an earlier run started.
func watchProcess(co *scheduler.Coroutine, r *Resource) (what string, failed bool, err error) {
	id := r.process()
	p := r.Host.processes[id]
	if p == nil {
		p = &running{process.Adopted(id), new(scheduler.Event)}
	}
	for !p.ended.IsSet() && (r.Host.processes[id] != nil || id.Alive()) {
		wake := scheduler.On(p.ended)
		if r.Host.processes[id] == nil {
			wake = wake.Or(scheduler.After(time.Second))
		}
		if err := co.Yield(wake); err != nil {
			return "", false, err
		}
	}
	how, err := scheduler.Call(co, func(ctx context.Context) (error, error) { return r.howItEnded(ctx, p), nil })
	if err != nil {
		return "", false, err
	}
	failed = p.failed() || len(r.Props.Map("health_check")) > 0
	return fmt.Sprintf("the process %d ended: %v", id.PID, how), failed, nil
}

// howItEnded says how a process ended, which has come about or is about to, and
// what it said last.
func (r *Resource) howItEnded(ctx context.Context, p *running) error {
	err := p.Wait(ctx)
	if err == nil {
		err = errors.New("exit status 0")
	}
	said, readErr := os.ReadFile(r.known("log"))
	if readErr != nil || len(said) == 0 {
		return err
	}
	return fmt.Errorf("%w; its last output: %s", err, lastLines(string(said), 5))
}

// failed reports whether a process that has ended did not end well.
func (p *running) failed() bool { return p.Wait(context.Background()) != nil }

// healthy asks once.
func healthy(ctx context.Context, check Props) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if url := check.String("http"); url != "" {
		_, _, err := get(ctx, url, 200)
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", check.String("tcp"))
	if err != nil {
		return err
	}
	return conn.Close()
}

// deleteProcess asks the process, and all that it has started, to end, and ends
// what does not. It may be gone while what it has started is not.
func deleteProcess(co *scheduler.Coroutine, r *Resource) error {
	id := r.process()
	grace := r.Props.Seconds("stop_grace", stopGrace)
	members, err := r.signal(co, id, syscall.SIGTERM)
	if err != nil {
		return err
	}
	if members > 0 {
		r.note("pid %d: SIGTERM, %v to end", id.PID, grace)
	}
	gone, err := r.awaitEnd(co, id, grace, func() error { return nil })
	if err != nil {
		return err
	}
	if !gone {
		r.note("pid %d: SIGKILL", id.PID)
		// Again and again: one of them may just be starting another one.
		kill := func() error { return id.Signal(syscall.SIGKILL) }
		if gone, err = r.awaitEnd(co, id, killedWithin, kill); err != nil {
			return err
		}
	}
	if !gone {
		return fmt.Errorf("process %d, or one that it started, does not end", id.PID)
	}
	delete(r.Host.processes, id)
	return done(co, func(context.Context) error { return r.removeLog() })
}

// removeLog removes the log. Before there was a process it is empty, or has
// what one said that was never let go on; anything else is not the stack's.
func (r *Resource) removeLog() error {
	log := r.known("log")
	if r.number("pid") == 0 {
		said, err := os.ReadFile(log)
		if err != nil || len(said) > 0 && string(said) != process.NeverLetGo {
			return unlessGone(err)
		}
	}
	return removeRegular(log)
}

// signal sends a signal to a process and what it has started, and says to how
// many.
func (r *Resource) signal(co *scheduler.Coroutine, id process.ID, sig syscall.Signal) (int, error) {
	return scheduler.Call(co, func(context.Context) (int, error) { return len(id.Members()), id.Signal(sig) })
}

// awaitEnd waits until a process and all that it has started have ended. Of a
// child of this program an event tells; the others have to be looked for. Each
// look is preceded by a call of again.
func (r *Resource) awaitEnd(co *scheduler.Coroutine, id process.ID, limit time.Duration, again func() error) (gone bool, err error) {
	deadline := scheduler.Now(co.Context()).Add(limit)
	for {
		left, err := scheduler.Call(co, func(context.Context) (int, error) {
			err := again()
			return len(id.Members()), err
		})
		if err != nil || left == 0 {
			return left == 0, err
		}
		if !scheduler.Now(co.Context()).Before(deadline) {
			return false, nil
		}
		wake := scheduler.At(deadline)
		if child := r.Host.processes[id]; child != nil && !child.ended.IsSet() {
			wake = wake.Or(scheduler.On(child.ended))
		} else {
			wake = wake.Or(scheduler.After(20 * time.Millisecond))
		}
		if err := co.Yield(wake); err != nil {
			return false, err
		}
	}
}
