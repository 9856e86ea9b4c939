// Package coro makes a function that can be suspended and resumed, on top of
// [iter.Pull].
//
// It adds what iter.Pull lacks for running other people's code: a panic keeps
// its stack, and a function that will not end can be unwound by force. (stop of
// iter.Pull never returns if the function goes on yielding.)
package coro

import (
	"iter"
	"runtime"
	"runtime/debug"
)

// Coro is a suspendable function. Its methods must not overlap. A goroutine
// that is locked to its OS thread must be so for every Resume, else the
// runtime ends the process.
type Coro struct {
	body   Body
	next   func() (struct{}, bool)
	Switch func(struct{}) bool // see Suspending
	state  state
	force  force
	panic  *Panic
}

type state uint8

const (
	fresh state = iota
	suspended
	running
	ended
)

// force says how the function is being unwound.
type force uint8

const (
	letRun force = iota
	throwPanic
	threwPanic
	exitGoroutine
)

// Panic is a panic that left the function.
type Panic struct {
	Value any
	Stack []byte // taken inside the function
}

// unwind is the panic by which a function is unwound.
type unwind struct{}

// Body has the function. (It is no function, since one that is made of a method
// would be an allocation.)
type Body interface{ Run() }

// Init sets the function. Nothing runs before the first Resume, and nothing is
// held but a stack of the pool. A nil pool is none: the stack is new, and gone
// when the function has ended.
func (c *Coro) Init(pool *Pool, body Body) {
	c.body = body
	if pool == nil {
		c.next, _ = iter.Pull(c.run)
		return
	}
	s := pool.take()
	s.coro, c.next, c.Switch = c, s.next, s.yield
}

// run runs the function on a stack of its own.
func (c *Coro) run(yield func(struct{}) bool) {
	c.Switch = yield
	c.call()
}

func (c *Coro) call() {
	defer c.finish()
	c.body.Run()
}

func (c *Coro) finish() {
	c.state = ended
	if v := recover(); v != nil && v != any(unwind{}) {
		c.panic = &Panic{Value: v, Stack: debug.Stack()}
	}
}

// Resume runs the function to its next Suspend, or to its end, and reports
// whether it is still alive. If the function calls [runtime.Goexit] so does
// Resume.
func (c *Coro) Resume() bool {
	c.state = running
	c.next()
	return c.state != ended
}

// Suspend gives up until the next Resume. It is for the function itself.
func (c *Coro) Suspend() {
	c.Suspending()
	c.Switch(struct{}{})
	c.Resumed()
}

// Suspending comes before Switch, and Resumed after it: they are what Suspend is
// made of, for who cannot afford its frame. A switch leaves behind what the
// processor has noted of returns to come: each frame between the function and
// Switch, or between who resumes and Resume, costs a misprediction.
func (c *Coro) Suspending() {
	if c.force != letRun {
		c.leave()
	}
	c.state = suspended
}

// Resumed does not return if the function is being unwound.
func (c *Coro) Resumed() {
	if c.force != letRun {
		c.leave()
	}
}

// leave does not return if the function is being unwound. It is kept out of line:
// Suspending and Resumed fit into their callers without it.
//
//go:noinline
func (c *Coro) leave() {
	switch c.force {
	case letRun, threwPanic:
	case throwPanic:
		c.force = threwPanic
		panic(unwind{})
	case exitGoroutine:
		runtime.Goexit()
	}
}

// Kill unwinds a suspended function: its deferred calls run, and it is ended.
func (c *Coro) Kill() {
	c.force = throwPanic
	if !c.Resume() {
		return
	}
	// It recovered and came back. Goexit cannot be recovered; it goes on into
	// whoever resumes, so that is a goroutine made for it. Not done at once,
	// since a coroutine of a goroutine that is locked to its thread can be
	// resumed on no other.
	c.force = exitGoroutine
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		c.Resume()
	}()
	<-exited
}

// Started reports whether there was a Resume.
func (c *Coro) Started() bool { return c.state != fresh }

// Suspended reports whether the function can be resumed.
func (c *Coro) Suspended() bool { return c.state == suspended }

// Running reports whether the function is inside a Resume.
func (c *Coro) Running() bool { return c.state == running }

// Panic returns the panic by which the function ended, or nil.
func (c *Coro) Panic() *Panic { return c.panic }
