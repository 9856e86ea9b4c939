package temporal

import (
	"errors"
	"fmt"
	"strings"

	sdk "go.temporal.io/sdk/temporal"

	"github.com/steptask/scheduler"
)

// NodeFailed is the type of the application error with which a workflow fails
// because nodes have failed.
const NodeFailed = "NodeFailed"

// NodeFailure says which node failed, as [FailedNodes] has it.
type NodeFailure struct {
	Node    string `json:"node"`    // its key; inside of other groups after theirs, with slashes
	Message string `json:"message"` // the error's text
}

// FailedNodes returns which nodes have failed, in order of occurrence, from the
// error of a workflow: inside of it, in a parent, or at a client. There are none
// if it did not fail because of nodes.
func FailedNodes(err error) []NodeFailure {
	var app *sdk.ApplicationError
	for errors.As(err, &app) {
		var nodes []NodeFailure
		if app.Type() == NodeFailed && app.HasDetails() && app.Details(&nodes) == nil {
			return nodes
		}
		err = errors.Unwrap(app)
	}
	return nil
}

// failure makes of the error of a run what a workflow can return. The SDK knows
// an error by its outermost type and follows Unwrap() error alone: a joined
// error or an ExceptionGroup would lose all that is inside.
func failure(err error) error {
	if err == nil || errors.Is(err, scheduler.ErrDrained) {
		return err
	}
	nodes, first := flatten("", err, nil)
	if len(nodes) == 0 && first == err { //nolint:errorlint // Whether it is that very error.
		return err
	}
	return nodesFailed(first, nodes)
}

// nodesFailed returns the error of type NodeFailed.
func nodesFailed(first error, nodes []NodeFailure) error {
	if len(nodes) == 0 {
		return first
	}
	message := "node " + nodes[0].Node
	if len(nodes) > 1 {
		message = fmt.Sprintf("%d nodes, the first is %s", len(nodes), nodes[0].Node)
	}
	return sdk.NewApplicationErrorWithOptions(message, NodeFailed, sdk.ApplicationErrorOptions{
		NonRetryable: isFinal(first),
		Cause:        withoutCancel(first),
		Details:      []any{nodes},
	})
}

// flatten finds the failures of nodes in an error, in order, and the error of
// the first.
func flatten(path string, err error, nodes []NodeFailure) ([]NodeFailure, error) {
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *scheduler.TaskError:
		return flatten(path+"/"+fmt.Sprint(e.Key), e.Err, nodes)
	case interface{ Unwrap() []error }:
		var first error
		for _, branch := range e.Unwrap() {
			var one error
			nodes, one = flatten(path, branch, nodes)
			if first == nil {
				first = one
			}
		}
		if first != nil {
			return nodes, first
		}
	}
	if path == "" {
		return nodes, err
	}
	path = strings.TrimPrefix(path, "/")
	if inside := FailedNodes(err); len(inside) > 0 { // a child workflow
		for _, n := range inside {
			nodes = append(nodes, NodeFailure{Node: path + "/" + n.Node, Message: n.Message})
		}
		return nodes, err
	}
	return append(nodes, NodeFailure{Node: path, Message: err.Error()}), err
}

// isFinal reports whether an error says that it is not to be retried.
func isFinal(err error) bool {
	var app *sdk.ApplicationError
	return errors.As(err, &app) && app.NonRetryable()
}

// withoutCancel hides a cancellation from the SDK, which would close the
// workflow as Canceled if its error had one anywhere inside: here it is what a
// node failed with.
func withoutCancel(err error) error {
	if sdk.IsCanceledError(err) {
		return errors.New(err.Error())
	}
	return err
}

// without returns err, or nil if it is but what, or what and nothing of its own.
func without(err, what error) error {
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var kept []error
		for _, branch := range e.Unwrap() {
			if branch = without(branch, what); branch != nil {
				kept = append(kept, branch)
			}
		}
		return errors.Join(kept...)
	}
	if errors.Is(err, what) {
		return nil
	}
	return err
}
