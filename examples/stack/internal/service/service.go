// Package service is a small HTTP service, so that a template has something to
// start on any machine: this program itself.
//
// It answers / with what it is and what the services that it calls answered,
// counts its visits in an SQLite database if it has one, and tells a wait
// condition when it is up.
package service

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver, pure Go
)

// Config says what a service is.
type Config struct {
	name      string
	address   string
	token     string
	db        string
	signal    string
	warmUp    time.Duration
	upstreams map[string]string
}

// ParseFlags reads the flags of a service. usage gets a list of them if that is
// what they ask for; the error is [flag.ErrHelp] then.
func ParseFlags(args []string, usage io.Writer) (*Config, error) {
	c := &Config{upstreams: map[string]string{}}
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.name, "name", "service", "name of the service")
	flags.StringVar(&c.address, "listen", "127.0.0.1:0", "`address` to listen on; an inherited socket takes precedence")
	flags.StringVar(&c.token, "token", "", "token that callers must send, and that is sent to the services called")
	flags.StringVar(&c.db, "db", "", "SQLite `file` with a table visit(service, at)")
	flags.StringVar(&c.signal, "signal", "", "`URL` of a wait condition handle to signal when the service is up")
	flags.DurationVar(&c.warmUp, "warm-up", 0, "how long it takes to become healthy")
	flags.Func("upstream", "`name=URL` of a service to call; may be repeated", func(v string) error {
		name, target, ok := strings.Cut(v, "=")
		if _, err := url.ParseRequestURI(target); !ok || err != nil {
			return errors.New("not a name and a URL")
		}
		c.upstreams[name] = target
		return nil
	})
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(usage, "Usage of stack serve:")
		flags.SetOutput(usage)
		flags.PrintDefaults()
	}
	return c, err
}

// Run runs the service until ctx ends.
func Run(ctx context.Context, c *Config, output io.Writer) error { return c.run(ctx, output) }

func (c *Config) run(ctx context.Context, output io.Writer) error {
	l, err := c.listen()
	if err != nil {
		return err
	}
	fmt.Fprintf(output, "%s listens on %s\n", c.name, l.Addr())
	s := &server{Config: c, healthyAt: time.Now().Add(c.warmUp)}
	if c.db != "" {
		if s.db, err = sql.Open("sqlite", "file:"+(&url.URL{Path: c.db}).EscapedPath()+"?_pragma=busy_timeout(5000)"); err != nil {
			return errors.Join(err, l.Close())
		}
		defer s.db.Close()
	}
	hs := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var others sync.WaitGroup
	others.Go(func() {
		<-ctx.Done()
		quick, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := hs.Shutdown(quick); err != nil {
			fmt.Fprintln(output, errors.Join(err, hs.Close()))
		}
	})
	if c.signal != "" {
		others.Go(func() { s.signalUp(ctx, output) })
	}
	err = hs.Serve(l) // which returns while Shutdown still waits for requests
	end()
	others.Wait()
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	fmt.Fprintf(output, "%s ends\n", c.name)
	return nil
}

// listen returns the socket that was handed over, as systemd does it, or else
// one of its own.
func (c *Config) listen() (net.Listener, error) {
	pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID"))
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if pid != os.Getpid() || n < 1 {
		return net.Listen("tcp", c.address)
	}
	f := os.NewFile(3, "socket")
	defer f.Close()
	return net.FileListener(f)
}

type server struct {
	*Config
	db        *sql.DB
	healthyAt time.Time
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if time.Now().Before(s.healthyAt) {
			http.Error(w, "warming up", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /", s.answer)
	return mux
}

// reply is what the service answers.
type reply struct {
	Service   string           `json:"service"`
	Visits    int              `json:"visits,omitempty"`
	Upstreams map[string]reply `json:"upstreams,omitempty"`
}

func (s *server) answer(w http.ResponseWriter, req *http.Request) {
	if s.token != "" && req.Header.Get("X-Token") != s.token && req.URL.Query().Get("token") != s.token {
		http.Error(w, "the token is missing", http.StatusForbidden)
		return
	}
	r, err := s.reply(req.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *server) reply(ctx context.Context) (reply, error) {
	r := reply{Service: s.name}
	var err error
	if r.Visits, err = s.visit(ctx); err != nil {
		return r, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.upstreams)) {
		up, err := s.call(ctx, s.upstreams[name])
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		if r.Upstreams == nil {
			r.Upstreams = map[string]reply{}
		}
		r.Upstreams[name] = up
	}
	return r, nil
}

// visit counts a visit, and returns how many there have been.
func (s *server) visit(ctx context.Context) (n int, err error) {
	if s.db == nil {
		return 0, nil
	}
	if _, err := s.db.ExecContext(ctx, `INSERT INTO visit (service, at) VALUES (?, datetime())`, s.name); err != nil {
		return 0, err
	}
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM visit WHERE service = ?`, s.name).Scan(&n)
	return n, err
}

func (s *server) call(ctx context.Context, target string) (r reply, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return r, err
	}
	req.Header.Set("X-Token", s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return r, errors.New(resp.Status)
	}
	return r, json.NewDecoder(resp.Body).Decode(&r)
}

// signalUp tells the wait condition once all that the service calls answers.
func (s *server) signalUp(ctx context.Context, output io.Writer) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.trySignal(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		fmt.Fprintln(output, "not up yet:", err)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (s *server) trySignal(ctx context.Context) error {
	if _, err := s.reply(ctx); err != nil {
		return err
	}
	body := fmt.Sprintf(`{"id": %q, "status": "SUCCESS", "data": "all upstreams answer"}`, s.name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.signal, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
