package claims

import "slices"

// Lack is what a ticket waits for at one Limiter.
type Lack struct {
	Limiter  *Limiter
	Weight   int
	Capacity int
	Holders  []Holder // of the same run, in the order of their taking; not all if there are many
	More     int      // what others of the same run have
	Others   int      // what other runs have
}

// Holder is who has some of a Limiter.
type Holder struct {
	Owner  any // of the ticket
	Node   int32
	Weight int
}

// most is how many holders a Lack names.
const most = 5

// Lacks tells what tickets lack. One Lacks is good for many tickets at one moment:
// it looks at each Limiter once.
type Lacks struct {
	run   *Run
	known map[*Limiter]Lack
}

// NewLacks returns a Lacks that names holders of a run, and counts all others.
func NewLacks(run *Run) *Lacks { return &Lacks{run, map[*Limiter]Lack{}} }

// Of returns what t lacks, in the order of its claims.
func (k *Lacks) Of(t *Ticket) []Lack {
	books.Lock()
	defer books.Unlock()
	if t.state != waiting {
		return nil
	}
	var lacks []Lack
	for i, c := range t.claims {
		w := &t.waits[i]
		switch {
		case t.beyond > 0 && !w.out:
			continue
		case t.beyond == 0 && w.reached && w.line.fits(w.line.reached):
			continue
		}
		lack := k.at(c.Limiter)
		lack.Weight, lack.Holders = c.Weight, slices.Clone(lack.Holders)
		lacks = append(lacks, lack)
	}
	return lacks
}

func (k *Lacks) at(l *Limiter) Lack {
	lack, ok := k.known[l]
	if ok {
		return lack
	}
	lack.Limiter, lack.Capacity = l, l.capacity
	var more, others amount
	for p := l.parts.first; p != nil; p = p.next {
		switch h := p.value.holding; {
		case h.asker.run != k.run:
			others.add(p.value.own)
		case len(lack.Holders) < most && h.ticket == nil:
			lack.Holders = append(lack.Holders, Holder{h.owner, h.node, p.value.weight.number()})
		default:
			more.add(p.value.own)
		}
	}
	lack.More, lack.Others = more.number(), others.number()
	k.known[l] = lack
	return lack
}

// Waiting returns the run's tickets that are in line, in the order of asking.
func (r *Run) Waiting() []*Ticket {
	books.Lock()
	defer books.Unlock()
	var in []*Ticket
	for _, t := range r.waiting {
		if t.state == waiting {
			in = append(in, t)
		}
	}
	slices.SortFunc(in, byOrder)
	return in
}
