package scheduler

import "github.com/steptask/scheduler/internal/claims"

// holdings are what the running nodes of a group hold of Limiters.
type holdings struct {
	starting *claims.Holding   // of the node that is starting, which has no slot yet
	bySlot   []*claims.Holding // made once a member holds something
}

// start keeps what the node that is starting holds.
func (h *holdings) start(held *claims.Holding) { h.starting = held }

// release gives that back, if the node does not run on.
func (h *holdings) release() {
	if held := h.starting; held != nil {
		h.starting = nil
		held.Release()
	}
}

// occupy makes it that of a slot, of so many.
func (h *holdings) occupy(slot int32, slots int) {
	if h.starting == nil {
		return
	}
	if int(slot) >= len(h.bySlot) {
		h.bySlot = extended(h.bySlot, slots)
	}
	h.bySlot[slot], h.starting = h.starting, nil
}

// vacate gives back what the member in a slot holds.
func (h *holdings) vacate(slot int32) {
	if held := h.of(slot); held != nil {
		h.bySlot[slot] = nil
		held.Release()
	}
}

// of returns what the member in a slot holds, and without a slot the node that is
// starting, or nil.
func (h *holdings) of(slot int32) *claims.Holding {
	switch {
	case slot == noSlot:
		return h.starting
	case int(slot) >= len(h.bySlot):
		return nil
	}
	return h.bySlot[slot]
}

// end lets go of everything. It was given back.
func (h *holdings) end() { h.bySlot = nil }
