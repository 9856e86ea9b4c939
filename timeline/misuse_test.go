package timeline_test

import (
	"testing"

	"github.com/steptask/scheduler/internal/misuse"
	"github.com/steptask/scheduler/timeline"
)

func TestMisuse_of_everything(t *testing.T) {
	misuse.Package{
		Name: "timeline", Dir: ".",
		Functions: map[string]any{
			"NewRecorder": timeline.NewRecorder, "NewReport": timeline.NewReport[float64],
			"Simulate": timeline.Simulate[float64], "WriteSVG": timeline.WriteSVG, "WriteTrace": timeline.WriteTrace,
		},
		Types: []any{timeline.Span{}, (*timeline.Recorder)(nil), timeline.Report[float64]{}},
	}.Try(t)
}
