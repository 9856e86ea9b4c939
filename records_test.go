package scheduler_test

import (
	"cmp"
	"fmt"
	"os"
	"testing"

	"github.com/steptask/scheduler/internal/conformance"
	"github.com/stretchr/testify/require"
)

// TestRecords performs the recorded runs of the original and compares everything
// that can be seen from outside. SCHEDULER_RECORDS names another folder of
// records; to perform one scenario alone put its line into a folder of its own.
func TestRecords(t *testing.T) {
	folder := cmp.Or(os.Getenv("SCHEDULER_RECORDS"), "internal/conformance/testdata/records")
	tally, err := conformance.Run(folder, func(scenario, where string) {
		t.Errorf("%s%s", scenario, where)
	})
	require.NoError(t, err)
	fmt.Println(tally) // not t.Log: nothing may stand before it
}
