package progress

import (
	"bytes"
	"sync"
)

// lines are what is to be written above the display. The lock of its Progress
// guards it.
type lines struct {
	whole   []byte // lines with their ends
	partial []byte // the beginning of one
	room    sync.Cond
	err     error // of the terminal: nothing is shown any more
}

// linesMax is how much may wait to be shown: a program that writes faster than
// the terminal takes it is held up, as it would be by the terminal.
const linesMax = 1 << 20

func (l *lines) full() bool { return len(l.whole) >= linesMax && l.err == nil }

// add takes what the program writes, in pieces.
func (l *lines) add(b []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	if end > 0 {
		l.whole = append(append(l.whole, l.partial...), b[:end]...)
		l.partial = l.partial[:0]
	}
	l.partial = append(l.partial, b[end:]...)
	return len(b), nil
}

// insert takes lines that must not end up within one of the program's.
func (l *lines) insert(b []byte) {
	if l.err == nil {
		l.whole = append(l.whole, b...)
	}
}

// take returns the whole lines, to be written now.
func (l *lines) take() []byte {
	whole := l.whole
	l.whole = nil
	l.room.Broadcast()
	return whole
}

// fail is the end, by an error of the terminal.
func (l *lines) fail(err error) {
	l.err = err
	l.take()
}

// finish ends the line that was begun.
func (l *lines) finish() {
	if len(l.partial) > 0 {
		l.insert(append(l.partial, '\n'))
		l.partial = nil
	}
}
