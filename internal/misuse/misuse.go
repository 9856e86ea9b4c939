// Package misuse tries what is nil, zero or out of range with everything that a package
// exports, for the tests of the packages of this module.
package misuse

import (
	"context"
	"fmt"
	"io"
	"iter"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/api"
)

// Package is a package to try. A panic passes if its text has the package's name and a
// colon, or "scheduler: ", and is none of the runtime's.
type Package struct {
	Name string
	Dir  string // where its source is

	// Functions are its exported functions by name, those that are generic with types.
	Functions map[string]any

	// Types are values of its exported types with methods, or nil pointers for types
	// that must not be copied.
	Types []any

	// Made are values of exported types that only the package makes, so that nobody has
	// a nil or a zero one. Their methods are not tried.
	Made []any

	// Given are values for parameters of these types, where the kind of argument is neither
	// the zero one nor a typed nil. Always are for those of which nobody gives a nil.
	Given, Always map[reflect.Type]any
}

// Try calls all that the package exports with each kind of argument, methods on zero
// values and on nil, and uses the results. It fails t for a panic of the runtime or
// without a sentence, and for what is exported and not listed.
func (p Package) Try(t *testing.T) {
	t.Helper()
	functions, err := api.Functions(p.Dir, p.Name)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for name, fn := range p.Functions {
		seen[name] = true
		p.try(t, name, func() reflect.Value { return reflect.ValueOf(fn) })
	}
	for _, v := range p.Types {
		of := typeOf(v)
		for name, method := range methods(of) {
			own := slices.Contains(functions, name)
			if !own && !isPromoted(of, method) {
				continue // of a test file
			}
			seen[name] = true
			p.try(t, name+" of a zero value", func() reflect.Value { return reflect.New(of).MethodByName(method) })
			_, byValue := of.MethodByName(method)
			isError := reflect.PointerTo(of).Implements(reflect.TypeFor[error]()) // a nil one is none, as everywhere in Go
			if own && !byValue && !isError {
				p.try(t, name+" of nil", func() reflect.Value { return reflect.Zero(reflect.PointerTo(of)).MethodByName(method) })
			}
		}
	}
	for _, v := range p.Made {
		for name := range methods(typeOf(v)) {
			seen[name] = true
		}
	}
	for _, name := range functions {
		if !seen[name] {
			t.Errorf("no misuse of %s is tried", name)
		}
	}
}

// methods returns the exported methods of a type and its pointer, as Type.Method and
// Method.
func methods(of reflect.Type) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		name, _, _ := strings.Cut(of.Name(), "[")
		of := reflect.PointerTo(of)
		for i := range of.NumMethod() {
			if method := of.Method(i).Name; !yield(name+"."+method, method) {
				return
			}
		}
	}
}

// isPromoted reports whether a method is that of an embedded field.
func isPromoted(of reflect.Type, method string) bool {
	if of.Kind() != reflect.Struct {
		return false
	}
	for i := range of.NumField() {
		field := of.Field(i)
		_, direct := field.Type.MethodByName(method)
		_, byPointer := reflect.PointerTo(field.Type).MethodByName(method)
		if field.Anonymous && (direct || byPointer) {
			return true
		}
	}
	return false
}

// typeOf returns the type of a value, or of what a pointer points to.
func typeOf(v any) reflect.Type {
	if of := reflect.TypeOf(v); of.Kind() == reflect.Pointer {
		return of.Elem()
	} else {
		return of
	}
}

// try calls a function with each kind of argument.
func (p Package) try(t *testing.T, name string, fn func() reflect.Value) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(name+", "+kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer func() {
					if v := recover(); v != nil {
						p.judge(t, v)
					}
				}()
				f := fn()
				var args []reflect.Value
				for i := range f.Type().NumIn() {
					args = append(args, p.argument(t, kind, f.Type().In(i)))
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

// judge fails t if a panic is none with a sentence.
func (p Package) judge(t *testing.T, v any) {
	t.Helper()
	text := fmt.Sprint(v)
	_, byRuntime := v.(runtime.Error)
	if !byRuntime && !strings.Contains(text, "runtime error") &&
		(strings.Contains(text, p.Name+": ") || strings.Contains(text, "scheduler: ")) {
		return
	}
	t.Errorf("panics without a sentence: %s\n%s", text, debug.Stack())
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
	if o, ok := reflect.TypeAssert[scheduler.Observer](r); ok {
		mustBeSentence(t, observed(t, o))
	}
	switch v := r.Interface().(type) {
	case scheduler.Task:
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		mustBeSentence(t, scheduler.Run(ctx, v, nil))
	case error:
		mustBeSentence(t, v)
	case io.Closer:
		mustBeSentence(t, v.Close())
	case fmt.Stringer:
		_ = v.String()
	}
}

func mustBeSentence(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), "runtime error") {
		t.Errorf("fails without a sentence: %v", err)
	}
}
