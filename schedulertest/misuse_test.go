package schedulertest_test

import (
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/misuse"
	"github.com/steptask/scheduler/schedulertest"
)

func TestMisuse_of_everything(t *testing.T) {
	misuse.Package{
		Name: "schedulertest", Dir: ".",
		Functions: map[string]any{
			"Explore": schedulertest.Explore, "NewClock": schedulertest.NewClock, "NewDriver": schedulertest.NewDriver,
			"NewRecorder": schedulertest.NewRecorder, "Sleep": schedulertest.Sleep,
		},
		Types: []any{
			(*schedulertest.Clock)(nil),
			schedulertest.Coverage{},
			(*schedulertest.Driver)(nil), (*schedulertest.Recorder)(nil),
			(*schedulertest.World)(nil),
		},
		Given: map[reflect.Type]any{
			reflect.TypeFor[schedulertest.TestingT](): silentT{},
			reflect.TypeFor[scheduler.Clock]():        schedulertest.NewClock(time.Time{}),
			reflect.TypeFor[io.WriterTo]():            (*scheduler.DependencyTaskGroup[string])(nil),
		},
	}.Try(t)
}

// silentT is a test that may fail.
type silentT struct{}

func (silentT) Helper()               {}
func (silentT) Cleanup(func())        {}
func (silentT) Errorf(string, ...any) {}
func (silentT) Fatalf(string, ...any) {}
