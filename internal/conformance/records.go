package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The types of this file are FORMAT.md, sections 1 to 7, as Go. A pointer stands
// for a field of which it matters whether it is there.

// scenario is one line of a file of records.
type scenario struct {
	ID, Family, Kind, Note, Origin string

	Task *taskSpec // what to drive (section 3)
	Ops  []opSpec  // and how (section 4)

	Edges   [][2]*string // kind dependencies: the graph,
	Queries []querySpec  // and what to ask it (section 7)

	Expect      *observation
	ExpectFixed *observation `json:"expect_fixed"`
	Sensitive   []string
	Features    []string
}

// want is what all nine fixes together give: section 8.
func (s *scenario) want() *observation {
	if s.ExpectFixed != nil {
		return s.ExpectFixed
	}
	return s.Expect
}

func (s *scenario) has(feature string) bool { return slices.Contains(s.Features, feature) }

// taskSpec describes a task.
type taskSpec struct {
	ID, Type string

	// script, plain, wrap
	Steps     []actionSpec
	OnTimeout []actionSpec `json:"on_timeout"`
	OnThrow   []actionSpec `json:"on_throw"`
	OnClose   []actionSpec `json:"on_close"`

	// group
	Edges     [][2]*string
	Tasks     map[string]*taskSpec
	Reverse   bool
	Aggregate bool
	Grace     *graceSpec

	// runner
	Task     *taskSpec
	Timeout  *seconds
	Progress *progressSpec
	Post     *postSpec
}

// all calls visit for the task and everything inside it.
func (t *taskSpec) all(visit func(*taskSpec)) {
	visit(t)
	for _, actions := range [][]actionSpec{t.Steps, t.OnTimeout, t.OnThrow, t.OnClose} {
		for _, a := range actions {
			if a.Task != nil {
				a.Task.all(visit)
			}
		}
	}
	for _, member := range t.Tasks {
		member.all(visit)
	}
	if t.Task != nil {
		t.Task.all(visit)
	}
}

// actionSpec is one line of a script.
type actionSpec struct {
	Do      string
	N       *int
	Err     string
	Task    *taskSpec
	Advance seconds
}

type graceSpec struct {
	Mode    string
	Seconds seconds
	ByKey   map[string]*seconds `json:"by_key"`
	Raise   map[string]string
}

type progressSpec struct {
	Advance seconds
	RaiseAt map[string]string `json:"raise_at"`
}

type postSpec struct {
	Raise string
}

// opSpec is one thing that the driver does.
type opSpec struct {
	Op       string
	Gen      string
	Seconds  seconds
	Timeout  *seconds
	Grace    *seconds
	Wait     *seconds
	Err      string
	Progress *progressSpec
	Post     *postSpec
}

type querySpec struct {
	Q   string
	Key string
	Map map[string]string
}

// observation is what was seen: the expectation of a record, or what this library
// did.
type observation struct {
	Trace         []jsonLine
	Outcome       string
	Started, Done bool
	Rounds        map[string]int
	End           seconds

	Answers []jsonLine // kind dependencies

	part bool // only the trace is known
}

func (o *observation) clone() *observation {
	c := *o
	c.Trace = slices.Clone(o.Trace)
	c.Answers = slices.Clone(o.Answers)
	c.Rounds = maps.Clone(o.Rounds)
	return &c
}

// results gives the result of each op that has one.
func (o *observation) results() map[int]string {
	results := map[int]string{}
	for _, event := range o.Trace {
		if op, result, ok := event.result(); ok {
			results[op] = result
		}
	}
	return results
}

// before gives the events up to the last result before an op.
func (o *observation) before(op int) []jsonLine {
	for i, event := range slices.Backward(o.Trace) {
		if n, _, ok := event.result(); ok && n < op {
			return o.Trace[:i+1]
		}
	}
	return nil
}

// jsonLine is an event of a trace or the answer to a query, as canonical JSON.
type jsonLine string

func newJSONLine(value any) jsonLine {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return jsonLine(text)
}

func (l *jsonLine) UnmarshalJSON(text []byte) error {
	var value any
	err := json.Unmarshal(text, &value)
	*l = newJSONLine(value)
	return err
}

// result takes the result of an op out of an event, if it is one.
func (l jsonLine) result() (op int, result string, ok bool) {
	var fields []any
	if err := json.Unmarshal([]byte(l), &fields); err != nil {
		panic(err)
	}
	if fields[1] != "res" {
		return 0, "", false
	}
	return int(fields[2].(float64)), fields[3].(string), true
}

// seconds is a length of time, or a time counted from the start of a scenario.
type seconds float64

func (s seconds) duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// limit is s as a timeout or a grace. Absent is none, which is 0 here; a limit
// of exactly 0 is over as soon as the clock moves, and so is one of 1 ns.
func (s *seconds) limit() time.Duration {
	switch {
	case s == nil:
		return 0
	case *s == 0:
		return 1
	}
	return s.duration()
}

// recordedError is an error of a script: E1, B1 and so on. Two with the same
// text are not the same error, as in other programs.
type recordedError struct{ text string }

func (e *recordedError) Error() string { return e.text }

// readRecords reads all records of a folder, in the order of the file names.
func readRecords(folder string) ([]*scenario, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no records in %s", folder)
	}
	var records []*scenario
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		number := 0
		for line := range bytes.Lines(text) {
			number++
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			s, err := readRecord(line)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, number, err)
			}
			records = append(records, s)
		}
	}
	return records, nil
}

func readRecord(line []byte) (*scenario, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields() // what is not understood must not be ignored
	s := &scenario{}
	return s, decoder.Decode(s)
}

// diff says where got is not what the record wants, or "" if it is the same.
func (want *observation) diff(got *observation) string {
	if text := diffLines(want.Trace, got.Trace); text != "" {
		return text
	}
	if text := diffLines(want.Answers, got.Answers); text != "" {
		return text
	}
	if want.part {
		return ""
	}
	rest := func(o *observation) string {
		rounds, _ := json.Marshal(o.Rounds)
		return fmt.Sprintf("outcome %q, started %t, done %t, rounds %s, end %v", o.Outcome, o.Started, o.Done, rounds, o.End)
	}
	if want, got := rest(want), rest(got); want != got {
		return fmt.Sprintf("  want %s\n  got  %s", want, got)
	}
	return ""
}

// diffLines shows the first line that differs, with some lines around it.
func diffLines(want, got []jsonLine) string {
	const before, after = 6, 3
	same := 0
	for same < len(want) && same < len(got) && want[same] == got[same] {
		same++
	}
	if same == len(want) && same == len(got) {
		return ""
	}
	var text []string
	show := func(prefix string, lines []jsonLine, from, to int) {
		for i := max(from, 0); i < min(to, len(lines)); i++ {
			text = append(text, fmt.Sprintf("%s %3d %s", prefix, i, lines[i]))
		}
		if to > len(lines) {
			text = append(text, prefix+"     (end)")
		}
	}
	show("      ", want, same-before, same)
	show("  want", want, same, same+after)
	show("  got ", got, same, same+after)
	return strings.Join(text, "\n")
}
