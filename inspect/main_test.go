package inspect_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

var screenshots = flag.String("screenshots", "", "directory for screenshots of the page")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}
