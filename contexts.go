package scheduler

import "context"

// contexts are the contexts that [GroupOptions.Context] made for a group's
// members.
type contexts struct {
	bySlot []memberContext
}

// memberContext is what was made for a member, put together with the context of
// the step.
type memberContext struct {
	values context.Context
	step   context.Context
	joined context.Context
}

// set keeps the values for the member in a slot, of so many.
func (c *contexts) set(slot int32, slots int, values context.Context) {
	if int(slot) >= len(c.bySlot) {
		c.bySlot = extended(c.bySlot, slots)
	}
	c.bySlot[slot] = memberContext{values: values}
}

// of returns the context for a step of the member in a slot.
func (c *contexts) of(ctx context.Context, slot int32) context.Context {
	if int(slot) >= len(c.bySlot) {
		return ctx
	}
	m := &c.bySlot[slot]
	if m.joined == nil || !same(ctx, m.step) {
		m.step = ctx
		m.joined = &memberScope{Context: ctx, values: m.values}
	}
	return m.joined
}

// clear forgets the values of a member that ends.
func (c *contexts) clear(slot int32) {
	if int(slot) < len(c.bySlot) {
		c.bySlot[slot] = memberContext{}
	}
}

// memberScope is the context of a member's step: with the values that
// GroupOptions.Context gave, and the end of the step's.
type memberScope struct {
	context.Context
	values context.Context
}

func (c *memberScope) Value(key any) any {
	if key == (scopeKey{}) {
		return c.Context.Value(key)
	}
	return c.values.Value(key)
}

func (c *memberScope) String() string { return "scheduler.member" }
