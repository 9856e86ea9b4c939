package model

// State is where a node stands.
type State int

// The states, in the order of package scheduler.
const (
	Pending State = iota + 1
	Running
	Ready
	Closing // told to end at once, and not ended
	Succeeded
	Failed
	TimedOut
	Cancelled
	Skipped
)

func isRunning(s State) bool { return s == Running || s == Ready }

func isActive(s State) bool { return isRunning(s) || s == Closing }

// Disposition is what becomes of a group after a failure.
type Disposition int

// The dispositions, in the order of package scheduler.
const (
	StopGroup Disposition = iota + 1
	SkipDependents
	IgnoreError
)

// Verdict is what When says of a node.
type Verdict int

// The verdicts, in the order of package scheduler.
const (
	Usual Verdict = iota
	Start
	Skip
	Pass
)

// Options say what a group is made of. Keys are 0, 1, ... in order of entry.
type Options struct {
	Clock     *Clock
	Requires  [][]int // by key
	Task      func(k int) Task
	Reverse   bool
	Aggregate bool
	Serves    bool              // services continue until the group gets its notice, if there is a group around
	Numbered  bool              // keys are only the numbers of tasks: nobody can ask for Errors
	Grace     func(k int) int64 // asked whenever the group stops; nil is that of the nearest runner
	OwnGrace  bool              // Grace differs by node: a service has its own from its notice on
	OnError   func(k int, err error) Disposition
	Timeout   func(k int) int64 // 0 is none
	Limit     int
	Claims    func(k int) []Claim
	Priority  func(k int) int
	Estimate  func(k int) int64
	Completed func(k int) bool
	When      func(k int, required []State) Verdict
	KeepOpen  bool
	Recover   bool // a panic of a task is the error of its node
	Observe   func(k int, from, to State, err error)
}
