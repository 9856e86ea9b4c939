package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/steptask/scheduler/internal/claims"
)

// DeadlockError is the failure of an outermost group in which everything that could
// continue waits for claims that can never be met, because nodes that wait in the
// same way hold what they need, in this run or in others. Of several runs, the last
// to wait finds it. It is not found while a call or an event might still end it, even
// if neither ever will. A service (see [Ready]) counts as one that never ends by itself.
type DeadlockError struct {
	Waits []ClaimWait // by Node
}

// ClaimWait is a node that waits for a claim.
type ClaimWait struct {
	Node     string // its path
	Limiter  string
	Weight   int
	Capacity int // 0: none, or nothing can start now

	// Holders says who has how much, as "a/b: 2": the first few nodes of the same
	// run, in the order of their starts, and the sum of the others.
	Holders []string
}

// Error says which nodes wait for what, and who has it. It names the first few.
func (e *DeadlockError) Error() string {
	const most = 10
	var b strings.Builder
	b.WriteString("scheduler: waiting for claims that can never be met")
	for i, w := range e.Waits {
		sep := ": "
		if i > 0 {
			sep = "; "
		}
		if i == most {
			fmt.Fprintf(&b, "%sand %d more", sep, len(e.Waits)-most)
			break
		}
		fmt.Fprintf(&b, "%s%s", sep, w)
	}
	return b.String()
}

// String says what the node waits for.
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

// claimant is what a ticket is of. It is asked on the driving goroutine of its run.
type claimant interface {
	// next returns the path of the node that asks, and pathOf that of one that
	// has got what it claimed.
	next() string
	pathOf(node int32) string
	// claimed returns the claims in the order of the ticket.
	claimed() []Claim
}

// waits tells what tickets of a run wait for, at one moment.
type waits struct {
	lacks *claims.Lacks
	known map[*claims.Ticket][]ClaimWait
}

func newWaits(q *claimQueue) *waits {
	return &waits{claims.NewLacks(q.run), map[*claims.Ticket][]ClaimWait{}}
}

// of returns what a node waits for in the line of a ticket.
func (w *waits) of(t *claims.Ticket, node string) []ClaimWait {
	found, ok := w.known[t]
	if !ok {
		for _, lack := range w.lacks.Of(t) {
			found = append(found, describe(lack, t.Owner.(claimant)))
		}
		w.known[t] = found
	}
	found = slices.Clone(found)
	for i := range found {
		found[i].Node = node
	}
	return found
}

func describe(lack claims.Lack, c claimant) ClaimWait {
	i := slices.IndexFunc(c.claimed(), func(c Claim) bool { return c.Limiter.lines == lack.Limiter })
	w := ClaimWait{Limiter: c.claimed()[i].Limiter.String(), Weight: lack.Weight, Capacity: lack.Capacity}
	for _, h := range lack.Holders {
		w.Holders = append(w.Holders, fmt.Sprintf("%s: %d", h.Owner.(claimant).pathOf(h.Node), h.Weight))
	}
	if lack.More > 0 {
		w.Holders = append(w.Holders, fmt.Sprintf("others of this run: %d", lack.More))
	}
	if lack.Others > 0 {
		w.Holders = append(w.Holders, fmt.Sprintf("other runs: %d", lack.Others))
	}
	return w
}

// deadlockOf returns the error for a run that is dead.
func deadlockOf(q *claimQueue) *DeadlockError {
	e := &DeadlockError{}
	w := newWaits(q)
	for _, t := range q.run.Waiting() {
		e.Waits = append(e.Waits, w.of(t, t.Owner.(claimant).next())...)
	}
	slices.SortStableFunc(e.Waits, func(a, b ClaimWait) int { return cmp.Compare(a.Node, b.Node) })
	return e
}

// readyThatCount returns how many services are not to be left out where it matters
// whether anything in the group can go on: one that nothing has asked to end goes on
// for as long as it is needed, and so does not keep those from waiting for ever that
// wait for what it holds. One that waits for claims itself is among those that do.
func (g *engine) readyThatCount() int {
	count := 0
	for p, of := range g.services.byNode {
		if g.nodes.state(p) == StateReady && (of.released || g.parking.has(g.nodes.slot(p), parkedForClaims)) {
			count++
		}
	}
	return count
}

// waitsForClaims reports whether all that could go on in the group waits for
// claims, here or in groups inside. In the middle of a round that is not known.
func (g *engine) waitsForClaims() bool {
	parked := g.parking.countForClaims()
	return g.pass == newRound && (g.claims.someWait() || parked > 0) &&
		parked == g.nodes.active()+g.readyThatCount() &&
		g.deadlines.none() &&
		g.claims.nextTime() == never &&
		(g.phase != phaseRunning || g.starter.len() == 0 || g.isFull())
}

// checkDeadlock fails an outermost group that can never go on.
func (g *engine) checkDeadlock() {
	if g.outer != nil || !g.waitsForClaims() || g.parking.hasNews() || !g.claims.isStuck() {
		return
	}
	err := deadlockOf(&g.claims)
	g.failures.add(failure{err: err, node: noNode})
	g.tellStopping(err)
	g.beginCloseAll()
	g.cancelPending()
}
