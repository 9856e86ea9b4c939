package temporal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.temporal.io/api/failure/v1"
	sdk "go.temporal.io/sdk/temporal"

	"github.com/steptask/scheduler"
)

// NodeFailed is the type of the application error of a workflow in which nodes have
// failed. Its size is bounded, since the server terminates a workflow whose failure
// is larger than 2 MB: see [FailedNodes] and [FailedCount].
const NodeFailed = "NodeFailed"

// NodeFailure is a failed node, from [FailedNodes].
type NodeFailure struct {
	Node    string `json:"node"`    // its key; inside of other groups after theirs, with slashes
	Message string `json:"message"` // the error's text, or its beginning
}

const (
	nodesMost   = 512 << 10 // bytes, of a list of failed nodes
	messageMost = 1 << 10   // of one text in it
	failureMost = 1 << 20   // of an error, as the server gets it
	levelsMost  = 64        // of errors inside one another, in one that was cut
)

// FailedNodes returns the failed nodes of a workflow, in the order in which they
// failed, from its error: inside the workflow, in a parent, or at a client. It
// returns none if the workflow failed for another reason.
//
// Messages are cut off after about 1,000 bytes, or earlier if many nodes have failed,
// to leave room for the keys. The list ends when the keys alone take 512 KB;
// [FailedCount] returns the full number.
func FailedNodes(err error) []NodeFailure { return failuresOf(err).nodes }

// FailedCount returns the number of failed nodes, which may exceed the length of
// [FailedNodes].
func FailedCount(err error) int { return failuresOf(err).count() }

// failures are those of nodes, in order of occurrence.
type failures struct {
	nodes []NodeFailure
	more  int // that nodes has no room for
}

func (f failures) count() int { return len(f.nodes) + f.more }

// failuresOf returns what the details of an error of type NodeFailed have.
func failuresOf(err error) failures {
	var app *sdk.ApplicationError
	for errors.As(err, &app) {
		var f failures
		if app.Type() == NodeFailed && app.HasDetails() && app.Details(&f.nodes, &f.more) == nil {
			return f
		}
		err = errors.Unwrap(app)
	}
	return failures{}
}

// add appends others to f.
func (f *failures) add(others failures) {
	f.nodes = append(f.nodes, others.nodes...)
	f.more += others.more
}

// bounded returns f with nodesMost bytes at most. It rather gives up parts of
// messages than keys.
func (f failures) bounded() failures {
	const overhead = 48 // the names of fields, and what cut adds
	size, n := 0, 0
	for _, node := range f.nodes {
		size += encodedLen(cut(node.Node, messageMost)) + overhead
		if size > nodesMost {
			break
		}
		n++
	}
	if n == 0 {
		return f
	}
	each := min(messageMost, max(0, nodesMost-size)/n)
	b := failures{nodes: make([]NodeFailure, n), more: f.count() - n}
	for i := range b.nodes {
		b.nodes[i] = NodeFailure{cut(f.nodes[i].Node, messageMost), cut(f.nodes[i].Message, each)}
	}
	return b
}

// failureOf makes of the error of a run what a workflow can return. The SDK knows
// an error by its outermost type and follows Unwrap() error alone: a joined
// error or an ExceptionGroup would lose all that is inside.
func failureOf(err error) error {
	if err = notOnlyDrained(err); err == nil || has(err, scheduler.ErrDrained) {
		return err
	}
	var nodes failures
	first := nodes.flatten("", err)
	if nodes.count() == 0 && first == err { //nolint:errorlint // Whether it is that very error.
		return small(err)
	}
	return nodesFailed(first, nodes)
}

// notOnlyDrained returns err without the ErrDrained that is joined to failures: a
// workflow fails with these.
func notOnlyDrained(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !has(err, scheduler.ErrDrained) {
		return err
	}
	var failed []error
	for _, e := range joined.Unwrap() {
		if e != scheduler.ErrDrained { //nolint:errorlint // That very one.
			failed = append(failed, e)
		}
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return errors.Join(failed...)
}

// nodesFailed returns the error of type NodeFailed.
func nodesFailed(first error, f failures) error {
	if len(f.nodes) == 0 {
		return small(first)
	}
	f = f.bounded()
	message := "node " + f.nodes[0].Node
	if f.count() > 1 {
		message = fmt.Sprintf("%d nodes, the first is %s", f.count(), f.nodes[0].Node)
	}
	return sdk.NewApplicationErrorWithOptions(message, NodeFailed, sdk.ApplicationErrorOptions{
		NonRetryable: isFinal(first),
		Cause:        withoutCancel(small(first)),
		Details:      []any{f.nodes, f.more},
	})
}

// flatten adds the failures of nodes in an error, in order, and returns the error
// of the first.
func (f *failures) flatten(path string, err error) error {
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *scheduler.TaskError:
		return f.flatten(path+"/"+fmt.Sprint(e.Key), e.Err)
	case interface{ Unwrap() []error }:
		var first error
		for _, branch := range e.Unwrap() {
			if one := f.flatten(path, branch); first == nil {
				first = one
			}
		}
		if first != nil {
			return first
		}
	}
	err = tame(err)
	if path == "" {
		return err
	}
	path = strings.TrimPrefix(path, "/")
	inside := failuresOf(err) // of a child workflow
	for i, n := range inside.nodes {
		inside.nodes[i].Node = path + "/" + n.Node
	}
	if inside.count() == 0 {
		inside.nodes = []NodeFailure{{path, err.Error()}}
	}
	f.add(inside)
	return err
}

// small returns err, or if that is too large for the server one like it: with the
// same types, but without details, and with texts that are cut off.
func small(err error) error {
	converter := sdk.GetDefaultFailureConverter()
	f := converter.ErrorToFailure(err)
	if f.Size() <= failureMost {
		return err
	}
	level := f
	for range levelsMost {
		shrink(level)
		if level.Cause == nil {
			return converter.FailureToError(f)
		}
		level = level.Cause
	}
	level.Reset()
	level.Message = "(and what was inside)"
	return converter.FailureToError(f)
}

// shrink lets a failure lose what may be large, but for its cause.
func shrink(f *failure.Failure) {
	f.Message, f.StackTrace = cut(f.Message, messageMost), cut(f.StackTrace, messageMost)
	f.EncodedAttributes = nil
	switch info := f.FailureInfo.(type) {
	case *failure.Failure_ApplicationFailureInfo:
		info.ApplicationFailureInfo.Details = nil
		info.ApplicationFailureInfo.Type = cut(info.ApplicationFailureInfo.Type, messageMost)
	case *failure.Failure_CanceledFailureInfo:
		info.CanceledFailureInfo.Details = nil
	case *failure.Failure_TimeoutFailureInfo:
		info.TimeoutFailureInfo.LastHeartbeatDetails = nil
	}
}

// cut returns the beginning of a text whose rest takes more than most bytes of
// JSON, with how much is missing.
func cut(text string, most int) string {
	size := 0
	for i, r := range text {
		if size += encodedRune(r); size > most {
			return text[:i] + fmt.Sprintf("... (%d bytes more)", len(text)-i)
		}
	}
	return text
}

func encodedLen(text string) int {
	size := 0
	for _, r := range text {
		size += encodedRune(r)
	}
	return size
}

// encodedRune returns how many bytes of JSON a character may take.
func encodedRune(r rune) int {
	if r < ' ' || r == utf8.RuneError || strings.ContainsRune("\"\\<>&\u2028\u2029", r) {
		return len(`\u0000`)
	}
	return utf8.RuneLen(r)
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
	if err = tame(err); errors.Is(err, what) {
		return nil
	}
	return err
}

// has is errors.Is for an error that may have some inside whose methods panic.
func has(err, target error) bool {
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *scheduler.TaskError:
		return has(e.Err, target)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), func(branch error) bool { return has(branch, target) })
	}
	return errors.Is(tame(err), target)
}

// tame returns an error of a task's, or, if a method of it panics, one with the text that
// package fmt gives for it: a panic would fail the workflow task again and again, without
// the name of the node.
func tame(err error) (tamed error) {
	defer func() {
		if recover() != nil {
			tamed = errors.New(fmt.Sprint(err))
		}
	}()
	var app *sdk.ApplicationError
	_ = err.Error()
	_ = errors.Is(err, errNobodys)
	_ = errors.As(err, &app)
	return err
}

// errNobodys is an error that no other is.
var errNobodys = errors.New("nobody's")
