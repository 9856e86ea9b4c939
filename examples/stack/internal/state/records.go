package state

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/steptask/scheduler/journal"
)

// Status is where a resource is in its life, named as in Heat.
type Status string

// The states of a resource. One that is deleted has no record.
const (
	Creating     Status = "CREATE_IN_PROGRESS"
	Created      Status = "CREATE_COMPLETE"
	CreateFailed Status = "CREATE_FAILED"
	CheckFailed  Status = "CHECK_FAILED" // it was complete, and is not well any more
	Deleting     Status = "DELETE_IN_PROGRESS"
	DeleteFailed Status = "DELETE_FAILED"
)

// Known is what a step of a resource's creation writes down, and its result.
type Known struct {
	Type       string
	Properties Values // as they were when it was made
	Data       Values // what it is known by: a path, a pid, a port
}

// Values are values as a template has them: in JSON too, numbers come back as what
// they were.
type Values map[string]any

// MarshalJSON returns the values as a template writes them.
func (v Values) MarshalJSON() ([]byte, error) { return []byte(template.JSON(map[string]any(v))), nil }

// UnmarshalJSON reads what MarshalJSON has written.
func (v *Values) UnmarshalJSON(text []byte) error {
	got, err := template.ParseJSON(string(text))
	*v, _ = got.(map[string]any)
	return err
}

// Record is what is known of a resource.
type Record struct {
	Name string
	Known
	Status   Status
	Complete bool   // it was created to its end
	Reason   string // of a failure
}

// Run is what the journal has of the stack.
type Run struct {
	Name     string // of the run: what the stack is made from
	Records  map[string]Record
	Deleting bool // a deletion has begun
}

// Journal is where creations and deletions are recorded.
func (s *Store) Journal() *journal.Journal { return s.journal }

// Run returns what there is of the stack: all that was made, or may have been. The zero
// Run says that there never was one.
func (s *Store) Run(ctx context.Context) (run Run, err error) {
	for info, err := range s.journal.Runs(ctx) {
		if err != nil {
			return run, err
		}
		run.Name, run.Deleting = info.Name, info.Rollback
	}
	if run.Name == "" {
		return run, nil
	}
	if run.Records, err = s.records(ctx, run.Name); err != nil {
		return run, err
	}
	unwell, err := s.Unwell(ctx)
	for name, reason := range unwell {
		if r, there := run.Records[name]; there && r.Status == Created {
			r.Status, r.Reason = CheckFailed, reason
			run.Records[name] = r
		}
	}
	return run, err
}

// records makes one record for each resource of which the journal knows that it is
// there, or may be.
func (s *Store) records(ctx context.Context, run string) (map[string]Record, error) {
	all := map[string]*Record{}
	for entry, err := range s.journal.Records(ctx, run) {
		if err != nil {
			return nil, err
		}
		if entry.Attempt == 0 {
			continue // of the run
		}
		r := all[entry.Node]
		if r == nil {
			r = &Record{Name: entry.Node}
			all[r.Name] = r
		}
		if err := r.take(entry); err != nil {
			return nil, fmt.Errorf("%s: %w", entry, err)
		}
	}
	records := map[string]Record{}
	for name, r := range all {
		if r.Type != "" { // else it had not come far enough to make anything
			records[name] = *r
		}
	}
	return records, nil
}

// take changes the record by what happened next.
func (r *Record) take(entry journal.Record) error {
	status := map[journal.Kind]Status{
		journal.KindStart: Creating, journal.KindStep: Creating, journal.KindEnd: Created, journal.KindFailure: CreateFailed,
	}
	if entry.Rollback {
		status = map[journal.Kind]Status{journal.KindStart: Deleting, journal.KindFailure: DeleteFailed}
	}
	r.Status, r.Reason = status[entry.Kind], ""
	switch {
	case entry.Kind == journal.KindFailure:
		r.Reason = string(entry.Data)
	case entry.Rollback && entry.Kind == journal.KindEnd:
		*r = Record{Name: r.Name}
	case !entry.Rollback && len(entry.Data) > 0:
		var known Known
		if err := json.Unmarshal(entry.Data, &known); err != nil {
			return err
		}
		r.add(known)
	}
	if !entry.Rollback {
		r.Complete = entry.Kind == journal.KindEnd
	}
	return nil
}

// add adds what was written down to what is known already.
func (r *Record) add(known Known) {
	r.Type, r.Properties = known.Type, known.Properties
	if r.Data == nil {
		r.Data = Values{}
	}
	maps.Copy(r.Data, known.Data)
}
