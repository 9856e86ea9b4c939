package model

import "slices"

// Notes are what a node has said about itself. What says of an attempt, or of a Poll, is
// taken back when that succeeds.
type Notes struct {
	Text    string // the last one of its code
	Asked   int    // by the Poll under way
	Attempt int    // the last one of a Retry that has failed
	Last    error  // with what
}

// since leaves out the attempt that had failed before.
func (n Notes) since(before Notes) Notes {
	if n.Attempt == before.Attempt && n.Last == before.Last { //nolint:errorlint // That very one.
		n.Attempt, n.Last = 0, nil
	}
	return n
}

// notes are those of the node whose code is running; nil if none is.
func (c *Clock) notes() *Notes {
	for _, of := range slices.Backward(c.around) {
		if of.group != nil && of.group.current != nil {
			return &of.group.current.notes
		}
	}
	return nil
}

// notesNow is what they are.
func (c *Clock) notesNow() Notes {
	if n := c.notes(); n != nil {
		return *n
	}
	return Notes{}
}

// Note notes a text about the node whose code is running.
func (c *Clock) Note(text string) {
	if n := c.notes(); n != nil {
		n.Text = text
	}
}

// Notes returns what a node has said; of one that has succeeded nothing.
func (g *Group) Notes(k int) Notes {
	if g.byKey[k].state == Succeeded {
		return Notes{}
	}
	return g.byKey[k].notes
}
