package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func env(name string) (string, bool) {
	value, ok := map[string]string{"PASSWORD": "p$w", "EMPTY": "", "HOME": "/home/me", "RETRIES": "7"}[name]
	return value, ok
}

// A file as they are written for real, with all forms of what is supported.
func TestParse(t *testing.T) {
	const text = `
version: "3.9"
name: shop

x-logging: &logging
  driver: json-file

x-app: &app
  image: shop/app:1.4
  restart: unless-stopped
  environment: &environment
    DATABASE_URL: postgres://shop:${PASSWORD}@localhost/${DB:-shop}
    HOME:
    NOWHERE: ~
    DEBUG: false
    WORKERS: 08
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
	app := []string{"DATABASE_URL=postgres://shop:p$w@localhost/shop", "DEBUG=false", "HOME=/home/me", "WORKERS=08"}
	health := func(command ...string) *Health {
		return &Health{Test: command, Interval: 30 * time.Second, Timeout: 30 * time.Second, StartInterval: 5 * time.Second, Retries: 3}
	}
	want := Project{
		"db": {
			Name: "db", Command: []string{"postgres", "-c", "shared_buffers=1 GB", "-c", "log_line_prefix=%t $ "},
			Env:       []string{"POSTGRES_PASSWORD=p$w", "POSTGRES_OPTIONS=a=b", "HOME=/home/me"},
			StopGrace: 90 * time.Second,
			Health: &Health{
				Test: []string{"sh", "-c", "pg_isready -U $POSTGRES_USER"}, Interval: 5 * time.Second, Timeout: 3 * time.Second,
				Retries: 7, StartPeriod: 10 * time.Second, StartInterval: 500 * time.Millisecond,
			},
		},
		"migrate": {
			Name: "migrate", Command: []string{"./migrate", "up"}, Env: app, StopGrace: 10 * time.Second,
			Needs: []Need{{Service: "db", Condition: Healthy}},
		},
		"web": {
			Name: "web", Command: []string{"./serve", "--port", "8080", "--motd", `hello, "world"`, "it's"}, Env: app, StopGrace: 10 * time.Second,
			Restart: Restart{Always: true, OnFailure: true},
			Needs:   []Need{{Service: "db", Condition: Healthy}, {Service: "migrate", Condition: Completed}},
			Health:  health("sh", "-c", "curl -fs localhost:8080"),
		},
		"worker": {
			Name: "worker", Command: []string{"./work"}, Env: app, StopGrace: 10 * time.Second,
			Restart: Restart{OnFailure: true, Max: 5},
			Needs:   []Need{{Service: "db", Condition: Started}, {Service: "web", Condition: Started}},
			Health:  health("pgrep", "work"),
		},
	}
	p, err := Parse([]byte(text), nil, env)
	require.NoError(t, err)
	require.Equal(t, want, p)

	cache := Need{Service: "cache", Condition: Started, Optional: true}
	want["web"].Needs = append([]Need{cache}, want["web"].Needs...)
	want["cache"] = &Service{
		Name: "cache", Entrypoint: []string{"redis-server"}, Command: []string{"--save", ""}, Dir: "data", StopGrace: 10 * time.Second,
		profiles: []string{"cached"},
	}
	p, err = Parse([]byte(text), []string{"other", "cached"}, env)
	require.NoError(t, err)
	require.Equal(t, want, p)

	p, err = Parse([]byte(text), []string{"mail"}, env)
	require.NoError(t, err)
	require.Equal(t, Restart{OnFailure: true}, p["mailer"].Restart)
	require.Nil(t, p["mailer"].Health)
}

func TestParse_refuses(t *testing.T) {
	for text, want := range map[string]string{
		"services: {db: {command: x, ports: [80]}}":                                                   "services: db: ports: not supported",
		"services: {db: {build: .}}":                                                                  "services: db: build: not supported",
		"services: {db: {command: x, healthcheck: {test: x, start: 1s}}}":                             "services: db: healthcheck: start: not supported",
		"services: {a: {command: x, depends_on: {b: {restart: true}}}}":                               "services: a: depends_on: b: restart: not supported",
		"volumes: {data: {}}":                                                                         "volumes: not supported",
		"services: [db]":                                                                              "services: yaml",
		"services: {db: [x]}":                                                                         "services: db: yaml",
		"services: {db: {image: postgres}}":                                                           "services: db: command: missing",
		"services: {a/b: {command: x}}":                                                               "services: a/b: not a name of a service",
		"services: {a: {command: x, depends_on: [b]}}":                                                "services: a: depends_on: b: there is no such service",
		"services: {a: {command: x, depends_on: {b: {required: true}}}}":                              `services: a: depends_on: b: condition: "" is not a condition`,
		"services: {a: {command: x, depends_on: {b: {condition: healthy}}}}":                          `services: a: depends_on: b: condition: "healthy" is not a condition`,
		"services: {a: {command: x, depends_on: [[b]]}}":                                              "services: a: depends_on: yaml",
		"services: {a: {command: x, depends_on: b}}":                                                  "services: a: depends_on: yaml",
		"services: {a: {command: 'x ''y'}}":                                                           "services: a: command: x 'y: a quote or a backslash without its end",
		`services: {a: {command: "x \\"}}`:                                                            "services: a: command: ",
		"services: {a: {command: {x: y}}}":                                                            "services: a: command: yaml",
		"services: {a: {command: x, environment: [[b]]}}":                                             "services: a: environment: yaml",
		"services: {a: {command: x, environment: {b: [c]}}}":                                          "services: a: environment: b: yaml",
		"services: {a: {command: x, restart: sometimes}}":                                             `services: a: restart: "sometimes" is not a policy`,
		"services: {a: {command: x, restart: 'always:3'}}":                                            `services: a: restart: "always:3" is not a policy`,
		"services: {a: {command: x, restart: 'on-failure:x'}}":                                        `services: a: restart: "x" is not a number of times`,
		"services: {a: {command: x, restart: 'on-failure:0'}}":                                        `services: a: restart: "0" is not a number of times`,
		"services: {a: {command: x, stop_grace_period: 5}}":                                           "services: a: stop_grace_period: time: missing unit",
		"services: {a: {command: x, stop_grace_period: -5s}}":                                         "services: a: stop_grace_period: -5s is negative",
		"services: {a: {command: x, healthcheck: {interval: 5s}}}":                                    "services: a: healthcheck: test: missing",
		"services: {a: {command: x, healthcheck: {test: []}}}":                                        "services: a: healthcheck: test: neither CMD",
		"services: {a: {command: x, healthcheck: {test: [x]}}}":                                       "services: a: healthcheck: test: neither CMD",
		"services: {a: {command: x, healthcheck: {test: [CMD]}}}":                                     "services: a: healthcheck: test: neither CMD",
		"services: {a: {command: x, healthcheck: {test: [[CMD]]}}}":                                   "services: a: healthcheck: test: yaml",
		"services: {a: {command: x, healthcheck: {test: x, retries: 0}}}":                             "services: a: healthcheck: retries: 0 is not above 0",
		"services: {a: {command: x, healthcheck: {test: x, retries: many}}}":                          "services: a: healthcheck: retries: yaml",
		"services: {a: {command: x, profiles: {b: c}}}":                                               "services: a: profiles: yaml",
		"services:\n  a: {command: '${NOWHERE}'}":                                                     "line 2: ${NOWHERE}: no such variable in the environment",
		"services: {a: {command: '${NOWHERE:?no}'}}":                                                  "line 1: ${NOWHERE:?no}: not supported",
		"services: {a: {command: '${NOWHERE:+yes}'}}":                                                 "line 1: ${NOWHERE:+yes}: not supported",
		"services: {a: {command: x, command: y}}":                                                     "already defined",
		"services: {a: {command: x}, b: {command: x, depends_on: {a: {condition: service_healthy}}}}": "services: b: depends_on: a: it has no healthcheck",
		"services: {a: {command: x, restart: always}, b: {command: x, depends_on: {a: {condition: service_completed_successfully}}}}": "services: b: depends_on: a: it is always started again",
		"services: {a: {command: x, profiles: [p]}, b: {command: x, depends_on: [a]}}":                                                "services: b: depends_on: a: there is no such service, or not with these profiles",
		"{": "yaml",
	} {
		_, err := Parse([]byte(text), nil, env)
		require.ErrorContains(t, err, want, text)
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"":                     nil,
		"  ":                   nil,
		"a  b\t c\nd":          {"a", "b", "c", "d"},
		`'a b' "c d" e\ f`:     {"a b", "c d", "e f"},
		`a'b'"c"\d`:            {"abcd"},
		`'' ""`:                {"", ""},
		`'a\b' "a\b" "a\"b"`:   {`a\b`, `a\b`, `a"b`},
		`'"' "'"`:              {`"`, `'`},
		`sh -c 'echo "$HOME"'`: {"sh", "-c", `echo "$HOME"`},
	} {
		words, err := split(text)
		require.NoError(t, err, text)
		require.Equal(t, want, words, text)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compose.yaml")
	require.NoError(t, os.WriteFile(file, []byte("services: {a: {command: x}, b: {command: x, working_dir: sub}, c: {command: x, working_dir: /}}"), 0o600))
	p, err := Load(file, nil)
	require.NoError(t, err)
	require.Equal(t, filepath.Dir(file), p["a"].Dir)
	require.Equal(t, filepath.Join(filepath.Dir(file), "sub"), p["b"].Dir)
	require.Equal(t, "/", p["c"].Dir)

	require.NoError(t, os.WriteFile(file, []byte("services: {a: {}}"), 0o600))
	_, err = Load(file, nil)
	require.EqualError(t, err, file+": services: a: command: missing, and that of the image cannot be known")
	_, err = Load(file+"x", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}
