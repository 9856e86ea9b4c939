package conformance

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/steptask/scheduler"
)

// make makes the task of a spec: FORMAT.md, section 3. Heat's coroutines are
// our tasks.
func (p *replay) make(spec *taskSpec) scheduler.Task {
	delete(p.muted, spec.ID)
	switch spec.Type {
	case "script":
		if p.scriptsWrapped {
			return p.wrap(spec)
		}
		return &scriptTask{scriptPlay{replay: p, spec: spec}}
	case "plain":
		return p.plain(spec)
	case "wrap":
		return p.wrap(spec)
	case "group":
		return &groupTask{replay: p, spec: spec}
	case "runner":
		return p.post(spec.ID, spec.Post, p.runner(spec).AsTask(spec.Timeout.limit()))
	}
	panic("no type of task: " + spec.Type)
}

// scriptPlay is one performance of a script: section 3.1. It knows what happens
// between two yields; how to yield is up to who plays.
type scriptPlay struct {
	*replay
	spec *taskSpec

	steps                      int // entered so far
	timeouts, throws, closings int // how often each table was used
}

// proceed is the action that does nothing but go on with the next step.
var proceed = actionSpec{Do: "continue"}

// scriptMove is what an action leads to.
type scriptMove int

const (
	moveOn  scriptMove = iota + 1 // with the next step
	moveOut                       // yield, or hand over to a subtask
	moveEnd                       // well, or with an error
)

// next enters the next step. Behind the last one is a return.
func (p *scriptPlay) next() actionSpec {
	if p.steps == len(p.spec.Steps) {
		return actionSpec{Do: "return"}
	}
	p.steps++
	p.record("step", p.spec.ID, p.steps)
	return p.spec.Steps[p.steps-1]
}

// resume gives the answer to what came in at a yield: nil is the next step.
func (p *scriptPlay) resume(came error) actionSpec {
	switch {
	case p.over || p.muted[p.spec.ID]:
		return actionSpec{Do: "propagate"} // ended by force, which no script answers
	case came == nil:
		return proceed
	}
	// The exit signal is ErrClosed itself. An error from closing a subtask also
	// is one for errors.Is, but comes in as that error.
	if came == scheduler.ErrClosed { //nolint:errorlint // See above.
		p.record("close", p.spec.ID)
		return fromTable(p.spec.OnClose, &p.closings)
	}
	name := p.name(came)
	if strings.HasPrefix(name, "Timeout(") {
		p.record("timeout", p.spec.ID, name)
		return fromTable(p.spec.OnTimeout, &p.timeouts)
	}
	p.record("throw", p.spec.ID, name)
	return fromTable(p.spec.OnThrow, &p.throws)
}

// fromTable takes the next entry of a table; the last one repeats.
func fromTable(table []actionSpec, used *int) actionSpec {
	if len(table) == 0 {
		return actionSpec{Do: "propagate"}
	}
	act := table[min(*used, len(table)-1)]
	*used++
	return act
}

// perform does an action up to the point where it yields or ends. came is the
// error that the action is the answer to.
func (p *scriptPlay) perform(act actionSpec, came error) (scriptMove, error) {
	p.advance(act.Advance)
	switch act.Do {
	case "continue":
		return moveOn, nil
	case "yield", "sub":
		return moveOut, nil
	case "return":
		p.record("return", p.spec.ID)
		return moveEnd, nil
	case "raise":
		came = &recordedError{act.Err}
	case "propagate":
	default:
		panic("no action: " + act.Do)
	}
	if came != scheduler.ErrClosed { //nolint:errorlint // As in resume.
		p.record("raise", p.spec.ID, p.name(came))
	}
	return moveEnd, came
}

// yield is the yield with a script's poll period.
func (a actionSpec) yield() scheduler.Yield {
	if a.N == nil {
		return scheduler.Next
	}
	return scheduler.Rounds(*a.N)
}

// scriptTask plays a script as a state machine: a Task written by hand.
type scriptTask struct{ scriptPlay }

func (s *scriptTask) run(came error) (scheduler.Yield, error) {
	act := s.resume(came)
	for {
		switch move, err := s.perform(act, came); {
		case move == moveOut:
			return act.yield(), nil
		case err != nil:
			return scheduler.Yield{}, err
		case move == moveEnd:
			return scheduler.Done, nil
		}
		act, came = s.next(), nil
	}
}

func (s *scriptTask) Step(context.Context) (scheduler.Yield, error) { return s.run(nil) }

func (s *scriptTask) Throw(_ context.Context, err error) (scheduler.Yield, error) { return s.run(err) }

func (s *scriptTask) Close() error {
	y, err := s.run(scheduler.ErrClosed)
	switch {
	case err == scheduler.ErrClosed: //nolint:errorlint // Only the exit signal itself is no error.
		return nil
	case err == nil && y != scheduler.Done:
		return scheduler.ErrIgnoredClose
	}
	return err
}

func (s *scriptTask) String() string { return s.spec.ID }

// wrap plays a script as a coroutine: section 3.3. It may have subtasks.
func (p *replay) wrap(spec *taskSpec) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		return (&scriptCoroutine{scriptPlay: scriptPlay{replay: p, spec: spec}, co: co}).run()
	})
}

type scriptCoroutine struct {
	scriptPlay
	co          *scheduler.Coroutine
	closeFailed bool // it is being closed, and closing its subtask failed
}

func (c *scriptCoroutine) run() error {
	act, came := proceed, error(nil)
	for {
		switch move, err := c.perform(act, came); move {
		case moveEnd:
			return err
		case moveOut:
			came = c.suspend(act)
			act = c.resume(came)
		case moveOn:
			act, came = c.next(), nil
		}
	}
}

// suspend yields, or runs a subtask, and returns what came in.
func (c *scriptCoroutine) suspend(act actionSpec) error {
	switch {
	case act.Do == "yield":
		return c.co.Yield(act.yield())
	case act.Task.Type == "plain":
		// The function is called on the spot; then the parent yields.
		if _, err := c.make(act.Task).Step(c.co.Context()); err != nil {
			return err
		}
		return c.co.Yield(scheduler.Next)
	case c.closings > 0:
		// For wrappertask handing over a subtask is a yield, and so, in answer
		// to the exit signal, the end: the subtask is not run.
		return c.co.Yield(scheduler.Next)
	}
	child := c.make(act.Task)
	if c.closeFailed {
		child = &lateSubtask{child, c.replay, act.Task}
	}
	err := c.co.Await(child)
	if err != scheduler.ErrClosed && errors.Is(err, scheduler.ErrClosed) { //nolint:errorlint // As in resume.
		c.closeFailed = true
	}
	return err
}

// lateSubtask is a subtask that its parent began after the close of another one
// had failed. It may run to its end. If it yields the parent has ignored its own
// close, and that the subtask is ended by force is no event of the records.
type lateSubtask struct {
	scheduler.Task
	replay *replay
	spec   *taskSpec
}

func (l *lateSubtask) Step(ctx context.Context) (scheduler.Yield, error) {
	y, err := l.Task.Step(ctx)
	if err == nil && y != scheduler.Done {
		l.spec.all(func(spec *taskSpec) { l.replay.muted[spec.ID] = true })
	}
	return y, err
}

// plain is a function: section 3.2.
func (p *replay) plain(spec *taskSpec) scheduler.Task {
	return scheduler.Func(func(context.Context) error {
		play := &scriptPlay{replay: p, spec: spec}
		_, err := play.perform(play.next(), nil)
		return err
	})
}

// groupTask is a dependency task group: section 3.4. The group object is made when
// the task is called, which here is its first step; that of a root is made
// before. It also counts rounds: the yields of the group.
type groupTask struct {
	*replay
	spec  *taskSpec
	group *scheduler.DependencyTaskGroup[string]
}

func (g *groupTask) build() error {
	options := &scheduler.GroupOptions[string]{
		Name:            g.spec.ID,
		Reverse:         g.spec.Reverse,
		AggregateErrors: g.spec.Aggregate,
	}
	if grace := g.spec.Grace; grace != nil {
		switch grace.Mode {
		case "fixed":
			options.Grace = grace.Seconds.limit()
		case "per_key":
			options.GraceFor = g.grace
		default:
			panic("no mode of grace: " + grace.Mode)
		}
	}
	var err error
	g.group, err = scheduler.NewDependencyTaskGroup(graphOf(g.spec.Edges), g.member, options)
	return err
}

func (g *groupTask) member(key string) scheduler.Task { return g.make(g.spec.Tasks[key]) }

// grace is the callback for a key's grace. GraceFor cannot fail: with
// fix 9 a callback that does counts as no grace.
func (g *groupTask) grace(key string) time.Duration {
	g.record("grace", g.spec.ID, key)
	if _, fails := g.spec.Grace.Raise[key]; fails {
		return 0
	}
	return g.spec.Grace.ByKey[key].limit()
}

func (g *groupTask) Step(ctx context.Context) (scheduler.Yield, error) {
	if g.group == nil {
		if err := g.build(); err != nil {
			return scheduler.Yield{}, err
		}
	}
	return g.count(g.group.Step(ctx))
}

func (g *groupTask) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	return g.count(g.group.Throw(ctx, err))
}

func (g *groupTask) count(y scheduler.Yield, err error) (scheduler.Yield, error) {
	rounds := g.rounds[g.spec.ID]
	if err == nil && y != scheduler.Done {
		rounds++
	}
	g.rounds[g.spec.ID] = rounds
	return y, err
}

func (g *groupTask) Close() error { return g.group.Close() }

func (g *groupTask) Stop(ctx context.Context, cause error) { g.group.Stop(ctx, cause) }

// runner is the one runner of a spec: section 3.5. It stays the same if the
// coroutine is made again.
func (p *replay) runner(spec *taskSpec) *scheduler.TaskRunner {
	runner := p.runners[spec.ID]
	if runner == nil {
		runner = scheduler.NewTaskRunner(p.make(spec.Task), &scheduler.RunnerOptions{
			Name:     spec.ID,
			Progress: func(context.Context) error { return p.progress(spec.ID, spec.Progress) },
		})
		p.runners[spec.ID] = runner
	}
	return runner
}

// progress is the progress callback of a runner.
func (p *replay) progress(id string, spec *progressSpec) error {
	if spec == nil {
		return nil
	}
	p.progressed[id]++
	n := p.progressed[id]
	p.record("progress", id, n)
	p.advance(spec.Advance)
	if err, fails := spec.RaiseAt[strconv.Itoa(n)]; fails {
		return &recordedError{err}
	}
	return nil
}

// post puts the post callback of a runner behind the task that drives it.
func (p *replay) post(id string, spec *postSpec, task scheduler.Task) scheduler.Task {
	if spec == nil {
		return task
	}
	return &postTask{task, p, id, spec}
}

type postTask struct {
	scheduler.Task
	replay *replay
	id     string
	spec   *postSpec
}

func (w *postTask) Step(ctx context.Context) (scheduler.Yield, error) {
	return w.then(w.Task.Step(ctx))
}

func (w *postTask) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	return w.then(w.Task.(scheduler.Thrower).Throw(ctx, err))
}

func (w *postTask) Stop(ctx context.Context, cause error) {
	w.Task.(scheduler.Stopper).Stop(ctx, cause)
}

func (w *postTask) then(y scheduler.Yield, err error) (scheduler.Yield, error) {
	if err == nil && y == scheduler.Done {
		err = w.replay.posted(w.id, w.spec)
	}
	return y, err
}

// posted is the post callback itself.
func (p *replay) posted(id string, spec *postSpec) error {
	if spec == nil {
		return nil
	}
	p.record("post", id)
	if spec.Raise != "" {
		return &recordedError{spec.Raise}
	}
	return nil
}
