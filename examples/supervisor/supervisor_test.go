package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/internal/diary"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken")

// life is one of a service: it boots for a second, lasts so many seconds, or for ever
// with 0, and then dies. It takes so many seconds to end when it is told to.
type life struct{ lasts, ends int }

// play is a supervisor of services that tell when they are up, down, or have died.
type play struct {
	*Supervisor
	diary.Diary
}

// service has lives, the last one of which it lives again and again.
func (p *play) service(name, needs string, lives ...life) Service {
	serve := func(ctx context.Context) error {
		l := lives[0]
		lives = lives[min(1, len(lives)-1):]
		if err := wait(ctx, time.Second); err != nil {
			p.Say("%s: %v", name, err)
			return err
		}
		scheduler.Ready(ctx)
		p.Say("%s up", name)
		var dies <-chan time.Time
		if l.lasts > 0 {
			dies = time.After(time.Duration(l.lasts) * time.Second)
		}
		select {
		case <-dies:
			p.Say("%s dies", name)
			return errBroken
		case <-scheduler.Stopping(ctx):
		case <-ctx.Done():
		}
		if err := wait(ctx, time.Duration(l.ends)*time.Second); err != nil {
			p.Say("%s cut off", name)
			return err
		}
		p.Say("%s down", name)
		return nil
	}
	return Service{Name: name, Needs: strings.Fields(needs), Serve: serve, Grace: 5 * time.Second, Deaths: 3}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// perform runs services. After the given number of seconds they are stopped, or with
// a negative one killed after that.
func perform(t *testing.T, services func(p *play) []Service, end int) (string, error) {
	t.Helper()
	var (
		story  string
		result error
	)
	synctest.Test(t, func(t *testing.T) {
		p := &play{Diary: diary.Diary{Began: time.Now()}}
		s, err := New(services(p), nil)
		require.NoError(t, err)
		switch {
		case end > 0:
			time.AfterFunc(time.Duration(end)*time.Second+time.Millisecond, s.Stop)
		case end < 0:
			time.AfterFunc(time.Duration(-end)*time.Second+time.Millisecond, s.Kill)
		}
		result = s.Run()
		story = p.String()
	})
	return story, result
}

// Services start in order, live until they are stopped, and end in reverse, each
// within its own grace from the moment at which it is told.
func TestSupervisor(t *testing.T) {
	story, err := perform(t, func(p *play) []Service {
		return []Service{
			p.service("db", "", life{ends: 4}),
			p.service("log", "", life{ends: 9}),
			p.service("api", "db", life{ends: 4}),
			p.service("web", "api log", life{ends: 4}),
		}
	}, 60)
	require.NoError(t, err)
	require.Equal(t, "1s db up, 1s log up, 2s api up, 3s web up, "+
		"64.001s web down, 68.001s api down, 69.001s log cut off, 72.001s db down", story)
}

// A service that dies is started again after a pause that becomes longer, while those
// that need it go on. When it has stayed up for a while the pause is short again.
func TestSupervisor_restarts(t *testing.T) {
	story, err := perform(t, func(p *play) []Service {
		return []Service{
			p.service("db", "", life{lasts: 1}, life{lasts: 1}, life{lasts: 1}, life{lasts: 59}, life{lasts: 1}, life{ends: 1}),
			p.service("web", "db", life{ends: 1}),
		}
	}, 200)
	require.NoError(t, err)
	require.Equal(t, "1s db up, 2s db dies, 2s web up, 4s db up, 5s db dies, 8s db up, 9s db dies, 14s db up, "+
		"73s db dies, 75s db up, 76s db dies, 79s db up, 201.001s web down, 202.001s db down", story)
}

// A service that ends without being told to has died as well.
func TestSupervisor_service_that_ends(t *testing.T) {
	_, err := perform(t, func(p *play) []Service {
		return []Service{{Name: "db", Deaths: 1, Serve: func(context.Context) error { return nil }}}
	}, 0)
	require.ErrorIs(t, err, errDied)
	require.ErrorContains(t, err, "db: ended without being told to")
}

// When a service dies too often all others end in reverse, and its error is the result.
func TestSupervisor_gives_up(t *testing.T) {
	story, err := perform(t, func(p *play) []Service {
		return []Service{
			p.service("db", "", life{ends: 2}),
			p.service("api", "db", life{lasts: 1}),
			p.service("web", "api", life{ends: 2}),
			p.service("log", "", life{ends: 1}),
		}
	}, 0)
	require.ErrorIs(t, err, errBroken)
	require.EqualError(t, err, "api: broken")
	require.Equal(t, "1s db up, 1s log up, 2s api up, 3s api dies, 3s web up, 5s api up, 6s api dies, 9s api up, 10s api dies, "+
		"15s api up, 16s api dies, 17s log down, 18s web down, 20s db down", story)
}

// One that gives up before it was ever ready keeps those that need it from starting.
func TestSupervisor_gives_up_before_it_is_ready(t *testing.T) {
	story, err := perform(t, func(p *play) []Service {
		db := p.service("db", "")
		db.Serve = func(context.Context) error { p.Say("db dies"); return errBroken }
		return []Service{db, p.service("web", "db", life{}), p.service("log", "", life{ends: 2})}
	}, 0)
	require.EqualError(t, err, "db: broken")
	require.Equal(t, "0s db dies, 1s db dies, 1s log up, 3s db dies, 7s db dies, 9s log down", story)
}

// While services end, one that dies is started again if others still need it.
func TestSupervisor_death_while_others_end(t *testing.T) {
	story, err := perform(t, func(p *play) []Service {
		return []Service{p.service("db", "", life{lasts: 11}, life{ends: 1}), p.service("web", "db", life{ends: 5})}
	}, 10)
	require.NoError(t, err)
	require.Equal(t, "1s db up, 2s web up, 12s db dies, 14s db up, 15.001s web down, 16.001s db down", story)
}

// Stopped while it starts, nothing more starts, and what was not ready ends at once,
// also in the pause before it is started again.
func TestSupervisor_stopped_early(t *testing.T) {
	services := func(p *play) []Service {
		early := p.service("early", "")
		early.Serve = func(ctx context.Context) error {
			select {
			case <-time.After(time.Hour):
			case <-scheduler.Stopping(ctx):
				p.Say("early down")
			}
			return nil
		}
		dies := p.service("dies", "")
		dies.Serve = func(context.Context) error { return errBroken }
		return []Service{p.service("db", "", life{ends: 1}), early, dies, p.service("web", "early", life{})}
	}
	story, err := perform(t, services, 2)
	require.NoError(t, err)
	require.Equal(t, "1s db up, 2.001s early down, 3.001s db down", story)
}

// Killed, all services end at once.
func TestSupervisor_killed(t *testing.T) {
	story, err := perform(t, func(p *play) []Service {
		return []Service{p.service("db", "", life{ends: 1}), p.service("web", "db", life{lasts: 1}, life{}), p.service("new", "web", life{})}
	}, -3)
	require.EqualError(t, err, "scheduler: cancelled")
	require.Equal(t, "1s db up, 2s web up, 3s new up, 3s web dies, 3.001s db cut off, 3.001s new cut off", story)
}

// One that fails as it ends has failed, and the others end all the same.
func TestSupervisor_fails_in_the_end(t *testing.T) {
	story, err := perform(t, func(p *play) []Service {
		web := p.service("web", "db")
		web.Serve = func(ctx context.Context) error {
			scheduler.Ready(ctx)
			<-scheduler.Stopping(ctx)
			return errBroken
		}
		return []Service{p.service("db", "", life{ends: 1}), web}
	}, 5)
	require.EqualError(t, err, "stopped\nweb: broken")
	require.Equal(t, "1s db up, 6.001s db down", story)
}

// One that returns nil once its context has ended has not died.
func TestSupervisor_killed_without_error(t *testing.T) {
	_, err := perform(t, func(p *play) []Service {
		return []Service{{Name: "db", Serve: func(ctx context.Context) error {
			scheduler.Ready(ctx)
			<-ctx.Done()
			return nil
		}}}
	}, -1)
	require.EqualError(t, err, "scheduler: cancelled")
}

// Stopped before it runs, nothing starts.
func TestSupervisor_stopped_before(t *testing.T) {
	p := &play{}
	s, err := New([]Service{p.service("db", "", life{}), p.service("web", "db", life{})}, nil)
	require.NoError(t, err)
	s.Stop()
	require.NoError(t, s.Run())
	require.Empty(t, p.String())
}

// The first signal ends the services in reverse, and the second one at once.
func TestSupervise(t *testing.T) {
	for name, test := range map[string]struct {
		signals []int
		err     string
		story   string
	}{
		"one": {
			[]int{5}, "", "1s db up, 2s web up, 9s web down, 13s db down",
		},
		"two": {
			[]int{5, 10}, "scheduler: cancelled", "1s db up, 2s web up, 9s web down, 10s db cut off",
		},
		"two while the first ends": {
			[]int{5, 6}, "scheduler: cancelled", "1s db up, 2s web up, 6s db cut off, 6s web cut off",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &play{Diary: diary.Diary{Began: time.Now()}}
				signals := make(chan os.Signal, 2)
				for _, at := range test.signals {
					time.AfterFunc(time.Duration(at)*time.Second, func() { signals <- os.Interrupt })
				}
				err := supervise(&bytes.Buffer{}, []Service{p.service("db", "", life{ends: 4}), p.service("web", "db", life{ends: 4})}, signals)
				if test.err == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, test.err)
				}
				require.Equal(t, test.story, p.String())
			})
		})
	}
}

// What the program shows of services that are made up, with a Ctrl-C after an hour.
func TestSupervise_simulated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 1)
		services := simulated()
		require.Len(t, services, 8)
		for i := range services {
			services[i].Deaths = 1 << 20
		}
		time.AfterFunc(time.Hour, func() { signals <- os.Interrupt })
		var out bytes.Buffer
		require.NoError(t, supervise(&out, services, signals))
		require.Equal(t, 8, strings.Count(out.String(), "succeeded"), out.String())
		require.Contains(t, out.String(), "died: exit status 1")
		require.NotContains(t, out.String(), "failed")
	})
}

func TestNew_refuses(t *testing.T) {
	p := &play{}
	_, err := New([]Service{p.service("web", "db"), p.service("db", "")}, nil)
	require.EqualError(t, err, "web needs db, which is not a service before it")
	_, err = New([]Service{p.service("db", ""), p.service("db", "")}, nil)
	require.EqualError(t, err, "there are two services db")
	require.Error(t, supervise(&bytes.Buffer{}, []Service{p.service("web", "db")}, nil))
}
