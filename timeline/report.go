package timeline

import (
	"cmp"
	"slices"
	"time"

	"github.com/steptask/scheduler"
)

// Report explains the duration of one group's run. Its times are measured from the
// first start. Make it with [NewReport].
type Report[K comparable] struct {
	Name string        // of the group
	Took time.Duration // from the first start to the last end

	// Chain is the sequence of nodes that determined the duration of the run, in the
	// order of time: it ends with the node that ended last, and each node in it was
	// let start by the end of the one before. A service can be in it twice: until it
	// was ready, which let others start, and from the end of the last of them, which
	// let it end.
	Chain []Link[K]

	// Longest is the path through the dependencies with the largest sum of durations,
	// which is LongestTook. That is how long the run would have taken without a
	// limit: no limit can make it shorter. A service counts as in Chain, and can be in
	// it twice.
	Longest     []K
	LongestTook time.Duration

	// Held is the time during which at least one node was ready and not started,
	// because of the group's Limit or of Claims.
	Held time.Duration

	deps *scheduler.Dependencies[K]
	opts scheduler.GroupOptions[K]
	at   map[K]int // the span of a node

	// By span. Spans are known by number.
	spans           []Span
	keys            []K
	requires, frees [][]int // in the walked direction
	ready           []time.Time
	up, down        []time.Duration // how long it took; of a service until ready, and to end
	told            []moment        // of a service, what let it end; a span of -1 if it was ready only then
	slack           []time.Duration
}

// Link is a node of a Report's Chain.
type Link[K comparable] struct {
	Key        K
	Start, End time.Duration // of a service, those of the part that is meant
	// Ready is when everything that it requires was done.
	Ready time.Duration
	// Limited reports that the node was ready and waited for room: the node before it
	// in the chain is not one that it requires, but the one whose end made room for
	// it.
	Limited bool
}

// NewReport returns a report on the run of a group of deps with opts, the options
// that the group was made with, or nil. It uses the spans whose Group is the name of
// that group and whose Key is a node of deps; of several with the same key, the last.
// Spans must be in the order of their starts. They need not come from a [Recorder].
//
// A node that did not run counts as one that takes no time, as with
// GroupOptions.Completed. Any time between ready and started counts as held up by a
// limit, even if the cause was another, such as the rest of a round. A service lets
// those that require it start when it is ready, and ends after them; one that nothing
// requires ends once all nodes left are ready services. The report keeps deps, which
// must not be changed while the report is in use.
//
// The error is a [*scheduler.CircularDependencyError] if deps has a cycle.
func NewReport[K comparable](
	spans []Span, deps *scheduler.Dependencies[K], opts *scheduler.GroupOptions[K],
) (*Report[K], error) {
	r := &Report[K]{deps: deps}
	if opts != nil {
		r.opts = *opts
	}
	if err := deps.Validate(); err != nil {
		return nil, err
	}
	r.Name = cmp.Or(r.opts.Name, "DependencyTaskGroup") // what a group without a name is called
	r.choose(spans)
	r.connect()
	r.findReady()
	r.findParts()
	r.findLongest()
	r.findChain()
	r.findHeld()
	r.mark()
	return r, nil
}

// choose keeps the spans of the group.
func (r *Report[K]) choose(spans []Span) {
	last := map[K]int{}
	for i, s := range spans {
		if k, ok := s.Key.(K); ok && s.Group == r.Name && r.deps.Contains(k) {
			last[k] = i
		}
	}
	r.at = make(map[K]int, len(last))
	for i, s := range spans {
		k, ok := s.Key.(K)
		if of, found := last[k]; !ok || !found || of != i {
			continue
		}
		r.at[k] = len(r.spans)
		r.keys = append(r.keys, k)
		r.spans = append(r.spans, s)
	}
	if len(r.spans) > 0 {
		r.Took = slices.MaxFunc(r.spans, func(a, b Span) int { return a.End.Compare(b.End) }).End.Sub(r.began())
	}
}

// began is the first start; there must be one.
func (r *Report[K]) began() time.Time { return r.spans[0].Start }

// connect finds the edges between spans, in the walked direction. A node that did
// not run hands on what it waited for.
func (r *Report[K]) connect() {
	r.requires, r.frees = make([][]int, len(r.spans)), make([][]int, len(r.spans))
	walk, before := r.deps.All(), r.deps.Requires
	if r.opts.Reverse {
		walk, before = r.deps.Backward(), r.deps.RequiredBy
	}
	handedOn := map[K][]int{}
	for k := range walk {
		var from []int
		for q := range before(k) {
			if i, ran := r.at[q]; ran {
				from = append(from, i)
			} else {
				from = append(from, handedOn[q]...)
			}
		}
		slices.Sort(from)
		from = slices.Compact(from)
		i, ran := r.at[k]
		if !ran {
			handedOn[k] = from
			continue
		}
		r.requires[i] = from
		for _, j := range from {
			r.frees[j] = append(r.frees[j], i)
		}
	}
}

// findReady finds when each node was ready: not after its start, whatever the
// spans say.
func (r *Report[K]) findReady() {
	r.ready = make([]time.Time, len(r.spans))
	for i, s := range r.spans {
		ready := r.began()
		for _, j := range r.requires[i] {
			if freed := r.spans[j].freed(); freed.After(ready) {
				ready = freed
			}
		}
		if ready.After(s.Start) {
			ready = s.Start
		}
		r.ready[i] = ready
	}
}

// findHeld measures the time in which some node was ready and not started.
func (r *Report[K]) findHeld() {
	waits := make([][2]time.Time, len(r.spans))
	for i, s := range r.spans {
		waits[i] = [2]time.Time{r.ready[i], s.Start}
	}
	slices.SortFunc(waits, func(a, b [2]time.Time) int { return a[0].Compare(b[0]) })
	var until time.Time
	for _, w := range waits {
		if w[0].Before(until) {
			w[0] = until
		}
		if w[1].After(w[0]) {
			r.Held += w[1].Sub(w[0])
			until = w[1]
		}
	}
}

// mark writes into the spans what was found out.
func (r *Report[K]) mark() {
	for i := range r.spans {
		r.spans[i].Ready, r.spans[i].Chain = r.ready[i], false
	}
	for _, l := range r.Chain {
		r.spans[r.at[l.Key]].Chain = true
	}
}

// Spans returns the group's spans in the order of their starts, with Ready and Chain
// filled in.
func (r *Report[K]) Spans() []Span {
	r.must("Spans")
	return slices.Clone(r.spans)
}

// must panics for a nil report.
func (r *Report[K]) must(method string) {
	if r == nil {
		panic("timeline: Report." + method + ": nil Report; use NewReport")
	}
}

// Slack returns how much longer k could have taken, in a run without a limit, without
// delaying the end of the run: the longest path of all minus the longest path through
// k. For a service it is the time until it is ready, or to end, that could have been
// longer. It is 0 for a node that did not run.
func (r *Report[K]) Slack(k K) time.Duration {
	r.must("Slack")
	if i, ran := r.at[k]; ran {
		return r.slack[i]
	}
	return 0
}

// Waited returns how long k was ready before it started.
func (r *Report[K]) Waited(k K) time.Duration {
	r.must("Waited")
	if i, ran := r.at[k]; ran {
		return r.spans[i].Start.Sub(r.ready[i])
	}
	return 0
}

// Under returns how long the run would have taken with another Limit, 0 for none. It
// simulates, as [Simulate] does, with the recorded durations and the Reverse, Priority and Estimate
// of the options, without their Claims. If tasks slow each other down, real durations
// grow with the limit; the simulation does not know that. A negative limit is a
// [*scheduler.OptionError].
func (r *Report[K]) Under(limit int) (time.Duration, error) {
	r.must("Under")
	return simulate(r.deps, func(k K) scheduler.Task {
		i := r.at[k]
		if r.spans[i].isService() {
			return service(r.up[i], r.down[i])
		}
		return work(r.up[i])
	}, &scheduler.GroupOptions[K]{
		Reverse: r.opts.Reverse, Limit: limit, Priority: r.opts.Priority, Estimate: r.opts.Estimate,
		Completed: func(k K) bool {
			_, ran := r.at[k]
			return !ran
		},
	})
}
