package misuse

import (
	"context"
	"errors"
	"io"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/steptask/scheduler"
)

// kinds are the kinds of arguments.
var kinds = []string{"zero", "in a context", "below zero", "large", "typed nil"}

// observer is an Observer whose nil pointer is none.
type observer struct{ records int }

func (o *observer) Observe(scheduler.Record) { o.records++ }

// clock is a clock of which a nil pointer is given.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time                  { return c.now }
func (c *clock) Wait(time.Time, <-chan struct{}) {}

// task is a task of which a nil pointer is given.
type task struct{ yield scheduler.Yield }

func (m *task) Step(context.Context) (scheduler.Yield, error) { return m.yield, nil }
func (m *task) Close() error                                  { return nil }

// argument returns an argument of a kind.
func (p Package) argument(t *testing.T, kind string, of reflect.Type) reflect.Value {
	t.Helper()
	if v := p.Always[of]; v != nil {
		return reflect.ValueOf(v)
	}
	if kind == "zero" {
		return reflect.Zero(of)
	}
	if v := p.Given[of]; v != nil && kind != "typed nil" {
		return reflect.ValueOf(v)
	}
	switch of {
	case reflect.TypeFor[context.Context]():
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // what waits for its end has one
		t.Cleanup(cancel)
		return reflect.ValueOf(ctx)
	case reflect.TypeFor[io.Writer]():
		if kind != "typed nil" {
			return reflect.ValueOf(io.Discard)
		}
	case reflect.TypeFor[scheduler.Clock]():
		if kind == "typed nil" {
			return reflect.ValueOf((*clock)(nil))
		}
	case reflect.TypeFor[scheduler.Task]():
		if kind == "typed nil" {
			return reflect.ValueOf((*task)(nil))
		}
		return reflect.ValueOf(scheduler.Pause(scheduler.Next))
	case reflect.TypeFor[scheduler.Observer]():
		if kind == "typed nil" {
			return reflect.ValueOf((*observer)(nil))
		}
	case reflect.TypeFor[scheduler.Record]():
		return reflect.ValueOf(begun(t))
	case reflect.TypeFor[error]():
		return reflect.ValueOf(errors.New("oops"))
	}
	switch of.Kind() { //nolint:exhaustive // Of the others the zero value is the one to try.
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v := reflect.New(of).Elem()
		switch kind {
		case "below zero":
			v.SetInt(-1)
		case "large":
			v.SetInt(math.MaxInt64 >> (64 - of.Bits()))
		case "typed nil":
			v.SetInt(math.MinInt64 >> (64 - of.Bits()))
		}
		return v
	case reflect.Float64:
		return reflect.ValueOf(math.NaN())
	case reflect.Slice:
		if kind == "below zero" {
			return reflect.Zero(of)
		}
		return reflect.Append(reflect.Zero(of), p.argument(t, kind, of.Elem()), p.argument(t, "zero", of.Elem()))
	case reflect.Map:
		m := reflect.MakeMap(of)
		m.SetMapIndex(p.argument(t, kind, of.Key()), p.argument(t, kind, of.Elem()))
		return m
	case reflect.Func:
		if kind == "below zero" || kind == "large" {
			return reflect.MakeFunc(of, answer(of))
		}
	}
	return reflect.Zero(of)
}

// begun returns the record of a group that has begun, and has ended since.
func begun(t *testing.T) (r scheduler.Record) {
	t.Helper()
	err := observed(t, scheduler.ObserverFunc(func(now scheduler.Record) {
		if now.Kind == scheduler.GroupBegun {
			r = now
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// observed runs a group with an Observer.
func observed(t *testing.T, o scheduler.Observer) error {
	t.Helper()
	deps := scheduler.NewDependencies[string]()
	deps.Add("node")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Observer: o})
	if err != nil {
		t.Fatal(err)
	}
	return scheduler.Run(t.Context(), group, nil)
}

// answer returns a function that returns zero values, and true.
func answer(of reflect.Type) func([]reflect.Value) []reflect.Value {
	return func([]reflect.Value) []reflect.Value {
		var results []reflect.Value
		for i := range of.NumOut() {
			result := reflect.New(of.Out(i)).Elem()
			if result.Kind() == reflect.Bool {
				result.SetBool(true) // a Poll without a pause would not end
			}
			results = append(results, result)
		}
		return results
	}
}
