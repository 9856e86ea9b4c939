package inspect

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// Options are the options of a [Page]. The zero value of each field is its default.
type Options struct {
	// Ended is the number of runs that stay on the page after their end; 0 means 50.
	// A run is an outermost group with all groups inside it. They are kept and
	// dropped together, the oldest first. They are dropped earlier if they have more
	// than a million nodes together.
	Ended int

	// Hosts are the names, such as "debug.example.com", under which browsers may
	// request the page, in addition to localhost and IP addresses. Requests for any
	// other host are refused: otherwise a site that a user visits could point its own
	// name at this machine and read everything (DNS rebinding). "*" allows all names.
	Hosts []string

	// TraceURL returns the address of a node's trace, or "". ctx is the context of
	// the node's steps, with the values that Observers before the page have added,
	// such as a span. It is called on the driving goroutine when a node starts.
	TraceURL func(ctx context.Context) string
}

// defaultEnded is how many runs that have ended are kept if nothing is said.
const defaultEnded = 50

// Page shows groups while they run, and for some time after they have ended. It is a
// scheduler.Observer: set it as the scheduler.GroupOptions.Observer of an outermost
// group, and the groups inside are included. One Page serves any number of groups, on
// any number of goroutines.
//
// A Page is its own http.Handler, for the methods GET and HEAD, and may be mounted at
// any path that ends in a slash.
//
// All methods may be called from any goroutine. A nil *Page is an Observer that shows
// nothing; its Close does nothing. Other pages are made by [New].
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

// Observe does nothing: the group reports to the Observer that ObserveGroup returns.
func (p *Page) Observe(scheduler.Record) {}

// ObserveGroup shows a group that begins. Groups call it. It takes time in proportion
// to the size of the graph, and calls the String methods of keys.
func (p *Page) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if p == nil {
		return nil
	}
	p.must("ObserveGroup")
	return p.watch(begun, nil)
}

// Close ends all streams of events, and those opened later, so that a server can shut
// down: pass it to http.Server.RegisterOnShutdown. Runs continue, and the page still
// answers other requests. It does not block, and may be called more than once.
func (p *Page) Close() {
	if p == nil {
		return
	}
	p.must("Close")
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isClosed {
		p.isClosed = true
		close(p.closed)
	}
}

// must panics for a page that New has not made.
func (p *Page) must(method string) {
	if p == nil || p.closed == nil {
		panic("inspect: Page." + method + ": nil or zero Page; use New")
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
