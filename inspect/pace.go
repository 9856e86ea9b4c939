package inspect

import (
	"context"
	"sync"
	"time"
)

// pace keeps answers apart, so that a viewer who asks in a loop takes a small share
// of the processor only. Streams need none: they have pauses of their own.
type pace struct {
	mu   sync.Mutex
	next time.Time // the earliest time for the next answer
}

const (
	paceLeast = 5 * time.Millisecond // between the beginnings of two answers
	paceShare = 40                   // how many times longer than the work of an answer the pause after it is
)

// wait waits for the turn of an answer, in the order of calls. It returns false if
// ctx ends before.
func (p *pace) wait(ctx context.Context) bool {
	p.mu.Lock()
	at := p.next
	if now := time.Now(); at.Before(now) {
		at = now
	}
	p.next = at.Add(paceLeast)
	p.mu.Unlock()
	return sleep(ctx, time.Until(at))
}

// worked says how much work an answer was.
func (p *pace) worked(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := time.Now().Add(paceShare * d); at.After(p.next) {
		p.next = at
	}
}
