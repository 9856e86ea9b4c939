package scheduler

import "context"

// callLimits are the limits around a call that may stop counting: those of nodes that
// become ready, and those outside of a service that others require.
type callLimits struct {
	nodes  *nodeLimit // of the nodes
	inside *[]int64   // by node around the call, the innermost first: what runners and graces inside of it bring; nil: nothing
	notice bool       // a group turns the first of nodes into a notice
	hidden bool       // a Shield hides those of all of nodes
}

func (l *callLimits) some() bool { return l.nodes != nil || l.inside != nil }

// insideOf returns what runners and graces inside of the i-th node bring; 0: nothing.
func (l *callLimits) insideOf(i int) int64 {
	if l.inside == nil {
		return 0
	}
	return (*l.inside)[i]
}

// limitsOf returns when the runners and graces around ctx will end a call at the latest,
// as an instant in wall time where 0 is never, and the other limits. ends says that the
// context of the call ends with the notice. There are none under a clock other than the
// system's. A limit has passed when the clock reads more than it says, so a nanosecond is
// added: a call that keeps the deadline by itself must not be earlier than its node.
func limitsOf(ctx context.Context, ends bool) (int64, callLimits) {
	var l callLimits
	s := scopeOf(ctx)
	if s == nil || !isSystemClock(s.clock) {
		return 0, l
	}
	at := never // and no clock of its own lies between: none but a run without one has the system's
	around := 0 // so many nodes, each of which turns a limit further out into a notice
	var last *nodeLimit
	for link := &l.nodes; s != nil; s = s.outer {
		if s.shield {
			ends = false // a notice from further out does not get to the call
			last.hide()
			l.hidden = l.hidden || l.nodes == nil
		}
		switch m := s.maker.(type) {
		case *engine:
			if d := m.deadlineHere(); d.isLimit() {
				if l.nodes == nil {
					l.notice = around > 0 && !ends
				}
				link = m.limitSeen(link)
				last = m.deadlines.seenOf(m.current)
			} else {
				at = min(at, d.end())
			}
			if at != never && l.inside == nil {
				inside := make([]int64, around, around+1)
				l.inside = &inside
			}
			if l.inside != nil {
				*l.inside = append(*l.inside, wallLimit(at))
			}
			around++
		case *TaskRunner:
			at = min(at, m.callEndHere(around > 0 && !ends))
		}
	}
	return wallLimit(at), l
}

// limitNow returns the earliest of the limits around the call that count now, in wall
// time; 0 is none. outlasts says that a node around it is a service that others require:
// it ends after those, whatever the limits further out are. In a group that is being
// closed a service that is still needed ends after what needs it, and no step looks at
// limits any more, those inside of it included.
func (c *call) limitNow() (at int64, outlasts bool) {
	var l callLimits
	if e := c.end.Load(); e != nil {
		l = e.limits
	}
	s := scopeOf(c.step)
	if s == nil {
		return c.limit, false
	}
	limit, notice, ends := l.nodes, l.notice, c.ends && !l.hidden
	own, hasEnded := int64(0), (*callContext)(c).Err() != nil
	g, p := s.group, c.node
	for i := 0; g != nil; i++ {
		ready, outlastsHere, isClosed := g.services.standing(p, g.graph.isRequired)
		switch {
		case isClosed && !hasEnded:
			return 0, true
		case outlasts:
			g, p = g.outer, g.outerNode
			continue
		}
		if limit.isOf(g) {
			ends = ends && !limit.hidden
			if !ready {
				own = earlierLimit(own, limit.end(notice))
			}
			limit, notice = limit.around, !ends
		}
		if outlasts = outlastsHere; outlasts {
			at = earlierLimit(own, l.insideOf(i))
		}
		g, p = g.outer, g.outerNode
	}
	if outlasts {
		return at, true
	}
	return earlierLimit(own, c.limit), false
}

// earlierLimit returns the earlier of two limits, where 0 is none.
func earlierLimit(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
