package proof_test

import (
	"testing"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/misuse"
)

// Whatever is given to an exported function or method (what is nil, zero, below zero,
// no number or too large), and whatever that is called on, the answer is none that the
// runtime gives.
func TestMisuse_of_everything(t *testing.T) {
	misuse.Package{
		Name: "scheduler", Dir: "../..",
		Functions: map[string]any{
			"After": scheduler.After, "All": scheduler.All, "At": scheduler.At, "Blocking": scheduler.Blocking,
			"Call": scheduler.Call[int], "Causes": scheduler.Causes, "Claiming": scheduler.Claiming,
			"DependenciesOf": scheduler.DependenciesOf[float64], "Ending": scheduler.Ending, "Fetch": scheduler.Fetch[int],
			"Finally": scheduler.Finally, "First": scheduler.First, "Group": scheduler.Group[string],
			"Interrupted": scheduler.Interrupted, "KindsOf": scheduler.KindsOf, "Named": scheduler.Named,
			"NewDependencies": scheduler.NewDependencies[float64], "NewDependencyTaskGroup": scheduler.NewDependencyTaskGroup[float64],
			"NewLimiter": scheduler.NewLimiter, "NewLogObserver": scheduler.NewLogObserver, "NewTaskRunner": scheduler.NewTaskRunner,
			"NewTimedCancel": scheduler.NewTimedCancel, "NewTimeout": scheduler.NewTimeout, "Note": scheduler.Note,
			"Now": scheduler.Now, "Observers": scheduler.Observers, "On": scheduler.On, "Pause": scheduler.Pause,
			"Permanent": scheduler.Permanent, "Poll": scheduler.Poll, "PollCall": scheduler.PollCall[int],
			"Ready": scheduler.Ready, "Reserve": scheduler.Reserve, "Retry": scheduler.Retry, "RetryAfter": scheduler.RetryAfter,
			"RetryCall": scheduler.RetryCall[int], "Rounds": scheduler.Rounds, "Run": scheduler.Run, "Sequence": scheduler.Sequence,
			"Shield": scheduler.Shield, "StopCause": scheduler.StopCause, "Stopping": scheduler.Stopping, "Subrun": scheduler.Subrun,
			"TaskDescription": scheduler.TaskDescription, "Translate": scheduler.Translate[float64, int], "Walk": scheduler.Walk[float64],
			"WithClock": scheduler.WithClock, "WithTimeout": scheduler.WithTimeout, "Wrap": scheduler.Wrap,
		},
		Types: []any{
			scheduler.AbandonedError{},
			scheduler.AddError{},
			scheduler.BackOffFunc(nil),
			scheduler.CircularDependencyError[float64]{},
			scheduler.ClaimWait{},
			scheduler.DeadlockError{},
			scheduler.Dependencies[float64]{},
			scheduler.DependencyTaskGroup[float64]{},
			scheduler.Disposition(200),
			scheduler.ExceptionGroup{},
			scheduler.Explanation[float64]{},
			scheduler.Func(nil),
			scheduler.GroupView{},
			scheduler.Kind(200), scheduler.Kinds(0),
			scheduler.LateCall{},
			scheduler.LateError{},
			scheduler.Limiter{},
			scheduler.LogObserver{},
			scheduler.NestedRunError{},
			scheduler.Notes{},
			scheduler.ObserverFunc(nil),
			scheduler.OptionError{},
			scheduler.PanicError{},
			scheduler.Record{},
			scheduler.Snapshot[float64]{},
			scheduler.State(200), scheduler.StepFunc(nil),
			scheduler.StopError{},
			scheduler.TaskError{},
			scheduler.TimedCancel{},
			scheduler.Timeout{},
			scheduler.Verdict(200),
			scheduler.Yield{},
			(*scheduler.Coroutine)(nil), (*scheduler.Event)(nil), (*scheduler.TaskRunner)(nil),
		},
		Made: []any{scheduler.PendingCall{}},
	}.Try(t)
}
