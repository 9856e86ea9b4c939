package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
)

// GraphType is the name under which [Register] registers [GraphWorkflow].
const GraphType = "scheduler.Graph"

// Register registers [GraphWorkflow] with a worker.
func Register(r worker.WorkflowRegistry) {
	if r == nil {
		panic("temporal: Register: nil WorkflowRegistry")
	}
	r.RegisterWorkflowWithOptions(GraphWorkflow, workflow.RegisterOptions{Name: GraphType})
}

// GraphInput is the input of [GraphWorkflow].
type GraphInput struct {
	Run
	Settings
}

// Settings are the options of a group and of [Drive] that can be written as data. The
// zero value of each field is its default there. Durations are in nanoseconds.
type Settings struct {
	Reverse         bool          `json:"reverse,omitempty"`
	AggregateErrors bool          `json:"aggregateErrors,omitempty"`
	Limit           int           `json:"limit,omitempty"`
	Budget          int           `json:"budget,omitempty"`
	Grace           time.Duration `json:"grace,omitempty"`
	GroupGrace      time.Duration `json:"errorWaitTime,omitempty"` // after a failure; 0: Grace
	MaxHistory      int           `json:"maxHistory,omitempty"`
	Heartbeat       time.Duration `json:"heartbeat,omitempty"` // of activities
}

// DefaultTimeout is the time limit of an attempt of an activity in [GraphWorkflow],
// if its node has no Timeout.
const DefaultTimeout = time.Hour

// NodeInput is the only argument that [GraphWorkflow] passes to the activity or child
// workflow of a [Node].
type NodeInput struct {
	Key   string          `json:"key"`
	Input json.RawMessage `json:"input,omitempty"`
	// Results are those of the nodes that this one requires, as JSON.
	Results map[string]json.RawMessage `json:"results,omitempty"`
}

// GraphWorkflow is a workflow that runs a graph whose nodes say what they do: see
// [Node]. It logs failures, answers Drive's query, and continues as new when its
// history has become long.
//
// The results of activities and child workflows, and the values of signals, are
// passed on as JSON: values that Go and the SDK encode as JSON stay as they are,
// protobuf messages take their JSON form, and bytes become a base64 string. A node
// whose result has no such form fails. Results that later nodes need are carried
// along when the workflow continues as new, and must fit into its input together with
// the graph: beyond about 2 MB the workflow fails with an error of type
// [CheckpointTooLarge]. A node's Graph is run by a child workflow of this kind with
// the same Settings; its results are not passed on.
func GraphWorkflow(ctx workflow.Context, in GraphInput) error {
	if ctx == nil {
		return errNilContext
	}
	w := graphWorkflow{in: &in, results: map[string]json.RawMessage{}}
	if c := in.Checkpoint; c != nil && len(c.Data) > 0 {
		if err := decode(c.Data, &w.results); err != nil {
			return fmt.Errorf("temporal: checkpoint: %w", err)
		}
	}
	err := Walk(ctx, &in.Run, w.task, &scheduler.GroupOptions[string]{
		Name:            workflow.GetInfo(ctx).WorkflowExecution.ID,
		Reverse:         in.Reverse,
		AggregateErrors: in.AggregateErrors,
		Grace:           in.GroupGrace,
		Limit:           in.Limit,
		Budget:          in.Budget,
		Observer:        Log(ctx),
	}, Options{Grace: in.Grace, Limit: in.Limit, MaxHistory: in.MaxHistory})
	if !errors.Is(err, scheduler.ErrDrained) {
		return err
	}
	if in.Checkpoint.Data, err = encode(w.needed()); err != nil {
		return err
	}
	if err := tooLarge(in); err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, GraphType, in)
}

type graphWorkflow struct {
	in      *GraphInput
	results map[string]json.RawMessage
}

// task returns what a node does.
func (w *graphWorkflow) task(n Node) scheduler.Task {
	var c *Call[converter.RawValue]
	switch {
	case n.Activity != "":
		opts := workflow.ActivityOptions{
			TaskQueue: n.Queue, StartToCloseTimeout: n.Timeout, HeartbeatTimeout: w.in.Heartbeat,
		}
		if opts.StartToCloseTimeout == 0 {
			opts.StartToCloseTimeout = DefaultTimeout
		}
		c = Activity[converter.RawValue](n.Key, opts, n.Activity, w.input(n))
	case n.Workflow != "":
		c = ChildWorkflow[converter.RawValue](n.Key, workflow.ChildWorkflowOptions{TaskQueue: n.Queue}, n.Workflow, w.input(n))
	case n.Graph != nil:
		c = ChildWorkflow[converter.RawValue](n.Key, workflow.ChildWorkflowOptions{TaskQueue: n.Queue}, GraphType,
			GraphInput{Run: Run{Graph: *n.Graph}, Settings: w.in.Settings})
	case n.Signal != "":
		c = Signal[converter.RawValue](n.Signal)
	case n.Timer > 0:
		return Timer(n.Key, n.Timer)
	default:
		return scheduler.Func(nothing)
	}
	return c.Then(func(value converter.RawValue) error {
		result, err := resultOf(value.Payload())
		if len(result) > 0 {
			w.results[n.Key] = result
		}
		return err
	})
}

// resultOf returns the JSON form of a value, or nil if there is none.
func resultOf(value *common.Payload) (json.RawMessage, error) {
	switch encoding := string(value.GetMetadata()[converter.MetadataEncoding]); encoding {
	case "", converter.MetadataEncodingNil:
		return nil, nil
	case converter.MetadataEncodingJSON, converter.MetadataEncodingProtoJSON:
		return value.GetData(), nil
	case converter.MetadataEncodingBinary:
		return encode(value.GetData())
	default:
		return nil, fmt.Errorf("temporal: a result of encoding %q, which has no JSON form", encoding)
	}
}

// nothing is a node that only orders others.
func nothing(context.Context) error { return nil }

func (w *graphWorkflow) input(n Node) NodeInput {
	in := NodeInput{Key: n.Key, Input: n.Input}
	for _, k := range n.Requires {
		if result, ok := w.results[k]; ok {
			if in.Results == nil {
				in.Results = map[string]json.RawMessage{}
			}
			in.Results[k] = result
		}
	}
	return in
}

// needed returns the results that a node which is not completed requires.
func (w *graphWorkflow) needed() map[string]json.RawMessage {
	needed := map[string]json.RawMessage{}
	for i, n := range w.in.Graph.Nodes {
		if w.in.Checkpoint.Completed.Has(i) || w.in.Checkpoint.Over.Has(i) {
			continue
		}
		for _, k := range n.Requires {
			if result, ok := w.results[k]; ok {
				needed[k] = result
			}
		}
	}
	return needed
}
