package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Project is what a compose file says: services by name.
type Project map[string]*Service

// Service is a process and when it runs.
type Service struct {
	Name       string
	Entrypoint []string
	Command    []string
	Dir        string
	Env        []string // of the form NAME=value
	Needs      []Need
	Health     *Health // nil: none
	StopGrace  time.Duration
	Restart    Restart

	profiles []string
}

// Need is something that has to be so before a service starts.
type Need struct {
	Service   string
	Condition Condition
	Optional  bool // if it can no longer be so, the service starts all the same
}

// Condition says what of another service is needed.
type Condition string

// The conditions.
const (
	Started   Condition = "service_started"
	Healthy   Condition = "service_healthy"
	Completed Condition = "service_completed_successfully"
)

// Health says how to find out whether a service is healthy.
type Health struct {
	Test                                          []string // a command that succeeds when it is
	Interval, Timeout, StartPeriod, StartInterval time.Duration
	Retries                                       int
}

// Restart says when a process that has ended is started again.
type Restart struct {
	Always    bool
	OnFailure bool
	Max       int // how often in a row after failures; 0 is no limit
}

// Load reads the services of a file that have no profile or one of the given ones.
func Load(file string, profiles []string) (Project, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := Parse(text, profiles, os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, s := range p {
		if !filepath.IsAbs(s.Dir) {
			s.Dir = filepath.Join(filepath.Dir(file), s.Dir)
		}
	}
	return p, nil
}

// Parse reads services. Its error names the service and the key of what is wrong, or
// is not supported: the file would be run as something that it is not.
func Parse(text []byte, profiles []string, env func(string) (string, bool)) (Project, error) {
	var document yaml.Node
	if err := yaml.Load(text, &document); err != nil {
		return nil, err
	}
	if err := expand(&document, env); err != nil {
		return nil, err
	}
	p := Project{}
	err := eachKey(&document, keys{
		"name": ignored, "version": ignored,
		"services": func(n *yaml.Node) error {
			return eachEntry(n, func(name string, n *yaml.Node) error {
				s, err := service(name, n, env)
				p[name] = s
				return err
			})
		},
	})
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(p, func(_ string, s *Service) bool {
		return len(s.profiles) > 0 && !slices.ContainsFunc(s.profiles, func(name string) bool { return slices.Contains(profiles, name) })
	})
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if err := p.check(p[name]); err != nil {
			return nil, fmt.Errorf("services: %s: %w", name, err)
		}
	}
	return p, nil
}

var serviceName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// service reads one service.
func service(name string, n *yaml.Node, env func(string) (string, bool)) (*Service, error) {
	if !serviceName.MatchString(name) {
		return nil, errors.New("not a name of a service")
	}
	s := &Service{Name: name, StopGrace: 10 * time.Second}
	return s, eachKey(n, keys{
		// They are about the container that there is not.
		"image": ignored, "container_name": ignored, "labels": ignored,

		"entrypoint":        words(&s.Entrypoint),
		"command":           words(&s.Command),
		"working_dir":       value(&s.Dir),
		"environment":       func(n *yaml.Node) error { return environment(n, &s.Env, env) },
		"depends_on":        func(n *yaml.Node) error { return dependsOn(n, &s.Needs) },
		"healthcheck":       func(n *yaml.Node) error { return healthcheck(n, &s.Health) },
		"stop_grace_period": duration(&s.StopGrace),
		"restart":           func(n *yaml.Node) error { return restart(n, &s.Restart) },
		"profiles":          value(&s.profiles),
	})
}

// check reports what is wrong with a service among the others. It removes needs of
// services that are not there and need not be.
func (p Project) check(s *Service) error {
	if len(s.Entrypoint)+len(s.Command) == 0 {
		return errors.New("command: missing, and that of the image cannot be known")
	}
	s.Needs = slices.DeleteFunc(s.Needs, func(need Need) bool { return need.Optional && p[need.Service] == nil })
	for _, need := range s.Needs {
		on := p[need.Service]
		switch {
		case on == nil:
			return fmt.Errorf("depends_on: %s: there is no such service, or not with these profiles", need.Service)
		case need.Condition == Healthy && on.Health == nil:
			return fmt.Errorf("depends_on: %s: it has no healthcheck, so it is never healthy", need.Service)
		case need.Condition == Completed && on.Restart.Always:
			return fmt.Errorf("depends_on: %s: it is always started again, so it is never completed", need.Service)
		}
	}
	return nil
}

// dependsOn reads a list of services, or a map of them with conditions.
func dependsOn(n *yaml.Node, needs *[]Need) error {
	if n.Kind == yaml.SequenceNode {
		var names []string
		if err := n.Load(&names); err != nil {
			return err
		}
		for _, name := range names {
			*needs = append(*needs, Need{Service: name, Condition: Started})
		}
		return nil
	}
	return eachEntry(n, func(name string, n *yaml.Node) error {
		need, required := Need{Service: name}, true
		err := eachKey(n, keys{"condition": value(&need.Condition), "required": value(&required)})
		if err == nil && !slices.Contains([]Condition{Started, Healthy, Completed}, need.Condition) {
			err = fmt.Errorf("condition: %q is not a condition", need.Condition)
		}
		need.Optional = !required
		*needs = append(*needs, need)
		return err
	})
}

func healthcheck(n *yaml.Node, health **Health) error {
	h := &Health{Interval: 30 * time.Second, Timeout: 30 * time.Second, StartInterval: 5 * time.Second, Retries: 3}
	disable := false
	if err := eachKey(n, keys{
		"test": func(n *yaml.Node) error { return test(n, &h.Test) }, "disable": value(&disable),
		"interval": duration(&h.Interval), "timeout": duration(&h.Timeout), "retries": value(&h.Retries),
		"start_period": duration(&h.StartPeriod), "start_interval": duration(&h.StartInterval),
	}); err != nil {
		return err
	}
	switch {
	case disable || slices.Equal(h.Test, []string{"NONE"}):
		return nil
	case len(h.Test) == 0:
		return errors.New("test: missing, and that of the image cannot be known")
	case h.Retries < 1:
		return fmt.Errorf("retries: %d is not above 0", h.Retries)
	}
	*health = h
	return nil
}

// test reads the command of a healthcheck, or NONE.
func test(n *yaml.Node, command *[]string) error {
	if n.Kind != yaml.SequenceNode {
		*command = []string{"sh", "-c", n.Value}
		return nil
	}
	var list []string
	if err := n.Load(&list); err != nil {
		return err
	}
	switch {
	case slices.Equal(list, []string{"NONE"}):
		*command = list
	case len(list) > 1 && list[0] == "CMD":
		*command = list[1:]
	case len(list) == 2 && list[0] == "CMD-SHELL":
		*command = []string{"sh", "-c", list[1]}
	default:
		return errors.New("neither CMD with a command, nor CMD-SHELL with a line, nor NONE")
	}
	return nil
}

func restart(n *yaml.Node, r *Restart) error {
	switch policy, limit, limited := strings.Cut(n.Value, ":"); {
	case policy == "on-failure":
		r.OnFailure = true
		if _, err := fmt.Sscanf(limit, "%d", &r.Max); limited && (err != nil || r.Max < 1) {
			return fmt.Errorf("%q is not a number of times", limit)
		}
	case n.Value == "always" || n.Value == "unless-stopped":
		r.Always, r.OnFailure = true, true
	case n.Value != "no":
		return fmt.Errorf("%q is not a policy", n.Value)
	}
	return nil
}
