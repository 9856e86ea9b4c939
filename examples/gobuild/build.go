package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/timeline"
)

// Build is a build by the go command that is over.
type Build struct {
	deps   *scheduler.Dependencies[string]
	opts   *scheduler.GroupOptions[string]
	report *timeline.Report[string]
}

// action is what the go command writes of a step of a build.
type action struct {
	ID, Priority        int
	Mode, Package       string
	Deps                []int
	TimeStart, TimeDone time.Time
}

// cacheCheck is the mode of a step that takes next to nothing. What builds after
// it requires the same as it does, so it can be left out.
const cacheCheck = "build check cache"

// String is what the step is called in reports: the package that it builds, or
// what else it does, with files by their names.
func (a action) String() string {
	words := strings.Fields(a.Mode + " " + a.Package)
	if a.Mode == "build" {
		words = words[1:]
	}
	for i, word := range words {
		if filepath.IsAbs(word) {
			words[i] = filepath.Base(word)
		}
	}
	return strings.Join(words, " ")
}

// Make builds packages with a cache of their own, so that everything is built,
// and returns what there is to say of it.
func Make(ctx context.Context, limit int, packages ...string) (_ *Build, err error) {
	dir, err := os.MkdirTemp("", "gobuild")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "graph.json")
	args := append([]string{"build", "-debug-actiongraph=" + file, fmt.Sprint("-p=", limit), "--"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOCACHE="+filepath.Join(dir, "cache"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var actions []action
	if err := json.Unmarshal(text, &actions); err != nil {
		return nil, err
	}
	return newBuild(actions, limit)
}

// newBuild makes a graph and spans of the steps. The go command works through
// them as a group does: what is ready starts in a fixed order, as long as there
// is room. So entered in that order the same can be simulated.
func newBuild(actions []action, limit int) (*Build, error) {
	b := &Build{
		deps: scheduler.NewDependencies[string](),
		opts: &scheduler.GroupOptions[string]{Name: "go build", Limit: limit},
	}
	actions = slices.DeleteFunc(slices.Clone(actions), func(a action) bool { return a.Mode == cacheCheck })
	slices.SortStableFunc(actions, func(a, b action) int { return cmp.Compare(a.Priority, b.Priority) })
	names := map[int]string{}
	used := map[string]int{}
	for _, a := range actions {
		name := a.String()
		if used[name]++; used[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, used[name])
		}
		names[a.ID] = name
		b.deps.Add(name)
	}
	for _, a := range actions {
		for _, required := range a.Deps {
			if name, kept := names[required]; kept {
				b.deps.Add(names[a.ID], name)
			}
		}
	}
	var err error
	b.report, err = timeline.NewReport(spans(actions, names, b.opts.Name), b.deps, b.opts)
	return b, err
}

// spans says when the steps ran, to the millisecond: less is not worth a
// person's look, and would make steps that wait for a process to be noticed look
// as if they waited for room.
func spans(actions []action, names map[int]string, group string) []timeline.Span {
	ran := slices.Clone(actions)
	ran = slices.DeleteFunc(ran, func(a action) bool { return a.TimeDone.IsZero() })
	slices.SortStableFunc(ran, func(a, b action) int { return a.TimeStart.Compare(b.TimeStart) })
	var all []timeline.Span
	for _, a := range ran {
		name := names[a.ID]
		all = append(all, timeline.Span{
			Group: group, Path: name, Key: name, State: scheduler.StateSucceeded,
			Start: a.TimeStart.Round(time.Millisecond), End: a.TimeDone.Round(time.Millisecond),
		})
	}
	return all
}

// WriteReport writes the report, and what it would bring to start first what the
// most is waiting for.
func (b *Build) WriteReport(w io.Writer) error {
	if _, err := b.report.WriteTo(w); err != nil {
		return err
	}
	took := map[string]time.Duration{}
	for _, s := range b.report.Spans() {
		took[s.Path] = s.Took()
	}
	opts := *b.opts
	opts.Estimate = func(name string) time.Duration { return took[name] }
	would, err := timeline.Simulate(b.deps, opts.Estimate, &opts)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nWith the limit that it had, and the longest remaining path first: %v\n", would)
	return err
}

// WriteSVG writes the timeline as a picture.
func (b *Build) WriteSVG(w io.Writer) error { return timeline.WriteSVG(w, b.report.Spans()) }

// WriteTrace writes it for a trace viewer.
func (b *Build) WriteTrace(w io.Writer) error { return timeline.WriteTrace(w, b.report.Spans()) }
