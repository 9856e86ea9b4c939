package schedulertest

import (
	"fmt"
	"strings"
	"time"
)

// line is one of a story.
type line struct {
	at    time.Duration
	text  string
	label string // of a request that took effect as it should; text is "" then
}

func (l line) String() string {
	text := l.text
	if l.label != "" {
		text = l.label + ": done"
	}
	return fmt.Sprintf("%6v  %s", l.at, text)
}

// Say adds a line to the story, with the time.
func (w *World) Say(format string, args ...any) {
	w.must("Say")
	w.say(line{text: fmt.Sprintf(format, args...)})
}

func (w *World) say(l line) {
	if w.failure == nil {
		l.at = w.Now().Sub(w.start).Truncate(time.Microsecond)
		w.story = append(w.story, l)
	}
}

// Story returns what has happened so far, one line per event.
func (w *World) Story() []string {
	w.must("Story")
	lines := make([]string, len(w.story))
	for i, l := range w.story {
		lines[i] = l.String()
	}
	return lines
}

// tellMost is the number of lines up to which a story is told in full.
const tellMost = 10

// tell returns the story for a person: if it is long, requests that took effect as they
// should are told in one line where nothing else comes between them.
func (w *World) tell() []string {
	if len(w.story) <= tellMost {
		return w.Story()
	}
	var told []string
	for i := 0; i < len(w.story); {
		var names []string
		times := 1
		j := i
		for ; j < len(w.story) && w.story[j].label != ""; j++ {
			name := w.story[j].label
			if n := len(names); n > 0 && w.story[j-1].label == name {
				times++
				names[n-1] = fmt.Sprintf("%s %d times", name, times)
			} else {
				names, times = append(names, name), 1
			}
		}
		if j-i < 2 {
			told = append(told, w.story[i].String())
			i++
			continue
		}
		last := line{at: w.story[j-1].at, label: strings.Join(names, ", ")}
		told = append(told, last.String())
		i = j
	}
	return told
}
