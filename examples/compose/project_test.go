package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// parsed parses a file in the folder /shop.
func parsed(t *testing.T, text string, profiles ...string) (Project, error) {
	t.Helper()
	return parse(t.Context(), types.ConfigDetails{
		WorkingDir:  "/shop",
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
		Environment: types.Mapping{"PASSWORD": "p$w", "HOME": "/home/me", "RETRIES": "7"},
	}, profiles)
}

// A file as they are written for real, with all forms of what is supported.
func TestParse(t *testing.T) {
	const text = `
name: shop

x-app: &app
  image: shop/app:1.4
  restart: unless-stopped
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
      start_interval: 500ms
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
    restart: "no"
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
    restart: on-failure:5
    depends_on: [db, web]
    healthcheck: {test: [CMD, pgrep, work]}
    x-note: slow
  mailer:
    command: ./mail
    restart: on-failure
    profiles: [mail]
    healthcheck: {test: [NONE]}
`
	app := []string{"DATABASE_URL=postgres://shop:p$w@localhost/shop", "DEBUG=false", "HOME=/home/me", "WORKERS=8"}
	health := func(command ...string) *Health {
		return &Health{Test: command, Interval: 30 * time.Second, Timeout: 30 * time.Second, StartInterval: 5 * time.Second, Retries: 3}
	}
	need := func(condition string) types.ServiceDependency {
		return types.ServiceDependency{Condition: condition, Required: true}
	}
	want := Project{
		"db": {
			Name: "db", Args: []string{"postgres", "-c", "shared_buffers=1 GB", "-c", "log_line_prefix=%t $ "}, Dir: "/shop",
			Env:       []string{"HOME=/home/me", "POSTGRES_OPTIONS=a=b", "POSTGRES_PASSWORD=p$w"},
			StopGrace: 90 * time.Second,
			Health: &Health{
				Test: []string{"sh", "-c", "pg_isready -U $POSTGRES_USER"}, Interval: 5 * time.Second, Timeout: 3 * time.Second,
				Retries: 7, StartPeriod: 10 * time.Second, StartInterval: 500 * time.Millisecond,
			},
		},
		"migrate": {
			Name: "migrate", Args: []string{"./migrate", "up"}, Dir: "/shop", Env: app, StopGrace: 10 * time.Second,
			Needs: types.DependsOnConfig{"db": need("service_healthy")},
		},
		"web": {
			Name: "web", Args: []string{"./serve", "--port", "8080", "--motd", `hello, "world"`, "it's"}, Dir: "/shop", Env: app, StopGrace: 10 * time.Second,
			Restart: Restart{Always: true, OnFailure: true},
			Needs:   types.DependsOnConfig{"db": need("service_healthy"), "migrate": need("service_completed_successfully")},
			Health:  health("sh", "-c", "curl -fs localhost:8080"),
		},
		"worker": {
			Name: "worker", Args: []string{"./work"}, Dir: "/work", Env: app, StopGrace: 10 * time.Second,
			Restart: Restart{OnFailure: true, Max: 5},
			Needs:   types.DependsOnConfig{"db": need("service_started"), "web": need("service_started")},
			Health:  health("pgrep", "work"),
		},
	}
	p, err := parsed(t, text)
	require.NoError(t, err)
	require.Equal(t, want, p)

	p, err = parsed(t, text, "other", "cached")
	require.NoError(t, err)
	require.Equal(t, types.ServiceDependency{Condition: "service_started"}, p["web"].Needs["cache"])
	require.Equal(t, &Service{
		Name: "cache", Args: []string{"redis-server", "--save", ""}, Dir: "/shop/data", StopGrace: 10 * time.Second,
	}, p["cache"])

	p, err = parsed(t, text, "mail")
	require.NoError(t, err)
	require.Equal(t, Restart{OnFailure: true}, p["mailer"].Restart)
	require.Nil(t, p["mailer"].Health)
}

// What would be run as something else is refused, with its place.
func TestParse_refuses(t *testing.T) {
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
		{"services: {a: {command: x, depends_on: [b]}}", "services.a.depends_on: b: there is no such service"},
		{"services: {a: {command: x, profiles: [p]}, b: {command: x, depends_on: [a]}}", "services.b.depends_on: a: there is no such service, or not with these profiles"},
		{"services: {a: {command: x, depends_on: {b: {condition: healthy}}}, b: {command: x}}", "services.a.depends_on.b.condition value must be one of"},
		{"services: {a: {command: 'x ''y'}}", "services[a].command"},
		{"services: {a: {command: x, restart: sometimes}}", `services.a: restart: "sometimes" is not a policy`},
		{"services: {a: {command: x, restart: 'always:3'}}", `services.a: restart: "always:3" is not a policy`},
		{"services: {a: {command: x, restart: 'on-failure:0'}}", `services.a: restart: "on-failure:0" is not a policy`},
		{"services: {a: {command: x, restart: 'on-failure:x'}}", `services.a: restart: "on-failure:x" is not a policy`},
		{"services: {a: {command: x, healthcheck: {interval: 1s}}}", "services.a: healthcheck: test: neither"},
		{"services: {a: {command: x, healthcheck: {test: [x]}}}", "services.a: healthcheck: test: neither"},
		{"services: {a: {command: x, healthcheck: {test: x, retries: 0}}}", "services.a: healthcheck: retries: not above 0"},
		{"services: {a: {command: x, stop_grace_period: soon}}", "stop_grace_period"},
		{"services: {a: {command: '${NOWHERE:?no}'}}", "no"},
		{"services: {a: {command: x}, b: {command: x, depends_on: {a: {condition: service_healthy}}}}", "services.b.depends_on: a: it has no healthcheck"},
		{"services: {a: {command: x, restart: always}, b: {command: x, depends_on: {a: {condition: service_completed_successfully}}}}", "services.b.depends_on: a: it is always started again"},
		{"{", "yaml"},
	} {
		_, err := parsed(t, c.text)
		require.ErrorContains(t, err, c.want, c.text)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compose.yaml")
	require.NoError(t, os.WriteFile(file, []byte("services: {a: {command: x}, b: {command: x, env_file: b.env, working_dir: sub}}"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "b.env"), []byte("NAME=value\n"), 0o600))
	p, err := Load(t.Context(), file, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, slices.Sorted(maps.Keys(p)))
	require.Equal(t, filepath.Dir(file), p["a"].Dir)
	require.Equal(t, filepath.Join(filepath.Dir(file), "sub"), p["b"].Dir)
	require.Equal(t, []string{"NAME=value"}, p["b"].Env)

	require.NoError(t, os.WriteFile(file, []byte("services: {a: {image: x}}"), 0o600))
	_, err = Load(t.Context(), file, nil)
	require.EqualError(t, err, file+": services.a: command: missing, and that of the image cannot be known")
	_, err = Load(t.Context(), file+"x", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}
