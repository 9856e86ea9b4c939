package progress_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/randomrun"
	"github.com/steptask/scheduler/progress"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

var errBoom = errors.New("boom")

// site is a small graph and how long its nodes take.
func site() (*scheduler.Dependencies[string], func(string) scheduler.Task) {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("name", "server")
	deps.Add("backup", "volume")
	times := map[string]time.Duration{
		"network": 20 * time.Second, "volume": 5 * time.Second, "server": 90 * time.Second, "name": time.Second,
	}
	return deps, func(k string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(times[k])); err != nil {
				return err
			}
			if k == "backup" {
				return errBoom
			}
			return nil
		})
	}
}

// on runs a test in a bubble, in front of a live display on a screen.
func on(t *testing.T, width, height int, opts *progress.Options, test func(t *testing.T, p *progress.Progress, s *screen)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScreen(width, height)
		opts.Mode = progress.Live
		p := progress.NewSized(s, opts, s.size)
		defer func() { require.NoError(t, p.Close()) }()
		require.True(t, p.Live())
		test(t, p, s)
	})
}

// beside runs a group and, beside it, a test that looks at the screen.
func beside(
	t *testing.T, p *progress.Progress, deps *scheduler.Dependencies[string], task func(string) scheduler.Task,
	opts *scheduler.GroupOptions[string], test func(),
) {
	t.Helper()
	opts.Observer = p
	group, err := scheduler.NewDependencyTaskGroup(deps, task, opts)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = scheduler.Run(t.Context(), group, nil) // the display has it
	}()
	defer func() { <-done }()
	test()
}

// pass lets time pass, and the display draw.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in a bubble
	synctest.Wait()
}

// TestLive follows a run on a screen of 80 columns.
func TestLive(t *testing.T) {
	t.Parallel()
	on(t, 80, 24, &progress.Options{Name: "create"}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps, task := site()
		beside(t, p, deps, task, &scheduler.GroupOptions[string]{AggregateErrors: true}, func() {
			pass(3 * time.Second)
			require.Equal(t, ` network      3s
 volume       3s
 waiting: server, name, backup
create [------------------------------]  0 of 5  3s`, s.String())

			pass(9 * time.Second)
			p.Note("network", "waits for\nan address")
			fmt.Fprintln(p, "a line of the program")
			pass(time.Second)
			require.Equal(t, `  5.000s  backup   failed (0s): boom
a line of the program
 network     13s  waits for an address
 failed: backup
 waiting: server, name
create [===========>------------------]  1 of 5  13s  about 19s left`, s.String())

			shown, _, _ := strings.Cut(s.String(), "about")
			_, err := s.Write([]byte("^C")) // a key that is echoed
			require.NoError(t, err)
			pass(150 * time.Millisecond)
			require.True(t, strings.HasPrefix(s.String(), shown), "does no harm")
			p.Note("volume", "a late note")
			pass(57 * time.Second)
			require.Equal(t, `  5.000s  backup   failed (0s): boom
a line of the program
          volume   a late note
 server     50s
 failed: backup
 waiting: name
create [=================>------------]  2 of 5  1m10s  about 47s left`, s.String())
		})
		require.NoError(t, p.Close())
		require.Equal(t, `  5.000s  backup   failed (0s): boom
a line of the program
          volume   a late note
 failed: backup
create [==============================]  4 of 5  1m51s`, s.String())
		fmt.Fprintln(p, "a line after it")
		require.True(t, strings.HasSuffix(s.String(), "1m51s\na line after it"))
	})
}

// TestLive_estimates makes bars of what runs.
func TestLive_estimates(t *testing.T) {
	t.Parallel()
	estimate := map[any]time.Duration{"network": 20 * time.Second, "volume": 10 * time.Second, "server": time.Minute}
	opts := &progress.Options{Name: "create", Estimate: func(key any) time.Duration { return estimate[key] }}
	on(t, 80, 24, opts, func(t *testing.T, p *progress.Progress, s *screen) {
		deps, task := site()
		beside(t, p, deps, task, &scheduler.GroupOptions[string]{AggregateErrors: true}, func() {
			pass(4 * time.Second)
			p.Note("volume", "formats")
			pass(150 * time.Millisecond)
			require.Equal(t, ` network      4s  [===>----------------]
 volume       4s  [=======>------------]  formats
 waiting: server, name, backup
create [------------------------------]  0 of 5  4s  about 41s left`, s.String())
			pass(12 * time.Second)
			require.Contains(t, s.String(), "create [===========>------------------]  1 of 5  16s  about 39s left")
		})
	})
}

// TestLive_10000_nodes: the display stays as large as the screen, and the driving
// goroutine does not wait for it.
func TestLive_10000_nodes(t *testing.T) {
	t.Parallel()
	const n = 10_000
	on(t, 80, 24, &progress.Options{Name: "create"}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps := scheduler.NewDependencies[string]()
		for i := range n {
			deps.Add(fmt.Sprintf("node-%05d", i))
		}
		deps.Add("last", "node-00000")
		beside(t, p, deps, func(k string) scheduler.Task {
			if k == "last" {
				return scheduler.Pause(scheduler.After(time.Second))
			}
			var i int
			_, err := fmt.Sscanf(k, "node-%d", &i)
			require.NoError(t, err)
			return scheduler.Pause(scheduler.After(time.Duration(1+i/1000) * time.Minute))
		}, &scheduler.GroupOptions[string]{}, func() {
			pass(30 * time.Second)
			require.Equal(t, ` node-00000     30s
 node-00001     30s
 node-00002     30s
 node-00003     30s
 node-00004     30s
 node-00005     30s
 node-00006     30s
 node-00007     30s
 node-00008     30s
 node-00009     30s
 and 9990 more running
 waiting: last
create [------------------------------]  0 of 10001  30s`, s.String())

			pass(5 * time.Minute)
			require.Contains(t, s.String(), " node-05000   5m30s\n")
			require.Contains(t, s.String(), "\n and 4990 more running\ncreate [==============>---------------]  5001 of 10001  5m30s  about 5m30s left")
		})
		require.NoError(t, p.Close())
		require.Equal(t, "create [==============================]  10001 of 10001  10m00s", s.String())
	})
}

// TestLive_keeps_lines: what the program writes meanwhile is all there, in order
// and whole, however it comes, and each frame is there in one piece.
func TestLive_keeps_lines(t *testing.T) {
	t.Parallel()
	on(t, 80, 12, &progress.Options{Name: "create"}, func(t *testing.T, p *progress.Progress, s *screen) {
		frames := 0
		s.after = func(written, shown string) {
			frames++
			lines := strings.Split(shown, "\n")
			require.True(t, strings.HasPrefix(lines[len(lines)-1], "create "), "the display is whole:\n%s", shown)
			require.Equal(t, 1, strings.Count(shown, "\ncreate ")+strings.Count("\n"+shown, "\n\ncreate "), "and there once:\n%s", shown)
			if !strings.Contains(written, "line ") {
				require.Equal(t, 1, strings.Count(written, "\x1b[J"))
				require.True(t, strings.HasSuffix(written, "\x1b[J\x1b[?2026l"), "nothing is erased before it is drawn over")
			}
		}
		deps := scheduler.NewDependencies[string]()
		for i := range 30 {
			deps.Add(fmt.Sprint("node", i))
		}
		wide := strings.Repeat("wide", 40) // two rows of the screen
		var want []string
		beside(t, p, deps, func(string) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for range 10 {
					line := fmt.Sprintf("line %d", len(want))
					if len(want)%7 == 0 {
						line += " " + wide
					}
					want = append(want, line)
					fmt.Fprint(p, line[:4])
					fmt.Fprint(p, line[4:]+"\n")
					if err := co.Yield(scheduler.After(70 * time.Millisecond)); err != nil {
						return err
					}
				}
				return nil
			})
		}, &scheduler.GroupOptions[string]{}, func() {})
		s.mu.Lock()
		s.after = nil
		s.mu.Unlock()
		fmt.Fprint(p, "without its end")
		require.NoError(t, p.Close())
		require.Len(t, want, 300)
		require.Greater(t, frames, 3)
		want = append(want, "without its end", "create [==============================]  30 of 30  1s")
		rows := strings.ReplaceAll(s.all(), "\n", "")
		require.Equal(t, strings.Join(want, ""), rows, "and no display is left over")
	})
}

// TestLive_sizes: a frame is never larger than the screen, down to one that has
// room for nothing.
func TestLive_sizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width, height int
		want          string
	}{
		{40, 24, ` network      3s
 volume       3s
 waiting: server, name, backup
a rather long name for it  0 of 5  3s`},
		{80, 5, ` and 2 more running
 waiting: server, name, backup
a rather long name for it [-----------]  0 of 5  3s`},
		{80, 6, ` network      3s
 and 1 more running
 waiting: server, name, backup
a rather long name for it [-----------]  0 of 5  3s`},
		{24, 4, " and 2 more running\n waiting: server and 2…\na rather l…  0 of 5  3s"},
		{12, 3, " waiting: …\n…  0 of 5 …"},
		{2, 2, "…"},
		{1, 1, ""}, // the cursor has it
	} {
		t.Run(fmt.Sprintf("%dx%d", c.width, c.height), func(t *testing.T) {
			t.Parallel()
			on(t, c.width, c.height, &progress.Options{Name: "a rather long name for it"}, func(t *testing.T, p *progress.Progress, s *screen) {
				deps, task := site()
				beside(t, p, deps, task, &scheduler.GroupOptions[string]{AggregateErrors: true}, func() {
					pass(3 * time.Second)
					require.Equal(t, c.want, s.all(), "and nothing was scrolled off")
				})
			})
		})
	}
}

// TestLive_resize: what the program wrote stays, and the display fits again.
func TestLive_resize(t *testing.T) {
	t.Parallel()
	on(t, 80, 24, &progress.Options{Name: "create"}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps, task := site()
		beside(t, p, deps, task, &scheduler.GroupOptions[string]{AggregateErrors: true}, func() {
			fmt.Fprintln(p, "a line of the program")
			pass(3 * time.Second)
			s.resize(30, 24)
			pass(time.Second)
			require.Equal(t, `a line of the program
 network      4s
 volume       4s
 waiting: server and 2 more
create  0 of 5  4s`, s.String())
			s.resize(100, 24)
			pass(time.Second / 2)
			require.Equal(t, `a line of the program
 network      5s
 volume       5s
 waiting: server, name, backup
create [--------------------------------------]  0 of 5  5s`, s.String())
		})
	})
}

// TestLive_names: what is in a name, a note or an error cannot move the cursor,
// and takes the columns that it takes.
func TestLive_names(t *testing.T) {
	t.Parallel()
	on(t, 60, 24, &progress.Options{Name: "create\x1b[2J"}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps := scheduler.NewDependencies[string]()
		deps.Add("a\x1b[2J\r\nb")
		deps.Add("日本語")
		deps.Add(strings.Repeat("long", 20))
		deps.Add("after\x1b[1A", "日本語")
		beside(t, p, deps, func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Minute)) },
			&scheduler.GroupOptions[string]{}, func() {
				pass(time.Second)
				p.Note("日本語", "\x1b[1Athis is\ta note that does not fit into a line of sixty columns")
				pass(time.Second)
				require.Equal(t, ` a [2J  b                            2s
 日本語                              2s   [1Athis is a not…
 longlonglonglonglonglonglongl…      2s
 waiting: after [1A
create [2J  0 of 4  2s`, s.String())
			})
	})
}

// TestNoEscapes: whatever is in keys, errors and notes, no sequence of it reaches
// the terminal, in lines neither.
func TestNoEscapes(t *testing.T) {
	t.Parallel()
	evil := []string{
		"\x1b]52;c;cm0gLXJmIH4=\a", "\x1b]0;title\x1b\\", "\x1b[2J", "\x9b2J", "\u009b2J", "\x90q", "\r", "\b\b\b", "\x7f", "\u202e", "\u2066",
	}
	for _, mode := range []progress.Mode{progress.Plain, progress.Live} {
		for _, text := range evil {
			synctest.Test(t, func(t *testing.T) {
				var b bytes.Buffer
				p := progress.NewSized(&b, &progress.Options{Name: text, Mode: mode}, func() (int, int) { return 80, 24 })
				deps := scheduler.NewDependencies[string]()
				deps.Add("key" + text)
				deps.Add("other" + text)
				opts := &scheduler.GroupOptions[string]{AggregateErrors: true, Observer: p}
				g, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						p.Note(k, "running"+text)
						if err := co.Yield(scheduler.After(time.Second)); err != nil {
							return err
						}
						return errors.New("answer" + text)
					})
				}, opts)
				require.NoError(t, err)
				require.Error(t, scheduler.Run(t.Context(), g, nil))
				p.Note("ended"+text, "note"+text)
				require.NoError(t, p.Close())
				shown := b.String()
				require.Contains(t, shown, "answer")
				require.Contains(t, shown, "note")
				if mode == progress.Live { // which has sequences of its own, none of these
					shown = strings.NewReplacer("\x1b[?2026h\r", "", "\x1b[?2026l", "", "\x1b[K", "", "\x1b[J", "").Replace(shown)
					shown = regexp.MustCompile("\x1b\\[[0-9]+A").ReplaceAllString(shown, "")
				}
				require.NotContains(t, shown, text, "%q in mode %d", text, mode)
				require.NotContains(t, shown, "\x1b", "%q in mode %d", text, mode)
			})
		}
	}
}

// A text of several lines keeps them, with none that begins like one of ours.
func TestPlain_lines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := progress.New(&b, &progress.Options{Mode: progress.Plain})
	p.Note("node", "one\n  0.000s  server  succeeded\n")
	require.Equal(t, "          node  one\n            0.000s  server  succeeded\n", b.String())
}

// TestLive_slow_terminal: a terminal that takes nothing does not hold up the run,
// only in the end who writes more and more to it.
func TestLive_slow_terminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &stuck{free: make(chan struct{})}
		p := progress.NewSized(w, &progress.Options{Mode: progress.Live}, func() (int, int) { return 80, 24 })
		deps, task := site()
		opts := &scheduler.GroupOptions[string]{AggregateErrors: true, Observer: p}
		group, err := scheduler.NewDependencyTaskGroup(deps, task, opts)
		require.NoError(t, err)
		pass(time.Second) // it is in its first write now
		require.Error(t, scheduler.Run(t.Context(), group, nil))
		require.Equal(t, 4, group.Count(scheduler.StateSucceeded), "the run has ended")

		written := 0
		line := []byte(strings.Repeat("x", 1023) + "\n")
		go func() {
			for range 2000 {
				n, err := p.Write(line)
				require.NoError(t, err)
				written += n
			}
		}()
		pass(time.Hour)
		require.Equal(t, 1<<20, written/1024*1024, "then it waits")
		close(w.free)
		pass(time.Second)
		require.Equal(t, 2000*1024, written)
		require.NoError(t, p.Close())
		require.Equal(t, 2000, strings.Count(w.text.String(), string(line)), "and nothing is lost")
		require.Contains(t, w.text.String(), "backup   failed (0s): boom\n")
	})
}

// stuck is a terminal that takes nothing until it is free.
type stuck struct {
	free chan struct{}
	text strings.Builder
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.free
	return s.text.Write(b)
}

// TestLive_error: after an error of the terminal nothing is shown, and the run
// goes on.
func TestLive_error(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := progress.NewSized(broken{}, &progress.Options{Mode: progress.Live}, func() (int, int) { return 80, 24 })
		deps, task := site()
		opts := &scheduler.GroupOptions[string]{AggregateErrors: true, Observer: p}
		group, err := scheduler.NewDependencyTaskGroup(deps, task, opts)
		require.NoError(t, err)
		n, err := fmt.Fprintln(p, "a line")
		require.NoError(t, err)
		require.Equal(t, 7, n)
		require.Error(t, scheduler.Run(t.Context(), group, nil))
		require.Equal(t, 4, group.Count(scheduler.StateSucceeded))
		_, err = fmt.Fprintln(p, "a line")
		require.ErrorIs(t, err, errBoom)
		require.ErrorIs(t, p.Close(), errBoom)
		_, err = fmt.Fprintln(p, "a line")
		require.ErrorIs(t, err, errBoom)
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBoom }

// TestLive_left: what was never started does not wait any more in the end.
func TestLive_left(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	on(t, 80, 24, &progress.Options{Clock: clock}, func(t *testing.T, p *progress.Progress, s *screen) {
		one := func() *schedulertest.Driver {
			deps := scheduler.NewDependencies[string]()
			deps.Add("a", "first")
			deps.Add("b", "first")
			group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
				return scheduler.Pause(scheduler.After(time.Minute))
			}, &scheduler.GroupOptions[string]{Observer: p})
			require.NoError(t, err)
			d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: clock})
			d.Step()
			pass(time.Second)
			require.Contains(t, s.String(), "\n waiting: a, b\n")
			group.Drain()
			return d
		}
		require.ErrorIs(t, one().RunToEnd(), scheduler.ErrDrained)
		pass(time.Second)
		require.Equal(t, "run [=================================]  1 of 3  1m00s", s.String())
		one()
		require.NoError(t, p.Close())
		require.Equal(t, " first      0s\nrun [================>----------------]  1 of 6  1m00s", s.String())
	})
}

// TestLive_many_failures: some are named, and all are counted.
func TestLive_many_failures(t *testing.T) {
	t.Parallel()
	on(t, 200, 24, &progress.Options{Name: "create"}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps := scheduler.NewDependencies[int]()
		for i := range 30 {
			deps.Add(i)
		}
		opts := &scheduler.GroupOptions[int]{AggregateErrors: true, Observer: p}
		group, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return nil }, opts)
		require.NoError(t, err)
		require.Error(t, scheduler.Run(t.Context(), group, nil))
		require.NoError(t, p.Close())
		require.Contains(t, s.String(), "\n failed: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 10 more\n")
	})
}

// TestPlain writes a line for everything that happens.
func TestPlain(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	clock := schedulertest.NewClock(time.Time{}).Alone()
	p := progress.New(&text, nil)
	require.False(t, p.Live())
	p.Note("volume", "is not there yet")
	deps, task := site()
	opts := &scheduler.GroupOptions[string]{
		AggregateErrors: true, Completed: func(k string) bool { return k == "network" }, Observer: p,
	}
	deps.Add("after", "backup")
	group, err := scheduler.NewDependencyTaskGroup(deps, task, opts)
	require.NoError(t, err)
	require.Error(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	fmt.Fprintln(p, "a line of the program")
	require.NoError(t, p.Close())
	require.Equal(t, `          volume  is not there yet
  0.000s  volume  running
  5.000s  volume  succeeded (5s)
  5.000s  server  running
  5.000s  backup  running
  5.000s  backup  failed (0s): boom
 95.000s  server  succeeded (1m30s)
 95.000s  name    running
 96.000s  name    succeeded (1s)
a line of the program
`, text.String())
}

// TestProgress_groups: groups inside one another, of the same keys, in one display.
func TestProgress_groups(t *testing.T) {
	t.Parallel()
	on(t, 80, 24, &progress.Options{}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps := scheduler.NewDependencies[int]()
		deps.Add(2, 1)
		beside(t, p, scheduler.Translate(deps, func(i int) string { return fmt.Sprint(i) }), func(string) scheduler.Task {
			group, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task {
				return scheduler.Pause(scheduler.After(time.Minute))
			}, nil)
			require.NoError(t, err)
			return group
		}, &scheduler.GroupOptions[string]{}, func() {
			pass(90 * time.Second)
			require.Equal(t, ` 1     1m30s
 1/2     30s
 waiting: 2
run [=======>-------------------------]  1 of 4  1m30s  about 4m30s left`, s.String())
			p.Note("1/2", "inside")
			pass(60 * time.Second)
			require.Equal(t, ` 2       30s
 2/1     30s
 waiting: 2/2
run [================>----------------]  3 of 6  2m30s  about 2m30s left`, s.String())
		})
	})
}

// TestProgress_joined: beside another Observer.
func TestProgress_joined(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	var text strings.Builder
	p := progress.New(&text, &progress.Options{Line: func(t scheduler.Record) string {
		if t.To == scheduler.StateRunning {
			return fmt.Sprintf("%v begins", t.Key())
		}
		return ""
	}})
	deps, _ := site()
	told := &slow{}
	opts := &scheduler.GroupOptions[string]{Observer: scheduler.Observers(p, told), SlowStep: time.Second}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			clock.Advance(time.Minute)
			return scheduler.Done, nil
		})
	}, opts)
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, &slow{transitions: 10, steps: 5, others: 2}, told)
	require.Equal(t, "network begins\nvolume begins\nserver begins\nname begins\nbackup begins\n", text.String())
}

type slow struct{ transitions, steps, others int }

func (s *slow) Observe(r scheduler.Record) {
	switch r.Kind {
	case scheduler.NodeChanged:
		s.transitions++
	case scheduler.SlowStep:
		s.steps++
	default:
		s.others++
	}
}

// TestProgress_stopped: what a failure cancels does not wait.
func TestProgress_stopped(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	on(t, 80, 24, &progress.Options{Clock: clock}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps, task := site()
		group, err := scheduler.NewDependencyTaskGroup(deps, task, &scheduler.GroupOptions[string]{Observer: p})
		require.NoError(t, err)
		d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: clock})
		d.Step()
		clock.Advance(90061 * time.Second)
		pass(time.Second)
		require.Equal(t, ` network   1d01h
 volume    1d01h
 waiting: server, name, backup
run [---------------------------------]  0 of 5  1d01h`, s.String())
		require.Error(t, d.RunToEnd(), "stopped by a failure")
		pass(time.Second)
		require.NotContains(t, s.String(), "waiting")
		require.Contains(t, s.String(), "\n failed: backup\nrun [")
	})
}

// TestProgress_equal_paths: nodes of two groups that run side by side are two, and
// the end of one takes nothing from the other.
func TestProgress_equal_paths(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	on(t, 80, 24, &progress.Options{Clock: clock}, func(t *testing.T, p *progress.Progress, s *screen) {
		start := func(took time.Duration) *schedulertest.Driver {
			deps := scheduler.NewDependencies[string]()
			deps.Add("a")
			group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
				return scheduler.Pause(scheduler.After(took))
			}, &scheduler.GroupOptions[string]{Name: "same", Observer: p})
			require.NoError(t, err)
			d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: clock})
			d.Step()
			return d
		}
		one, two := start(time.Minute), start(time.Second)
		p.Note("a", "of the second")
		pass(time.Second)
		require.Equal(t, ` a      0s
 a      0s  of the second
run [---------------------------------]  0 of 2  0s`, s.String())
		require.NoError(t, two.RunToEnd())
		p.Note("a", "of the first")
		pass(time.Second)
		require.Equal(t, ` a      1s  of the first
run [================>----------------]  1 of 2  1s  about 1s left`, s.String())
		require.NoError(t, one.RunToEnd())
		pass(time.Second)
		require.Equal(t, "run [=================================]  2 of 2  1m00s", s.String())
	})
}

// TestProgress_estimates_of_the_group are taken if there are no others.
func TestProgress_estimates_of_the_group(t *testing.T) {
	t.Parallel()
	on(t, 80, 24, &progress.Options{}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps, task := site()
		estimate := map[string]time.Duration{"network": 20 * time.Second, "volume": 10 * time.Second}
		beside(t, p, deps, task, &scheduler.GroupOptions[string]{
			AggregateErrors: true, Limit: 3, Estimate: func(k string) time.Duration { return estimate[k] },
		}, func() {
			pass(4*time.Second + 150*time.Millisecond)
			require.Contains(t, s.String(), " network      4s  [===>----------------]\n volume       4s  [=======>------------]\n")
		})
	})
}

// TestProgress_memory: a Progress of groups without end keeps nothing of those
// that have ended.
func TestProgress_memory(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	p := progress.New(io.Discard, &progress.Options{Line: func(scheduler.Record) string { return "" }})
	deps := scheduler.NewDependencies[int]()
	for k := range 100 {
		deps.Add(k)
	}
	for i := range 300 {
		group, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
			if i%3 == 0 && k == 50 {
				return scheduler.Func(func(context.Context) error { return errBoom })
			}
			return scheduler.Pause(scheduler.After(time.Second))
		}, &scheduler.GroupOptions[int]{Observer: p, Limit: 10})
		require.NoError(t, err)
		if i%3 == 1 {
			group.Drain()
		}
		_ = scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}) // each ends in its way
		require.Zero(t, p.Kept())
	}
}

// TestProgress_random: a run that is shown is the same run as one that is not, and
// nothing of it is kept.
func TestProgress_random(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		p := progress.New(io.Discard, &progress.Options{Mode: progress.Plain})
		require.Equal(t, randomrun.Play(t, seed, nil), randomrun.Play(t, seed, p), "seed %d", seed)
		require.Zero(t, p.Kept(), "seed %d", seed)
	}
}

// Nodes that are added while a group runs are among those that wait, and in the
// number of all.
func TestLive_nodes_that_are_added(t *testing.T) {
	t.Parallel()
	on(t, 80, 24, &progress.Options{Name: "grow"}, func(t *testing.T, p *progress.Progress, s *screen) {
		var g *scheduler.DependencyTaskGroup[string]
		deps := scheduler.NewDependencies[string]()
		deps.Add("first")
		g, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
			return scheduler.Sequence(scheduler.Pause(scheduler.After(10*time.Second)), scheduler.Func(func(context.Context) error {
				if k == "first" {
					require.NoError(t, g.Add("done", "first"))
					require.NoError(t, g.Add("second", "first"))
					require.NoError(t, g.Add("third", "second"))
					g.CloseInput()
				}
				return nil
			}))
		}, &scheduler.GroupOptions[string]{Observer: p, KeepOpen: true, Completed: func(k string) bool { return k == "done" }})
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- scheduler.Run(t.Context(), g, nil) }()
		pass(5 * time.Second)
		require.Contains(t, s.String(), "0 of 1")
		pass(10 * time.Second)
		require.Contains(t, s.String(), " second      5s\n waiting: third")
		require.Contains(t, s.String(), "1 of 3")
		pass(20 * time.Second)
		require.NoError(t, <-done)
		require.NoError(t, p.Close())
		require.Contains(t, s.String(), "3 of 3")
	})
}

// talking is a graph of one node that says what it does, and tries twice.
func talking() (*scheduler.Dependencies[string], func(string) scheduler.Task) {
	deps := scheduler.NewDependencies[string]()
	deps.Add("volume")
	return deps, func(string) scheduler.Task {
		return scheduler.Retry(pause(10*time.Second), func(attempt int, _ error) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Note("building\x1b[2J")
				if err := co.Yield(scheduler.After(10 * time.Second)); err != nil {
					return err
				}
				co.Note("building\x1b[2J")
				if attempt == 1 {
					return errBoom
				}
				return nil
			})
		})
	}
}

type pause time.Duration

func (p pause) NextBackOff() time.Duration { return time.Duration(p) }

// What nodes say about themselves stands beside them.
func TestLive_notes(t *testing.T) {
	t.Parallel()
	on(t, 80, 24, &progress.Options{Name: "create"}, func(t *testing.T, p *progress.Progress, s *screen) {
		deps, task := talking()
		beside(t, p, deps, task, &scheduler.GroupOptions[string]{}, func() {
			pass(5 * time.Second)
			require.Contains(t, s.String(), "volume      5s  building [2J")
			pass(10 * time.Second)
			require.Contains(t, s.String(), "volume     15s  building [2J, attempt 1: boom")
		})
	})
}

// In plain lines each is written once, until it says something else.
func TestPlain_notes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, line := range []func(scheduler.Record) string{nil, func(r scheduler.Record) string { return r.To.String() }} {
			var b bytes.Buffer
			p := progress.New(&b, &progress.Options{Mode: progress.Plain, Line: line})
			deps, task := talking()
			beside(t, p, deps, task, &scheduler.GroupOptions[string]{}, func() {})
			require.NoError(t, p.Close())
			if line != nil {
				require.Equal(t, "running\nsucceeded\n", b.String())
				continue
			}
			require.Equal(t, 1, strings.Count(b.String(), "volume  building [2J\n"))
			require.Equal(t, 1, strings.Count(b.String(), "volume  building [2J, attempt 1: boom\n"))
		}
	})
}

// An error whose Error panics is shown as fmt shows it, and ends nothing.
func TestPlain_error_that_panics(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	p := progress.New(&text, &progress.Options{Mode: progress.Plain})
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return panicky{} })
	}, &scheduler.GroupOptions[string]{Observer: p})
	require.NoError(t, err)
	require.ErrorIs(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})}), panicky{})
	require.NoError(t, p.Close())
	require.Contains(t, text.String(), "a  failed (0s): %!v(PANIC=Error method: in Error)\n")
}

type panicky struct{}

func (panicky) Error() string { panic("in Error") }
