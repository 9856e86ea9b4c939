package journal_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

var long = flag.Bool("long", false, "resume after each crash, not after some")

// programs are what this program is instead, by the variable of its environment that says
// so and names the directory.
var programs = map[string]func(dir string) error{"JOURNAL_TO_BE_KILLED": toBeKilled}

func TestMain(m *testing.M) {
	for name, program := range programs {
		if dir := os.Getenv(name); dir != "" {
			if err := program(dir); err != nil {
				fmt.Fprintln(os.Stderr, name, err)
				os.Exit(3)
			}
			return
		}
	}
	goleak.VerifyTestMain(m)
}
