package scheduler

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// PanicError is a panic of a coroutine, a call or a node of a group. It propagates in
// place of the original value, to show the original stack and the node. With
// [GroupOptions.RecoverPanics] it is the error of the node instead, joined with what
// nodes had failed with in the groups inside that it ended.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // where, as formatted by runtime/debug.Stack
	Path  string // the keys of the nodes that it went up through, outermost first

	goesUp bool  // it is a panic, and not the error of a node
	failed error // what nodes had failed with in the groups that it ended, until it is an error
}

// Error returns the value of the panic and, while it propagates, the path of the node
// and the place outside of this package that panicked.
func (e *PanicError) Error() string {
	text := fmt.Sprintf("panic: %v", e.Value)
	if !e.goesUp {
		return text
	}
	if e.Path != "" {
		text += " in " + e.Path
	}
	if place := placeIn(string(e.Stack)); place != "" {
		text += " at " + place
	}
	return text
}

// String returns the text of Error and the stack.
func (e *PanicError) String() string { return fmt.Sprintf("%s\n\n%s", e.Error(), e.Stack) }

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// panicIn returns what goes up in the place of a panic with a value that came out
// of a node. The stack is that of the caller, which is still that of the panic.
func panicIn(key any, v any) *PanicError {
	p, _ := v.(*PanicError)
	if p == nil {
		return &PanicError{Value: v, Stack: debug.Stack(), Path: fmt.Sprint(key), goesUp: true}
	}
	inner := *p
	inner.Path, inner.goesUp = fmt.Sprint(key), true
	if p.Path != "" {
		inner.Path += "/" + p.Path
	}
	return &inner
}

// recovered turns a panic into an error, unless it is to go up.
func recovered(code func() (Yield, error), goesUp func() bool) (y Yield, err error) {
	defer func() {
		if goesUp() {
			return
		}
		if v := recover(); v != nil {
			y, err = Yield{}, errorOf(v)
		}
	}()
	return code()
}

// errorOf returns the error that a panic with a value becomes, joined with what nodes had
// failed with in the groups that it ended. The stack is that of the caller, as in panicIn.
func errorOf(v any) error {
	p := PanicError{Value: v, Stack: debug.Stack()}
	if up, _ := v.(*PanicError); up != nil {
		p = *up
		p.goesUp = false
	}
	failed := p.failed
	p.failed = nil
	return join(&p, failed)
}

// placeIn returns the function and the line of a stack that panicked: the first
// below the last call of panic that is neither of package runtime nor of this one.
func placeIn(stack string) string {
	stack = stack[max(strings.LastIndex(stack, "\npanic("), 0):]
	lines := strings.Split(stack, "\n")
	for i := 0; i+1 < len(lines); i++ {
		at, isPlace := strings.CutPrefix(lines[i+1], "\t")
		if !isPlace || isInside(lines[i]) {
			continue
		}
		name := lines[i][:max(strings.LastIndexByte(lines[i], '('), 0)]
		name = name[strings.LastIndexByte(name, '/')+1:]
		at, _, _ = strings.Cut(at, " ")
		return name + " (" + at[strings.LastIndexByte(at, '/')+1:] + ")"
	}
	return ""
}

// isInside reports whether a line of a stack is of the runtime or this package.
func isInside(line string) bool {
	for _, prefix := range []string{"panic(", "runtime.", "runtime/", "goroutine ", "github.com/steptask/scheduler.", "github.com/steptask/scheduler/internal/coro."} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
