package inspect

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// Options are the options of a [Page]. The zero value of each field is its
// default.
type Options struct {
	// Ended is how many runs that have ended stay on the page; 0 stands for 50.
	// A run is an outermost group with all groups inside it: they are kept and
	// dropped together, the oldest first. Runs with more than a million nodes
	// together are dropped earlier.
	Ended int

	// Hosts are names, such as "debug.example.com", by which browsers may ask
	// for the page. They may always use localhost and IP addresses. A request
	// for any other host is refused: otherwise a page that a user has open
	// elsewhere could make its own name point to this machine, and read
	// everything. "*" allows all names.
	Hosts []string

	// TraceURL returns the address at which the trace of a node can be seen, or
	// "". ctx is that of the node's steps, with the values that Observers before
	// the page have put into it, such as a span. It is called on the driving
	// goroutine when a node starts.
	TraceURL func(ctx context.Context) string
}

// defaultEnded is how many runs that have ended are kept if nothing is said.
const defaultEnded = 50

// Page shows groups while they run, and for some time after that. It is a
// [scheduler.Observer]: give it to the outermost group as
// scheduler.GroupOptions.Observer, and it finds those inside by itself. One Page
// serves any number of groups, on different goroutines too.
//
// A Page is also the [http.Handler] of what it shows, for the methods GET and
// HEAD, and may be mounted at any path that ends in a slash.
//
// All methods may be called from any goroutine. A nil *Page is an Observer that
// shows nothing.
type Page struct {
	opts  Options
	hosts hosts
	paces struct{ runs, run, node pace }

	mu       sync.Mutex
	runs     runs
	changed  chan struct{} // closed at the next change; nil: nobody waits
	viewers  int
	closed   chan struct{}
	isClosed bool
}

var (
	_ scheduler.GroupObserver = (*Page)(nil)
	_ scheduler.GroupObserver = (*watching)(nil)
)

// New returns an empty page. nil options are the defaults. It panics if
// Options.Ended is negative.
func New(opts *Options) *Page {
	p := &Page{closed: make(chan struct{})}
	if opts != nil {
		p.opts = *opts
	}
	if p.opts.Ended < 0 {
		panic(fmt.Sprintf("inspect: New: Options.Ended is %d, less than none", p.opts.Ended))
	}
	if p.opts.Ended == 0 {
		p.opts.Ended = defaultEnded
	}
	p.hosts = newHosts(p.opts.Hosts)
	p.runs.init(p.opts.Ended)
	return p
}

// Observe does nothing: what ObserveGroup returns is told in its place.
func (p *Page) Observe(scheduler.Record) {}

// ObserveGroup shows a group that begins, and returns what is told the rest. It
// takes time in proportion to the graph, and calls the String methods of keys.
func (p *Page) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if p == nil {
		return nil
	}
	return p.watch(begun, nil)
}

// Close ends all streams of events, now and later, so that a server can shut
// down: pass it to [http.Server.RegisterOnShutdown]. Runs go on, and so do the
// page's other answers. It does not block, and may be called again.
func (p *Page) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isClosed {
		p.isClosed = true
		close(p.closed)
	}
}

// begin puts a run on the page.
func (p *Page) begin(r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweepLocked()
	p.runs.begin(r)
	p.wakeLocked()
}

// touch says that a run has changed.
func (p *Page) touch(r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs.touch(r)
	p.wakeLocked()
}

// grow notes that a run has more nodes.
func (p *Page) grow(r *run, nodes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs.grow(r, nodes)
}

// end drops the runs that are too many, now that this one has ended.
func (p *Page) end(r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs.end(r)
	p.wakeLocked()
}

// find returns a run, or nil.
func (p *Page) find(id int) *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs.byID[id]
}

// sweepEvery is how often the page looks for groups that were dropped.
const sweepEvery = 5 * time.Second

// sweepLocked ends the runs whose group is gone: nobody will ever step it again.
func (p *Page) sweepLocked() {
	if time.Since(p.runs.swept) < sweepEvery {
		return
	}
	p.runs.swept = time.Now()
	for _, r := range p.runs.lost() {
		if r.lose() {
			p.runs.end(r)
			p.wakeLocked()
		}
	}
}

// wakeLocked wakes the viewers that wait for a change. It never waits itself.
func (p *Page) wakeLocked() {
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
	if p.runs.serial != serial {
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
