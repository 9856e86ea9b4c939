package temporal

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
)

// Run is a graph and the progress of its run: part of the input of a workflow that
// calls [Walk].
type Run struct {
	Graph Graph `json:"graph"`
	// Checkpoint is the progress of earlier runs of the workflow; nil in the first.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// Checkpoint is what a drained run passes on to the run that continues as new. Nodes
// are identified by their place in the graph.
type Checkpoint struct {
	Hash      string `json:"hash"` // of the graph
	Runs      int    `json:"runs"` // that were made
	Completed Bitmap `json:"completed,omitempty"`
	// Over are the nodes that have failed or will never start.
	Over Bitmap `json:"over,omitempty"`
	// Failed are the failed nodes, as returned by [FailedNodes]. FailedMore is the
	// number of those that have no room in it.
	Failed     []NodeFailure   `json:"failed,omitempty"`
	FailedMore int             `json:"failedMore,omitempty"`
	Signals    []UnreadSignal  `json:"signals,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"` // the workflow's own
}

// GraphChanged is the type of the application error with which [Walk] refuses to
// continue a run with a graph other than the one it began with.
const GraphChanged = "GraphChanged"

// Walk runs a graph given as data. It makes a group of the graph's nodes, each with
// the task that the function returns for it, and drives it as [Drive] does.
//
// When the server suggests that the workflow continue as new, or at
// [Options.MaxHistory] events, the group is drained: running nodes end, and no more
// start. Walk then stores the completed nodes in run.Checkpoint and returns
// [scheduler.ErrDrained], and the workflow continues as new with it:
//
//	err := temporal.Walk(ctx, &in.Run, task, nil, temporal.Options{})
//	if errors.Is(err, scheduler.ErrDrained) {
//		return workflow.NewContinueAsNewError(ctx, Deploy, in)
//	}
//	return err
//
// Results that later nodes need go into Checkpoint.Data, which Walk does not touch,
// or into a store. The whole input must fit into 2 MB. If the rest alone does not,
// Walk fails with an application error of type [CheckpointTooLarge], which lists what
// takes how much, and leaves run unchanged. A node that takes hours delays the drain
// for hours: run it as a child workflow in a smaller graph.
//
// A checkpoint of another graph fails with an application error of type
// [GraphChanged]. If the graph differs on replay, because changed code has made it,
// Walk panics: the workflow stays as it is, with the reason in its history, until the
// right code is deployed.
//
// Defaults differ for some of the group's options: Limit is that of opts, Budget is
// [DefaultBudget], and the Observer is silent on replay. With AggregateErrors, the
// result of the last run includes the failures of earlier ones.
//
// A service ([scheduler.Ready]) ends as well when the group is drained. It starts again
// in the next run if a pending node requires it, directly or not, or if no node requires
// it.
//
// When and KeepOpen are refused with a [*scheduler.OptionError], because a checkpoint
// has no place for failed nodes that a condition might ask about, nor for nodes
// outside the graph. For a group with these options, use [Drive].
func Walk(
	ctx workflow.Context, run *Run, task func(Node) scheduler.Task,
	group *scheduler.GroupOptions[string], opts Options,
) error {
	switch {
	case ctx == nil:
		return errNilContext
	case run == nil:
		return &scheduler.OptionError{Option: "run", Reason: "nil Run"}
	}
	w := walk{run: run, before: run.Checkpoint}
	if err := w.check(ctx); err != nil {
		return err
	}
	g, err := w.group(ctx, task, group, opts)
	if err != nil {
		return err
	}
	opts.Drain = true
	if w.before != nil {
		w.unread = slices.Clone(w.before.Signals)
	}
	err = drive(ctx, g, opts, &w.unread)
	if ctx.Err() != nil {
		return err
	}
	// A group that has failed nodes besides says so in place of ErrDrained.
	if aggregates := group != nil && (group.AggregateErrors || group.OnError != nil); g.Count(scheduler.StatePending) > 0 &&
		(aggregates || errors.Is(err, scheduler.ErrDrained)) {
		return w.suspend(ctx, g, err)
	}
	if failed := w.before.failures(); len(failed.nodes) > 0 {
		if err == nil {
			err = errors.New(failed.nodes[0].Message)
		} else {
			failed.add(failuresOf(err))
		}
		return nodesFailed(err, failed)
	}
	return err
}

// failures returns those of earlier runs. There is no checkpoint in the first.
func (c *Checkpoint) failures() failures {
	if c == nil {
		return failures{}
	}
	return failures{slices.Clip(c.Failed), c.FailedMore}
}

// walk is one call of Walk.
type walk struct {
	run    *Run
	before *Checkpoint
	hash   string
	index  map[string]int
	unread []UnreadSignal

	deps     *scheduler.Dependencies[string]
	reverse  bool
	services services // of the group
}

// check refuses another graph than the one that the run was begun with.
func (w *walk) check(ctx workflow.Context) (err error) {
	if w.index, err = w.run.Graph.index(); err != nil {
		return err
	}
	if w.hash, err = w.run.Graph.Hash(); err != nil {
		return err
	}
	if w.before != nil && w.before.Hash != w.hash {
		return sdk.NewNonRetryableApplicationError(fmt.Sprintf(
			"temporal: the run was begun with the graph %.12s, and this one is %.12s", w.before.Hash, w.hash,
		), GraphChanged, nil)
	}
	var recorded string
	err = workflow.SideEffect(ctx, func(workflow.Context) any { return w.hash }).Get(&recorded)
	if err == nil && recorded != w.hash {
		panic(fmt.Sprintf("temporal: this run was begun with the graph %.12s, and the code now makes %.12s of it",
			recorded, w.hash))
	}
	return err
}

// group makes the group.
func (w *walk) group(
	ctx workflow.Context, task func(Node) scheduler.Task, given *scheduler.GroupOptions[string], opts Options,
) (*scheduler.DependencyTaskGroup[string], error) {
	var o scheduler.GroupOptions[string]
	if given != nil {
		o = *given
	}
	switch {
	case o.When != nil:
		return nil, &scheduler.OptionError{
			Option: "GroupOptions.When", Reason: "not for Walk, which forgets failed nodes when it continues as new; use Drive",
		}
	case o.KeepOpen:
		return nil, &scheduler.OptionError{Option: "GroupOptions.KeepOpen", Reason: "not for Walk, whose graph is data; use Drive"}
	case task == nil:
		return nil, &scheduler.OptionError{Option: "task", Reason: "nil function"}
	}
	if o.Limit == 0 {
		o.Limit = opts.Limit
	}
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.Name == "" {
		o.Name = opts.Name
	}
	if o.Observer != nil {
		o.Observer = Quiet(ctx, o.Observer)
	}
	o.Observer = scheduler.Observers(&w.services, o.Observer)
	var over Bitmap
	if before := w.before; before != nil {
		over = before.Over
		completed := o.Completed
		o.Completed = func(k string) bool {
			return before.Completed.Has(w.index[k]) || completed != nil && completed(k)
		}
	}
	deps, err := w.run.Graph.dependencies(w.index, over)
	if err != nil {
		return nil, err
	}
	w.deps, w.reverse = deps, o.Reverse
	return scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
		return task(w.run.Graph.Nodes[w.index[k]])
	}, &o)
}

// suspend notes what has been done.
func (w *walk) suspend(ctx workflow.Context, g *scheduler.DependencyTaskGroup[string], err error) error {
	c := &Checkpoint{Hash: w.hash, Runs: 1}
	if w.before != nil {
		*c = *w.before
		c.Runs++
	}
	c.Completed, c.Over = append(Bitmap(nil), c.Completed...), append(Bitmap(nil), c.Over...)
	needed := w.needed(g)
	for k, state := range g.All() {
		switch i := w.index[k]; {
		case state == scheduler.StateSucceeded && w.services.of[k] && needed[k]: // it starts again
		case state == scheduler.StateSucceeded:
			c.Completed = c.Completed.add(i)
		case state.Ended():
			c.Over = c.Over.add(i)
		}
	}
	failed := w.before.failures()
	failed.add(failuresOf(err))
	failed = failed.bounded()
	c.Failed, c.FailedMore = failed.nodes, failed.more
	c.Signals = append(w.unread, receiveUnread(ctx)...)
	if err := tooLarge(GraphInput{Run: Run{w.run.Graph, c.withoutData()}}); err != nil {
		return err
	}
	w.run.Checkpoint = c
	return scheduler.ErrDrained
}

// needed returns the nodes that pending ones require, directly or not, and services that
// nothing requires, which run until only services are left, with what they require. It
// returns none if there was no service.
func (w *walk) needed(g *scheduler.DependencyTaskGroup[string]) map[string]bool {
	needed := map[string]bool{}
	if len(w.services.of) == 0 {
		return needed
	}
	walk, requires, requiredBy := w.deps.Backward(), w.deps.Requires, w.deps.RequiredBy
	if w.reverse {
		walk, requires, requiredBy = w.deps.All(), w.deps.RequiredBy, w.deps.Requires
	}
	for k := range walk {
		if w.services.of[k] && g.State(k) == scheduler.StateSucceeded && isEmpty(requiredBy(k)) {
			needed[k] = true
		}
		if needed[k] || g.State(k) == scheduler.StatePending {
			for q := range requires(k) {
				needed[q] = true
			}
		}
	}
	return needed
}

func isEmpty[K any](keys iter.Seq[K]) bool {
	for range keys {
		return false
	}
	return true
}

// services are the nodes that were ready before they ended. It observes the group.
type services struct{ of map[string]bool }

func (s *services) Observe(r scheduler.Record) {
	if k, ok := r.Key().(string); ok && r.To == scheduler.StateReady {
		if s.of == nil {
			s.of = map[string]bool{}
		}
		s.of[k] = true
	}
}

// ObserveGroup observes the outermost group alone.
func (s *services) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if begun.Path() != "" {
		return nil
	}
	return s
}

func (*services) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.NodeChanged) }

func (c *Checkpoint) withoutData() *Checkpoint {
	without := *c
	without.Data = nil
	return &without
}

// CheckpointTooLarge is the type of the application error of a workflow that would
// have to continue as new with more input than the server accepts.
const CheckpointTooLarge = "CheckpointTooLarge"

// inputMost is the server's limit, with room for what else belongs to an input.
const inputMost = 2<<20 - 64<<10

// tooLarge returns an error if the server would refuse the input, and with that
// terminate the workflow.
func tooLarge(in GraphInput) error {
	text, err := encode(in)
	if err != nil || len(text) <= inputMost {
		return err
	}
	c := in.Checkpoint
	size := func(v any) int {
		text, err := encode(v)
		if err != nil {
			return 0 // it was encoded a moment ago, as a part of in
		}
		return len(text)
	}
	return sdk.NewNonRetryableApplicationError(fmt.Sprintf(
		"temporal: it cannot continue as new: the input would have %d bytes, and the limit is %d: "+
			"the graph of %d nodes has %d, %d unread signals %d, %d failures %d, results %d",
		len(text), inputMost, len(in.Graph.Nodes), size(in.Graph), len(c.Signals), size(c.Signals),
		c.failures().count(), size(c.Failed), len(c.Data),
	), CheckpointTooLarge, nil)
}
