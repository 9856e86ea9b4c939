// Package textsize measures how much machine code a type of key costs.
package textsize

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// OfKey returns the bytes of machine code that are compiled for the type of key of
// the program beside this package, and for it alone. It builds the program.
func OfKey() (int, error) {
	dir, err := os.MkdirTemp("", "textsize")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "program")
	const program = "github.com/steptask/scheduler/benchmarks/internal/textsize/program"
	if out, err := exec.Command("go", "build", "-o", binary, program).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w: %s", err, out)
	}
	out, err := exec.Command("go", "tool", "nm", "-size", binary).Output()
	if err != nil {
		return 0, fmt.Errorf("go tool nm: %w", err)
	}
	return sum(out)
}

// sum adds up the functions of a list of symbols that are for the key.
func sum(symbols []byte) (bytesOfCode int, err error) {
	lines := bufio.NewScanner(bytes.NewReader(symbols))
	for lines.Scan() {
		f := strings.Fields(lines.Text()) // address, size, kind, name
		if len(f) < 4 || f[2] != "T" && f[2] != "t" || strings.HasPrefix(f[3], "main.") {
			continue
		}
		if name := strings.Join(f[3:], " "); !strings.Contains(name, "[5]int8") && !strings.Contains(name, "main.key") {
			continue
		}
		size, err := strconv.Atoi(f[1])
		if err != nil {
			return 0, err
		}
		bytesOfCode += size
	}
	if bytesOfCode == 0 && lines.Err() == nil {
		return 0, fmt.Errorf("no code for the key among %d bytes of symbols", len(symbols))
	}
	return bytesOfCode, lines.Err()
}
