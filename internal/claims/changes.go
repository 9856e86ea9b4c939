package claims

import "container/heap"

// changes are the Limiters where a ticket may have become one that can be reached, as a
// heap by the order of the first such ticket, or by less than that.
type changes []*Limiter

func (c *changes) Len() int           { return len(*c) }
func (c *changes) Less(i, j int) bool { return (*c)[i].from < (*c)[j].from }

func (c *changes) Swap(i, j int) {
	s := *c
	s[i], s[j] = s[j], s[i]
	s[i].change, s[j].change = i+1, j+1
}

// Push and Pop are for package heap.
func (c *changes) Push(l any) {
	*c = append(*c, l.(*Limiter))
	l.(*Limiter).change = len(*c)
}

func (c *changes) Pop() any {
	s := *c
	last := len(s) - 1
	l := s[last]
	l.change = 0
	s[last], *c = nil, s[:last]
	return l
}

// add has l looked at before all others.
func (c *changes) add(l *Limiter) {
	l.from = 0
	if l.change > 0 {
		heap.Fix(c, l.change-1)
		return
	}
	heap.Push(c, l)
}

// next returns the line of the first ticket, in the order of asking, that can be reached,
// or nil.
func (c *changes) next() *line {
	for len(*c) > 0 {
		l := (*c)[0]
		n := l.reachable()
		if n == nil {
			heap.Pop(c)
			continue
		}
		l.from = n.next.ticket.order
		heap.Fix(c, 0)
		if (*c)[0] == l {
			return n
		}
	}
	return nil
}
