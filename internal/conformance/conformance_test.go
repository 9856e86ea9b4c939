package conformance

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A comparison is worth something only if it can fail.
func TestRun_notices_every_change_of_a_record(t *testing.T) {
	changes := map[string]func(*observation) bool{
		"an event is missing": func(o *observation) bool {
			if len(o.Trace) > 0 {
				o.Trace = slices.Delete(o.Trace, len(o.Trace)/2, len(o.Trace)/2+1)
				return true
			}
			return false
		},
		"an event too many": func(o *observation) bool {
			o.Trace = append(o.Trace, newJSONLine([]any{o.End, "return", "nosuch"}))
			return true
		},
		"another time": func(o *observation) bool {
			return len(o.Trace) > 0 && changeField(o.Trace, 0, 99.125)
		},
		"another result": func(o *observation) bool {
			return len(o.Trace) > 0 && changeField(o.Trace, 3, "nosuch")
		},
		"other flags": func(o *observation) bool {
			return len(o.Trace) > 0 && changeField(o.Trace, 4, "x")
		},
		"two events the other way round": func(o *observation) bool {
			n := len(o.Trace)
			if n < 2 || o.Trace[n-1] == o.Trace[n-2] {
				return false
			}
			o.Trace[n-1], o.Trace[n-2] = o.Trace[n-2], o.Trace[n-1]
			return true
		},
		"outcome": func(o *observation) bool { o.Outcome += "x"; return true },
		"started": func(o *observation) bool { o.Started = !o.Started; return true },
		"done":    func(o *observation) bool { o.Done = !o.Done; return true },
		"end":     func(o *observation) bool { o.End += 0.125; return true },
		"a round too many": func(o *observation) bool {
			for id := range o.Rounds {
				o.Rounds[id]++
				return true
			}
			return false
		},
		"an answer is missing": func(o *observation) bool {
			if len(o.Answers) > 0 {
				o.Answers = o.Answers[1:]
				return true
			}
			return false
		},
		"another answer": func(o *observation) bool {
			if len(o.Answers) > 0 {
				o.Answers[len(o.Answers)-1] = newJSONLine("nosuch")
				return true
			}
			return false
		},
	}
	made := map[string]int{}
	scenarios, err := readRecords("testdata/records")
	require.NoError(t, err)
	for i, s := range scenarios {
		if i%31 != 0 || s.leftOut() != "" || s.untilIgnoredClose() != s {
			continue
		}
		for name, change := range changes {
			changed := *s
			changed.ExpectFixed = s.want().clone()
			if change(changed.ExpectFixed) {
				made[name]++
				require.NotEmpty(t, changed.check(), "%s: %s", s.ID, name)
			}
		}
	}
	for name := range changes {
		require.NotZero(t, made[name], name)
	}
}

// changeField changes a field of the last event.
func changeField(trace []jsonLine, field int, value any) bool {
	var fields []any
	if err := json.Unmarshal([]byte(trace[len(trace)-1]), &fields); err != nil {
		panic(err)
	}
	fields[field] = value
	trace[len(trace)-1] = newJSONLine(fields)
	return true
}
