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
	Over Bitmap `json:"over,omitempty"`
	// Failed are the failures, as [FailedNodes] has them, and FailedMore is the
	// number of those for which it has no room.
	Failed     []NodeFailure   `json:"failed,omitempty"`
	FailedMore int             `json:"failedMore,omitempty"`
	Signals    []UnreadSignal  `json:"signals,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"` // the workflow's own
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
// input has to fit into 2 MB. If the rest alone does not, Walk fails with an
// application error of type [CheckpointTooLarge] that says what takes how much,
// and leaves run as it was. A node that takes hours holds the drain up for
// hours: let it be a child workflow in a graph that is not so long.
//
// A checkpoint of another graph fails with an application error of type
// [GraphChanged]. If it is on replay that another graph turns up, because it was
// made by code that has changed, Walk panics: the workflow then stays as it is,
// with the reason in its history, until the right code is back.
//
// When and KeepOpen are refused with an [*scheduler.OptionError]: a checkpoint has no
// place for what a node's condition would ask about in a later run, nor for nodes that are
// not in the graph. A group of your own may have them, with [Drive].
//
// The group's other options are taken with these defaults: Limit is that of opts,
// Budget is [DefaultBudget], and the Observer is silent on replay. KeepOpen is
// refused with a [*scheduler.OptionError]: a checkpoint knows nodes by their places
// in the graph. [Drive] runs a group that grows. With AggregateErrors, what failed in earlier runs is in the result of the last.
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
	}
	if o.KeepOpen {
		return nil, &scheduler.OptionError{Option: "GroupOptions.KeepOpen", Reason: "not for Walk, whose graph is data; use Drive"}
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

func (c *Checkpoint) withoutData() *Checkpoint {
	without := *c
	without.Data = nil
	return &without
}

// CheckpointTooLarge is the type of the application error with which a workflow
// fails that would have to continue as new with more than the server takes.
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
