package coro_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/internal/coro"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter counts the goroutines that were added since it was made. A test that
// starts any uses one, so that the next test does not count what is left of
// them; and none of them runs in parallel with others.
type counter struct {
	t      *testing.T
	before int
}

func newCounter(t *testing.T) counter {
	c := counter{t, numGoroutines()}
	t.Cleanup(func() { c.want(0) })
	return c
}

func (c counter) want(extra int) {
	c.t.Helper()
	if runtime.NumGoroutine()-c.before != extra { // else there is no need to wait
		require.Equal(c.t, extra, numGoroutines()-c.before, "goroutines")
	}
}

// numGoroutines returns the number of goroutines once those that have something to do have
// done it, such as their last lines. However busy the machine is, on one processor they
// have when the number is the same again and again.
func numGoroutines() int {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	number := runtime.NumGoroutine()
	for same := 0; same < 100; same++ {
		runtime.Gosched()
		if n := runtime.NumGoroutine(); n != number {
			number, same = n, 0
		}
	}
	return number
}

func TestCoro_states(t *testing.T) {
	const (
		fresh = iota
		suspended
		ended
	)
	count := newCounter(t)
	var c coro.Coro
	check := func(state int) {
		t.Helper()
		require.Equal(t, state != fresh, c.Started(), "started")
		require.Equal(t, state == suspended, c.Suspended(), "suspended")
		require.False(t, c.Running(), "running")
		require.Nil(t, c.Panic())
	}
	check(fresh)
	count.want(0)

	var log []string
	c.Init(nil, body(func() {
		log = append(log, "a")
		require.True(t, c.Running())
		require.False(t, c.Suspended())
		c.Suspend()
		log = append(log, "b")
		require.True(t, c.Running())
		c.Suspend()
		log = append(log, "c")
	}))
	check(fresh)
	require.Empty(t, log, "nothing runs before the first Resume")

	require.True(t, c.Resume())
	check(suspended)
	count.want(1)
	require.Equal(t, []string{"a"}, log)

	require.True(t, c.Resume())
	check(suspended)
	count.want(1)
	require.Equal(t, []string{"a", "b"}, log)

	require.False(t, c.Resume())
	check(ended)
	count.want(0)
	require.Equal(t, []string{"a", "b", "c"}, log)
}

func TestCoro_ends_in_the_first_Resume(t *testing.T) {
	count := newCounter(t)
	var c coro.Coro
	c.Init(nil, body(func() {}))
	require.False(t, c.Resume())
	require.True(t, c.Started())
	require.False(t, c.Suspended())
	count.want(0)
}

// How the function ends after n Suspends, one way or the other.
func TestCoro_ends(t *testing.T) {
	oops := errors.New("oops")
	tests := []struct {
		name  string
		end   func()
		value any // of the panic
		exits bool
	}{
		{name: "return", end: func() {}},
		{name: "panic", end: func() { panic(oops) }, value: oops},
		{name: "Goexit", end: runtime.Goexit, exits: true},
		{name: "nil dereference", end: func() { var p *counter; p.before++ }, value: "runtime error"},
		{name: "recovered panic", end: func() {
			defer func() { _ = recover() }()
			panic(oops)
		}},
		{name: "panic in a deferred call", end: func() {
			defer func() { panic(oops) }()
		}, value: oops},
		{name: "panic in a deferred call of a panic", end: func() {
			defer func() { panic(oops) }()
			panic("first")
		}, value: oops},
	}
	for _, test := range tests {
		for suspends := range 3 {
			t.Run(test.name, func(t *testing.T) {
				count := newCounter(t)
				var c coro.Coro
				c.Init(nil, body(func() {
					for range suspends {
						c.Suspend()
					}
					test.end()
				}))
				for range suspends {
					require.True(t, c.Resume())
					count.want(1)
				}
				exited := true
				done := make(chan struct{})
				go func() { // Goexit is the resumer's end, too
					defer close(done)
					alive := c.Resume()
					exited = false
					if alive {
						t.Error("still alive")
					}
				}()
				<-done
				require.Equal(t, test.exits, exited)
				require.True(t, c.Started())
				require.False(t, c.Suspended())
				require.False(t, c.Running())
				count.want(0)

				p := c.Panic()
				if test.value == nil {
					require.Nil(t, p)
					return
				}
				require.NotNil(t, p)
				if text, ok := test.value.(string); ok {
					require.ErrorContains(t, p.Value.(error), text)
				} else {
					require.Same(t, test.value, p.Value)
				}
				require.Contains(t, string(p.Stack), "coro_test.TestCoro_ends.func",
					"the stack is that of where it happened")
			})
		}
	}
}

func TestCoro_Kill(t *testing.T) {
	oops := errors.New("oops")
	suspendAgain := func(c *coro.Coro) {
		defer func() { _ = recover() }()
		c.Suspend()
	}
	tests := []struct {
		name string
		body func(c *coro.Coro, log func(string))
		want string // of the log
		err  any
	}{
		{
			name: "unwinds it",
			body: func(c *coro.Coro, log func(string)) {
				defer log("outer")
				func() {
					defer log("inner")
					c.Suspend()
				}()
				log("behind")
			},
			want: "inner outer",
		},
		{
			name: "suspended in the middle of many",
			body: func(c *coro.Coro, log func(string)) {
				defer log("end")
				for {
					c.Suspend()
				}
			},
			want: "end",
		},
		{
			name: "recovers and returns",
			body: func(c *coro.Coro, log func(string)) {
				suspendAgain(c)
				log("recovered")
			},
			want: "recovered",
		},
		{
			name: "recovers and goes on once",
			body: func(c *coro.Coro, log func(string)) {
				defer log("end")
				suspendAgain(c)
				log("recovered")
				c.Suspend()
				log("behind")
			},
			want: "recovered end",
		},
		{
			name: "recovers for ever",
			body: func(c *coro.Coro, log func(string)) {
				defer log("end")
				for {
					suspendAgain(c)
				}
			},
			want: "end",
		},
		{
			name: "suspends in a deferred call",
			body: func(c *coro.Coro, log func(string)) {
				defer log("end")
				defer suspendAgain(c)
				defer suspendAgain(c)
				defer log("first")
				c.Suspend()
			},
			want: "first end",
		},
		{
			name: "panics in a deferred call",
			body: func(c *coro.Coro, log func(string)) {
				defer log("end")
				defer func() { panic(oops) }()
				c.Suspend()
			},
			want: "end",
			err:  oops,
		},
		{
			name: "panics in a deferred call of Goexit",
			body: func(c *coro.Coro, log func(string)) {
				defer log("end")
				defer func() { panic(oops) }()
				for {
					suspendAgain(c)
				}
			},
			want: "end",
			err:  oops,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			count := newCounter(t)
			var log []string
			var c coro.Coro
			c.Init(nil, body(func() { test.body(&c, func(s string) { log = append(log, s) }) }))
			require.True(t, c.Resume())
			count.want(1)
			c.Kill()
			require.True(t, c.Started())
			require.False(t, c.Suspended())
			require.False(t, c.Running())
			count.want(0)
			require.Equal(t, test.want, strings.Join(log, " "))
			if test.err == nil {
				require.Nil(t, c.Panic())
			} else {
				require.Same(t, test.err, c.Panic().Value)
			}
		})
	}
}

// A function that calls Goexit while it is killed takes the killer with it:
// that is what a test does which fails in a deferred call.
func TestCoro_Kill_with_Goexit(t *testing.T) {
	count := newCounter(t)
	var c coro.Coro
	c.Init(nil, body(func() {
		defer runtime.Goexit()
		c.Suspend()
	}))
	require.True(t, c.Resume())
	done, returned := make(chan struct{}), false
	go func() {
		defer close(done)
		c.Kill()
		returned = true
	}()
	<-done
	require.False(t, returned)
	require.False(t, c.Suspended())
	require.False(t, c.Running())
	count.want(0)
}

func TestCoro_nested(t *testing.T) {
	const depth = 100
	count := newCounter(t)
	coros := make([]coro.Coro, depth)
	ended := 0
	for i := range coros {
		coros[i].Init(nil, body(func() {
			defer func() { ended++ }()
			if i+1 < depth {
				for coros[i+1].Resume() {
					coros[i].Suspend()
				}
				return
			}
			coros[i].Suspend()
			coros[i].Suspend()
		}))
	}
	require.True(t, coros[0].Resume())
	count.want(depth)
	require.True(t, coros[0].Resume())
	count.want(depth)
	require.False(t, coros[0].Resume())
	count.want(0)
	require.Equal(t, depth, ended)
}

// Each of many nested functions can be killed by itself, from the inside out.
func TestCoro_Kill_nested(t *testing.T) {
	const depth = 10
	count := newCounter(t)
	coros := make([]coro.Coro, depth)
	for i := range coros {
		coros[i].Init(nil, body(func() {
			if i+1 < depth {
				coros[i+1].Resume()
			}
			coros[i].Suspend()
		}))
	}
	require.True(t, coros[0].Resume())
	for i := depth - 1; i >= 0; i-- {
		count.want(i + 1)
		coros[i].Kill()
	}
	count.want(0)
}

// A panic inside a nested function is the inner one's; the outer one lives.
func TestCoro_nested_panic(t *testing.T) {
	count := newCounter(t)
	var outer, inner coro.Coro
	inner.Init(nil, body(func() { panic("inner") }))
	outer.Init(nil, body(func() {
		inner.Resume()
		outer.Suspend()
	}))
	require.True(t, outer.Resume())
	require.Equal(t, "inner", inner.Panic().Value)
	require.Nil(t, outer.Panic())
	count.want(1)
	outer.Kill()
	count.want(0)
}

// A goroutine may be locked to its thread if it is so for every Resume.
func TestCoro_locked_thread(t *testing.T) {
	count := newCounter(t)
	done := make(chan struct{})
	var alive [2]bool
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var c coro.Coro
		c.Init(nil, body(func() { c.Suspend() }))
		alive[0] = c.Resume()
		alive[1] = c.Resume()
		var killed coro.Coro
		killed.Init(nil, body(func() { killed.Suspend() }))
		killed.Resume()
		killed.Kill()
	}()
	<-done
	require.Equal(t, [2]bool{true, false}, alive)
	count.want(0)
}

func TestCoro_can_be_resumed_by_any_goroutine(t *testing.T) {
	newCounter(t)
	var c coro.Coro
	n := 0
	c.Init(nil, body(func() {
		for ; n < 5; n++ {
			c.Suspend()
		}
	}))
	for alive := true; alive; {
		done := make(chan struct{})
		go func() {
			defer close(done)
			alive = c.Resume()
		}()
		<-done
	}
	require.Equal(t, 5, n)
}

func TestCoro_Resume_allocates_nothing(t *testing.T) {
	newCounter(t)
	var c coro.Coro
	c.Init(nil, body(func() {
		for {
			c.Suspend()
		}
	}))
	require.True(t, c.Resume())
	require.Zero(t, testing.AllocsPerRun(100, func() { c.Resume() }))
	c.Kill()
}

type body func()

func (b body) Run() { b() }
