package progress

import (
	"os"

	"golang.org/x/sys/windows"
)

// takesEscapes makes a console take escape sequences, and reports whether it
// does: it has to be asked to.
func takesEscapes(f *os.File) bool {
	var mode uint32
	console := windows.Handle(f.Fd())
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
