package claims

// chain is a list in the order of adding, out of which members are taken from
// anywhere.
type chain[T any] struct{ first, last *link[T] }

// link is a member's place in a chain.
type link[T any] struct {
	value      T
	prev, next *link[T]
}

func (c *chain[T]) add(m *link[T]) {
	m.prev, m.next = c.last, nil
	if c.last == nil {
		c.first = m
	} else {
		c.last.next = m
	}
	c.last = m
}

func (c *chain[T]) remove(m *link[T]) {
	if m.prev == nil {
		c.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		c.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.prev, m.next = nil, nil
}
