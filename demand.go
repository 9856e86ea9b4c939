package scheduler

// demand knows, of each node, whether anything needs it still: a node that requires
// it and has not ended, or that is needed itself. It is counted when it first matters,
// and anew after what counts as ended has changed.
type demand struct {
	open   []int32 // by node: how many of those that require it need it; nil: not counted
	leaves []bool  // by node: nothing requires it
	freed  []int32 // ready nodes of which open has become 0, and were not taken since
}

// demanding is the group of a demand.
type demanding interface {
	required(p int32) []int32
	hasEnded(p int32) bool // it needs nothing any more, unless something needs it
	isServing(p int32) bool
}

// isCounted reports whether the demand was counted, and counts since. It does so again
// when forget has been called.
func (d *demand) isCounted() bool { return d.open != nil }

func (d *demand) forget() { d.open, d.freed = nil, nil }

// count counts for a group of n nodes.
func (d *demand) count(n int, of demanding) {
	d.open, d.leaves, d.freed = make([]int32, n), make([]bool, n), nil
	for p := int32(n) - 1; p >= 0; p-- { // what requires a node comes after it
		d.leaves[p] = true
	}
	for p := int32(n) - 1; p >= 0; p-- {
		over := d.open[p] == 0 && of.hasEnded(p)
		for _, q := range of.required(p) {
			d.leaves[q] = false
			if !over {
				d.open[q]++
			}
		}
		if d.open[p] == 0 && of.isServing(p) {
			d.freed = append(d.freed, p)
		}
	}
}

// end counts a node that has ended for those that it needed, and those that have ended
// before it and were kept open only by it.
func (d *demand) end(p int32, of demanding) {
	for ended := []int32{p}; len(ended) > 0; {
		p, ended = ended[len(ended)-1], ended[:len(ended)-1]
		if d.open[p] != 0 {
			continue
		}
		for _, q := range of.required(p) {
			if d.open[q]--; d.open[q] != 0 {
				continue
			}
			switch {
			case of.isServing(q):
				d.freed = append(d.freed, q)
			case of.hasEnded(q):
				ended = append(ended, q)
			}
		}
	}
}

// serve says that a node has become ready, which perhaps nothing needs.
func (d *demand) serve(p int32) {
	if d.open != nil && d.open[p] == 0 {
		d.freed = append(d.freed, p)
	}
}

// isNeeded reports whether something needs a node, and isLeaf whether nothing requires
// it at all.
func (d *demand) isNeeded(p int32) bool { return d.open[p] != 0 }
func (d *demand) isLeaf(p int32) bool   { return d.leaves[p] }

// takeFreed returns the ready nodes that nothing needs since it was called last.
func (d *demand) takeFreed() []int32 {
	freed := d.freed
	d.freed = nil
	return freed
}
