package proof_test

import (
	"os"
	"runtime/debug"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets garbage grow, unless GOGC says how much: nearly all that millions of short
// runs allocate is garbage soon, and almost nothing is kept that a collection would look at.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(1600)
	}
	goleak.VerifyTestMain(m)
}
