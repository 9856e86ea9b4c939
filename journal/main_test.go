package journal_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

var long = flag.Bool("long", false, "resume after each crash, not after some")

func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_TO_BE_KILLED"); dir != "" {
		if err := toBeKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, "to be killed:", err)
			os.Exit(3)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
