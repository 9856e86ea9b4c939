package schedulertest

import (
	"context"
	"errors"
	"time"
)

// ErrCrashed is the error of [World.Run] if the process has crashed, and of
// [World.Do] and [Sleep] in a process that has.
var ErrCrashed = errors.New("schedulertest: the process crashed")

// ErrFault is the error of [World.Do] if the schedule lets it fail.
var ErrFault = errors.New("schedulertest: a fault")

// What can become of a call.
const (
	failsBefore = iota + 1
	hangsBefore
	failsAfter
	hangsAfter
	isDeaf
	faults
)

const (
	hangsFor  = time.Hour        // then the connection breaks
	isDeafFor = 40 * time.Second // to the end of its context
)

// delays are how long each part of a call takes; the first is the normal one.
var delays = []time.Duration{time.Second, 0, 3 * time.Second, 7 * time.Second, 20 * time.Second, 2 * time.Minute}

func (w *World) delay(label string) time.Duration {
	return delays[w.Choose(label+": takes", len(delays), 0.4)]
}

// Do is a request to the outside world, for fakes: effect is what it changes there,
// at one moment. The request takes some time until its effect, and some time until
// its answer; Do returns the error of effect. The schedule chooses the times, and
// whether the request fails or hangs, before or after its effect, or ignores the end
// of its context for a while. If ctx ends first, Do returns the cause; if that was
// before the effect, the effect may still happen later. A request that hangs fails
// after an hour.
//
// An error says nothing about whether the effect has happened. A fake must not return
// with it what effect has found out, such as an id: a lost answer would not be lost.
//
// ctx is the context of a call or a step of a process, or one made from it.
func (w *World) Do(ctx context.Context, label string, effect func() error) error {
	w.must("Do")
	c := callOf(ctx)
	if c == nil || c.process == nil || c.process.world != w {
		panic("schedulertest: World.Do: " + label + ": the context is not that of a process of this World, or of a call in one")
	}
	mustHaveFunc(effect != nil, "Do")
	if c.process.dead {
		return ErrCrashed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.does = label
	fault := w.choose(label, "fault", faults, 0.15)
	if err := c.sleep(ctx, w.delay(label+": request")); err != nil {
		return w.giveUp(c, label, effect, err)
	}
	switch fault {
	case failsBefore:
		w.Say("%s: fails without effect", label)
		return ErrFault
	case hangsBefore:
		w.Say("%s: hangs without effect", label)
		return hang(ctx, c)
	}
	err := w.take(label, effect)
	c.process.point(label+" took effect, is not answered", 0.06)
	switch fault {
	case failsAfter:
		w.Say("%s: fails after its effect", label)
		return ErrFault
	case hangsAfter:
		w.Say("%s: hangs after its effect", label)
		return hang(ctx, c)
	case isDeaf:
		w.Say("%s: is deaf for %v", label, isDeafFor)
		if c.sleep(context.WithoutCancel(ctx), isDeafFor) != nil {
			return ErrCrashed
		}
	}
	if lost := c.sleep(ctx, w.delay(label+": answer")); lost != nil {
		if !c.process.dead {
			w.Say("%s: the answer is lost: %s", label, textOf(lost))
		}
		return lost
	}
	return err
}

// take lets a request take effect.
func (w *World) take(label string, effect func() error) error {
	err := effect()
	if err != nil {
		w.Say("%s: %s", label, textOf(err))
	} else {
		w.say(line{label: label})
	}
	w.check()
	return err
}

// giveUp is the end of a request whose caller has given up before its effect.
func (w *World) giveUp(c *simCall, label string, effect func() error, err error) error {
	if c.process.dead && w.failure != nil {
		return err
	}
	ways := 2
	if w.late {
		ways = 3
	}
	switch w.Choose(label+": on the wire", ways, 0.3) {
	case 1:
		w.Say("%s: takes effect, though its caller has given up", label)
		_ = effect()
		w.check()
	case 2:
		w.events = append(w.events, event{w.Now().Add(5 * time.Second), label + ": takes effect late", func() { _ = effect() }})
	}
	return err
}

// hang lasts until ctx ends, or the connection breaks.
func hang(ctx context.Context, c *simCall) error {
	if err := c.sleep(ctx, hangsFor); err != nil {
		return err
	}
	return ErrFault
}

// textOf returns the text of an error in one line; of none "nil".
func textOf(err error) string {
	if err == nil {
		return "nil"
	}
	return oneLine(err)
}
