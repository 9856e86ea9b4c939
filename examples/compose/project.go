package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
)

// supported is what has a meaning here, or is about the container that there is not.
var supported = []tree.Path{
	"name", "version", "services.*.image", "services.*.container_name", "services.*.labels.*",
	"services.*.entrypoint", "services.*.command", "services.*.working_dir", "services.*.environment.*", "services.*.env_file.[].*",
	"services.*.depends_on.*.condition", "services.*.depends_on.*.required",
	"services.*.healthcheck.test", "services.*.healthcheck.disable", "services.*.healthcheck.retries",
	"services.*.healthcheck.interval", "services.*.healthcheck.timeout", "services.*.healthcheck.start_period",
	"services.*.stop_grace_period", "services.*.profiles",
}

// load reads the services of a compose file that have no profile or one of the given
// ones. It refuses what is not supported, and what can never run: the file would be run
// as something that it is not.
func load(ctx context.Context, file string, profiles []string) (*types.Project, error) {
	var unsupported error
	opts, err := cli.NewProjectOptions([]string{file}, cli.WithName("compose"), cli.WithProfiles(profiles),
		cli.WithOsEnv, cli.WithEnvFiles(), cli.WithDotEnv,
		cli.WithConsistency(false), // which asks for images
		cli.WithLoadOptions(loader.WithSupportedAttributes(supported, func(found []loader.UnsupportedAttribute) {
			for _, a := range found {
				unsupported = errors.Join(unsupported, fmt.Errorf("%s is not supported", a.Path))
			}
		})))
	if err != nil {
		return nil, err
	}
	p, err := opts.LoadProject(ctx)
	if err = errors.Join(err, unsupported); err != nil {
		return nil, err
	}
	p = p.WithoutUnresolvedOptionalDependencies()
	for name, s := range p.Services {
		p.Services[name] = complete(s, p.WorkingDir)
	}
	for _, name := range p.ServiceNames() {
		if err := check(p.Services[name], p.Services); err != nil {
			return nil, fmt.Errorf("services.%s: %w", name, err)
		}
	}
	return p, nil
}

// check finds what can never run.
func check(s types.ServiceConfig, services types.Services) error {
	if len(s.Entrypoint)+len(s.Command) == 0 {
		return errors.New("command: missing, and that of the image cannot be known")
	}
	for _, other := range slices.Sorted(maps.Keys(s.DependsOn)) {
		on, ok := services[other]
		if !ok {
			return fmt.Errorf("depends_on: %s: there is no such service, or not with these profiles", other)
		}
		if s.DependsOn[other].Condition == healthy && on.HealthCheck == nil {
			return fmt.Errorf("depends_on: %s: it has no healthcheck, so it is never healthy", other)
		}
	}
	return nil
}

// complete returns a service with the defaults for what it does not say. The test of
// its health becomes a command.
func complete(s types.ServiceConfig, dir string) types.ServiceConfig {
	if !filepath.IsAbs(s.WorkingDir) {
		s.WorkingDir = filepath.Join(dir, s.WorkingDir)
	}
	if s.StopGracePeriod == nil {
		s.StopGracePeriod = orDefault(s.StopGracePeriod, types.Duration(10*time.Second))
	}
	h := s.HealthCheck
	command := testOf(h)
	if command == nil {
		s.HealthCheck = nil
		return s
	}
	h.Test = command
	h.Interval = orDefault(h.Interval, types.Duration(30*time.Second))
	h.Timeout = orDefault(h.Timeout, types.Duration(30*time.Second))
	h.StartPeriod = orDefault(h.StartPeriod, 0)
	h.Retries = orDefault(h.Retries, 3)
	return s
}

// testOf returns the command that tests the health of a service, or nil.
func testOf(h *types.HealthCheckConfig) []string {
	switch {
	case h == nil || h.Disable || len(h.Test) < 2:
		return nil
	case h.Test[0] == "CMD":
		return h.Test[1:]
	case h.Test[0] == "CMD-SHELL":
		return []string{"sh", "-c", h.Test[1]}
	}
	return nil
}

// orDefault returns value, or otherwise if there is none or it is 0.
func orDefault[T comparable](value *T, otherwise T) *T {
	if value == nil || *value == *new(T) {
		return &otherwise
	}
	return value
}

// command returns a command of a service that is killed when ctx ends.
func command(ctx context.Context, s types.ServiceConfig, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = s.WorkingDir, append(os.Environ(), s.Environment.ToMapping().Values()...)
	return cmd
}
