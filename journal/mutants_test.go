//go:build linux && (amd64 || arm64)

package journal_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the tests of crashes are worth: each of these changes breaks a promise, and
// they have to notice. In the new text %d is the number of the mutant.
var mutants = []struct {
	name     string
	file     string
	old, new string
	found    string // in the output
}{
	{
		"a node begins before its start is on disk", "task.go",
		"		return scheduler.On(&t.start.done), nil\n	case !t.start.done.IsSet():",
		"		if mutant(%d) {\n			return t.begin(ctx)\n		}\n		return scheduler.On(&t.start.done), nil\n	case !t.start.done.IsSet():",
		"not on file: its start",
	},
	{
		"a step in a coroutine does not wait for the one before", "step.go",
		"for !b.done.IsSet() {", "for !b.done.IsSet() && !mutant(%d) {", "not on file: step a",
	},
	{
		"a step in a call does not wait for the one before", "step.go",
		"case <-before.written:", "case <-written(before, mutant(%d)):", "not on file: step a",
	},
	{
		"the end of a node comes late", "node.go",
		"	n.record(KindEnd, \"\", n.result)\n",
		"	if mutant(%d) {\n		go n.endLate()\n		return n.last\n	}\n	n.record(KindEnd, \"\", n.result)\n",
		"not on file: the end of",
	},
	{
		"commits do not wait for the disk", "journal.go",
		`pragmas := []string{"busy_timeout(10000)", "synchronous(normal)"}`,
		"pragmas := []string{\"busy_timeout(10000)\", \"synchronous(normal)\"}\n	if mutant(%d) {\n		opts = &Options{Synchronous: Normal}\n	}",
		"not on file",
	},
	{
		"a recorded step is run again", "node.go",
		"if data, ok := n.steps[step]; ok {", "if data, ok := n.steps[step]; ok && !mutant(%d) {", "done again after it was recorded",
	},
	{
		"a run that is resumed has other keys", "log.go",
		"		Scan(&l.id, &l.nonce, &l.epoch, &l.rollback)\n",
		"		Scan(&l.id, &l.nonce, &l.epoch, &l.rollback)\n	if mutant(%d) {\n		l.nonce = rand.Text()\n	}\n",
		"",
	},
	{
		"a service that is ready is not recorded", "service.go",
		"	n.record(KindReady, \"\", n.result)\n",
		"	if !mutant(%d) {\n		n.record(KindReady, \"\", n.result)\n	}\n",
		"TestCrash_of_a_service",
	},
}

// mutantFile is what the changes call.
const mutantFile = `package journal

import (
	"os"
	"strconv"
	"time"
)

var mutantNumber = os.Getenv("JOURNAL_MUTANT")

func mutant(n int) bool { return mutantNumber == strconv.Itoa(n) }

func written(b *batch, atOnce bool) <-chan struct{} {
	if !atOnce {
		return b.written
	}
	c := make(chan struct{})
	close(c)
	return c
}

func (n *node) endLate() {
	time.Sleep(3 * time.Millisecond)
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	n.record(KindEnd, "", n.result)
	n.log.w.flush()
}
`

func TestMutants_are_found_by_the_tests_of_crashes(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the tests anew")
	}
	binary := buildMutants(t)
	out, err := crashMutant(t, binary, "none")
	require.NoError(t, err, out)
	for i, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			out, err := crashMutant(t, binary, fmt.Sprint(i))
			require.Error(t, err, "it lives")
			require.Contains(t, out, "--- FAIL: TestCrash_")
			require.Contains(t, out, m.found)
		})
	}
}

// buildMutants builds the tests with all changes, each of which is off.
func buildMutants(t *testing.T) string {
	t.Helper()
	dir, here := t.TempDir(), ""
	texts := map[string]string{"mutant.go": mutantFile}
	for i, m := range mutants {
		if texts[m.file] == "" {
			text, err := os.ReadFile(m.file)
			require.NoError(t, err)
			texts[m.file] = string(text)
		}
		require.Equal(t, 1, strings.Count(texts[m.file], m.old), "the place that is changed: %s", m.old)
		texts[m.file] = strings.Replace(texts[m.file], m.old, strings.Replace(m.new, "%d", fmt.Sprint(i), 1), 1)
	}
	here, err := os.Getwd()
	require.NoError(t, err)
	replace := map[string]string{}
	for file, text := range texts {
		replace[filepath.Join(here, file)] = filepath.Join(dir, file)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	config, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "journal.test")
	require.NoError(t, os.WriteFile(config, overlay, 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", config, "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

func crashMutant(t *testing.T, binary, number string) (out string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^TestCrash_", "-test.failfast")
	cmd.Env = append(os.Environ(), "JOURNAL_MUTANT="+number)
	output, err := cmd.CombinedOutput()
	return string(output), err
}
