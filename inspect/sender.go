package inspect

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

const (
	writeTimeout = 10 * time.Second // for a piece: then a viewer who does not read is given up
	pieceMost    = 32 << 10         // bytes: an answer is never kept as a whole
)

// sender writes an answer in pieces. There is a time limit for each, and none
// for all of them: on a slow line a large run takes its time.
type sender struct {
	out     http.ResponseWriter
	control *http.ResponseController
	buf     []byte // what is not written yet
	err     error  // the viewer has gone
	sent    time.Time
	waited  time.Duration // for the viewer, and for the group
}

func newSender(w http.ResponseWriter) *sender {
	return &sender{out: w, control: http.NewResponseController(w), sent: time.Now()}
}

func (s *sender) text(text string) { s.buf = append(s.buf, text...) }

// value appends v as JSON. The types of this package cannot fail.
func (s *sender) value(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("inspect: internal error: " + err.Error())
	}
	s.buf = append(s.buf, b...)
}

// event begins one of a stream. It ends with endEvent.
func (s *sender) event(name string) { s.text("event: " + name + "\ndata: ") }

func (s *sender) endEvent() { s.text("\n\n") }

// whole appends an event with v.
func (s *sender) whole(name string, v any) {
	s.event(name)
	s.value(v)
	s.endEvent()
}

// piece writes what there is if that is enough for a piece. It reports whether
// there is anybody to go on for.
func (s *sender) piece() bool {
	if len(s.buf) >= pieceMost {
		s.flush()
	}
	return s.err == nil
}

// flush writes what there is. It leaves no limit behind, since in HTTP/2 one that
// has passed ends the stream, even if nothing is being written.
func (s *sender) flush() {
	if s.err != nil || len(s.buf) == 0 {
		return
	}
	began := time.Now()
	for len(s.buf) > 0 && s.err == nil {
		n := min(len(s.buf), pieceMost)
		s.err = s.write(s.buf[:n])
		s.buf = s.buf[n:]
	}
	s.buf = nil
	s.sent = time.Now()
	s.waited += s.sent.Sub(began)
}

func (s *sender) write(b []byte) error {
	// A writer that knows no deadline is one of a test, or of a middleware.
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.out.Write(b); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := s.control.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// appendJSON appends a text as JSON.
func appendJSON(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // a string cannot fail
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// appendMS appends an instant, or a length of time, as ms has it.
func appendMS(b []byte, ns int64) []byte { return strconv.AppendFloat(b, ms(ns), 'f', -1, 64) }
