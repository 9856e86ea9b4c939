package process_test

import (
	"os"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	process.Gate()
	if len(os.Args) > 1 && os.Args[1] == starterArg {
		startAndStay()
		return
	}
	goleak.VerifyTestMain(m)
}
