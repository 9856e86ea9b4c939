package temporal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
)

// Run is a graph and how far it has been run: part of the input of a workflow
// that calls [Walk].
type Run struct {
	Graph Graph `json:"graph"`
	// Checkpoint is what an earlier run of the workflow has come to; nil in the
	// first.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// Checkpoint is what a run that was drained hands on to the one that continues
// as new. Nodes are known by their place in the graph.
type Checkpoint struct {
	Hash      string `json:"hash"` // of the graph
	Runs      int    `json:"runs"` // that were made
	Completed Bitmap `json:"completed,omitempty"`
	// Over are nodes that will never start, or have failed.
	Over    Bitmap          `json:"over,omitempty"`
	Failed  []NodeFailure   `json:"failed,omitempty"`
	Signals []UnreadSignal  `json:"signals,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"` // the workflow's own
}

// UnreadSignal is a signal that came for a node which had not started.
type UnreadSignal struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value,omitempty"`
}

// GraphChanged is the type of the application error with which Walk refuses to
// continue a run with another graph than it was begun with.
const GraphChanged = "GraphChanged"

// Walk runs a graph that is data: it makes a group of the graph's nodes, each the
// task that the function gives for it, and drives it as [Drive] does.
//
// When the server suggests that the workflow continue as new, or at
// Options.MaxHistory events, the group is drained: what runs ends, nothing more
// starts. Walk then notes in run.Checkpoint which nodes are completed and returns
// [scheduler.ErrDrained], and the workflow continues as new with it:
//
//	err := temporal.Walk(ctx, &in.Run, task, nil, temporal.Options{})
//	if errors.Is(err, scheduler.ErrDrained) {
//		return workflow.NewContinueAsNewError(ctx, Deploy, in)
//	}
//	return err
//
// What later nodes need of the results of earlier ones goes into
// Checkpoint.Data, which Walk leaves as it is, or into a store: all of the
// input has to fit into 2 MB. A node that takes hours holds the drain up for
// hours: let it be a child workflow in a graph that is not so long.
//
// A checkpoint of another graph fails with an application error of type
// [GraphChanged]. If it is on replay that another graph turns up, because it was
// made by code that has changed, Walk panics: the workflow then stays as it is,
// with the reason in its history, until the right code is back.
//
// The group's options are taken with these defaults: Limit is that of opts,
// Budget is [DefaultBudget], and the Observer is silent on replay. With
// AggregateErrors, what failed in earlier runs is in the result of the last.
func Walk(
	ctx workflow.Context, run *Run, task func(Node) scheduler.Task,
	group *scheduler.GroupOptions[string], opts Options,
) error {
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
	if w.before != nil && len(w.before.Failed) > 0 {
		nodes := append(slices.Clip(w.before.Failed), FailedNodes(err)...)
		if err == nil {
			err = errors.New(nodes[0].Message)
		}
		return nodesFailed(err, nodes)
	}
	return err
}

// walk is one call of Walk.
type walk struct {
	run    *Run
	before *Checkpoint
	hash   string
	index  map[string]int
	unread []UnreadSignal
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
	for k, state := range g.All() {
		switch i := w.index[k]; {
		case state == scheduler.StateSucceeded:
			c.Completed = c.Completed.add(i)
		case state.Ended():
			c.Over = c.Over.add(i)
		}
	}
	c.Failed = append(slices.Clip(c.Failed), FailedNodes(err)...)
	c.Signals = w.unread
	names := workflow.GetUnhandledSignalNames(ctx)
	slices.Sort(names)
	for _, name := range names {
		channel := workflow.GetSignalChannel(ctx, name)
		for {
			var value json.RawMessage
			if !channel.ReceiveAsync(&value) {
				break
			}
			c.Signals = append(c.Signals, UnreadSignal{Name: name, Value: value})
		}
	}
	w.run.Checkpoint = c
	return scheduler.ErrDrained
}
