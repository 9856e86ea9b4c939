package journal_test

import (
	"testing"

	"github.com/steptask/scheduler/internal/misuse"
	"github.com/steptask/scheduler/journal"
)

func TestMisuse_of_everything(t *testing.T) {
	misuse.Package{
		Name: "journal", Dir: ".",
		Functions: map[string]any{
			"Dependencies": journal.Dependencies[float64], "NewGroup": journal.NewGroup[float64], "NewRollback": journal.NewRollback[float64],
			"NewSubgroup": journal.NewSubgroup[float64, float64], "Open": journal.Open, "Remove": journal.Remove,
			"Result": journal.Result[int, float64], "Step": journal.Step[int], "StepIn": journal.StepIn[int],
			"StepResult": journal.StepResult[int, float64], "Sync": journal.Sync,
		},
		Types: []any{
			journal.FileError{},
			journal.GraphError{},
			journal.Group[float64]{},
			journal.HeldError{},
			(*journal.Journal)(nil),
			journal.Kind(200),
			journal.Node[float64]{},
			journal.Record{},
			journal.Run[float64]{},
			journal.RunState(200),
			journal.ValueError{},
		},
	}.Try(t)
}
