package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/steptask/scheduler"
)

// Pipeline is what a file says.
type Pipeline struct {
	Runners int             `yaml:"runners"` // how many commands run at the same time; 0 is one
	Jobs    map[string]*Job `yaml:"jobs"`
	Finally map[string]*Job `yaml:"finally"` // run at the end, whatever happened
}

// Job is a command and when it runs.
type Job struct {
	Needs   []string `yaml:"needs"`
	If      string   `yaml:"if"`      // success (default), always, or failure
	Run     string   `yaml:"run"`     // for the shell
	Matrix  string   `yaml:"matrix"`  // a command: Run is run for each line that it prints, as $MATRIX
	Approve string   `yaml:"approve"` // a file: Run waits until it exists
}

// Load reads a pipeline from a file.
func Load(file string) (*Pipeline, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// Parse reads a pipeline. Its error names the job that cannot be.
func Parse(text []byte) (*Pipeline, error) {
	p := &Pipeline{}
	if err := yaml.Load(text, p, yaml.WithKnownFields()); err != nil {
		return nil, err
	}
	if p.Runners < 0 {
		return nil, fmt.Errorf("runners: negative number %d", p.Runners)
	}
	for _, jobs := range []map[string]*Job{p.Jobs, p.Finally} {
		for name := range scheduler.DependenciesOf(needs(jobs)).Nodes() {
			if err := check(jobs[name]); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return p, nil
}

func check(j *Job) error {
	switch {
	case j == nil:
		return errors.New("needed, but not a job")
	case j.Run == "":
		return errors.New("no command to run")
	case !slices.Contains([]string{"", success, always, failure}, j.If):
		return fmt.Errorf("if: %q is not success, always or failure", j.If)
	}
	return nil
}

// needs is the graph of jobs as a map.
func needs(jobs map[string]*Job) map[string][]string {
	graph := map[string][]string{}
	for name, job := range jobs {
		graph[name] = nil
		if job != nil {
			graph[name] = job.Needs
		}
	}
	return graph
}
