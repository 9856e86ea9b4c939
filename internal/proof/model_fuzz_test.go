package proof_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/model"
	"github.com/stretchr/testify/require"
)

// This file lets the fuzzer choose runs, and what is done to them: each byte is a
// decision. The engine has to do what the model does.

// fuzzMax is the number of bytes after which a run only gets slower.
const fuzzMax = 600

// fuzzSeeds are random runs: so every decision has a byte.
func fuzzSeeds(f *testing.F, decide func(c *choices)) {
	for seed := range uint64(40) {
		c := randomChoices(seed)
		decide(c)
		data := make([]byte, len(c.made))
		for i, choice := range c.made {
			data[i] = byte(choice)
		}
		f.Add(data)
	}
}

// fuzzedModelRun makes a run, and out of the bytes that are left the sequence of
// what happens to its runners from outside, between steps.
func fuzzedModelRun(c *choices) *modelRun {
	run := randomModelRun(c)
	for step := 1; c.left(); {
		step += c.pick(3)
		run.ops = append(run.ops, modelOp{step: step, what: modelWhat(c.pick(modelWhats)), n: c.pick(6)})
	}
	return run
}

// FuzzModel drives whole runs: groups, runners and tasks in one another, stepped
// by a loop, and stopped, cancelled, interrupted, drained, woken at any moment.
func FuzzModel(f *testing.F) {
	fuzzSeeds(f, func(c *choices) { fuzzedModelRun(c) })
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > fuzzMax {
			return
		}
		run := fuzzedModelRun(fuzzedChoices(data))
		engine, model := run.compare()
		require.Equal(t, string(model), string(engine), "expected is the model's\n%s", run)
	})
}

// FuzzModel_group calls the methods of a bare group as they come: Step whether it
// is due or not, Throw, Stop, Close and Drain, before its start and after its
// end, while time passes and events are set.
func FuzzModel_group(f *testing.F) {
	fuzzSeeds(f, func(c *choices) {
		(&modelRun{events: 2}).groupSpec(c, 1)
		for range 60 {
			c.pick(256)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > fuzzMax {
			return
		}
		c := fuzzedChoices(data)
		run := &modelRun{events: 2, specs: 1}
		run.root = &modelSpec{id: 1, group: run.groupSpec(c, 1)}
		engine, model := newBareEngine(run), newBareModel(run)
		for c.left() {
			op, n := bareOp(c.pick(bareOps)), c.pick(6)
			engine.bare(op, n)
			model.bare(op, n)
		}
		engine.finish()
		model.finish()
		require.Equal(t, string(model.b), string(engine.b), "expected is the model's\n%s", run.root.describe(""))
	})
}

// bareOp is a call of a method of a group, or what happens in between.
type bareOp int

const (
	bareStep bareOp = iota
	bareThrow
	bareTimeout
	bareStop
	bareClose
	bareDrain
	bareAdvance
	bareSet
	bareReset
	bareOps int = iota
)

type bareEngine struct {
	*modelEngine
	group *scheduler.DependencyTaskGroup[int]
	ctx   context.Context
}

func newBareEngine(run *modelRun) *bareEngine {
	e := emptyModelEngine(run)
	group := e.groupOf(run.root, modelDependencies(run.root.group.requires))
	return &bareEngine{e, group, scheduler.WithClock(context.Background(), &e.clock)}
}

func (e *bareEngine) bare(op bareOp, n int) {
	switch op {
	case bareStep:
		e.answer("step", e.group.Step)
	case bareThrow:
		e.answer("throw", func(ctx context.Context) (scheduler.Yield, error) {
			return e.group.Throw(ctx, modelErr("t"+strconv.Itoa(n)))
		})
	case bareTimeout:
		e.answer("timeout", func(ctx context.Context) (scheduler.Yield, error) {
			return e.group.Throw(ctx, &scheduler.Timeout{Limit: time.Second})
		})
	case bareStop:
		e.group.Stop(e.ctx, modelErr("s"+strconv.Itoa(n)))
	case bareClose:
		e.trace(0, "closed", e.render(e.group.Close()))
	case bareDrain:
		e.group.Drain()
	case bareAdvance:
		e.advance(int64(n))
	case bareSet:
		e.touch(1 + n%len(e.events))
	case bareReset:
		e.touch(-1 - n%len(e.events))
	}
}

func (e *bareEngine) answer(what string, call func(context.Context) (scheduler.Yield, error)) {
	y, err := call(e.ctx)
	at := int64(0)
	if t, ok := y.Time(); ok {
		at = t.UnixNano()
	}
	e.answered(what, y == scheduler.Done, y.Rounds() > 0, at, y.Ready(), e.render(err))
}

// answered writes down what a group says.
func (t *modelTrace) answered(what string, done, rounds bool, at int64, ready bool, err string) {
	t.b = append(t.b, what...)
	for _, is := range []bool{done, rounds, ready} {
		t.b = strconv.AppendBool(append(t.b, ' '), is)
	}
	if !ready { // else it does not matter
		t.b = strconv.AppendInt(append(t.b, ' '), at-modelStart, 10)
	}
	t.b = append(append(append(t.b, ' '), err...), '\n')
}

type bareModel struct {
	*modelModel
	group *model.Group
	task  model.Task
}

func newBareModel(run *modelRun) *bareModel {
	m := &modelModel{events: make([]model.Event, run.events)}
	m.clock.Now = modelStart
	for i := range m.events {
		m.events[i].Clock = &m.clock
	}
	task := m.group(run.root)
	return &bareModel{m, m.groups[0], task}
}

func (m *bareModel) bare(op bareOp, n int) {
	switch op {
	case bareStep:
		m.answer("step", m.task.Step)
	case bareThrow:
		m.answer("throw", func() (model.Yield, error) { return m.task.Throw(modelErr("t" + strconv.Itoa(n))) })
	case bareTimeout:
		m.answer("timeout", func() (model.Yield, error) { return m.task.Throw(&model.Timeout{}) })
	case bareStop:
		m.task.Stop(&model.Notice{Cause: modelErr("s" + strconv.Itoa(n))})
	case bareClose:
		m.trace(0, "closed", m.render(m.task.Close()))
	case bareDrain:
		m.group.Drain()
	case bareAdvance:
		m.advance(int64(n))
	case bareSet:
		m.touch(1 + n%len(m.events))
	case bareReset:
		m.touch(-1 - n%len(m.events))
	}
}

func (m *bareModel) answer(what string, call func() (model.Yield, error)) {
	y, err := call()
	ready := y.Ready != nil && y.Ready()
	m.answered(what, y.Done, y.Rounds > 0, y.At, ready, m.render(err))
}
