package schedulertest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// choices are what a schedule chooses: by a seed, or as a replay line says. What is
// chosen depends on the label, how often that was asked before, and the seed alone: so
// a schedule stays what it is when other choices are taken away.
type choices struct {
	seed      uint64
	replay    map[string]int // nil: by the seed
	calm      bool
	offered   *offers // of all schedules
	asked     []int   // how often, by the number of the label
	last      []int   // what was chosen last, by the number of the label
	taken     []choice
	intensity float64
}

// choice is one that is not the normal one.
type choice struct {
	key string
	v   int
}

func newChoices(seed uint64, replay map[string]int, offered *offers) choices {
	c := choices{seed: seed, replay: replay, offered: offered}
	// Some schedules have few faults and some have many: each finds what the others miss.
	c.intensity = []float64{0.4, 1, 1.5, 3}[c.hash("how much")>>20%4]
	return c
}

// choose is Choose for a choice of which there are many of one kind. Half of the
// schedules have a favourite among its values, and what has happened once at a label
// may well happen there again: two faults together are what engines are not tried with.
func (c *choices) choose(label, kind string, n int, p float64) int {
	if c.calm {
		return 0
	}
	o := c.offered.of(label)
	before := 0
	if o.number < len(c.last) {
		before = c.last[o.number]
	}
	if before > 0 {
		p = max(p, 0.3)
	}
	v := c.pick(label, n, p, func(h uint64) int {
		switch f := c.hash(kind); {
		case before > 0 && h>>50%4 > 0:
			return before
		case f>>30%2 == 0 && h>>40%4 > 0:
			return 1 + int(f>>32%uint64(n-1))
		}
		return 1 + int(h%uint64(n-1))
	})
	for len(c.last) <= o.number {
		c.last = append(c.last, 0)
	}
	c.last[o.number] = v
	return v
}

// Choose returns which of n things happens: 0 is the normal one, and another one is
// chosen with probability p. Use it for the behaviour of a fake beyond the faults of
// [World.Do], such as how long a deletion takes. The result depends on the seed, the
// label, and the number of earlier choices with that label in this schedule. After
// [World.Calm] it is 0.
func (c *choices) Choose(label string, n int, p float64) int {
	if c.offered == nil {
		panic("schedulertest: World.Choose: zero World; Explore makes it")
	}
	return c.pick(label, n, p, func(h uint64) int { return 1 + int(h%uint64(n-1)) })
}

func (c *choices) pick(label string, n int, p float64, which func(hash uint64) int) int {
	if n < 2 || c.calm {
		return 0
	}
	o := c.offered.of(label)
	for len(c.asked) <= o.number {
		c.asked = append(c.asked, 0)
	}
	c.asked[o.number]++
	key := label
	if k := c.asked[o.number]; k > 1 {
		key += "#" + strconv.Itoa(k)
	}
	v := 0
	if c.replay != nil {
		v = min(c.replay[key], n-1)
	} else if h := c.hash(key); float64(h>>11)/(1<<53) < p*c.intensity {
		v = which(mix(h))
	}
	o.count(v)
	if v != 0 {
		c.taken = append(c.taken, choice{key, v})
	}
	return v
}

func (c *choices) hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return mix(h ^ mix(c.seed+0x9e3779b97f4a7c15))
}

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// line is what a failure prints for a replay.
func (c *choices) line() string {
	parts := make([]string, len(c.taken))
	for i, t := range c.taken {
		parts[i] = t.key + "=" + strconv.Itoa(t.v)
	}
	if len(parts) == 0 {
		return normal
	}
	return strings.Join(parts, "; ")
}

// normal is the replay line of the schedule in which nothing was chosen.
const normal = "normal"

// parse reads a replay line.
func parse(line string) (map[string]int, error) {
	m := map[string]int{}
	if line == normal {
		return m, nil
	}
	for part := range strings.SplitSeq(line, "; ") {
		i := strings.LastIndexByte(part, '=')
		v, err := strconv.Atoi(part[i+1:])
		if i <= 0 || err != nil || v < 0 {
			return nil, fmt.Errorf("%q is not of the form label=number", part)
		}
		m[part[:i]] = v
	}
	return m, nil
}

// Coverage describes the choices of all schedules of an [Explore].
type Coverage struct {
	Schedules int
	Stories   int      // different ones
	Choices   []Choice // in the order in which they came up first
}

// Choice counts the values of one choice in all schedules; Values[0] is the normal
// one. A count of 0 for a fault that matters means that the seeds did not reach it.
type Choice struct {
	Label  string
	Values []int
}

// String returns a table, a line for each choice.
func (c Coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d schedules, %d different stories, %d kinds of choices\n", c.Schedules, c.Stories, len(c.Choices))
	for _, o := range c.Choices {
		fmt.Fprintf(&b, "  %s: %s\n", o.Label, strings.Trim(fmt.Sprint(o.Values), "[]"))
	}
	return b.String()
}

// offers are the choices that came up in all schedules.
type offers struct {
	list   []*offer
	labels map[string]*offer
}

type offer struct {
	Choice
	number int
}

func newOffers() *offers { return &offers{labels: map[string]*offer{}} }

func (o *offers) of(label string) *offer {
	found := o.labels[label]
	if found == nil {
		found = &offer{Choice{Label: label}, len(o.list)}
		o.labels[label] = found
		o.list = append(o.list, found)
	}
	return found
}

func (o *offer) count(v int) {
	for len(o.Values) <= v {
		o.Values = append(o.Values, 0)
	}
	o.Values[v]++
}

func (o *offers) coverage() (list []Choice) {
	for _, c := range o.list {
		list = append(list, Choice{c.Label, slices.Clone(c.Values)})
	}
	return list
}
