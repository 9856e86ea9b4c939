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
	"syscall"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/examples/stack/internal/template"
)

var portKind = &Kind{
	Summary: "a TCP port of this machine, reserved until a process that lists it takes it over",
	Properties: map[string]Property{
		"port": {Type: Number}, // none: any free one
	},
	Attributes: []string{"port", "address"},
	Reference:  "port",
	Create: func(co *scheduler.Coroutine, r *Resource) error {
		// Nothing to write down before: a reservation ends with this program.
		port, err := r.Host.hold(int(r.Props.Number("port", 0)))
		if err != nil {
			return err
		}
		return r.Intend(co, map[string]any{"port": port, "address": loopback(port)})
	},
	Delete: func(_ *scheduler.Coroutine, r *Resource) error { return r.Host.release(r.number("port")) },
	Resume: func(r *Resource) error {
		_, err := r.Host.hold(r.number("port"))
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil // by the process that it was reserved for
		}
		return err
	},
}

// number returns a number from what the resource is known by: from a file of
// JSON all of them come back as float64.
func (r *Resource) number(key string) int {
	n, _ := strconv.Atoi(template.Text(r.Data[key]))
	if i, ok := r.Data[key].(int); ok {
		return i
	}
	return n
}

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
		"command":      {Type: List, Required: true},
		"environment":  {Type: Map},
		"directory":    {Type: String},
		"log":          {Type: String},
		"listen":       {Type: List}, // ports to hand over as sockets, from descriptor 3 on
		"health_check": {Type: Map},  // http: URL, or tcp: address; interval, timeout
		"stop_grace":   {Type: Number},
	},
	Attributes: []string{"pid", "log"},
	Reference:  "pid",
	Create:     createProcess,
	Delete:     deleteProcess,
	Resume: func(r *Resource) error {
		if !r.process().Alive() {
			return errors.New("the process has ended")
		}
		return nil
	},
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
	log := r.Host.path(r.Name + ".log")
	if r.Props.String("log") != "" {
		log = r.path("log")
	}
	if err := r.Intend(co, map[string]any{"log": log, "pid": nil, "start": nil}); err != nil {
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

// hand takes a port out of its reservation. What a run that died had at the gate
// is on its way out, but may still have the port.
func (r *Resource) hand(co *scheduler.Coroutine, port int) (*os.File, error) {
	for attempt := 1; ; attempt++ {
		f, err := r.Host.hand(port)
		if err == nil || attempt == 20 || co.Stopping().IsSet() {
			return f, err
		}
		if err := co.Yield(scheduler.After(pollEvery).Or(scheduler.On(co.Stopping()))); err != nil {
			return nil, err
		}
	}
}

// start starts a process, writes down its pid, and only then lets it go on.
func (r *Resource) start(co *scheduler.Coroutine, spec process.Spec) (*running, error) {
	ended := new(scheduler.Event)
	rec := r.Record(state.Creating, "")
	p, err := scheduler.Call(co, func(ctx context.Context) (*process.Process, error) {
		log, err := os.OpenFile(r.known("log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		spec.Log = log
		p, err := process.Start(spec, func(error) { ended.Set() })
		if err != nil {
			return nil, err
		}
		// All of this or nothing, also when the task is being closed just now.
		maps.Copy(rec.Data, map[string]any{"pid": p.ID.PID, "start": p.ID.Start})
		if err := r.Host.Store.Save(context.WithoutCancel(ctx), rec); err != nil {
			p.Abandon()
			return nil, err
		}
		return p, p.Go()
	})
	if p == nil {
		return nil, err
	}
	r.set(map[string]any{"pid": p.ID.PID, "start": p.ID.Start})
	run := &running{p, ended}
	if r.Host.processes == nil {
		r.Host.processes = map[process.ID]*running{}
	}
	r.Host.processes[p.ID] = run
	return run, err
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
	log := r.known("log")
	return done(co, func(ctx context.Context) error {
		said, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		return fmt.Errorf("the process ended before it was healthy: %w; its last words: %s",
			p.howItEnded(ctx), lastLines(string(said), 5))
	})
}

// howItEnded waits for the end, which has come or is about to.
func (p *running) howItEnded(ctx context.Context) error {
	if err := p.Wait(ctx); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

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

// deleteProcess asks the process to end, and ends it if it does not.
func deleteProcess(co *scheduler.Coroutine, r *Resource) error {
	id := r.process()
	grace := r.Props.Seconds("stop_grace", stopGrace)
	if id.Alive() {
		r.note("pid %d: SIGTERM, %v to end", id.PID, grace)
		if err := id.Signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	gone, err := r.awaitEnd(co, id, grace)
	if err != nil {
		return err
	}
	if !gone {
		r.note("pid %d: SIGKILL", id.PID)
		if err := id.Signal(syscall.SIGKILL); err != nil {
			return err
		}
		if gone, err = r.awaitEnd(co, id, killedWithin); err != nil {
			return err
		}
	}
	if !gone {
		return fmt.Errorf("process %d does not end", id.PID)
	}
	delete(r.Host.processes, id)
	log := r.known("log")
	return done(co, func(context.Context) error { return unlessGone(os.Remove(log)) })
}

// awaitEnd waits until a process has ended. A child of this program tells; one
// that an earlier run started has to be asked.
func (r *Resource) awaitEnd(co *scheduler.Coroutine, id process.ID, limit time.Duration) (gone bool, err error) {
	deadline := scheduler.Now(co.Context()).Add(limit)
	wake := scheduler.At(deadline)
	if child := r.Host.processes[id]; child != nil {
		err := co.Yield(scheduler.On(child.ended).Or(wake))
		return child.ended.IsSet(), err
	}
	for id.Alive() && scheduler.Now(co.Context()).Before(deadline) {
		if err := co.Yield(scheduler.After(20 * time.Millisecond).Or(wake)); err != nil {
			return false, err
		}
	}
	return !id.Alive(), nil
}

var errEnded = errors.New("ended")

type pollOptions struct {
	every, limit time.Duration
	until        *scheduler.Event // ends the polling with errEnded; may be nil
}

// poll asks until there is no error. Between two questions the task is parked,
// and costs nothing. A notice to stop ends it at once: nothing is lost by not
// waiting any longer.
func poll(co *scheduler.Coroutine, o pollOptions, ask func(ctx context.Context) error) error {
	deadline := scheduler.Now(co.Context()).Add(o.limit)
	wake := scheduler.On(co.Stopping()).Or(scheduler.At(deadline))
	if o.until != nil {
		wake = wake.Or(scheduler.On(o.until))
	}
	for {
		answer := done(co, ask)
		switch {
		case answer == nil:
			return nil
		case errors.Is(answer, scheduler.ErrClosed) || errors.Is(answer, errEnded):
			return answer
		case o.until != nil && o.until.IsSet():
			return errEnded
		case co.Stopping().IsSet():
			return fmt.Errorf("%w; last answer: %w", ErrStopped, answer)
		case !scheduler.Now(co.Context()).Before(deadline):
			return fmt.Errorf("not within %v: %w", o.limit, answer)
		}
		if err := co.Yield(wake.Or(scheduler.After(max(o.every, time.Millisecond)))); err != nil {
			return err
		}
	}
}

// ErrStopped is in the error of a resource that gave up because the run is to
// end: it did not fail, it was cancelled.
var ErrStopped = errors.New("stopped while it was waiting")
