package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limiter bounds what the nodes of one or more groups use at a time: volumes
// being made, units of an API's budget. Nodes say what they use with
// [GroupOptions.Claims].
//
// Who cannot have what it claims waits in line, and is served in the order of
// asking: what an earlier one waits for is kept for it, so that a heavy claim
// is not overtaken for ever by light ones. Claims on several Limiters are had
// all at once or not at all.
//
// A node that runs a group only waits for it: what the node has claimed is lent
// to the nodes inside, which so cannot be kept waiting by it, nor by those in
// line who wait for it.
//
// A Limiter is safe for concurrent use by runs on different goroutines: a
// budget usually belongs to the process. Waiting is by event and holds no
// goroutine. Runs that share one with an Interval must share a clock as well.
type Limiter struct {
	opts LimiterOptions

	// Guarded by claims.
	used  int
	next  int64     // with Interval: the instant from which on there may be a start
	queue []*ticket // who waits, in the order of asking
	held  []*part   // who has some, in no order
}

// LimiterOptions say what a [Limiter] bounds. At least one of Capacity and
// Interval must be given.
type LimiterOptions struct {
	Name     string        // what errors and explanations call it
	Capacity int           // how much may be in use at a time; 0 is no bound
	Interval time.Duration // the time between two starts, for each unit that the first one claims; 0 is none
}

// NewLimiter returns a Limiter of which nothing is in use. It panics with an
// [*OptionError] if an option is negative or nothing is bounded.
func NewLimiter(opts LimiterOptions) *Limiter {
	switch {
	case opts.Capacity < 0:
		panic(&OptionError{Option: "LimiterOptions.Capacity", Reason: fmt.Sprintf("negative number %d", opts.Capacity)})
	case opts.Interval < 0:
		panic(checkDuration("LimiterOptions.Interval", opts.Interval))
	case opts.Capacity == 0 && opts.Interval == 0:
		panic(&OptionError{Option: "LimiterOptions", Reason: "neither Capacity nor Interval"})
	}
	return &Limiter{opts: opts, next: past}
}

// String returns the Limiter's name.
func (l *Limiter) String() string {
	if l.opts.Name == "" {
		return "limiter"
	}
	return l.opts.Name
}

// InUse returns how much is in use. It may be called from any goroutine.
func (l *Limiter) InUse() int {
	claims.Lock()
	defer claims.Unlock()
	return l.used
}

// Waiting returns how many claims wait in line: for each group at most one of
// each combination of Limiters and weights. It may be called from any
// goroutine.
func (l *Limiter) Waiting() int {
	claims.Lock()
	defer claims.Unlock()
	return len(l.queue)
}

// Claim is what a node uses of a [Limiter] from its start to its end.
type Claim struct {
	Limiter *Limiter
	Weight  int // at least 1
}

// claims guards all Limiters. One lock for all lets a claim on several be had
// all at once without an order of locking; it is held for a few comparisons.
var claims sync.Mutex

// ticket is a place in line for a set of claims.
type ticket struct {
	claims []Claim
	// What the nodes around the group hold, the nearest first: it can be lent,
	// and shows for whom this ticket must not be kept waiting.
	around []*holding
	wake   func()        // from any goroutine: it may be this ticket's turn
	who    func() string // for errors: the node that is next
	// Guarded by claims.
	inLine bool
	paused bool // keeps its place, but could not start now: nothing is kept for it
}

// holding is what a node has got of Limiters.
type holding struct {
	group *engine
	node  int32
	parts []part // guarded by claims
}

// part is what a holding has of one Limiter: some of the Limiter's own, and
// some lent by nodes around.
type part struct {
	of      *holding
	limiter *Limiter
	at      int // in limiter.held
	weight  int
	own     int
	lent    int // to nodes inside
	loans   []loan
}

type loan struct {
	from   *part
	amount int
}

// mergeClaims checks claims and returns them with one for each Limiter.
func mergeClaims(given []Claim) ([]Claim, error) {
	var merged []Claim
	for _, c := range given {
		switch {
		case c.Limiter == nil:
			return nil, &OptionError{Option: "GroupOptions.Claims", Reason: "nil Limiter"}
		case c.Weight < 1:
			return nil, &OptionError{
				Option: "GroupOptions.Claims",
				Reason: fmt.Sprintf("weight %d of %s is below 1", c.Weight, c.Limiter),
			}
		}
		i := slices.IndexFunc(merged, func(m Claim) bool { return m.Limiter == c.Limiter })
		if i < 0 {
			merged = append(merged, c)
		} else {
			merged[i].Weight += c.Weight
		}
	}
	for _, c := range merged {
		if limit := c.Limiter.opts.Capacity; limit > 0 && c.Weight > limit {
			return nil, &OptionError{
				Option: "GroupOptions.Claims",
				Reason: fmt.Sprintf("weight %d of %s exceeds its capacity %d", c.Weight, c.Limiter, limit),
			}
		}
	}
	return merged, nil
}

// turn returns past if t can have now all that it claims, the instant at which
// an Interval lets it, or never if it has to wait for others. From then on t is
// in line.
func (t *ticket) turn(now int64) int64 {
	claims.Lock()
	defer claims.Unlock()
	return t.turnLocked(now)
}

func (t *ticket) turnLocked(now int64) int64 {
	t.paused = false
	if !t.inLine {
		t.inLine = true
		for _, c := range t.claims {
			c.Limiter.queue = append(c.Limiter.queue, t)
		}
	}
	at := past
	for _, c := range t.claims {
		if !t.fits(c) {
			return never
		}
		if c.Limiter.opts.Interval > 0 {
			at = max(at, t.startAt(c.Limiter, now))
		}
	}
	if at > now {
		return at
	}
	return past
}

// take gets all that t claims, for a node of group. If it cannot, the instant is
// that of turn.
func (t *ticket) take(group *engine, node int32, now int64) (*holding, int64) {
	claims.Lock()
	defer claims.Unlock()
	if at := t.turnLocked(now); at != past {
		return nil, at
	}
	t.leaveLocked()
	h := &holding{group: group, node: node, parts: make([]part, len(t.claims))}
	for i, c := range t.claims {
		p := &h.parts[i]
		*p = part{of: h, limiter: c.Limiter, at: len(c.Limiter.held), weight: c.Weight}
		c.Limiter.held = append(c.Limiter.held, p)
		c.Limiter.give(p, t.around, now)
	}
	return h, past
}

// startAt returns when an Interval lets t start. Earlier tickets go first, but
// one that waits for something else does not hold up the others.
func (t *ticket) startAt(l *Limiter, now int64) int64 {
	at := l.next
	for _, earlier := range l.queue {
		if earlier == t {
			break
		}
		if t.defersTo(earlier) && earlier.fitsAll() {
			at = later(max(at, now), time.Duration(earlier.weightOf(l))*l.opts.Interval)
		}
	}
	return at
}

// fits reports whether a claim of t can be met, what earlier tickets wait for
// left aside.
func (t *ticket) fits(c Claim) bool {
	l := c.Limiter
	if l.opts.Capacity == 0 {
		return true
	}
	need := c.Weight - t.lendable(l)
	if need <= 0 {
		return true
	}
	free := l.opts.Capacity - l.used
	for _, earlier := range l.queue {
		if earlier == t || need > free {
			break
		}
		if t.defersTo(earlier) {
			free -= max(earlier.weightOf(l)-earlier.lendable(l), 0)
		}
	}
	return need <= free
}

// defersTo reports whether t leaves an earlier ticket what that waits for. A
// ticket from inside of a node that holds something does not, if the other one
// might be waiting for that very node.
func (t *ticket) defersTo(earlier *ticket) bool {
	if earlier.paused {
		return false
	}
	for _, h := range t.around {
		if !slices.Contains(earlier.around, h) {
			return false
		}
	}
	return true
}

// weightOf returns what t claims of a Limiter in whose line it is.
func (t *ticket) weightOf(l *Limiter) int {
	return t.claims[slices.IndexFunc(t.claims, func(c Claim) bool { return c.Limiter == l })].Weight
}

// lendable returns how much the nodes around can lend.
func (t *ticket) lendable(l *Limiter) int {
	sum := 0
	for _, h := range t.around {
		for i := range h.parts {
			if p := &h.parts[i]; p.limiter == l {
				sum += p.weight - p.lent
			}
		}
	}
	return sum
}

// give takes what p is to hold, from the nodes around as far as they can lend.
func (l *Limiter) give(p *part, around []*holding, now int64) {
	p.own = p.weight
	for _, h := range around {
		for i := range h.parts {
			from := &h.parts[i]
			if amount := min(p.own, from.weight-from.lent); from.limiter == l && amount > 0 {
				from.lent += amount
				p.loans = append(p.loans, loan{from, amount})
				p.own -= amount
			}
		}
	}
	l.used += p.own
	if l.opts.Interval > 0 {
		l.next = later(max(l.next, now), time.Duration(p.weight)*l.opts.Interval)
	}
}

// giveBack undoes give.
func (p *part) giveBack() {
	l := p.limiter
	l.used -= p.own
	for _, loan := range p.loans {
		loan.from.lent -= loan.amount
	}
	last := len(l.held) - 1
	l.held[p.at] = l.held[last]
	l.held[p.at].at = p.at
	l.held[last] = nil
	l.held = l.held[:last]
}

// pause lets others pass until the next turn or take.
func (t *ticket) pause() {
	claims.Lock()
	var turns []*ticket
	if t.inLine && !t.paused {
		t.paused = true
		for _, c := range t.claims {
			turns = append(turns, c.Limiter.turns()...)
		}
	}
	claims.Unlock()
	wakeAll(turns)
}

// turns returns the tickets whose turn it may be, and those that may have to
// see that it never will be: only nodes inside of others can be locked by those.
// The caller holds claims.
func (l *Limiter) turns() []*ticket {
	var turns []*ticket
	for _, t := range l.queue {
		if !t.paused && (len(t.around) > 0 || t.fitsAll()) {
			turns = append(turns, t)
		}
	}
	return turns
}

// leave gives the place in line up.
func (t *ticket) leave() {
	claims.Lock()
	turns := t.leaveLocked()
	claims.Unlock()
	wakeAll(turns)
}

// leaveLocked takes t out of line and returns those whose turn it may be now.
func (t *ticket) leaveLocked() []*ticket {
	if !t.inLine {
		return nil
	}
	t.inLine = false
	var turns []*ticket
	for _, c := range t.claims {
		l := c.Limiter
		i := slices.Index(l.queue, t)
		l.queue = slices.Delete(l.queue, i, i+1)
		turns = append(turns, l.turns()...)
	}
	return turns
}

// release gives all of a holding back.
func (h *holding) release() {
	claims.Lock()
	var turns []*ticket
	for i := range h.parts {
		h.parts[i].giveBack()
	}
	for i := range h.parts {
		turns = append(turns, h.parts[i].limiter.turns()...)
	}
	claims.Unlock()
	wakeAll(turns)
}

func (t *ticket) fitsAll() bool {
	for _, c := range t.claims {
		if !t.fits(c) {
			return false
		}
	}
	return true
}

// wakeAll tells the owners of tickets to try again. No lock is held.
func wakeAll(tickets []*ticket) {
	for _, t := range tickets {
		t.wake()
	}
}

// DeadlockError is the failure of a group whose nodes wait for claims that only
// its own nodes hold, each waiting for the others: it could never go on.
type DeadlockError struct {
	Waits []ClaimWait
}

// ClaimWait is a node that waits for a claim.
type ClaimWait struct {
	Node     string // the keys that lead to it, with slashes between them
	Limiter  string
	Weight   int
	Capacity int
	Holders  []string // who has how much, as "a/b: 2"
}

// Error says who waits for what, and who has it.
func (e *DeadlockError) Error() string {
	var b strings.Builder
	b.WriteString("scheduler: waiting for claims that can never be had")
	for i, w := range e.Waits {
		sep := ": "
		if i > 0 {
			sep = "; "
		}
		fmt.Fprintf(&b, "%s%s", sep, w)
	}
	return b.String()
}

// String says who waits for what.
func (w ClaimWait) String() string {
	s := fmt.Sprintf("%s waits for %d of %s", w.Node, w.Weight, w.Limiter)
	if w.Capacity > 0 {
		s += fmt.Sprintf(" (capacity %d)", w.Capacity)
	}
	if len(w.Holders) > 0 {
		s += " held by " + strings.Join(w.Holders, ", ")
	}
	return s
}

// claimTree has the tickets of an outermost group and all groups inside it that
// wait in line. Only the driving goroutine uses it.
type claimTree struct {
	waiting []*ticket
}

func (c *claimTree) add(t *ticket) { c.waiting = append(c.waiting, t) }

func (c *claimTree) remove(t *ticket) {
	if i := slices.Index(c.waiting, t); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
}

// deadlock returns an error if nothing outside the tree can ever make way for
// its tickets.
func (c *claimTree) deadlock() error {
	claims.Lock()
	defer claims.Unlock()
	if c.hasHope() {
		return nil
	}
	e := &DeadlockError{}
	for _, t := range c.waiting {
		e.Waits = append(e.Waits, t.waitsLocked()...)
	}
	slices.SortStableFunc(e.Waits, func(a, b ClaimWait) int { return cmp.Compare(a.Node, b.Node) })
	return e
}

// hasHope reports whether one of the tickets can go on, or somebody outside the
// tree holds some of what they wait for, or is before them in line and has such
// hope in turn.
func (c *claimTree) hasHope() bool {
	known := map[*ticket]bool{}
	ahead := slices.Clone(c.waiting)
	for len(ahead) > 0 {
		t := ahead[len(ahead)-1]
		ahead = ahead[:len(ahead)-1]
		if known[t] {
			continue
		}
		known[t] = true
		hope := t.fitsAll()
		for _, claim := range t.claims {
			for _, p := range claim.Limiter.held {
				hope = hope || p.of.group.claimTree != c
			}
			for _, earlier := range claim.Limiter.queue {
				if earlier == t {
					break
				}
				if t.defersTo(earlier) {
					ahead = append(ahead, earlier)
				}
			}
		}
		if hope {
			return true
		}
	}
	return false
}

// waits says what a ticket waits for.
func (t *ticket) waits() []ClaimWait {
	claims.Lock()
	defer claims.Unlock()
	return t.waitsLocked()
}

func (t *ticket) waitsLocked() []ClaimWait {
	var waits []ClaimWait
	for _, c := range t.claims {
		if t.fits(c) {
			continue
		}
		w := ClaimWait{Node: t.who(), Limiter: c.Limiter.String(), Weight: c.Weight, Capacity: c.Limiter.opts.Capacity}
		for _, p := range c.Limiter.held {
			w.Holders = append(w.Holders, fmt.Sprintf("%s: %d", p.of.group.pathOf(p.of.node), p.weight))
		}
		slices.Sort(w.Holders)
		waits = append(waits, w)
	}
	return waits
}
