// Command mutate finds what no test of the package in the current directory
// notices. It changes the package in one small way after the other, runs the
// tests, and lists the changes with which all of them still pass.
//
//	mutate [-files regexp] [-late regexp] [-explained file] [-tags tags]
//
// All changes are compiled in at once, and a variable of the environment says
// which is the active one: so a mutant takes as long as the tests need to fail,
// and nothing to build. Tests that take long, named by -late, only run when the
// others have not failed.
//
// It exits with 1 if a change survives that the -explained file does not quote.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	files     = flag.String("files", "", "mutate files with names that match only")
	late      = flag.String("late", "^$", "tests that run only when the others have not failed")
	tags      = flag.String("tags", "", "build tags")
	explained = flag.String("explained", "", "file that quotes the mutants that may survive, and says why")
	limit     = flag.Int("limit", 15, "seconds on a processor that the tests of a mutant may take")
)

func main() {
	flag.Parse()
	ok, err := mutate()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// mutate tries all mutants and reports whether all survivors are explained.
func mutate() (ok bool, err error) {
	of, err := regexp.Compile(*files)
	if err != nil {
		return false, err
	}
	why := ""
	if *explained != "" {
		b, err := os.ReadFile(*explained)
		if err != nil {
			return false, err
		}
		why = string(b)
	}
	in, err := instrument(".")
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	tests, err := build(in, dir)
	if err != nil {
		return false, err
	}
	if verdict := tests.try(0); verdict != "" {
		return false, fmt.Errorf("without a mutant: %s", verdict)
	}
	began := time.Now()
	tried, killed, unexplained := 0, 0, 0
	for i, m := range in.mutants {
		if !of.MatchString(m.file) {
			continue
		}
		tried++
		if verdict := tests.try(i + 1); verdict != "" {
			killed++
			fmt.Printf("killed    %s:%d %s by %s\n", m.file, m.line, m, verdict)
			continue
		}
		mark := "explained"
		if !strings.Contains(why, m.String()) {
			unexplained++
			mark = "SURVIVED "
		}
		fmt.Printf("%s %s:%d %s\n", mark, m.file, m.line, m)
	}
	lived := tried - killed - unexplained
	fmt.Printf("%d mutants: %d killed (%.1f %%), %d survived and explained, %d survived; %v\n",
		tried, killed, 100*float64(killed)/float64(max(tried, 1)), lived, unexplained, time.Since(began).Round(time.Second))
	return unexplained == 0, nil
}

// binary is the tests, with all mutants.
type binary string

// build compiles the tests of the instrumented package.
func build(in *instrumented, dir string) (binary, error) {
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
	out := filepath.Join(dir, "tests")
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-tags", *tags, "-overlay", list, "-o", out, ".")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return binary(out), cmd.Run()
}

// try runs the tests with a mutant, and returns what killed it, or "".
func (b binary) try(n int) string {
	verdict := b.run(n, "-test.skip")
	if verdict == "" {
		verdict = b.run(n, "-test.run")
	}
	return verdict
}

// run runs the tests until one fails. A mutant may never end, or fill the memory:
// so there are limits to its memory and to its time on a processor, and it is not
// waited for when it does nothing. Time as such says nothing: the machine may be
// busy with something else.
func (b binary) run(n int, which string) string {
	script := fmt.Sprintf(`ulimit -v 6000000 -t %d; exec "$@"`, *limit)
	cmd := exec.Command("sh", "-c", script, "sh", string(b), "-test.v", "-test.failfast", "-test.parallel=1", which, *late)
	cmd.Env = append(os.Environ(), fmt.Sprintf("MUTANT=%d", n), "GOMAXPROCS=2")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err.Error()
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	ended := make(chan struct{})
	stuck := make(chan bool, 1)
	go func() { stuck <- killIfStuck(cmd.Process, ended) }()
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
		return running + ", which hangs"
	case err != nil && cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime() > time.Duration(*limit-1)*time.Second:
		return running + ", which does not end"
	case err != nil:
		return running + ", where all ends"
	}
	return ""
}

// killIfStuck kills a process that gets next to no time on a processor for long,
// and reports whether it did.
func killIfStuck(p *os.Process, ended <-chan struct{}) bool {
	const patience, little = 20, 5 // half seconds; hundredths of a second
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for idle, since := 0, -1; idle < patience; idle++ {
		select {
		case <-ended:
			return false
		case <-tick.C:
		}
		used, stopped, err := usage(p)
		if err != nil {
			return false
		}
		if stopped || since < 0 || used-since > little {
			idle, since = 0, used
		}
	}
	p.Kill() //nolint:errcheck // It may have ended.
	return true
}

// usage returns the time that a process has had on a processor, in hundredths of
// a second, and whether it is stopped. Only Linux tells.
func usage(p *os.Process) (used int, stopped bool, err error) {
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
		used += n
	}
	return used, fields[0] == "T", nil
}
