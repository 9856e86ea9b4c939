package proof_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/steptask/scheduler/internal/model"
)

// modelTrace is what one side writes down.
type modelTrace struct{ b []byte }

func (t *modelTrace) add(id int, what, detail string, now int64) {
	t.b = strconv.AppendInt(t.b, int64(id), 10)
	t.b = append(t.b, ' ')
	t.b = append(t.b, what...)
	if detail != "" {
		t.b = append(t.b, ' ')
		t.b = append(t.b, detail...)
	}
	t.b = append(t.b, " @"...)
	t.b = strconv.AppendInt(t.b, now-modelStart, 10)
	t.b = append(t.b, '\n')
}

// transition writes a change of state down.
func (t *modelTrace) transition(id, k, from, to int, err string) {
	t.b = strconv.AppendInt(append(t.b, "group "...), int64(id), 10)
	t.b = strconv.AppendInt(append(t.b, " node "...), int64(k), 10)
	t.b = append(t.b, ' ', byte('0'+from), '>', byte('0'+to), ' ')
	t.b = append(append(t.b, err...), '\n')
}

// modelRendered writes an error down; leaves of other kinds are up to one.
func modelRendered(err error, one func(error) string) string {
	if err == nil {
		return "ok"
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var parts []string
		for _, e := range joined.Unwrap() {
			parts = append(parts, modelRendered(e, one))
		}
		return one(err) + "{" + strings.Join(parts, " ") + "}"
	}
	return one(err)
}

// modelTimeout writes down a Timeout, with what its node had said.
func modelTimeout(render func(error) string, n model.Notes) string {
	if n == (model.Notes{}) {
		return "timeout"
	}
	return "timeout after " + string(appendNotes(nil, n, render(n.Last)))
}

// appendNotes writes down what a node has said; last is its last error.
func appendNotes(b []byte, n model.Notes, last string) []byte {
	b = append(append(b, '['), n.Text...)
	b = strconv.AppendInt(append(b, ' '), int64(n.Asked), 10)
	b = strconv.AppendInt(append(b, ' '), int64(n.Attempt), 10)
	return append(append(append(b, ' '), last...), ']')
}

// modelStates writes down the states of what a node requires.
func modelStates(states []int) string {
	b := []byte{'['}
	for _, state := range states {
		b = strconv.AppendInt(append(b, ' '), int64(state), 10)
	}
	return string(append(b, ']'))
}

// modelKey writes a key down.
func modelKey(key any) string {
	if k, ok := key.(int); ok {
		return strconv.Itoa(k)
	}
	return fmt.Sprint(key)
}
