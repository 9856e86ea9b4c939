package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/internal/diary"
)

// play runs services whose commands are made up:
//
//	serve 3            runs until it is told to end, and then for 3 seconds
//	deaf               runs until it is killed
//	exit 2 1           ends after 2 seconds, with status 1
//	missing            cannot be started
//	from 4             is healthy from second 4 on
//	hang               never answers
type play struct{ diary.Diary }

// exec is an Exec. The environment of a command ends with the name of its service.
func (p *play) exec(ctx context.Context, cmd *exec.Cmd, running func()) error {
	name := strings.TrimPrefix(cmd.Env[len(cmd.Env)-1], "NAME=")
	n := make([]int, 2)
	for i, word := range cmd.Args[1:] {
		_, _ = fmt.Sscan(word, &n[i])
	}
	start := func() {
		running()
		p.Say("%s starts", name)
	}
	switch cmd.Args[0] {
	case "from":
		if time.Since(p.Began) < seconds(n[0]) {
			return errors.New("exit status 1")
		}
		return nil
	case "hang":
		<-ctx.Done()
		return errors.New("signal: killed")
	case "deaf":
		start()
		<-ctx.Done()
	case "exit":
		start()
		return p.until(ctx, name, time.After(seconds(n[0])), n[1])
	case "serve":
		start()
		if err := p.until(ctx, name, nil, 0); err != nil {
			return err
		}
		select {
		case <-time.After(seconds(n[0])):
			p.Say("%s down", name)
			return errors.New("exit status 143")
		case <-ctx.Done():
		}
	default:
		return errors.New("no such program")
	}
	p.Say("%s killed", name)
	return errors.New("signal: killed")
}

func (p *play) until(ctx context.Context, name string, ends <-chan time.Time, status int) error {
	select {
	case <-ends:
		p.Say("%s ends", name)
		if status == 0 {
			return nil
		}
		return fmt.Errorf("exit status %d", status)
	case <-scheduler.Stopping(ctx):
		if ctx.Err() == nil {
			p.Say("%s told", name)
		}
	case <-ctx.Done():
	}
	return nil
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// perform runs a project and returns what happened and the result. signals are when
// signals come, a millisecond after these seconds.
func perform(t *testing.T, text string, signals ...int) (string, error) {
	t.Helper()
	var (
		story  string
		result error
	)
	project, err := loaded(t, text)
	require.NoError(t, err)
	for name, s := range project.Services {
		s.Environment["NAME"] = &name
	}
	synctest.Test(t, func(t *testing.T) {
		p := &play{Diary: diary.Diary{Began: time.Now()}}
		e, err := New(project, p.exec, nil)
		require.NoError(t, err)
		channel := make(chan os.Signal, 2)
		for _, at := range signals {
			time.AfterFunc(seconds(at)+time.Millisecond, func() { channel <- os.Interrupt })
		}
		result = runUntil(e, channel)
		story = p.String()
	})
	return story, result
}

func TestEngine(t *testing.T) {
	for name, test := range map[string]struct {
		services string
		signals  []int
		story    string
		err      string
	}{
		"in order, and in reverse": {
			services: `
  db:  {command: serve 1}
  api: {command: serve 1, depends_on: [db]}
  web: {command: serve 1, depends_on: [api, log]}
  log: {command: serve 5}`,
			signals: []int{60},
			story: "0s api starts, 0s db starts, 0s log starts, 0s web starts, 60.001s web told, 61.001s api told, 61.001s log told, 61.001s web down, " +
				"62.001s api down, 62.001s db told, 63.001s db down, 66.001s log down",
		},
		"it waits for health, and for what has been completed": {
			services: `
  db:
    command: serve
    healthcheck: {test: [CMD, from, "5"], interval: 2s}
  migrate:
    command: exit 3 0
    depends_on: {db: {condition: service_healthy}}
  api:
    command: serve
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
  log:
    command: serve
    depends_on: {db: {condition: service_started}}`,
			signals: []int{20},
			story: "0s db starts, 0s log starts, 6s migrate starts, 9s api starts, 9s migrate ends, " +
				"20.001s api down, 20.001s api told, 20.001s db down, 20.001s db told, 20.001s log down, 20.001s log told",
		},
		"jobs alone: it ends when all have ended": {
			services: `
  a: {command: exit 2 0}
  b: {command: exit 2 0, depends_on: {a: {condition: service_completed_successfully}}}`,
			story: "0s a starts, 2s a ends, 2s b starts, 4s b ends",
		},
		"a service that is needed by a job alone stays until the end": {
			services: `
  db: {command: serve}
  a:  {command: exit 2 0, depends_on: [db]}`,
			signals: []int{9},
			story:   "0s a starts, 0s db starts, 2s a ends, 9.001s db down, 9.001s db told",
		},
		"failures before the end of start_period do not count": {
			services: `
  db:
    command: serve
    healthcheck: {test: [CMD, from, "20"], interval: 4s, retries: 2, start_period: 12s}
  web: {command: serve, depends_on: {db: {condition: service_healthy}}}`,
			story: "0s db starts, 16s db down, 16s db told",
			err:   "2 tasks failed:\n- db healthy: exit status 1\n- web cannot start without db healthy",
		},
		"healthy just in time": {
			services: `
  db:
    command: serve
    healthcheck: {test: [CMD, from, "15"], interval: 4s, retries: 2, start_period: 12s}
  web: {command: serve, depends_on: {db: {condition: service_healthy}}}`,
			signals: []int{30},
			story:   "0s db starts, 16s web starts, 30.001s db down, 30.001s db told, 30.001s web down, 30.001s web told",
		},
		"a health check has its timeout, and a service that cannot start ends all": {
			services: `
  db:
    command: serve 3
    healthcheck: {test: [CMD, hang], interval: 1s, timeout: 2s, retries: 2}
  log: {command: serve 1}
  web: {command: serve, depends_on: {db: {condition: service_healthy}}}`,
			story: "0s db starts, 0s log starts, 6s db told, 6s log told, 7s log down, 9s db down",
			err:   "2 tasks failed:\n- db healthy: timed out after 2s\n- web cannot start without db healthy",
		},
		"what has ended is never healthy": {
			services: `
  db:
    command: exit 3 0
    healthcheck: {test: [CMD, from, "99"], interval: 10s}
  web: {command: serve, depends_on: {db: {condition: service_healthy}}}`,
			story: "0s db starts, 3s db ends",
			err:   "2 tasks failed:\n- db healthy: it has ended before it was healthy\n- web cannot start without db healthy",
		},
		"one needs a job to run, another one that it has completed": {
			services: `
  job: {command: exit 3 0}
  log: {command: serve, depends_on: [job]}
  web: {command: serve, depends_on: {job: {condition: service_completed_successfully}}}`,
			signals: []int{9},
			story:   "0s job starts, 0s log starts, 3s job ends, 3s web starts, 9.001s log down, 9.001s log told, 9.001s web down, 9.001s web told",
		},
		"a job that fails is not completed": {
			services: `
  job: {command: exit 3 7}
  web: {command: serve, depends_on: {job: {condition: service_completed_successfully}}}
  log: {command: serve}`,
			story: "0s job starts, 0s log starts, 3s job ends, 3s log down, 3s log told",
			err:   "2 tasks failed:\n- job: exit status 7\n- web cannot start without job completed",
		},
		"optional dependencies": {
			services: `
  job: {command: exit 3 7}
  bad:
    command: serve
    healthcheck: {test: [CMD, from, "99"], interval: 4s, retries: 1}
  web:
    command: serve
    depends_on:
      job: {condition: service_completed_successfully, required: false}
      bad: {condition: service_healthy, required: false}
      nowhere: {condition: service_healthy, required: false}`,
			signals: []int{9},
			story:   "0s bad starts, 0s job starts, 3s job ends, 4s web starts, 9.001s bad down, 9.001s bad told, 9.001s web down, 9.001s web told",
			err:     "3 tasks failed:\n- job: exit status 7\n- bad healthy: exit status 1\n- stopped",
		},
		"a service dies while others use it": {
			services: `
  db:  {command: exit 5 1}
  web: {command: serve 1, depends_on: [db]}`,
			signals: []int{20},
			story:   "0s db starts, 0s web starts, 5s db ends, 20.001s web told, 21.001s web down",
			err:     "2 tasks failed:\n- db: exit status 1\n- stopped",
		},
		"each has its stop_grace_period, and then is killed": {
			services: `
  db:  {command: deaf, stop_grace_period: 3s}
  api: {command: deaf, stop_grace_period: 0s, depends_on: [db]}
  web: {command: serve 9, depends_on: [api]}
  log: {command: serve 30}`,
			signals: []int{5},
			story: "0s api starts, 0s db starts, 0s log starts, 0s web starts, 5.001s log told, 5.001s web told, " +
				"14.001s api killed, 14.001s web down, 15.001s log killed, 17.001s db killed",
		},
		"it is stopped while it starts": {
			services: `
  db:
    command: serve 2
    healthcheck: {test: [CMD, hang], interval: 1s}
  web: {command: serve, depends_on: {db: {condition: service_healthy}}}
  job: {command: exit 60 0}
  end: {command: serve, depends_on: {job: {condition: service_completed_successfully}}}`,
			signals: []int{5},
			story:   "0s db starts, 0s job starts, 5.001s db told, 5.001s job told, 7.001s db down",
		},
		"the second signal kills": {
			services: `
  db:  {command: serve 5}
  web: {command: serve 5, depends_on: [db]}`,
			signals: []int{5, 8},
			story:   "0s db starts, 0s web starts, 5.001s web told, 8.001s db killed, 8.001s web killed",
			err:     "scheduler: cancelled",
		},
		"a program that is not there": {
			services: `
  db:  {command: missing}
  web: {command: serve, depends_on: [db]}`,
			err: "2 tasks failed:\n- db: no such program\n- web cannot start without db",
		},
	} {
		t.Run(name, func(t *testing.T) {
			story, err := perform(t, "services:"+test.services, test.signals...)
			require.Equal(t, test.story, story)
			if test.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.err)
			}
		})
	}
}

// Stopped before it runs, nothing starts.
func TestEngine_stopped_before(t *testing.T) {
	project, err := loaded(t, "services: {db: {command: serve}, web: {command: serve, depends_on: [db]}}")
	require.NoError(t, err)
	e, err := New(project, nil, nil)
	require.NoError(t, err)
	e.Stop()
	require.NoError(t, e.Run())
}

func TestEngine_cycle(t *testing.T) {
	project, err := loaded(t, "services: {a: {command: x, depends_on: [b]}, b: {command: x, depends_on: {a: {condition: service_completed_successfully}}}}")
	require.NoError(t, err)
	_, err = New(project, nil, nil)
	var cycle *scheduler.CircularDependencyError[node]
	require.ErrorAs(t, err, &cycle)
	require.ErrorContains(t, err, "a completed")
}
