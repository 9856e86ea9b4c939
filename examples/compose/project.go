package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
)

// Project is what a compose file says: services by name.
type Project map[string]*Service

// Service is a process and when it runs.
type Service struct {
	Name      string
	Args      []string // the entrypoint and the command
	Dir       string
	Env       []string // of the form NAME=value
	Needs     types.DependsOnConfig
	Health    *Health // nil: none
	StopGrace time.Duration
	Restart   Restart
}

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

// supported is what has a meaning here, or is about the container that there is not.
var supported = []tree.Path{
	"name", "version", "services.*.image", "services.*.container_name", "services.*.labels.*",
	"services.*.entrypoint", "services.*.command", "services.*.working_dir", "services.*.environment.*", "services.*.env_file.[].*",
	"services.*.depends_on.*.condition", "services.*.depends_on.*.required",
	"services.*.healthcheck.*", "services.*.stop_grace_period", "services.*.restart", "services.*.profiles",
}

// Load reads the services of a file that have no profile or one of the given ones. Its
// error names what is wrong, or is not supported: the file would be run as something
// that it is not.
func Load(ctx context.Context, file string, profiles []string) (Project, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	p, err := parse(ctx, types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: file, Content: text}},
		Environment: types.NewMapping(os.Environ()),
	}, profiles)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

func parse(ctx context.Context, details types.ConfigDetails, profiles []string) (Project, error) {
	var unsupported error
	loaded, err := loader.LoadWithContext(ctx, details, loader.WithProfiles(profiles),
		func(o *loader.Options) {
			o.SetProjectName("compose", true)
			o.SkipConsistencyCheck = true // which asks for an image
		},
		loader.WithSupportedAttributes(supported, func(found []loader.UnsupportedAttribute) {
			for _, a := range found {
				unsupported = errors.Join(unsupported, fmt.Errorf("%s is not supported", a.Path))
			}
		}))
	if err = errors.Join(err, unsupported); err != nil {
		return nil, err
	}
	p := Project{}
	for _, name := range loaded.ServiceNames() {
		if p[name], err = service(details.WorkingDir, loaded.Services[name]); err != nil {
			return nil, fmt.Errorf("services.%s: %w", name, err)
		}
	}
	for _, name := range loaded.ServiceNames() {
		s := p[name]
		maps.DeleteFunc(s.Needs, func(other string, need types.ServiceDependency) bool { return p[other] == nil && !need.Required })
		for _, other := range slices.Sorted(maps.Keys(s.Needs)) {
			if err := p.check(other, s.Needs[other]); err != nil {
				return nil, fmt.Errorf("services.%s.depends_on: %s: %w", name, other, err)
			}
		}
	}
	return p, nil
}

// check finds needs that can never be met.
func (p Project) check(service string, need types.ServiceDependency) error {
	switch on := p[service]; {
	case on == nil:
		return errors.New("there is no such service, or not with these profiles")
	case need.Condition == types.ServiceConditionHealthy && on.Health == nil:
		return errors.New("it has no healthcheck, so it is never healthy")
	case need.Condition == types.ServiceConditionCompletedSuccessfully && on.Restart.Always:
		return errors.New("it is always started again, so it is never completed")
	}
	return nil
}

func service(dir string, c types.ServiceConfig) (*Service, error) {
	s := &Service{
		Name: c.Name, Args: slices.Concat(c.Entrypoint, c.Command), Dir: c.WorkingDir, Needs: c.DependsOn,
		StopGrace: or(c.StopGracePeriod, 10*time.Second),
	}
	if !filepath.IsAbs(s.Dir) {
		s.Dir = filepath.Join(dir, s.Dir)
	}
	if len(s.Args) == 0 {
		return nil, errors.New("command: missing, and that of the image cannot be known")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		if value := c.Environment[name]; value != nil {
			s.Env = append(s.Env, name+"="+*value)
		}
	}
	var err error
	if s.Restart, err = restart(c.Restart); err == nil {
		s.Health, err = health(c.HealthCheck)
	}
	return s, err
}

func or(d *types.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return time.Duration(*d)
}

func restart(policy string) (r Restart, err error) {
	switch name, limit, limited := strings.Cut(policy, ":"); {
	case name == types.RestartPolicyOnFailure:
		r.OnFailure = true
		if _, err = fmt.Sscanf(limit, "%d", &r.Max); !limited {
			return r, nil
		}
	case policy == types.RestartPolicyAlways, policy == types.RestartPolicyUnlessStopped:
		return Restart{Always: true, OnFailure: true}, nil
	case policy == "", policy == types.RestartPolicyNo:
		return r, nil
	}
	if err != nil || r.Max < 1 {
		return r, fmt.Errorf("restart: %q is not a policy", policy)
	}
	return r, nil
}

func health(c *types.HealthCheckConfig) (*Health, error) {
	if c == nil || c.Disable || slices.Equal(c.Test, []string{"NONE"}) {
		return nil, nil
	}
	h := &Health{
		Interval: or(c.Interval, 30*time.Second), Timeout: or(c.Timeout, 30*time.Second),
		StartPeriod: or(c.StartPeriod, 0), StartInterval: or(c.StartInterval, 5*time.Second), Retries: 3,
	}
	if c.Retries != nil {
		h.Retries = int(*c.Retries)
	}
	switch {
	case len(c.Test) > 1 && c.Test[0] == "CMD":
		h.Test = c.Test[1:]
	case len(c.Test) == 2 && c.Test[0] == "CMD-SHELL":
		h.Test = []string{"sh", "-c", c.Test[1]}
	default:
		return nil, errors.New("healthcheck: test: neither CMD with a command, nor CMD-SHELL with a line, nor NONE")
	}
	if h.Retries < 1 {
		return nil, errors.New("healthcheck: retries: not above 0")
	}
	return h, nil
}
