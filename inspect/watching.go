package inspect

import (
	"context"
	"errors"
	"net/url"
	"time"
	"weak"

	"github.com/steptask/scheduler"
)

// watching is the Observer of one group, and the way to ask it. Only the group
// holds it: when the group is dropped, so is this, and the page sees that.
type watching struct {
	run     *run
	group   scheduler.GroupView
	skipped error // what the last node was skipped for
	because *failure
}

// tracing is a watching that looks for the traces of nodes.
type tracing struct{ *watching }

// watch shows a group that begins, inside of the group of another run or not.
func (p *Page) watch(begun scheduler.Record, parent *run) scheduler.Observer {
	r := newRun(p, begun)
	if r.parent = parent; parent != nil {
		r.family = parent.family
		_, r.parentNode, _ = begun.Group().Around()
	} else {
		r.family = &family{asker: newAsker(), runs: map[int]*run{}}
	}
	w := &watching{run: r, group: begun.Group()}
	r.watching = weak.Make(w)
	p.begin(r)
	if p.opts.TraceURL != nil {
		return &tracing{w}
	}
	return w
}

// ObserveGroup shows a group inside this one.
func (w *watching) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	return w.run.page.watch(begun, w.run)
}

// NodeContext looks for the address of a node's trace.
func (t *tracing) NodeContext(ctx context.Context, started scheduler.Record) context.Context {
	address := t.run.page.opts.TraceURL(ctx)
	if u, err := url.Parse(address); err == nil && address != "" && len(address) <= textMax &&
		(u.Scheme == "" || u.Scheme == "http" || u.Scheme == "https") {
		t.run.update(started.Time().UnixNano(), func() {
			t.run.note(started.Node(), func(m *more) { m.trace = address })
		})
	}
	return ctx
}

// Observe writes down what the page shows.
func (w *watching) Observe(t scheduler.Record) {
	r, at := w.run, t.Time().UnixNano()
	if t.Node() >= r.size() {
		w.grow(at)
	}
	switch t.Kind {
	case scheduler.NodeChanged:
		w.change(t, at)
	case scheduler.NodeStopping:
		notice, until := w.describe(t.Err), int64(0)
		if t.Took() > 0 {
			until = t.Now().Add(t.Took()).UnixNano()
		}
		r.update(at, func() {
			r.note(t.Node(), func(m *more) { m.notice, m.until = notice, until })
		})
	case scheduler.NodeNoted, scheduler.NodeRetrying:
		w.note(t, at)
	case scheduler.NodeAbandoned:
		abandoned := w.describe(t.Err)
		r.update(at, func() { r.note(t.Node(), func(m *more) { m.abandoned = abandoned }) })
	case scheduler.SlowStep:
		slow := slowStep{Path: cut(t.Path(), textMax), Task: cut(t.Task(), textMax), Took: ms(int64(t.Took()))}
		r.update(at, func() { r.addSlow(slow) })
	case scheduler.GroupNoticed:
		w.phase(noticed, t, at)
	case scheduler.GroupStopping:
		w.phase(stopping, t, at)
	case scheduler.GroupDraining:
		w.phase(draining, t, at)
	case scheduler.GroupClosing:
		w.phase(closing, t, at)
	case scheduler.GroupEnded:
		w.end(t)
	default:
	}
}

// grow takes the nodes that the group has gained.
func (w *watching) grow(at int64) {
	r := w.run
	r.mu.Lock()
	grown := r.graph // what others read of it does not change
	r.mu.Unlock()
	grown.grow(w.group)
	before := r.size()
	r.update(at, func() {
		r.graph = grown
		r.addNodes(w.group)
	})
	r.page.grow(r, r.size()-before)
}

// change follows a node to another state.
func (w *watching) change(t scheduler.Record, at int64) {
	if t.From == scheduler.StatePending && t.To == scheduler.StateSucceeded {
		return // it did not run: it was completed beforehand
	}
	var err *failure
	switch {
	case t.To == scheduler.StateSkipped:
		err = w.reason(w.group.Err(t.Node()))
	case t.Err != nil:
		err = w.describe(t.Err)
	}
	w.run.update(at, func() { w.run.change(t.Node(), t.To, at, t.Round(), err) })
}

// note writes down what a node says of itself.
func (w *watching) note(t scheduler.Record, at int64) {
	notes := t.Notes()
	attempt := 0
	if notes.Attempt > 0 {
		attempt = notes.Attempt + 1 // the one that failed is over
	}
	var retried *failure
	if t.Kind == scheduler.NodeRetrying && t.Err != nil {
		retried = w.describe(t.Err)
	}
	w.run.update(at, func() {
		w.run.note(t.Node(), func(m *more) {
			m.note, m.attempt = notes.Text, attempt
			if retried != nil {
				m.retried = retried
			}
		})
	})
}

// What a group may be doing apart from running its nodes. In all but the first
// it starts nothing more.
const (
	noticed  = "asked to end"
	stopping = "stopping"
	draining = "draining"
	closing  = "closing"
)

// phase says what the group is doing now.
func (w *watching) phase(phase string, t scheduler.Record, at int64) {
	var cause *failure
	if t.Err != nil {
		cause = w.describe(t.Err)
	}
	w.run.update(at, func() {
		w.run.phase = phase
		if cause != nil {
			w.run.cause = cause
		}
	})
}

// end ends the run.
func (w *watching) end(t scheduler.Record) {
	r, at := w.run, t.Time().UnixNano()
	var err *failure
	if t.Err != nil {
		err = newFailure(t.Err, 16*textMax)
	}
	status := statusOf(t)
	r.update(at, func() {
		w.correct(t, at)
		r.finish(at, status, err)
	})
	r.page.end(r)
	w.skipped, w.because = nil, nil
}

// correct writes down what was not told, since a panic, perhaps of another
// Observer, came in between.
func (w *watching) correct(t scheduler.Record, at int64) {
	r := w.run
	isRight := true
	for s := range r.counts {
		isRight = isRight && r.counts[s] == w.group.Count(scheduler.State(s))
	}
	if isRight {
		return
	}
	for i := range r.nodes {
		if s := w.group.State(i); s != r.nodes[i].state {
			r.change(i, s, at, t.Round(), nil)
		}
	}
}

// statusOf says in a word how a group ended.
func statusOf(t scheduler.Record) (status string) {
	g, err := t.Group(), t.Err
	if err == nil {
		return scheduler.StateSucceeded.String()
	}
	defer func() {
		if recover() != nil { // an Is, As or Unwrap of a user's error
			status = scheduler.StateFailed.String()
		}
	}()
	var timeout *scheduler.Timeout
	switch {
	case g.Count(scheduler.StateFailed)+g.Count(scheduler.StateTimedOut) > 0, errors.Is(err, scheduler.ErrAborted):
		return scheduler.StateFailed.String()
	case errors.As(err, &timeout):
		return scheduler.StateTimedOut.String()
	case errors.Is(err, scheduler.ErrDrained):
		return "drained"
	case g.Count(scheduler.StateCancelled) > 0:
		return scheduler.StateCancelled.String()
	}
	return scheduler.StateFailed.String()
}

// describe describes an error, as far as there is room for its text.
func (w *watching) describe(err error) *failure {
	f := newFailure(err, w.run.room) // only the driving goroutine looks at the room
	w.run.room -= f.size()
	return f
}

// reason describes why a node is skipped. It is one failure for all its victims.
func (w *watching) reason(err error) *failure {
	if err == nil {
		return nil
	}
	if err != w.skipped { //nolint:errorlint // The very one.
		w.skipped, w.because = err, w.describe(err)
	}
	return w.because
}

// explanation is what a group says of a node.
type explanation struct {
	Text string `json:"text"`
}

// explain asks the group about a node. ok is false if it could not be asked in
// time.
func (r *run) explain(ctx context.Context, node int) (e explanation, ok bool) {
	w := r.watching.Value()
	if w == nil {
		return e, false
	}
	return r.family.asker.ask(ctx, w.group.Post, func() explanation {
		r.mu.Lock()
		hasEnded := r.status != ""
		r.mu.Unlock()
		if hasEnded {
			return explanation{}
		}
		return explanation{Text: cut(w.group.Explain(node), textMax)}
	})
}

// patience is how long a viewer waits for the answer of a group.
const patience = 100 * time.Millisecond
