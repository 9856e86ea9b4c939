package coro_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler/internal/coro"
)

// twice is a function that suspends once.
func twice(c *coro.Coro) body { return func() { c.Suspend() } }

// runOut makes a coroutine of the pool and resumes it to its end.
func runOut(t *testing.T, p *coro.Pool) {
	t.Helper()
	c := new(coro.Coro)
	c.Init(p, twice(c))
	require.True(t, c.Resume())
	require.False(t, c.Resume())
	require.Nil(t, c.Panic())
}

func TestPool_reuses_stacks(t *testing.T) {
	count := newCounter(t)
	var p coro.Pool
	for range 100 {
		runOut(t, &p)
	}
	count.want(1)
	a, b := new(coro.Coro), new(coro.Coro)
	a.Init(&p, twice(a))
	b.Init(&p, twice(b))
	require.True(t, a.Resume())
	require.True(t, b.Resume(), "two at a time have a stack each")
	count.want(2)
	require.False(t, b.Resume())
	require.False(t, a.Resume())
	count.want(2)
	p.Close()
	count.want(0)
}

func TestPool_after_Close(t *testing.T) {
	count := newCounter(t)
	var p coro.Pool
	c := new(coro.Coro)
	c.Init(&p, twice(c))
	require.True(t, c.Resume())
	p.Close()
	require.False(t, c.Resume(), "what is suspended goes on")
	count.want(0)
	runOut(t, &p)
	count.want(0)
	p.Close()
}

// A panic, and an unwinding by force, leave a stack that others can use.
func TestPool_of_functions_that_do_not_return(t *testing.T) {
	count := newCounter(t)
	var p coro.Pool
	c := new(coro.Coro)
	c.Init(&p, body(func() { panic("oops") }))
	require.False(t, c.Resume())
	require.Equal(t, "oops", c.Panic().Value)
	count.want(1)

	deferred := false
	c = new(coro.Coro)
	c.Init(&p, body(func() {
		defer func() { deferred = true }()
		c.Suspend()
	}))
	require.True(t, c.Resume())
	c.Kill()
	require.True(t, deferred)
	count.want(1)
	runOut(t, &p)
	count.want(1)
	p.Close()
	count.want(0)
}

// One that ends its goroutine takes the stack with it.
func TestPool_Goexit(t *testing.T) {
	count := newCounter(t)
	var p coro.Pool
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		c := new(coro.Coro)
		c.Init(&p, body(runtime.Goexit))
		c.Resume()
	}()
	<-exited
	count.want(0)
	stubborn := new(coro.Coro)
	stubborn.Init(&p, body(func() {
		defer func() {
			_ = recover()
			stubborn.Suspend()
		}()
		stubborn.Suspend()
	}))
	require.True(t, stubborn.Resume())
	stubborn.Kill()
	count.want(0)
	runOut(t, &p)
	p.Close()
}

func TestPool_is_bounded(t *testing.T) {
	const n = 1000
	count := newCounter(t)
	var p coro.Pool
	all := make([]coro.Coro, n)
	for i := range all {
		all[i].Init(&p, twice(&all[i]))
		require.True(t, all[i].Resume())
	}
	count.want(n)
	for i := range all {
		require.False(t, all[i].Resume())
	}
	count.want(64)
	p.Close()
	count.want(0)
}
