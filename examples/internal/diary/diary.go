// Package diary is for tests of examples in which several goroutines tell what happens
// and when.
package diary

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Diary has what was said, and how long after Began. All methods can be called from
// any goroutine.
type Diary struct {
	Began time.Time

	mu      sync.Mutex
	entries []entry
}

type entry struct {
	at   time.Duration
	text string
}

// Say notes what happens now.
func (d *Diary) Say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry{time.Since(d.Began).Truncate(time.Millisecond), fmt.Sprintf(format, args...)})
}

// String returns all that was said in one line, in the order of time. What was said in
// the same millisecond, perhaps by several goroutines, is in alphabetical order.
func (d *Diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.SortFunc(d.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.text, b.text))
	})
	var s strings.Builder
	for i, e := range d.entries {
		if i > 0 {
			s.WriteString(", ")
		}
		fmt.Fprintf(&s, "%gs %s", e.at.Seconds(), e.text)
	}
	return s.String()
}
