package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// suite is the tests that run the instrumented package.
type suite struct {
	tests []*test

	mu    sync.Mutex
	kills map[kills]int // guarded by mu
}

type test struct {
	binary  *binary
	name    string
	took    time.Duration
	reached []byte // by mutant: 1 if the test gets there
}

// kills is what is counted: how many mutants of a file a test has killed.
type kills struct {
	test *test
	file string
}

// binary is the compiled tests of a package.
type binary struct {
	path string
	dir  string // of the package: its tests run there
}

// newSuite builds the tests of packages and runs each by itself, to see which
// mutants it gets to.
func newSuite(in *instrumented, packages []string, dir string) (*suite, error) {
	list, err := overlay(in, dir)
	if err != nil {
		return nil, err
	}
	s := &suite{kills: map[kills]int{}}
	for i, path := range packages {
		b, err := build(path, list, filepath.Join(dir, fmt.Sprint("tests", i)))
		if err != nil {
			return nil, err
		}
		if err := s.add(b, len(in.mutants), filepath.Join(dir, "reached")); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(s.tests, func(a, b *test) int { return int(a.took - b.took) })
	fmt.Printf("%d mutants, %d tests\n", len(in.mutants), len(s.tests))
	if *times {
		for _, t := range s.tests {
			fmt.Printf("test %7.2fs %s\n", t.took.Seconds(), t.name)
		}
	}
	return s, nil
}

// add adds the tests of a package. File reached is where the instrumented package
// notes which mutants a test gets to.
func (s *suite) add(b *binary, mutants int, reached string) error {
	list, err := exec.Command(b.path, "-test.list", ".").Output()
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(list)) {
		if strings.HasPrefix(name, "Benchmark") {
			continue
		}
		if err := os.WriteFile(reached, make([]byte, mutants+1), 0o600); err != nil {
			return err
		}
		began := time.Now()
		if v := b.run(0, "^"+name+"$", time.Minute, "MUTANTS_REACHED="+reached); v.killer != "" {
			return fmt.Errorf("without a mutant: %s fails", v.killer)
		}
		t := &test{binary: b, name: name, took: time.Since(began)}
		if t.reached, err = os.ReadFile(reached); err != nil {
			return err
		}
		s.tests = append(s.tests, t)
	}
	return nil
}

// overlay writes the instrumented files and a list of what they take the place of.
func overlay(in *instrumented, dir string) (string, error) {
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
	return list, nil
}

// build compiles the tests of a package, with an overlay.
func build(path, overlay, to string) (*binary, error) {
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", to, path)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return &binary{to, strings.TrimSpace(string(dir))}, cmd.Run()
}

// verdict is what tests have said of a mutant.
type verdict struct {
	killer string        // the one that noticed it, or ""
	used   time.Duration // by all of them, on a processor: other programs may run beside
}

// tryAll tries mutants, by number, several at a time, and yields what became of each,
// in their order.
func (s *suite) tryAll(in *instrumented, numbers []int, workers int) iter.Seq2[int, verdict] {
	verdicts := make([]chan verdict, len(numbers))
	for i := range verdicts {
		verdicts[i] = make(chan verdict, 1)
	}
	var next atomic.Int64
	for range workers {
		go func() {
			for i := int(next.Add(1)) - 1; i < len(numbers); i = int(next.Add(1)) - 1 {
				verdicts[i] <- s.try(numbers[i], in.mutants[numbers[i]-1].file)
			}
		}()
	}
	return func(yield func(int, verdict) bool) {
		for i := range verdicts {
			if !yield(i, <-verdicts[i]) {
				return
			}
		}
	}
}

// try runs the tests that get to mutant n, which is in file, until one notices it.
func (s *suite) try(n int, file string) (v verdict) {
	tests := s.thatReach(n, file)
	most := 100 * time.Millisecond // the first few, then three times as long, and so on
	for len(tests) > 0 && v.killer == "" {
		some, together := 0, time.Duration(0)
		for some < len(tests) && together <= most {
			together += tests[some].took
			some++
		}
		of := s.runBatch(n, file, tests[:some])
		v = verdict{of.killer, v.used + of.used}
		tests, most = tests[some:], most*3
	}
	return v
}

// thatReach returns the tests that get to mutant n, the quickest first. A test that has
// killed others of the same file counts as quicker: ten times with nine of them.
func (s *suite) thatReach(n int, file string) []*test {
	s.mu.Lock()
	defer s.mu.Unlock()
	worth := map[*test]time.Duration{}
	var reach []*test
	for _, t := range s.tests {
		if t.reached[n] != 0 {
			reach = append(reach, t)
			worth[t] = t.took / time.Duration(1+s.kills[kills{t, file}])
		}
	}
	slices.SortStableFunc(reach, func(a, b *test) int { return cmp.Compare(worth[a], worth[b]) })
	return reach
}

// killed counts a mutant of file.
func (s *suite) killed(by *test, file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills[kills{by, file}]++
}

// runBatch runs tests, those of one package together, until one notices mutant n.
func (s *suite) runBatch(n int, file string, batch []*test) (v verdict) {
	for len(batch) > 0 && v.killer == "" {
		b := batch[0].binary
		var tests []*test
		var names []string
		var together time.Duration
		var others []*test
		for _, t := range batch {
			if t.binary == b {
				tests, names, together = append(tests, t), append(names, t.name), together+t.took
			} else {
				others = append(others, t)
			}
		}
		of := b.run(n, pattern(names), limitOf(together))
		v = verdict{of.killer, v.used + of.used}
		for _, t := range tests {
			if name, _, _ := strings.Cut(of.killer, ","); name == t.name {
				s.killed(t, file)
			}
		}
		batch = others
	}
	return v
}

// limitOf is how much time on a processor tests may take that take so long.
func limitOf(took time.Duration) time.Duration { return 2*time.Second + 3*took }

func pattern(names []string) string { return "^(" + strings.Join(names, "|") + ")$" }

// run runs tests until one fails, which has noticed the mutant. One may never end, or
// fill the memory.
func (b *binary) run(n int, tests string, limit time.Duration, env ...string) verdict {
	cmd := exec.Command("sh", "-c", `ulimit -v 6000000; exec "$@"`, "sh", b.path,
		"-test.v", fmt.Sprintf("-test.short=%t", !*long), "-test.failfast", "-test.parallel=1", "-test.run", tests)
	cmd.Dir = b.dir
	cmd.Env = append(append(os.Environ(), fmt.Sprintf("MUTANT=%d", n), "GOMAXPROCS=2"), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return verdict{killer: err.Error()}
	}
	if err := cmd.Start(); err != nil {
		return verdict{killer: err.Error()}
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
	case <-stuck:
		failed = running + ", which does not end"
	case err != nil:
		failed = running + ", where all ends"
	}
	return verdict{failed, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// killIfStuck kills a process that takes too much time on a processor, or for long
// next to none and does not wait for one either, and reports whether it did. Time as
// such says nothing: the machine may be busy with something else.
func killIfStuck(p *os.Process, limit time.Duration, ended <-chan struct{}) bool {
	const patience, little = 4, 30 * time.Millisecond // half seconds
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
		if active := used + waited(p); stopped || since < 0 || active-since > little {
			idle, since = 0, active
		}
	}
	p.Kill() //nolint:errcheck // It may have ended.
	return true
}

// waited returns how long the threads of a process have waited for a processor, or 0
// if the system does not say.
func waited(p *os.Process) (sum time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.Pid))
	for _, file := range files {
		b, _ := os.ReadFile(file) // A thread may have ended.
		if fields := strings.Fields(string(b)); len(fields) == 3 {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			sum += time.Duration(n)
		}
	}
	return sum
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
