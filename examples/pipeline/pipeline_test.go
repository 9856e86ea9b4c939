package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// play runs a pipeline with commands of the form "seconds result", and "list a b c",
// which prints a word a second. It returns when each began and ended.
func play(t *testing.T, ctx context.Context, text string) (string, error) {
	t.Helper()
	p, err := Parse([]byte(text))
	require.NoError(t, err)
	var (
		mu    sync.Mutex
		story strings.Builder
		start = time.Now()
	)
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&story, "%gs %s\n", time.Since(start).Truncate(time.Millisecond).Seconds(), fmt.Sprintf(format, args...))
	}
	wait := func(ctx context.Context, d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	e := &Engine{
		Grace: 10 * time.Second,
		Print: func(job, line string) { say("%s %s", job, line) },
		Exec: func(ctx context.Context, command string, env []string, line func(string)) error {
			words := strings.Fields(command)
			if words[0] == "list" {
				for _, word := range words[1:] {
					if err := wait(ctx, time.Second); err != nil {
						return err
					}
					line(word)
				}
				return nil
			}
			var seconds int
			_, err := fmt.Sscan(words[0], &seconds)
			if err != nil {
				return err
			}
			if ctx.Err() != nil { // as exec.CommandContext does
				return context.Cause(ctx)
			}
			line(strings.Join(append([]string{"begins"}, env...), " "))
			if err := wait(ctx, time.Duration(seconds)*time.Second); err != nil {
				line("broken off")
				return err
			}
			line(words[1])
			if words[1] == "fails" {
				return errors.New("exit status 1")
			}
			return nil
		},
	}
	err = e.Run(ctx, p)
	return story.String(), err
}

func TestEngine(t *testing.T) {
	for name, test := range map[string]struct {
		pipeline string
		story    string
		err      string
	}{
		"a job waits for what it needs, and for a runner": {
			pipeline: `
jobs:
  build: {run: 2 built}
  docs:  {run: 3 written}
  test:  {needs: [build], run: 1 tested}`,
			story: `
0s build begins
2s build built
2s docs begins
5s docs written
5s test begins
6s test tested
`,
		},
		"conditions": {
			pipeline: `
runners: 9
jobs:
  build:   {run: 1 fails}
  test:    {needs: [build], run: 1 tested}
  notify:  {needs: [test], if: failure, run: 1 notified}
  rejoice: {needs: [notify], if: failure, run: 1 rejoiced}
  report:  {needs: [test, rejoice], if: always, run: 1 written}
finally:
  clean:   {run: 2 cleaned}`,
			story: `
0s build begins
1s build fails
1s notify begins
2s notify notified
2s report begins
3s report written
3s clean begins
5s clean cleaned
`,
			err: "1 task failed:\n- build: exit status 1",
		},
		"a job that was not to run has not failed": {
			pipeline: `
jobs:
  build:  {run: 1 built}
  notify: {needs: [build], if: failure, run: 1 notified}
  second: {needs: [notify], if: failure, run: 1 notified}`,
			story: `
0s build begins
1s build built
`,
		},
		"nothing has failed": {
			pipeline: `
jobs:
  build:  {run: 1 built}
  notify: {needs: [build], if: failure, run: 1 notified}
  report: {needs: [notify], if: always, run: 1 written}`,
			story: `
0s build begins
1s build built
1s report begins
2s report written
`,
		},
		"jobs of a matrix run while others are still listed": {
			pipeline: `
runners: 2
jobs:
  test:   {matrix: list a b c, run: 4 tested}
  deploy: {needs: [test], run: 1 deployed}`,
			story: `
1s test/a begins MATRIX=a
3s test/b begins MATRIX=b
5s test/a tested
5s test/c begins MATRIX=c
7s test/b tested
9s test/c tested
9s deploy begins
10s deploy deployed
`,
		},
		"one of a matrix fails, and the others go on": {
			pipeline: `
runners: 9
jobs:
  test: {matrix: list a b a, run: 3 fails}`,
			story: `
1s test/a begins MATRIX=a
2s test/b begins MATRIX=b
4s test/a fails
5s test/b fails
`,
			err: "is in the group already",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				story, err := play(t, t.Context(), test.pipeline)
				require.Equal(t, strings.TrimPrefix(test.story, "\n"), story)
				if test.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, test.err)
				}
			})
		})
	}
}

// A job holds no runner while it waits for its approval.
func TestEngine_approval(t *testing.T) {
	file := filepath.Join(t.TempDir(), "approved")
	synctest.Test(t, func(t *testing.T) {
		time.AfterFunc(5500*time.Millisecond, func() { _ = os.WriteFile(file, nil, 0o600) })
		story, err := play(t, t.Context(), fmt.Sprintf(`
jobs:
  deploy: {approve: %q, run: 1 deployed}
  test:   {run: 2 tested}`, file))
		require.NoError(t, err)
		require.Equal(t, "0s test begins\n2s test tested\n6s deploy begins\n7s deploy deployed\n", story)
	})
}

// After an interrupt nothing starts but what is under finally.
func TestEngine_interrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		errInterrupt := errors.New("interrupted")
		time.AfterFunc(1500*time.Millisecond, func() { cancel(errInterrupt) })
		story, err := play(t, ctx, `
runners: 2
jobs:
  build:  {run: 60 built}
  test:   {matrix: list a b c, run: 60 tested}
  report: {needs: [build], if: always, run: 1 written}
finally:
  clean:  {run: 2 cleaned}`)
		require.ErrorIs(t, err, errInterrupt)
		require.Equal(t, "0s build begins\n1.5s build broken off\n1.5s clean begins\n3.5s clean cleaned\n", story)
	})
}

// Of the grace after an interrupt one half is for jobs, such as one whose approval may
// still come, and the other one for those under finally.
func TestEngine_grace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		errInterrupt := errors.New("interrupted")
		time.AfterFunc(1500*time.Millisecond, func() { cancel(errInterrupt) })
		story, err := play(t, ctx, `
jobs:
  deploy: {approve: "never", run: 1 deployed}
finally:
  clean:  {run: 4 cleaned}
  last:   {needs: [clean], run: 4 printed}`)
		require.ErrorIs(t, err, errInterrupt)
		require.Equal(t, "6.5s clean begins\n10.5s clean cleaned\n10.5s last begins\n11.5s last broken off\n", story)
	})
}

func TestParse_refuses(t *testing.T) {
	for text, want := range map[string]string{
		"jobs: {a: {}}":                         "a: no command to run",
		"jobs: {a: {run: x, needs: [b]}}":       "b: needed, but not a job",
		"jobs: {a: {run: x, if: sometimes}}":    `a: if: "sometimes" is not success, always or failure`,
		"finally: {a: {run: x, if: sometimes}}": `a: if: "sometimes" is not success, always or failure`,
		"runners: -1":                           "runners: negative number -1",
		"jobs: {a: {command: x}}":               "field command not found",
		"jobs: [a]":                             "cannot",
	} {
		_, err := Parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestEngine_cycle(t *testing.T) {
	p, err := Parse([]byte("jobs: {a: {run: x, needs: [b]}, b: {run: x, needs: [a]}}"))
	require.NoError(t, err)
	var cycle *scheduler.CircularDependencyError[string]
	require.ErrorAs(t, (&Engine{}).Run(t.Context(), p), &cycle)
}

// The file beside this program runs, with a shell.
func TestPipelineFile(t *testing.T) {
	t.Chdir(t.TempDir())
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
runners: 4
jobs:
  one:   {run: "printf 'first\nsecond'; exit 3"}
  many:  {matrix: "echo a; echo b", run: "echo $MATRIX > $MATRIX.out"}
  after: {needs: [one], if: failure, run: echo sorry}
`), 0o600))
	err := runFile(file)
	require.ErrorContains(t, err, "one: exit status 3")
	for _, name := range []string{"a", "b"} {
		text, err := os.ReadFile(name + ".out")
		require.NoError(t, err)
		require.Equal(t, name+"\n", string(text))
	}
	require.ErrorIs(t, runFile("no such file"), os.ErrNotExist)
}
