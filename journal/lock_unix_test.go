//go:build unix

package journal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

func init() { programs["JOURNAL_STARTER"] = starter }

// starter is the main function of a process that has a run open and starts another
// one, which keeps the file of the lock open, as it does until it has become the other
// program. This one never gets as far as that: it reads until its input ends.
func starter(dir string) error {
	path := filepath.Join(dir, "journal.db")
	j, err := journal.Open(path, nil)
	if err != nil {
		return err
	}
	r, err := journal.NewGroup(j, "x", wide(1), noop, nil)
	if err == nil {
		err = scheduler.Run(context.Background(), r, nil)
	}
	if err == nil {
		r, err = journal.NewGroup(j, "x", wide(1), noop, nil)
	}
	if err != nil {
		return err
	}
	// What looks for the lock leaves it alone.
	if err := journal.Remove(path); !errors.Is(err, journal.ErrHeld) {
		return fmt.Errorf("removed while it is open: %w", err)
	}
	for run, err := range j.Runs(context.Background()) {
		if err != nil || !run.Open {
			return fmt.Errorf("not open: %+v, %w", run, err)
		}
	}
	cmd := exec.Command("cat")
	cmd.Stdin = os.Stdin
	cmd.ExtraFiles = []*os.File{journal.LockFile(r)}
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println("running")
	return cmd.Wait()
}

func TestRun_is_free_when_its_process_is_killed_while_it_starts_another(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "JOURNAL_STARTER="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	j := openFile(t, filepath.Join(dir, "journal.db"))
	_, err = journal.NewGroup(j, "x", wide(1), noop, nil)
	require.ErrorIs(t, err, journal.ErrHeld)

	require.NoError(t, cmd.Process.Kill())
	_, err = cmd.Process.Wait()
	require.NoError(t, err)
	require.NoError(t, up(t, j, "x", wide(1), noop, nil))
	require.NoError(t, in.Close())
	require.NoError(t, out.Close())
}
