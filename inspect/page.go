package inspect

import (
	"slices"
	"sync"
	"time"
)

// Options are the options of a [Page]. The zero value of each field is its
// default.
type Options struct {
	// Ended is how many runs that have ended stay on the page; 0 is 50. The
	// oldest go first, and also when those that have ended have more than a
	// million nodes together. A run that has not ended always stays.
	Ended int
}

// nodesKept is how many nodes the runs that have ended may have together. A node
// takes about 200 bytes.
const nodesKept = 1_000_000

// defaultEnded is how many runs that have ended are kept if nothing is said.
const defaultEnded = 50

// Page shows runs, live. It is an [http.Handler] for all methods of which it has
// GET and HEAD, and may be mounted anywhere at a path that ends in a slash. It
// shows nothing until groups made with [NewGroup] or [NewGroupFunc] are run. All
// methods may be called from any goroutine.
type Page struct {
	opts Options

	mu       sync.Mutex
	runs     []*run // in the order of their starts
	lastID   int
	serial   uint64        // of the last change
	changed  chan struct{} // closed at the next change; nil: nobody waits
	viewers  int
	closed   chan struct{}
	isClosed bool
}

// New returns an empty page. nil options are the defaults.
func New(opts *Options) *Page {
	p := &Page{closed: make(chan struct{})}
	if opts != nil {
		p.opts = *opts
	}
	if p.opts.Ended == 0 {
		p.opts.Ended = defaultEnded
	}
	return p
}

// Close ends all streams of events, now and later, so that a server can shut
// down: pass it to [http.Server.RegisterOnShutdown]. Runs go on, and the page's
// other answers too. It does not block, and may be called again.
func (p *Page) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isClosed {
		p.isClosed = true
		close(p.closed)
	}
}

// begin puts a run on the page.
func (p *Page) begin(r *run, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastID++
	r.id, r.began = p.lastID, at.UnixNano()
	p.runs = append(p.runs, r)
	p.touch(r, at.UnixNano())
}

// touch says that a run has changed. It wakes who waits, and never waits itself.
func (p *Page) touch(r *run, at int64) {
	p.serial++
	r.serial = p.serial
	r.last, r.lastWall = max(r.last, at), time.Now().UnixNano()
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// wait returns a channel that is closed at the next change after serial; it is
// closed already if there was one.
func (p *Page) wait(serial uint64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serial != serial {
		return alreadyClosed
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

var alreadyClosed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// end marks a run as ended and drops those that are too many.
func (p *Page) end(r *run, at int64, err *failure, status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.status != "" {
		return
	}
	r.ended, r.err, r.status, r.explain = max(at, r.last), err, status, nil
	p.touch(r, at)
	ended, nodes := 0, 0
	for i, r := range slices.Backward(p.runs) {
		if r.status != "" {
			ended++
			nodes += len(r.graph.names)
			if ended > 1 && (ended > p.opts.Ended || nodes > nodesKept) {
				p.runs = slices.Delete(p.runs, i, i+1)
			}
		}
	}
}

// find returns a run, or nil.
func (p *Page) find(id int) *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.runs {
		if r.id == id {
			return r
		}
	}
	return nil
}
