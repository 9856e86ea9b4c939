package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPolicies: the three things that can follow a failure.
func TestPolicies(t *testing.T) {
	t.Parallel()
	waits := testdata(t, "waits.yaml")
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		code, text := run(t, dir, "up", "-template", waits, "-fail", "left:made", "-grace", "0")
		require.Equal(t, exitFailed, code)
		require.Contains(t, text, `failed       left: made to fail at step "made"`)
		require.Contains(t, text, "skipped      after_left, because of left")
		require.Contains(t, text, "skipped      after_both, because of left")
		require.Regexp(t, `cancelled +.*slow`, text)
		require.Contains(t, text, `"down" deletes it; another "up" continues from here.`)
		require.Regexp(t, `base +OS::Heat::TestResource +CREATE_COMPLETE`, text)
		require.Regexp(t, `left +OS::Heat::TestResource +CREATE_FAILED`, text)
		require.Regexp(t, `slow +OS::Heat::TestResource +CREATE_IN_PROGRESS`, text)
		code, _ = run(t, dir, "down")
		require.Zero(t, code)
		nothingIsLeft(t, dir)
	})
	t.Run("stop and go on", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		code, _ := run(t, dir, "up", "-template", waits, "-param", "slow=0", "-fail", "left")
		require.Equal(t, exitFailed, code)
		up := start(t, dir, "up", "-template", waits, "-param", "slow=0")
		up.until(isUp)
		require.NotContains(t, up.out.String(), "base ", "made twice")
		up.interrupt()
		require.Zero(t, up.wait())
		nothingIsLeft(t, dir)
	})
	t.Run("continue", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		code, text := run(t, dir, "up", "-template", waits, "-param", "slow=0.2", "-fail", "left", "-on-error", "continue")
		require.Equal(t, exitFailed, code)
		require.Contains(t, text, "skipped      after_left, because of left")
		require.Regexp(t, `slow +OS::Heat::TestResource +CREATE_COMPLETE`, text)
		require.NotRegexp(t, `(?m)^  (left|after_left) +OS::`, text, "they failed before there was anything")
		code, _ = run(t, dir, "down")
		require.Zero(t, code)
		nothingIsLeft(t, dir)
	})
	t.Run("rollback", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		code, text := run(t, dir, "up", "-template", waits, "-fail", "right:made", "-on-error", "rollback", "-grace", "1ms")
		require.Equal(t, exitFailed, code)
		require.Contains(t, text, "Rolling back.")
		require.Regexp(t, `slow +OS::Heat::TestResource +delete complete`, text)
		require.Contains(t, text, "Nothing is left behind.")
		nothingIsLeft(t, dir)
	})
	t.Run("rollback of processes", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		code, text := run(t, dir, "up", "-fail", "store:made", "-on-error", "rollback", "-grace", "0",
			"-param", "services_warm_up=20ms")
		require.Equal(t, exitFailed, code)
		require.Regexp(t, `store +Local::Process +delete complete`, text)
		nothingIsLeft(t, dir)
	})
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		code, text := run(t, dir, "up", "-template", waits, "-timeout", "10s", "-grace", "0", "-on-error", "rollback")
		require.Equal(t, exitFailed, code)
		require.Contains(t, text, "timed out    after 10s")
		require.Regexp(t, `cancelled +.*slow`, text)
		nothingIsLeft(t, dir)
	})
	t.Run("failed deletion", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		code, text := run(t, dir, "up", "-template", waits, "-fail", "left:delete", "-fail", "right:made",
			"-on-error", "rollback", "-param", "slow=0", "-param", "quick=0")
		require.Equal(t, exitFailed, code)
		require.Contains(t, text, "The deletion failed.")
		require.Contains(t, text, "skipped      base, because of left")
		require.Regexp(t, `left +OS::Heat::TestResource +DELETE_FAILED`, text)
		require.Regexp(t, `base +OS::Heat::TestResource +CREATE_COMPLETE`, text)
		code, _ = run(t, dir, "down")
		require.Zero(t, code)
		nothingIsLeft(t, dir)
	})
}
