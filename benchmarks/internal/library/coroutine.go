package library

import (
	"context"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// endless is a coroutine that goes on until it is closed.
func endless() scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for {
			if err := co.Yield(scheduler.Next); err != nil {
				return err
			}
		}
	})
}

// CoroutineSteps steps n coroutines in turn, rounds times. A unit is a step. stop
// closes them.
func CoroutineSteps(n, rounds int) (w measure.Work, stop func()) {
	return stepTasks(rounds, tasksOf(n, endless))
}

// Nested steps a coroutine that awaits another, and so on, depth of them in all.
// The innermost awaits a task that is stepped, or is stepped itself.
func Nested(depth, rounds int, stepChild bool) (w measure.Work, stop func()) {
	leaf := endless
	if stepChild {
		leaf = func() scheduler.Task { return await(&counter{-1}) }
	}
	task := leaf()
	for range depth - 1 {
		task = await(task)
	}
	return stepTasks(rounds, []scheduler.Task{task})
}

func await(task scheduler.Task) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
}

func tasksOf(n int, task func() scheduler.Task) []scheduler.Task {
	tasks := make([]scheduler.Task, n)
	for i := range tasks {
		tasks[i] = task()
	}
	return tasks
}

func stepTasks(rounds int, tasks []scheduler.Task) (w measure.Work, stop func()) {
	ctx := context.Background()
	step := func(rounds int) {
		for range rounds {
			for _, task := range tasks {
				if y, err := task.Step(ctx); y != scheduler.Next || err != nil {
					panic("library: task ended")
				}
			}
		}
	}
	step(1)
	w = measure.Work{Units: len(tasks) * rounds, Ready: func() func() { return func() { step(rounds) } }}
	return w, func() {
		for _, task := range tasks {
			if err := task.Close(); err != nil {
				panic(err)
			}
		}
	}
}

// CoroutineWhole makes coroutines, n one after the other, and steps each two
// times and to its end.
func CoroutineWhole(n int) measure.Work {
	makeTask := Coroutines[int](3)
	return measure.Work{Units: n, Ready: func() func() {
		return func() {
			for i := range n {
				drive(makeTask(i))
			}
		}
	}}
}

// CoroutineRun is CoroutineWhole inside a run, where a coroutine takes over what
// one that has ended leaves.
func CoroutineRun(n int) measure.Work {
	makeTask := Coroutines[int](3)
	return measure.Work{Units: n, Ready: func() func() {
		return func() {
			run(scheduler.Func(func(ctx context.Context) error {
				for i := range n {
					driveIn(ctx, makeTask(i))
				}
				return nil
			}))
		}
	}}
}
