package model

// All runs tasks side by side, until one fails.
func All(clock *Clock, tasks []Task) Task {
	g := NewGroup(Options{
		Clock: clock, Requires: make([][]int, len(tasks)), Numbered: true, Serves: true,
		Task: func(k int) Task { return tasks[k] },
	})
	return g.Task()
}

// First runs tasks side by side until the first of them succeeds, which is all that it
// ends with. The others have the grace of what is around then.
func First(clock *Clock, tasks []Task) Task {
	if len(tasks) == 0 {
		return failing(ErrNoTasks)
	}
	f := &first{}
	f.Group = NewGroup(Options{
		Clock: clock, Requires: make([][]int, len(tasks)), Aggregate: true, Numbered: true,
		Grace: func(int) int64 { return f.grace },
		Task: func(k int) Task {
			if f.count(Succeeded) > 0 {
				return failing(ErrSkip) // it never starts
			}
			return tasks[k]
		},
	})
	task := f.Task()
	inner := task
	task.Step = func() (Yield, error) {
		if !f.begun {
			f.grace = clock.graceAround()
		}
		return f.decide(inner.Step())
	}
	task.Throw = func(err error) (Yield, error) { return f.decide(inner.Throw(err)) }
	task.Close = func() error {
		err := inner.Close()
		if f.won {
			return nil
		}
		return err
	}
	return task
}

// first is a group that ends when one of its nodes has succeeded.
type first struct {
	*Group
	grace int64
	won   bool
}

// decide stops the others once one has won, which is the outcome then.
func (f *first) decide(y Yield, err error) (Yield, error) {
	if !f.won && f.count(Succeeded) > 0 {
		f.won = true
		if !f.ended {
			y, err = f.throw(&Notice{ErrNotNeeded, true})
		}
	}
	switch {
	case f.ended && f.won:
		return Yield{Done: true}, nil
	case y.Done: // all have skipped themselves
		return Yield{}, ErrSkip
	}
	return y, err
}

// failing is a task that fails with err.
func failing(err error) Task {
	return Task{Step: func() (Yield, error) { return Yield{}, err }, Close: func() error { return nil }}
}
