package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// loaded loads a file.
func loaded(t *testing.T, text string, profiles ...string) (*types.Project, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return load(t.Context(), file, profiles)
}

// A file as they are written for real, with all forms of what is supported.
func TestLoad(t *testing.T) {
	t.Setenv("PASSWORD", "p$w")
	t.Setenv("HOME", "/home/me")
	t.Setenv("RETRIES", "7")
	const text = `
name: shop

x-app: &app
  image: shop/app:1.4
  environment: &environment
    DATABASE_URL: postgres://shop:${PASSWORD}@localhost/${DB:-shop}
    HOME:
    NOWHERE: ~
    DEBUG: "false"
    WORKERS: 8
  depends_on:
    db:
      condition: service_healthy
    migrate:
      condition: service_completed_successfully
    cache:
      condition: service_started
      required: false

services:
  db:
    image: postgres:17-alpine
    container_name: shop-db
    labels: {team: storage}
    command: postgres -c 'shared_buffers=1 GB' -c "log_line_prefix=%t $$ "
    environment:
      - POSTGRES_PASSWORD=${PASSWORD}
      - POSTGRES_OPTIONS=a=b
      - HOME
      - NOWHERE
    stop_grace_period: 1m30s
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U $$POSTGRES_USER"]
      interval: 5s
      timeout: 3s
      retries: ${RETRIES}
      start_period: 10s
  cache:
    image: redis
    entrypoint: ["redis-server"]
    command: ["--save", ""]
    working_dir: data
    profiles: [cached]
    healthcheck:
      disable: true
  migrate:
    <<: *app
    command: ["./migrate", "up"]
    depends_on: {db: {condition: service_healthy}}
  web:
    <<: *app
    command: >
      ./serve --port 8080
      --motd "hello, \"world\"" it\'s
    healthcheck:
      test: curl -fs localhost:8080
  worker:
    <<: *app
    command: ./work
    working_dir: /work
    depends_on: [db, web]
    healthcheck: {test: [CMD, pgrep, work]}
    x-note: slow
  mailer:
    command: ./mail
    profiles: [mail]
    healthcheck: {test: [NONE]}
`
	p, err := loaded(t, text)
	require.NoError(t, err)
	require.Equal(t, []string{"db", "migrate", "web", "worker"}, p.ServiceNames())

	db := p.Services["db"]
	require.EqualValues(t, []string{"postgres", "-c", "shared_buffers=1 GB", "-c", "log_line_prefix=%t $ "}, db.Command)
	require.Equal(t, p.WorkingDir, db.WorkingDir)
	require.Equal(t, []string{"HOME=/home/me", "POSTGRES_OPTIONS=a=b", "POSTGRES_PASSWORD=p$w"}, db.Environment.ToMapping().Values())
	require.Equal(t, duration(90*time.Second), db.StopGracePeriod)
	require.Equal(t, &types.HealthCheckConfig{
		Test:     types.HealthCheckTest{"sh", "-c", "pg_isready -U $POSTGRES_USER"},
		Interval: duration(5 * time.Second), Timeout: duration(3 * time.Second), Retries: new(uint64(7)),
		StartPeriod: duration(10 * time.Second),
	}, db.HealthCheck)

	migrate := p.Services["migrate"]
	require.EqualValues(t, []string{"./migrate", "up"}, migrate.Command)
	require.Equal(t, []string{"DATABASE_URL=postgres://shop:p$w@localhost/shop", "DEBUG=false", "HOME=/home/me", "WORKERS=8"}, migrate.Environment.ToMapping().Values())
	require.Equal(t, types.DependsOnConfig{"db": {Condition: healthy, Required: true}}, migrate.DependsOn)
	require.Equal(t, duration(10*time.Second), migrate.StopGracePeriod)
	require.Nil(t, migrate.HealthCheck)

	web := p.Services["web"]
	require.EqualValues(t, []string{"./serve", "--port", "8080", "--motd", `hello, "world"`, "it's"}, web.Command)
	require.Equal(t, types.DependsOnConfig{"db": {Condition: healthy, Required: true}, "migrate": {Condition: completed, Required: true}}, web.DependsOn)
	require.Equal(t, &types.HealthCheckConfig{
		Test:     types.HealthCheckTest{"sh", "-c", "curl -fs localhost:8080"},
		Interval: duration(30 * time.Second), Timeout: duration(30 * time.Second), Retries: new(uint64(3)),
		StartPeriod: duration(0),
	}, web.HealthCheck)

	worker := p.Services["worker"]
	require.Equal(t, "/work", worker.WorkingDir)
	require.Equal(t, types.DependsOnConfig{"db": {Condition: started, Required: true}, "web": {Condition: started, Required: true}}, worker.DependsOn)
	require.Equal(t, types.HealthCheckTest{"pgrep", "work"}, worker.HealthCheck.Test)

	p, err = loaded(t, text, "mail", "cached")
	require.NoError(t, err)
	require.Equal(t, types.ServiceDependency{Condition: started}, p.Services["web"].DependsOn["cache"])
	cache := p.Services["cache"]
	require.EqualValues(t, []string{"redis-server", "--save", ""}, slices.Concat(cache.Entrypoint, cache.Command))
	require.Equal(t, filepath.Join(p.WorkingDir, "data"), cache.WorkingDir)
	require.Nil(t, cache.HealthCheck)
	require.Nil(t, p.Services["mailer"].HealthCheck)
}

func duration(d time.Duration) *types.Duration { return (*types.Duration)(&d) }

// Beside the file are others that it needs.
func TestLoad_files(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"compose.yaml": "services: {a: {command: x, env_file: a.env, environment: {TAG: $TAG}}}",
		"a.env":        "NAME=value\n",
		".env":         "TAG=1.4\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	t.Chdir(dir)
	p, err := load(t.Context(), "compose.yaml", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"NAME=value", "TAG=1.4"}, p.Services["a"].Environment.ToMapping().Values())
	require.Equal(t, dir, p.Services["a"].WorkingDir)

	_, err = load(t.Context(), "nowhere.yaml", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// What would be run as something else is refused, with its place.
func TestLoad_refuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"services: {db: {command: x, ports: [80]}}", "services.db.ports is not supported"},
		{"services: {db: {build: .}}", "services.db.build is not supported"},
		{"services: {db: {command: x, healthcheck: {test: x, start: 1s}}}", "services.db.healthcheck additional properties 'start' not allowed"},
		{"services: {db: {command: x, commands: x}}", "services.db.commands"},
		{"services: {a: {command: x, depends_on: {b: {condition: service_started, restart: true}}}, b: {command: x}}", "services.a.depends_on.b.restart is not supported"},
		{"services: {a: {command: x}}\nvolumes: {data: {}}", "volumes is not supported"},
		{"services: [db]", "services must be a mapping"},
		{"services: {db: {image: postgres}}", "services.db: command: missing"},
		{"services: {a/b: {command: x}}", "'a/b' not allowed"},
		{"services: {a: {command: x, depends_on: [b]}}", "services.a: depends_on: b: there is no such service"},
		{"services: {a: {command: x, profiles: [p]}, b: {command: x, depends_on: [a]}}", "services.b: depends_on: a: there is no such service, or not with these profiles"},
		{"services: {a: {command: x, depends_on: {b: {condition: healthy}}}, b: {command: x}}", "services.a.depends_on.b.condition value must be one of"},
		{"services: {a: {command: 'x ''y'}}", "services[a].command"},
		{"services: {a: {command: x, stop_grace_period: soon}}", "stop_grace_period"},
		{"services: {a: {command: '${NOWHERE:?no}'}}", "no"},
		{"services: {a: {command: x, healthcheck: {test: x, start_interval: 1s}}}", "services.a.healthcheck.start_interval is not supported"},
		{"services: {a: {command: x, restart: always}}", "services.a.restart is not supported"},
		{"{", "yaml"},
	} {
		_, err := loaded(t, c.text)
		require.ErrorContains(t, err, c.want, c.text)
	}
}

// Nothing can wait for the health of a service without a test.
func TestLoad_no_healthcheck(t *testing.T) {
	for _, check := range []string{
		"{}", "{interval: 1s}", "{test: [NONE]}", "{test: [CMD]}", "{test: [CMD-SHELL]}", "{test: [x, y]}",
		"{test: [CMD, x], disable: true}", "{test: x, disable: true}",
	} {
		_, err := loaded(t, `services: {a: {command: x, healthcheck: `+check+`}, b: {command: x, depends_on: {a: {condition: service_healthy}}}}`)
		require.ErrorContains(t, err, "services.b: depends_on: a: it has no healthcheck, so it is never healthy", check)
	}
}

// Of health checks 0 is the default, and of a stop_grace_period no grace.
func TestLoad_zero(t *testing.T) {
	p, err := loaded(t, "services: {a: {command: x, stop_grace_period: 0s, healthcheck: {test: x, retries: 0, interval: 0s, timeout: 0s}}}")
	require.NoError(t, err)
	a := p.Services["a"]
	require.Equal(t, duration(0), a.StopGracePeriod)
	require.Equal(t, new(uint64(3)), a.HealthCheck.Retries)
	require.Equal(t, duration(30*time.Second), a.HealthCheck.Interval)
	require.Equal(t, duration(30*time.Second), a.HealthCheck.Timeout)
}
