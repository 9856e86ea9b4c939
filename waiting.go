package scheduler

// This file is about what a parked task waits in: a call or a line for claims, however
// deep inside of it. Nothing of it is kept, so that only those who ask pay.

// stepper is a task that steps one other at a time.
type stepper interface {
	// stepping returns that other one, or nil between two.
	stepping() Task
}

// waitsIn returns the innermost task that a parked task waits in, itself if it is
// that. Groups are not looked into.
func waitsIn(task Task) Task {
	for {
		var inner Task
		switch t := task.(type) {
		case stepper:
			inner = t.stepping()
		case interface{ Unwrap() Task }:
			inner = t.Unwrap()
		}
		if inner == nil {
			return task
		}
		task = inner
	}
}

func (c *coroutine) stepping() Task {
	if c.co.leaf == nil {
		return nil
	}
	return c.co.leaf.child
}

func (t *runnerTask) stepping() Task { return t.r.task }

func (s *shield) stepping() Task { return s.task }

func (p *poll) stepping() Task { return p.call }

func (c *claiming) stepping() Task {
	if c.phase != claimingHolds {
		return nil
	}
	return c.task
}
