package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// suite is the tests of the instrumented package.
type suite struct {
	binary string
	tests  []test // the quickest first
}

type test struct {
	name    string
	took    time.Duration
	reached []byte // by mutant: 1 if the test gets there
}

// newSuite builds the tests and runs each by itself, to see which mutants it
// gets to.
func newSuite(in *instrumented, dir string) (*suite, error) {
	binary, err := build(in, dir)
	if err != nil {
		return nil, err
	}
	s := &suite{binary: binary}
	list, err := exec.Command(binary, "-test.list", ".").Output()
	if err != nil {
		return nil, err
	}
	reached := filepath.Join(dir, "reached")
	for _, name := range strings.Fields(string(list)) {
		if strings.HasPrefix(name, "Benchmark") {
			continue
		}
		if err := os.WriteFile(reached, make([]byte, len(in.mutants)+1), 0o600); err != nil {
			return nil, err
		}
		began := time.Now()
		if verdict := s.run(0, "^"+name+"$", time.Minute, "MUTANTS_REACHED="+reached); verdict != "" {
			return nil, fmt.Errorf("without a mutant: %s fails", verdict)
		}
		t := test{name: name, took: time.Since(began)}
		if t.reached, err = os.ReadFile(reached); err != nil {
			return nil, err
		}
		s.tests = append(s.tests, t)
	}
	slices.SortStableFunc(s.tests, func(a, b test) int { return int(a.took - b.took) })
	fmt.Printf("%d mutants, %d tests\n", len(in.mutants), len(s.tests))
	return s, nil
}

// build compiles the tests, with the instrumented files in place of the others.
func build(in *instrumented, dir string) (string, error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, source := range in.files {
		to := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(to, source, 0o600); err != nil {
			return "", err
		}
		overlay.Replace[path] = to
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "tests")
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-tags", *tags, "-overlay", list, "-o", binary, ".")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return binary, cmd.Run()
}

// try runs the tests that get to a mutant, and returns what killed it, or "".
func (s *suite) try(n int) string {
	var names []string
	var together time.Duration
	most := 100 * time.Millisecond // the first some, then ten times as long, and so on
	for _, t := range s.tests {
		if t.reached[n] == 0 {
			continue
		}
		names, together = append(names, t.name), together+t.took
		if together > most {
			if verdict := s.run(n, pattern(names), limitOf(together)); verdict != "" {
				return verdict
			}
			names, together, most = nil, 0, most*10
		}
	}
	if len(names) == 0 {
		return ""
	}
	return s.run(n, pattern(names), limitOf(together))
}

// limitOf is how much time on a processor tests may take that take so long.
func limitOf(took time.Duration) time.Duration { return 3*time.Second + 5*took }

func pattern(names []string) string { return "^(" + strings.Join(names, "|") + ")$" }

// run runs tests until one fails, and returns its name. A mutant may never end,
// or fill the memory.
func (s *suite) run(n int, tests string, limit time.Duration, env ...string) string {
	cmd := exec.Command("sh", "-c", `ulimit -v 6000000; exec "$@"`, "sh", s.binary,
		"-test.v", "-test.failfast", "-test.parallel=1", "-test.run", tests)
	cmd.Env = append(append(os.Environ(), fmt.Sprintf("MUTANT=%d", n), "GOMAXPROCS=2"), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err.Error()
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	ended := make(chan struct{})
	stuck := make(chan bool, 1)
	go func() { stuck <- killIfStuck(cmd.Process, limit, ended) }()
	running, failed := "", ""
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<24)
	for failed == "" && lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "=== RUN   "); ok {
			running = name
		}
		if name, ok := strings.CutPrefix(lines.Text(), "--- FAIL: "); ok {
			failed, _, _ = strings.Cut(name, " ")
			cmd.Process.Kill() //nolint:errcheck // The others need not run.
		}
	}
	close(ended)
	err = cmd.Wait()
	switch {
	case failed != "":
		return failed
	case <-stuck:
		return running + ", which does not end"
	case err != nil:
		return running + ", where all ends"
	}
	return ""
}

// killIfStuck kills a process that takes too much time on a processor, or next to
// none for long, and reports whether it did. Time as such says nothing: the
// machine may be busy with something else.
func killIfStuck(p *os.Process, limit time.Duration, ended <-chan struct{}) bool {
	const patience, little = 8, 30 * time.Millisecond // half seconds
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for idle, since := 0, time.Duration(-1); idle < patience; idle++ {
		select {
		case <-ended:
			return false
		case <-tick.C:
		}
		used, stopped, err := usage(p)
		if err != nil {
			return false
		}
		if used > limit {
			break
		}
		if stopped || since < 0 || used-since > little {
			idle, since = 0, used
		}
	}
	p.Kill() //nolint:errcheck // It may have ended.
	return true
}

// usage returns the time that a process has had on a processor, and whether it is
// stopped.
func usage(p *os.Process) (used time.Duration, stopped bool, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return 0, false, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // from the third on
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, false, err
		}
		used += time.Duration(n) * time.Second / 100
	}
	return used, fields[0] == "T", nil
}
