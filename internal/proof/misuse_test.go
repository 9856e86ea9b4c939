package proof_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/api"
)

// misused are all exported functions: those of types are found by their methods.
var misused = map[string]any{
	"After": scheduler.After, "All": scheduler.All, "At": scheduler.At, "Blocking": scheduler.Blocking,
	"Call": scheduler.Call[int], "Causes": scheduler.Causes, "Claiming": scheduler.Claiming,
	"DependenciesOf": scheduler.DependenciesOf[float64], "Ending": scheduler.Ending, "Fetch": scheduler.Fetch[int],
	"Finally": scheduler.Finally, "First": scheduler.First, "Group": scheduler.Group[string],
	"Interrupted": scheduler.Interrupted, "KindsOf": scheduler.KindsOf, "Named": scheduler.Named,
	"NewDependencies": scheduler.NewDependencies[float64], "NewDependencyTaskGroup": scheduler.NewDependencyTaskGroup[float64],
	"NewLimiter": scheduler.NewLimiter, "NewLogObserver": scheduler.NewLogObserver, "NewTaskRunner": scheduler.NewTaskRunner,
	"NewTimedCancel": scheduler.NewTimedCancel, "NewTimeout": scheduler.NewTimeout, "Note": scheduler.Note,
	"Now": scheduler.Now, "Observers": scheduler.Observers, "On": scheduler.On, "Pause": scheduler.Pause,
	"Permanent": scheduler.Permanent, "Poll": scheduler.Poll, "PollCall": scheduler.PollCall[int],
	"Ready": scheduler.Ready, "Reserve": scheduler.Reserve, "Retry": scheduler.Retry, "RetryAfter": scheduler.RetryAfter,
	"RetryCall": scheduler.RetryCall[int], "Rounds": scheduler.Rounds, "Run": scheduler.Run, "Sequence": scheduler.Sequence,
	"Shield": scheduler.Shield, "StopCause": scheduler.StopCause, "Stopping": scheduler.Stopping, "Subrun": scheduler.Subrun,
	"TaskDescription": scheduler.TaskDescription, "Translate": scheduler.Translate[float64, int], "Walk": scheduler.Walk[float64],
	"WithClock": scheduler.WithClock, "WithTimeout": scheduler.WithTimeout, "Wrap": scheduler.Wrap,
}

// misusedTypes are values of all exported types with methods.
var misusedTypes = []any{
	scheduler.AbandonedError{},
	scheduler.AddError{},
	scheduler.BackOffFunc(nil),
	scheduler.CircularDependencyError[float64]{},
	scheduler.ClaimWait{},
	scheduler.DeadlockError{},
	scheduler.Dependencies[float64]{},
	scheduler.DependencyTaskGroup[float64]{},
	scheduler.Disposition(200),
	scheduler.ExceptionGroup{},
	scheduler.Explanation[float64]{},
	scheduler.Func(nil),
	scheduler.GroupView{},
	scheduler.Kind(200), scheduler.Kinds(0),
	scheduler.LateCall{},
	scheduler.LateError{},
	scheduler.Limiter{},
	scheduler.LogObserver{},
	scheduler.NestedRunError{},
	scheduler.Notes{},
	scheduler.ObserverFunc(nil),
	scheduler.OptionError{},
	scheduler.PanicError{},
	scheduler.PendingCall{},
	scheduler.Record{},
	scheduler.Snapshot[float64]{},
	scheduler.State(200), scheduler.StepFunc(nil),
	scheduler.StopError{},
	scheduler.TaskError{},
	scheduler.TimedCancel{},
	scheduler.Timeout{},
	scheduler.Verdict(200),
	scheduler.Yield{},
}

// misusedByPointer are those that must not be copied.
var misusedByPointer = []reflect.Type{
	reflect.TypeFor[scheduler.Coroutine](), reflect.TypeFor[scheduler.Event](), reflect.TypeFor[scheduler.TaskRunner](),
}

// madeByUs are those of which nobody gets a nil or zero one, and which have no use
// for one.
var madeByUs = map[reflect.Type]bool{
	reflect.TypeFor[scheduler.PendingCall](): true,
	reflect.TypeFor[scheduler.TimedCancel](): true,
}

// Whatever is given to an exported function or method (what is nil, zero, below zero,
// no number or too large), and whatever that is called on, the answer is none that the
// runtime gives.
func TestMisuse_of_everything(t *testing.T) {
	seen := map[string]bool{}
	for name, fn := range misused {
		seen[name] = true
		misuse(t, name, reflect.ValueOf(fn))
	}
	types := slices.Clone(misusedByPointer)
	for _, v := range misusedTypes {
		types = append(types, reflect.TypeOf(v))
	}
	for _, of := range types {
		name, _, _ := strings.Cut(of.Name(), "[")
		for i := range reflect.PointerTo(of).NumMethod() {
			method := reflect.PointerTo(of).Method(i).Name
			seen[name+"."+method] = true
			if of == reflect.TypeFor[scheduler.PendingCall]() {
				continue
			}
			misuse(t, name+"."+method+" of a zero value", func() reflect.Value { return reflect.New(of).MethodByName(method) })
			_, byValue := of.MethodByName(method)
			isError := reflect.PointerTo(of).Implements(reflect.TypeFor[error]()) // a nil one is none, as everywhere in Go
			if !byValue && !isError && !madeByUs[of] {
				misuse(t, name+"."+method+" of nil", func() reflect.Value { return reflect.Zero(reflect.PointerTo(of)).MethodByName(method) })
			}
		}
	}
	functions, err := api.Functions("../..", "scheduler")
	require.NoError(t, err)
	for _, name := range functions {
		if !seen[name] {
			t.Errorf("no misuse of %s is tried", name)
		}
	}
}

// misuse calls a function, or what makes one, with each kind of arguments.
func misuse(t *testing.T, name string, fn any) {
	t.Helper()
	made := func() reflect.Value {
		switch fn := fn.(type) {
		case func() reflect.Value:
			return fn()
		default:
			return fn.(reflect.Value)
		}
	}
	for _, kind := range []string{"zero", "in a context", "below zero", "large", "typed nil"} {
		t.Run(name+", "+kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer func() {
					switch v := recover().(type) {
					case nil:
					case *scheduler.PanicError, *scheduler.OptionError:
						require.NotContains(t, fmt.Sprint(v), "runtime error")
					case runtime.Error:
						stack := make([]byte, 8000)
						require.Fail(t, v.Error(), string(stack[:runtime.Stack(stack, false)]))
					default:
						require.Contains(t, fmt.Sprint(v), "scheduler: ")
					}
				}()
				f := made()
				var args []reflect.Value
				for i := range f.Type().NumIn() {
					args = append(args, argument(t, kind, f.Type().In(i)))
				}
				var results []reflect.Value
				if f.Type().IsVariadic() {
					results = f.CallSlice(args)
				} else {
					results = f.Call(args)
				}
				for _, r := range results {
					exhaust(t, r)
				}
			})
		})
	}
}

// exhaust does with a result what anybody does: a task is run, an error is printed, a
// sequence is read.
func exhaust(t *testing.T, r reflect.Value) {
	t.Helper()
	if r.Kind() == reflect.Func && r.Type().CanSeq() && !r.IsNil() {
		for range r.Seq() {
			break
		}
		return
	}
	if r.Kind() == reflect.Func && r.Type().CanSeq2() && !r.IsNil() {
		for range r.Seq2() {
			break
		}
		return
	}
	if r.Kind() == reflect.Pointer && r.IsNil() {
		return
	}
	switch v := r.Interface().(type) {
	case scheduler.Task:
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := scheduler.Run(ctx, v, nil)
		if err != nil {
			require.NotContains(t, err.Error(), "runtime error")
		}
	case error:
		require.NotContains(t, v.Error(), "runtime error")
	case fmt.Stringer:
		_ = v.String()
	}
}

// countingObserver is an Observer whose nil pointer is none.
type countingObserver struct{ records int }

func (o *countingObserver) Observe(scheduler.Record) { o.records++ }

// misusedTask is a task of which a nil pointer is given.
type misusedTask struct{ yield scheduler.Yield }

func (m *misusedTask) Step(context.Context) (scheduler.Yield, error) { return m.yield, nil }
func (m *misusedTask) Close() error                                  { return nil }

// argument returns an argument of a kind.
func argument(t *testing.T, kind string, of reflect.Type) reflect.Value {
	t.Helper()
	if kind == "zero" {
		return reflect.Zero(of)
	}
	switch of {
	case reflect.TypeFor[context.Context]():
		return reflect.ValueOf(t.Context())
	case reflect.TypeFor[io.Writer]():
		if kind != "typed nil" {
			return reflect.ValueOf(io.Discard)
		}
	case reflect.TypeFor[scheduler.Task]():
		if kind == "typed nil" {
			return reflect.ValueOf((*misusedTask)(nil))
		}
		return reflect.ValueOf(scheduler.Pause(scheduler.Next))
	case reflect.TypeFor[scheduler.Observer]():
		if kind == "typed nil" {
			return reflect.ValueOf((*countingObserver)(nil))
		}
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
		return reflect.Append(reflect.Zero(of), argument(t, kind, of.Elem()), argument(t, "zero", of.Elem()))
	case reflect.Map:
		m := reflect.MakeMap(of)
		m.SetMapIndex(argument(t, kind, of.Key()), argument(t, kind, of.Elem()))
		return m
	case reflect.Func:
		if kind == "below zero" || kind == "large" {
			return reflect.MakeFunc(of, func([]reflect.Value) []reflect.Value {
				var results []reflect.Value
				for i := range of.NumOut() {
					result := reflect.New(of.Out(i)).Elem()
					if result.Kind() == reflect.Bool {
						result.SetBool(true) // a Poll without a pause would not end
					}
					results = append(results, result)
				}
				return results
			})
		}
	}
	return reflect.Zero(of)
}
