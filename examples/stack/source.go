package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"

	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/template"
)

//go:embed default.yaml
var defaultTemplate string

// source reads what a stack is made from: the template, the environments, and
// the files that they name. It keeps a digest of all that it has read.
type source struct {
	settings *settings
	digest   hash.Hash
}

// load reads the template and makes a plan of it.
func (s *settings) load() (*engine.Plan, string, error) {
	src := &source{s, sha256.New()}
	file, folder, text := "default.yaml", ".", []byte(defaultTemplate)
	if s.template != "" {
		file, folder = s.template, filepath.Dir(s.template)
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, "", err
		}
	}
	src.add(text)
	t, err := template.Parse(file, text)
	if err != nil {
		return nil, "", err
	}
	env, err := src.environment(t, folder)
	if err != nil {
		return nil, "", err
	}
	bound, err := t.Bind(template.Options{
		Environment: env,
		Pseudo:      s.pseudoParameters(),
		StandIns:    s.simulate,
		ReadFile:    func(name string) ([]byte, error) { return src.read(filepath.Join(folder, name)) },
	})
	if err != nil {
		return nil, "", err
	}
	times, err := s.standIns()
	if err != nil {
		return nil, "", err
	}
	plan, err := engine.NewPlan(bound, engine.Types(times))
	return plan, "stack " + hex.EncodeToString(src.digest.Sum(nil)), err
}

func (s *source) add(text []byte) {
	fmt.Fprintf(s.digest, "%d ", len(text))
	s.digest.Write(text)
}

func (s *source) read(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	s.add(b)
	return b, err
}

// environment returns what the environments and the command line give for the
// template. Where several give a value, the last one counts.
func (s *source) environment(t *template.Template, folder string) (template.Environment, error) {
	var all template.Environment
	for _, file := range s.settings.environments {
		b, err := s.read(file)
		if err != nil {
			return all, fmt.Errorf("-env: %w", err)
		}
		to, err := filepath.Rel(folder, filepath.Dir(file))
		if err != nil {
			return all, fmt.Errorf("-env: %w", err)
		}
		env, err := template.ParseEnvironment(file, filepath.ToSlash(to), b)
		if err != nil {
			return all, err
		}
		all.Add(env)
	}
	given := template.Environment{Parameters: map[string]any{}}
	for _, name := range sortedKeys(s.settings.parameters) {
		if err := t.HasParameter(name); err != nil {
			return all, usageError{fmt.Errorf("-param: %w", err)}
		}
		given.Parameters[name] = s.settings.parameters[name]
		s.add([]byte(name))
		s.add([]byte(s.settings.parameters[name]))
	}
	all.Add(given)
	return all, nil
}

// pseudoParameters are those that every template has.
func (s *settings) pseudoParameters() map[string]any {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	dir := filepath.Join(s.dir, s.name)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	pseudo := map[string]any{"Local::program": program, "Local::directory": dir}
	for _, name := range []string{"OS::stack_name", "OS::stack_id", "AWS::StackName", "AWS::StackId"} {
		pseudo[name] = s.name
	}
	for _, name := range []string{"OS::project_id", "OS::region", "AWS::Region"} {
		pseudo[name] = "local"
	}
	return pseudo
}
