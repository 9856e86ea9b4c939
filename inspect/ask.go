package inspect

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// asker asks the groups of a family. There is at most one question at a time,
// and a pause after each, so that looking at a run does not slow it down.
type asker struct {
	turn chan struct{} // has a value while a question is open
	next time.Time     // the earliest time for the next one; for whoever has the turn
}

const (
	// askEvery is the shortest pause between two questions.
	askEvery = 50 * time.Millisecond
	// askShare is how many times longer than its answer the pause after a question
	// is at least.
	askShare = 40
)

func newAsker() asker { return asker{turn: make(chan struct{}, 1)} }

// ask has question called on the driving goroutine, between two steps, and
// returns what it returns. It gives up when ctx is over, or when the patience is and the
// question has not begun: then ok is false. A question that was given up before it
// began is not called, and stays open until it could be.
func (a *asker) ask(
	ctx context.Context, post func(func()) bool, question func() explanation,
) (answer explanation, ok bool) {
	viewer := ctx
	ctx, cancel := context.WithTimeout(viewer, patience)
	defer cancel()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return answer, false
	}
	if !sleep(ctx, time.Until(a.next)) {
		<-a.turn
		return answer, false
	}
	answers := make(chan explanation, 1)
	var taken atomic.Bool // by the question, which is then answered, or by who gives up
	posted := post(func() {
		defer func() { <-a.turn }()
		if !taken.CompareAndSwap(false, true) {
			return
		}
		began := time.Now()
		var answer explanation
		defer func() { answers <- answer }() // also if a String method calls Goexit
		answer = careful(question)
		now := time.Now()
		a.next = now.Add(max(askEvery, askShare*now.Sub(began)))
	})
	if !posted {
		<-a.turn
		return answer, false
	}
	select {
	case answer = <-answers:
	case <-ctx.Done():
		if taken.CompareAndSwap(false, true) {
			return answer, false
		}
		select {
		case answer = <-answers: // which was asked for this, and takes no long time
		case <-viewer.Done(): // but for a String method that blocks
			return answer, false
		}
	}
	return answer, answer.Text != ""
}

// careful calls a question. A String or Error method may panic: that is to harm
// the page only.
func careful(question func() explanation) (e explanation) {
	defer func() {
		if v := recover(); v != nil {
			e = explanation{Text: fmt.Sprintf("a panic: %v", v)}
		}
	}()
	return question()
}

// sleep waits, and reports whether ctx lets it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
