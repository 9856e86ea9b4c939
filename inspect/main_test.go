package inspect_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var screenshots = flag.String("screenshots", "", "`directory` for screenshots of the page")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
