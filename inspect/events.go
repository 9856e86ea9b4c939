package inspect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	viewersMax   = 100
	pause        = 200 * time.Millisecond // between two looks at what has changed
	heartbeat    = 15 * time.Second       // when nothing changes
	writeTimeout = 10 * time.Second       // for a piece: then a viewer who does not read is given up
	pieceMost    = 64 << 10               // bytes that are written at a time
	clockEvery   = 5 * time.Second        // a forecast changes also when no node does
)

// serveEvents streams the list of runs and, with the parameter id, one of them:
// first all of it, then what changes. What happens while a viewer is slow is
// never kept for it: it reads the log of the run from where it was.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	if !p.enterViewer() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many viewers, or the page is closed", http.StatusServiceUnavailable)
		return
	}
	defer p.leaveViewer()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for a proxy before it
	if r.Method == http.MethodHead {
		return
	}
	v := &viewer{page: p, out: w, control: http.NewResponseController(w)}
	if id, err := strconv.Atoi(r.URL.Query().Get("id")); err == nil {
		v.id = id
		v.run = p.find(id)
	}
	for v.send() == nil && p.sleep(r, v.serial) {
	}
}

// sleep waits until there may be something new, and says false at the end.
func (p *Page) sleep(r *http.Request, serial uint64) bool {
	for _, c := range []<-chan struct{}{p.wait(serial), nil} {
		d := pause
		if c != nil {
			d = clockEvery
		}
		timer := time.NewTimer(d)
		select {
		case <-c:
		case <-timer.C:
		case <-p.closed:
			return false
		case <-r.Context().Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
	return true
}

func (p *Page) enterViewer() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed || p.viewers == viewersMax {
		return false
	}
	p.viewers++
	return true
}

func (p *Page) leaveViewer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.viewers--
}

// viewer is a stream of events, and what it has been told.
type viewer struct {
	page    *Page
	out     http.ResponseWriter
	control *http.ResponseController
	id      int  // of the run that is watched; 0: none
	run     *run // nil: it is not there
	told    bool // all of the run
	version int
	serial  uint64
	runs    []int // on the list
	sent    time.Time
}

// send writes what has changed.
func (v *viewer) send() error {
	runs, all, serial := v.page.list(v.serial)
	list := runList{Runs: runs}
	for _, id := range v.runs {
		if !slices.Contains(all, id) {
			list.Gone = append(list.Gone, id)
		}
	}
	first := v.sent.IsZero()
	v.runs, v.serial = all, serial
	var errs error
	if first || len(list.Runs)+len(list.Gone) > 0 {
		errs = v.event("runs", list)
	}
	return errors.Join(errs, v.sendRun(), v.beat())
}

// sendRun writes what has changed of the run that is watched.
func (v *viewer) sendRun() error {
	switch {
	case v.id == 0:
		return nil
	case v.run == nil:
		if v.told {
			return nil
		}
		v.told = true
		return v.event("gone", struct {
			Run int `json:"run"`
		}{v.id})
	case !v.told:
		whole := v.run.whole()
		v.told, v.version = true, whole.Run.Version
		return v.event("run", whole)
	}
	s := v.run.snapshot()
	if len(s.log) == v.version && s.summary.Ended != 0 {
		return nil
	}
	f := newForecast(v.run.graph, s.states(v.run.graph), s.summary)
	c := changes{Run: v.id, Version: len(s.log), Changes: s.since(v.version), Forecast: f}
	v.version = len(s.log)
	return v.event("changes", c)
}

// beat writes a comment if nothing was written for long, so that both sides see
// a connection that has broken.
func (v *viewer) beat() error {
	if time.Since(v.sent) < heartbeat {
		return nil
	}
	return v.write([]byte(": still here\n\n"))
}

func (v *viewer) event(name string, data any) error {
	return v.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, encode(data)))
}

func (v *viewer) write(b []byte) error {
	if err := write(v.control, v.out, b); err != nil {
		return err
	}
	v.sent = time.Now()
	return nil
}

// write writes all of b, with a time limit for each piece: on a slow line a large
// run takes its time. There is no limit afterwards, since in HTTP/2 one that has
// passed ends the stream, even if nothing is being written.
func write(control *http.ResponseController, out io.Writer, b []byte) error {
	for piece := range slices.Chunk(b, pieceMost) {
		// A writer that knows no deadline is one of a test, or of a middleware.
		if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := out.Write(piece); err != nil {
			return err
		}
		if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	}
	if err := control.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
