package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const isUp = "is up. Ctrl-C deletes it"

// TestDefaultTemplate starts the stack that is built in, uses it, and has it
// deleted from elsewhere.
func TestDefaultTemplate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	up := start(t, dir, "up", "-param", "services_warm_up=50ms")
	up.until(isUp)

	front := regexp.MustCompile(`url = (\S+)`).FindStringSubmatch(up.out.String())[1]
	var answer struct {
		Service   string
		Upstreams map[string]struct {
			Visits    int
			Upstreams map[string]struct{ Visits int }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(get(t, front)), &answer))
	require.Equal(t, "front", answer.Service)
	require.Positive(t, answer.Upstreams["store"].Visits)
	require.Positive(t, answer.Upstreams["greeter"].Upstreams["store"].Visits)

	page, err := os.ReadFile(filepath.Join(dir, ".stack", "demo", "data", "index.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), front)
	require.Contains(t, string(page), `"service": "greeter"`)
	require.Contains(t, up.out.String(), `signal = {"front": "all upstreams answer"}`)

	code, text := run(t, dir, "up")
	require.Equal(t, exitFailed, code)
	require.Contains(t, text, fmt.Sprintf("in the hands of process %d", up.cmd.Process.Pid))
	code, text = run(t, dir, "status")
	require.Zero(t, code)
	require.Equal(t, 14, strings.Count(text, "CREATE_COMPLETE"), text)

	code, text = run(t, dir, "down")
	require.Zero(t, code)
	require.Equal(t, fmt.Sprintf("Asking process %d, which drives the stack, to delete it.\nThe stack \"demo\" is gone.\n", up.cmd.Process.Pid), text)
	require.Zero(t, up.wait())
	require.Contains(t, up.out.String(), "Nothing is left behind.")
	nothingIsLeft(t, dir)
	portIsFree(t, front)
}

func get(t *testing.T, from string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(from)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(b))
	return string(b)
}

func portIsFree(t *testing.T, of string) {
	t.Helper()
	u, err := url.Parse(of)
	require.NoError(t, err)
	l, err := net.Listen("tcp", u.Host)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

// TestInterrupt: Ctrl-C while a process is not yet healthy. It is the end of the
// creation, and what is half made goes too.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, grace := range []string{"0", "100ms"} {
		t.Run(grace, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			up := start(t, dir, "up", "-grace", grace, "-param", "services_warm_up=1h")
			up.until("0 of 1 signals")
			up.untilOutput("a process", func(s string) bool {
				return regexp.MustCompile(`store +pid \d+: waiting`).MatchString(s)
			})
			up.interrupt()
			require.Equal(t, exitInterrupted, up.wait())
			require.Contains(t, up.out.String(), "Interrupted.")
			require.Regexp(t, `cancelled +.*store`, up.out.String())
			require.Contains(t, up.out.String(), "Nothing is left behind.")
			nothingIsLeft(t, dir)
		})
	}
}

// TestInterrupt_whileUp: Ctrl-C while the stack is up.
func TestInterrupt_whileUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	up := start(t, dir, "up", "-template", testdata(t, "waits.yaml"), "-param", "slow=0")
	up.until(isUp)
	up.interrupt()
	require.Zero(t, up.wait())
	nothingIsLeft(t, dir)
}

// TestKill kills up after it has said so many lines, wherever that is. What it
// leaves behind, down deletes.
func TestKill(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 31; n += 5 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			up := start(t, dir, "up", "-param", "services_warm_up=20ms")
			up.untilOutput("lines", func(s string) bool { return strings.Count(s, "\n") >= n })
			up.kill()
			code, text := run(t, dir, "down")
			require.Zero(t, code, text)
			nothingIsLeft(t, dir)
		})
	}
}

// TestKill_resume kills up in the middle, and a second up goes on: what was
// complete is not made again.
func TestKill_resume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir, "up", "-param", "services_warm_up=200ms")
	complete := regexp.MustCompile(`store +Local::Process +create complete`)
	first.untilOutput("store", complete.MatchString)
	first.kill()
	code, text := run(t, dir, "up", "-param", "services_warm_up=10ms")
	require.Equal(t, exitFailed, code)
	require.Contains(t, text, "other parameters: run down first")

	second := start(t, dir, "up", "-param", "services_warm_up=200ms")
	second.until(isUp)
	require.NotRegexp(t, complete, second.out.String(), "made twice")
	pid := regexp.MustCompile(`store +pid (\d+)`).FindStringSubmatch(first.out.String())[1]
	require.Contains(t, processesOf(t, dir), pid)
	eventually(t, "the program and three services alone", func() bool { return len(processesOf(t, dir)) == 4 })

	front := regexp.MustCompile(`url = (\S+)`).FindStringSubmatch(second.out.String())[1]
	require.Contains(t, get(t, front), `"service": "greeter"`)
	second.interrupt()
	require.Zero(t, second.wait())
	nothingIsLeft(t, dir)
}

// TestKill_resumesMissing: what has gone since is made again.
func TestKill_resumesMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, `
  note: {type: Local::File, properties: {path: note.txt, content: hello}}
  sleeper: {type: Local::Process, properties: {command: [sleep, 3600]}}
`)
	up := start(t, dir, "up", "-template", file)
	up.until(isUp)
	up.kill()
	require.NoError(t, os.Remove(filepath.Join(dir, ".stack", "demo", "note.txt")))
	up = start(t, dir, "up", "-template", file)
	up.until(isUp)
	require.Contains(t, up.out.String(), "is gone")
	require.FileExists(t, filepath.Join(dir, ".stack", "demo", "note.txt"))
	up.interrupt()
	require.Zero(t, up.wait())
	nothingIsLeft(t, dir)
}

// TestKill_whileDeleting: down goes on where a killed down stopped.
func TestKill_whileDeleting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, strings.NewReplacer("while true", "while ! test -e ../../end", "stop_grace: 1", "stop_grace: 600").Replace(stubborn))
	up := start(t, dir, "up", "-template", file)
	up.until(isUp)
	stubbornIsReady(t, dir)
	up.interrupt()
	up.until("SIGTERM")
	up.kill()
	code, text := run(t, dir, "up", "-template", file)
	require.Equal(t, exitFailed, code)
	require.Contains(t, text, "a delete did not finish")
	down := start(t, dir, "down")
	down.until("SIGTERM")
	put(t, dir, map[string]string{"end": ""})
	require.Zero(t, down.wait(), down.out)
	nothingIsLeft(t, dir)
}

// TestInterrupt_whileDeleting: a second Ctrl-C leaves the rest behind, and says
// so.
func TestInterrupt_whileDeleting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	up := start(t, dir, "up", "-template", write(t, dir, `
  data: {type: Local::Directory, properties: {path: data}}
  slow: {type: OS::Heat::TestResource, depends_on: data, properties: {action_wait_secs: {delete: 3600}}}
`))
	up.until(isUp)
	up.interrupt()
	up.until("delete ...")
	up.interrupt()
	require.Equal(t, exitInterrupted, up.wait())
	require.Contains(t, up.out.String(), "Interrupted.\n  cancelled    slow\n  not started  data\nLeft behind:")
	require.Regexp(t, `slow +OS::Heat::TestResource +(DELETE_IN_PROGRESS|CREATE_COMPLETE)`, up.out.String())
	require.DirExists(t, filepath.Join(dir, ".stack", "demo", "data"))
}

// stubborn is a process that does not end when it is asked to.
const stubborn = `
  stubborn:
    type: Local::Process
    properties:
      command: [sh, -c, 'trap "" TERM; echo ready; while true; do sleep 0.05; done']
      stop_grace: 1
`

func stubbornIsReady(t *testing.T, dir string) {
	t.Helper()
	eventually(t, "the trap to be set", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, ".stack", "demo", "stubborn.log"))
		return err == nil && string(b) == "ready\n"
	})
}

// TestStubbornProcess: SIGTERM, grace, SIGKILL.
func TestStubbornProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	up := start(t, dir, "up", "-template", write(t, dir, stubborn))
	up.until(isUp)
	stubbornIsReady(t, dir)
	up.interrupt()
	require.Zero(t, up.wait())
	require.Contains(t, up.out.String(), "SIGTERM, 1s to end")
	require.Contains(t, up.out.String(), "SIGKILL")
	nothingIsLeft(t, dir)
}

// TestFailures: each type of resource says what went wrong, and none leaves
// anything behind after a roll-back.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ template, want string }{
		"process ends": {
			`
  p:
    type: Local::Process
    properties:
      command: [sh, -c, "echo no such luck; exit 3"]
      health_check: {tcp: "127.0.0.1:1"}
`, "p: the process ended before it was healthy: exit status 3; its last output: no such luck",
		},
		"no such program": {
			`
  p:
    type: Local::Process
    properties: {command: [no-such-program], health_check: {tcp: "127.0.0.1:1"}}
`, "exit status 127",
		},
		"never healthy": {
			`
  port: {type: Local::Port}
  p:
    type: Local::Process
    properties:
      command: [sleep, 3600]
      health_check: {tcp: {get_attr: [port, address]}, timeout: 0.3, interval: 0.01}
  keeper: {type: Local::HTTPWait, properties: {url: "http://127.0.0.1:1/", timeout: 0.3}}
`, "no success within 300ms: ",
		},
		"no signal": {
			`
  handle: {type: OS::Heat::WaitConditionHandle}
  wait: {type: OS::Heat::WaitCondition, properties: {handle: {get_resource: handle}, timeout: 0.2, count: 2}}
`, "wait: 0 of 2 signals within 200ms",
		},
		"signal of failure": {
			`
  handle: {type: OS::Heat::WaitConditionHandle}
  p:
    type: Local::Process
    properties:
      command: [sh, -c, {list_join: [" ", [{get_attr: [handle, curl_cli]}, '-d ''{"status": "FAILURE", "reason": "no disk", "id": "1"}''']]}]
  wait: {type: OS::Heat::WaitCondition, properties: {handle: {get_resource: handle}, timeout: 60}}
`, "wait: signal 1: FAILURE no disk",
		},
		"schema": {
			`
  db: {type: Local::SQLite, properties: {path: a.db, schema: [CREATE TABLE t (x), CREATE TABL u (x)]}}
`, "db: schema: ",
		},
		"mode": {
			`
  f: {type: Local::File, properties: {path: a, mode: rw}}
`, `property "mode": "rw" is not an octal number`,
		},
		"told to": {
			`
  r: {type: OS::Heat::TestResource, properties: {fail: true}}
`, "r: it was told to fail",
		},
		"in the way": {
			`
  f: {type: Local::File, properties: {path: ../../in-the-way}}
`, "in-the-way exists, and does not belong to the stack",
		},
		"port taken": {
			`
  a: {type: Local::Port}
  b: {type: Local::Port, properties: {port: {get_resource: a}}}
`, "address already in use",
		},
		"random": {
			`
  r: {type: OS::Heat::RandomString, properties: {length: 3, character_classes: [{class: digits, min: 4}]}}
`, "r: the character classes require more characters than length allows",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			other := filepath.Join(dir, "in-the-way")
			require.NoError(t, os.WriteFile(other, []byte("mine"), 0o644))
			code, text := run(t, dir, "up", "-on-error", "rollback", "-grace", "0", "-template", write(t, dir, c.template))
			require.Equal(t, exitFailed, code, text)
			require.Contains(t, text, c.want)
			nothingIsLeft(t, dir)
			require.FileExists(t, other)
		})
	}
}
