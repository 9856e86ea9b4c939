package inspect

import (
	"cmp"
	"container/list"
	"maps"
	"slices"
	"time"
)

// runs are those on the page, in families: an outermost group and the groups
// inside it. The mutex of the page guards them.
type runs struct {
	byID   map[int]*run
	live   map[*run]struct{} // those that have not ended
	recent *list.List        // all, the one that changed last in front
	lastID int
	serial uint64 // of the last change
	swept  time.Time

	keep   int       // how many families that have ended
	ended  []*family // in the order of their ends
	weight int       // of those

	gone       []goneRun // that were dropped last, in that order
	goneBefore uint64    // the serial up to which these are not known any more
}

// goneRun is a run that was dropped.
type goneRun struct {
	serial uint64
	id     int
}

// family is an outermost group and all groups inside it.
type family struct {
	asker  asker
	runs   map[int]*run
	weight int
	isOver bool // the outermost group has ended

	// The groups inside that have ended, in that order. If the family is too
	// large, those that went well go first.
	good, bad []*run
}

const (
	// weightMost is how much a family may weigh, and all that have ended
	// together. A node weighs 1, which stands for about 200 bytes.
	weightMost = 1_000_000
	// weightOfRun is what a run weighs beyond its nodes.
	weightOfRun = 10
	// goneMost is how many runs that were dropped are remembered for viewers that
	// are behind.
	goneMost = 10_000
)

func (rs *runs) init(keep int) {
	rs.byID, rs.live, rs.recent, rs.keep = map[int]*run{}, map[*run]struct{}{}, list.New(), keep
}

// begin adds a run.
func (rs *runs) begin(r *run) {
	rs.lastID++
	r.id = rs.lastID
	rs.byID[r.id] = r
	rs.live[r] = struct{}{}
	r.family.runs[r.id] = r
	r.place = rs.recent.PushFront(r)
	r.weight = weightOfRun + r.size()
	r.family.weight += r.weight
	if r.family.isOver {
		rs.weight += r.weight
	}
	if r.parent != nil {
		if r.parent.inside == nil {
			r.parent.inside = map[int][]int{}
		}
		r.parent.inside[r.parentNode] = append(r.parent.inside[r.parentNode], r.id)
	}
	rs.touch(r)
	rs.trim(r.family)
}

// grow notes that a run has more nodes.
func (rs *runs) grow(r *run, nodes int) {
	r.weight += nodes
	if rs.byID[r.id] == r {
		r.family.weight += nodes
		rs.trim(r.family)
	}
}

// touch notes that a run has changed.
func (rs *runs) touch(r *run) {
	if rs.byID[r.id] != r {
		return // it was dropped
	}
	rs.serial++
	r.serial = rs.serial
	rs.recent.MoveToFront(r.place)
}

// end notes that a run has ended, and drops what is too much.
func (rs *runs) end(r *run) {
	if rs.byID[r.id] != r {
		return // it was dropped
	}
	delete(rs.live, r)
	rs.touch(r)
	f := r.family
	if r.parent != nil {
		if r.wentWell() {
			f.good = append(f.good, r)
		} else {
			f.bad = append(f.bad, r)
		}
		rs.trim(f)
		return
	}
	f.isOver = true
	rs.ended = append(rs.ended, f)
	rs.weight += f.weight
	for len(rs.ended) > 1 && (len(rs.ended) > rs.keep || rs.weight > weightMost) {
		oldest := rs.ended[0]
		rs.ended = rs.ended[1:]
		for _, r := range slices.SortedFunc(maps.Values(oldest.runs), byID) {
			rs.drop(r)
		}
	}
}

// trim drops groups inside that have ended from a family that is too large.
func (rs *runs) trim(f *family) {
	for f.weight > weightMost {
		from := &f.good
		if len(*from) == 0 {
			from = &f.bad
		}
		if len(*from) == 0 {
			return // all others go on
		}
		r := (*from)[0]
		*from = (*from)[1:]
		rs.drop(r)
	}
}

// drop takes a run off the page.
func (rs *runs) drop(r *run) {
	f := r.family
	delete(rs.byID, r.id)
	delete(rs.live, r)
	delete(f.runs, r.id)
	rs.recent.Remove(r.place)
	if r.parent != nil {
		r.parent.forget(r)
	}
	f.weight -= r.weight
	if f.isOver {
		rs.weight -= r.weight
	}
	rs.serial++
	rs.gone = append(rs.gone, goneRun{rs.serial, r.id})
	if len(rs.gone) > 2*goneMost {
		rs.goneBefore = rs.gone[goneMost-1].serial
		rs.gone = slices.Clone(rs.gone[goneMost:])
	}
}

// forget forgets a run inside. It is most often the oldest one.
func (r *run) forget(inner *run) {
	ids := r.inside[inner.parentNode]
	switch i := slices.Index(ids, inner.id); i {
	case -1:
	case 0:
		ids = ids[1:]
	default:
		ids = slices.Delete(ids, i, i+1)
	}
	if len(ids) == 0 {
		delete(r.inside, inner.parentNode)
		return
	}
	r.inside[inner.parentNode] = ids
}

// lost returns the runs of groups that are gone without having ended.
func (rs *runs) lost() []*run {
	var found []*run
	for r := range rs.live {
		if r.watching.Value() == nil {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, byID)
	return found
}

// after returns the runs that have changed after a serial, in the order of their
// starts: outermost ones, and all of one family, which may be nil. again says
// that the serial is too old: these are all, and those that the viewer knows
// besides are gone.
func (rs *runs) after(serial uint64, f *family) (changed []*run, gone []int, again bool) {
	if serial < rs.goneBefore {
		serial, again = 0, true
	}
	for e := rs.recent.Front(); e != nil; e = e.Next() {
		r := e.Value.(*run)
		if r.serial <= serial {
			break
		}
		if r.parent == nil || r.family == f {
			changed = append(changed, r)
		}
	}
	slices.SortFunc(changed, byID)
	if serial > 0 {
		from, _ := slices.BinarySearchFunc(rs.gone, serial+1, func(g goneRun, serial uint64) int {
			return cmp.Compare(g.serial, serial)
		})
		for _, g := range rs.gone[from:] {
			gone = append(gone, g.id)
		}
	}
	return changed, gone, again
}

// byID is the order of their starts.
func byID(a, b *run) int { return cmp.Compare(a.id, b.id) }
