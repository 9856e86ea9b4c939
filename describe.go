package scheduler

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// TaskDescription returns the name of a task in logs and errors: the result of its
// String method, the name of its function, or its type.
func TaskDescription(task any) string {
	if task == nil {
		return "nil"
	}
	if isNilPointer(task) {
		return "nil " + reflect.TypeOf(task).String()
	}
	if s, ok := task.(fmt.Stringer); ok {
		return described(s)
	}
	if reflect.TypeOf(task).Kind() == reflect.Func {
		return funcName(task)
	}
	return strings.TrimPrefix(reflect.TypeOf(task).String(), "*")
}

// described returns the result of a String method, or, as fmt does, says that it panics.
func described(s fmt.Stringer) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("%%!v(PANIC=String method: %v)", v)
		}
	}()
	return s.String()
}

// isNil reports whether a task is nil, or a nil pointer or function in the guise of one.
// What takes a task as an argument refuses all of them.
func isNil(task Task) bool {
	if task == nil {
		return true
	}
	v := reflect.ValueOf(task)
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}

// errNil returns the error for a task that is nil, with the type of a nil pointer or
// function.
func errNil(task Task) error {
	if task == nil {
		return ErrNilTask
	}
	return &namedError{"nil " + reflect.TypeOf(task).String(), ErrNilTask}
}

// mustHaveTask panics for a task that is nil.
func mustHaveTask(task Task, of string) {
	if isNil(task) {
		panic("scheduler: " + of + ": " + describeNil(task))
	}
}

// describeNil says which task is nil.
func describeNil(task Task) string {
	if task == nil {
		return "nil Task"
	}
	return "nil " + reflect.TypeOf(task).String() + " as Task"
}

// isNilPointer reports whether a value that is not nil is a pointer that is.
func isNilPointer(v any) bool {
	p := reflect.ValueOf(v)
	return p.Kind() == reflect.Pointer && p.IsNil()
}

// funcName returns a function's name without the path of its package.
func funcName(fn any) string {
	v := reflect.ValueOf(fn)
	if v.IsNil() {
		return "nil"
	}
	name := runtime.FuncForPC(v.Pointer()).Name() // "" if there is none
	name = name[strings.LastIndexByte(name, '/')+1:]
	name = strings.TrimSuffix(name, "-fm") // a method value
	if !strings.ContainsAny(name, "()[") {
		return name // most functions
	}
	return plainName.Replace(name)
}

// plainName takes out of a function's name how Go writes receivers and type
// parameters.
var plainName = strings.NewReplacer("(*", "", ")", "", "[...]", "")
