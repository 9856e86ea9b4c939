package inspect

import (
	"cmp"
	"slices"
)

// updates are the nodes of a run in the order of their last changes. A viewer
// that has seen all up to a version gets those that have changed since, and pays
// for no others; nothing is kept for it.
type updates struct {
	list    []changed
	version uint64
}

// changed is a change of a node. It counts if it is the node's last one.
type changed struct {
	version uint64
	node    int32
}

// add notes that a node has changed.
func (u *updates) add(nodes []node, n int32) {
	u.version++
	nodes[n].version = u.version
	u.list = append(u.list, changed{u.version, n})
	if len(u.list) > 2*len(nodes)+64 {
		u.compact(nodes)
	}
}

// compact forgets changes that do not count.
func (u *updates) compact(nodes []node) {
	u.list = slices.DeleteFunc(u.list, func(c changed) bool { return nodes[c.node].version != c.version })
}

// after appends the first nodes that have changed after a version, at most as
// many as nodes has room for, and returns the version up to which they are all.
func (u *updates) after(version uint64, all []node, found []int32) ([]int32, uint64) {
	from, _ := slices.BinarySearchFunc(u.list, version+1, func(c changed, version uint64) int {
		return cmp.Compare(c.version, version)
	})
	for i, c := range u.list[from:] {
		if len(found) == cap(found) || i == 4*cap(found) {
			return found, version
		}
		version = c.version
		if all[c.node].version == c.version {
			found = append(found, c.node)
		}
	}
	return found, u.version
}
