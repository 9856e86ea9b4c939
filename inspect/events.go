package inspect

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	viewersMax = 100
	pause      = 200 * time.Millisecond // between two looks at what has changed
	heartbeat  = 15 * time.Second       // when nothing changes
)

// serveEvents streams the list of runs and, with the parameter id, one of them:
// first all of it, then what changes. Nothing is kept for a viewer who is slow:
// it is sent how things are when it is there to read.
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
	v := &viewer{page: p, sender: newSender(w)}
	// The server's limits are meant for answers that come to an end.
	if err := v.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	if id, err := strconv.Atoi(r.URL.Query().Get("id")); err == nil {
		v.id, v.run = id, p.find(id)
	}
	for v.send() && p.sleep(r, v.serial) {
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
			timer.Stop()
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

// all returns all runs, in the order of their starts.
func (p *Page) all() []*run {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweepLocked()
	list := make([]*run, 0, len(p.runs.byID))
	for _, r := range p.runs.byID {
		list = append(list, r)
	}
	slices.SortFunc(list, byID)
	return list
}

// after returns the runs that have changed after a serial, as runs.after does,
// and the serial of the last change.
func (p *Page) after(serial uint64, f *family) (changed []*run, gone []int, again bool, now uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweepLocked()
	changed, gone, again = p.runs.after(serial, f)
	return changed, gone, again, p.runs.serial
}

// viewer is a stream of events, and what it has been told.
type viewer struct {
	*sender
	page   *Page
	id     int  // of the run that is watched; 0: none
	run    *run // nil: it is not there
	serial uint64
	listed bool // the list was sent
	told   bool // all of the run

	version  uint64 // of the run: all changes up to it were sent
	nodes    int    // how many it has been told of
	some     []nodeBrief
	forecast *forecast
}

// send writes what has changed. It reports whether there is anybody to go on for.
func (v *viewer) send() bool {
	v.sendList()
	switch {
	case v.id == 0 || v.err != nil:
	case v.run == nil:
		if !v.told {
			v.told = true
			v.whole("gone", struct {
				Run int `json:"run"`
			}{v.id})
		}
	default:
		v.sendRun()
	}
	if time.Since(v.sent) >= heartbeat && len(v.buf) == 0 { // so that both sides see a connection that has broken
		v.text(": still here\n\n")
	}
	v.flush()
	return v.err == nil
}

// listMost is how many runs an event has.
const listMost = 100

// sendList writes which runs have changed.
func (v *viewer) sendList() {
	var f *family
	if v.run != nil {
		f = v.run.family
	}
	changed, gone, again, serial := v.page.after(v.serial, f)
	if v.listed && len(changed)+len(gone) == 0 && !again {
		v.serial = serial
		return
	}
	list := runList{Runs: []summary{}, Gone: gone, Again: again || !v.listed}
	v.listed = true
	for _, r := range changed {
		if list.Runs = append(list.Runs, r.summary()); len(list.Runs) == listMost {
			v.whole("runs", list)
			list = runList{Runs: list.Runs[:0]}
			if !v.piece() {
				return
			}
		}
	}
	if len(list.Runs) > 0 || list.Again || len(list.Gone) > 0 {
		v.whole("runs", list)
	}
	v.serial = serial
}

// sendRun writes all of the run that is watched, or what has changed of it.
func (v *viewer) sendRun() {
	if !v.told {
		v.told = true
		sum := v.run.summary()
		v.version = sum.Version
		v.whole("run", struct {
			Run summary `json:"run"`
		}{sum})
	}
	f := v.run.forecastNow() // before the nodes: then it is about nodes that have been sent
	if v.sendNodes() && v.sendChanges() && f != v.forecast {
		v.sendForecast(f)
	}
}

// sendNodes writes the nodes that the viewer has not been told of: all in the
// beginning, later those that the group has gained.
func (v *viewer) sendNodes() bool {
	for total := v.run.total(); v.nodes < total && v.err == nil; {
		v.event("nodes")
		v.text(`{"run":` + strconv.Itoa(v.id) + `,"from":` + strconv.Itoa(v.nodes) + `,"nodes":[`)
		v.nodes = v.run.briefs(v.sender, v.nodes)
		v.text("]}")
		v.endEvent()
		v.piece()
	}
	return v.err == nil
}

// sendChanges writes the nodes that have changed since the last time, as they are
// now.
func (v *viewer) sendChanges() bool {
	for {
		some, version := v.run.changes(v.version, v.some)
		v.some = some
		if len(some) > 0 {
			v.event("changes")
			v.text(`{"run":` + strconv.Itoa(v.id) + `,"version":` + strconv.FormatUint(version, 10) + `,"changes":[`)
			for i := range some {
				if i > 0 {
					v.text(",")
				}
				v.text(`{"node":` + strconv.Itoa(int(some[i].node)) + ",")
				v.buf = append(some[i].append(v.buf), '}')
			}
			v.text("]}")
			v.endEvent()
		}
		if version == v.version || !v.piece() {
			return v.err == nil
		}
		v.version = version
	}
}

// sendForecast writes what has changed of the forecast: of the path the end.
func (v *viewer) sendForecast(f *forecast) {
	from := 0
	if old := v.forecast; old != nil {
		for from < min(len(old.Path), len(f.Path)) && old.Path[from] == f.Path[from] {
			from++
		}
	}
	v.forecast = f
	short := *f
	short.Path = f.Path[from:]
	v.whole("forecast", struct {
		Run      int      `json:"run"`
		From     int      `json:"from"` // how many nodes of the path before stay
		Forecast forecast `json:"forecast"`
	}{v.id, from, short})
}

// total is how many nodes a run has now.
func (r *run) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.nodes)
}

// changes returns the first nodes that have changed after a version, and the
// version up to which they are all.
func (r *run) changes(version uint64, some []nodeBrief) ([]nodeBrief, uint64) {
	var room [briefsMost]int32
	r.mu.Lock()
	defer r.mu.Unlock()
	found, version := r.updates.after(version, r.nodes, room[:0])
	some = some[:0]
	for _, n := range found {
		some = append(some, r.briefLocked(n))
	}
	return some, version
}
