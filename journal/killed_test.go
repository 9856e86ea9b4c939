package journal_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

var kills = flag.Int("kills", 40, "how many processes to kill")

var killed = layered(40, 25)

// toBeKilled is the main function of a process that writes its effects to a file,
// and is killed meanwhile.
func toBeKilled(dir string) error {
	log, err := os.OpenFile(filepath.Join(dir, "effects"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	j, err := journal.Open(filepath.Join(dir, "journal.db"), nil)
	if err != nil {
		return err
	}
	p := program{killed, func(e effect) {
		if e.step != bare { // which would hold everything up
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) //nolint:forbidigo // In a process that is killed.
		}
		// A kill can cut a write off where a page of the file ends. Lines of 64 bytes end there.
		line := fmt.Sprintf("%-63s\n", e)
		if len(line) != 64 {
			panic("too long: " + line)
		}
		if _, err := log.WriteString(line); err != nil {
			panic(err)
		}
	}}
	r, err := journal.NewGroup(j, "x", killed, p.task, nil)
	if err != nil {
		return err
	}
	fmt.Println("running")
	if err := scheduler.Run(context.Background(), r, nil); err != nil {
		return err
	}
	return errors.Join(j.Close(), log.Close())
}

// Processes are killed with SIGKILL at random moments, until there were enough: runs
// of 1,000 nodes with two steps each, every process going on with the run that the
// one before has left.
func TestKilled_at_random_moments(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	runs, dead, twice := 0, 0, 0
	for ; dead < *kills; runs++ {
		k, again := killRun(t, t.TempDir())
		dead, twice = dead+k, twice+again
	}
	t.Logf("%d runs, %d kills; %d of %d effects were done twice, with the same key: killed between effect and record",
		runs, dead, twice, runs*killed.Len()*3)
}

// killRun runs one run to its end, however many processes that takes.
func killRun(t *testing.T, dir string) (dead, twice int) {
	t.Helper()
	var before onFile
	seen := 0
	for {
		ended := killOne(t, dir)
		now, all := read(t, filepath.Join(dir, "journal.db")), effectsIn(t, dir)
		require.NoError(t, errors.Join(before.again(all[seen:]), now.causes(killed, all[seen:])))
		before, seen = now, len(all)
		if ended {
			require.NoError(t, complete(killed, all))
			return dead, len(all) - 3*killed.Len()
		}
		dead++
	}
}

// killOne runs a process, kills it, and reports whether it was too late.
func killOne(t *testing.T, dir string) (ended bool) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "JOURNAL_TO_BE_KILLED="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	timer := time.AfterFunc(time.Duration(rand.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	timer.Stop()
	exit := (*exec.ExitError)(nil)
	require.False(t, errors.As(err, &exit) && exit.ExitCode() == 3, "the process failed")
	return err == nil
}

func effectsIn(t *testing.T, dir string) []effect {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "effects"))
	require.NoError(t, err)
	var all []effect
	for line := range strings.Lines(string(text)) {
		e, err := parseEffect(strings.TrimRight(line, " \n"))
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}
