package resource

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/state"
)

var httpWaitKind = &Kind{
	Summary: "a wait until a URL answers",
	Properties: map[string]Property{
		"url":      {Type: String, Required: true},
		"status":   {Type: Number}, // 200
		"contains": {Type: String},
		"interval": {Type: Number},
		"timeout":  {Type: Number},
	},
	Attributes: []string{"status", "body"},
	Create:     createHTTPWait,
}

func createHTTPWait(co *scheduler.Coroutine, r *Resource) error {
	url, part := r.Props.String("url"), r.Props.String("contains")
	want := int(r.Props.Number("status", http.StatusOK))
	var body string
	r.note("waiting for %s", url)
	err := poll(co, pollOptions{
		every: r.Props.Seconds("interval", pollEvery),
		limit: r.Props.Seconds("timeout", healthyAfter),
	}, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, text, err := get(ctx, url, want)
		if err == nil && !strings.Contains(text, part) {
			err = fmt.Errorf("%s: %q is not in the answer", url, part)
		}
		body = text
		return err
	})
	r.set(map[string]any{"status": want, "body": body})
	return err
}

// get asks a URL, and expects a status.
func get(ctx context.Context, url string, want int) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	// A connection of its own: none is left open when the answer is there.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp.StatusCode, string(b), err
}

// handle takes the signals of one OS::Heat::WaitConditionHandle.
type handle struct {
	server  *http.Server
	arrived *scheduler.Event // set by the server's goroutines
}

func (h *handle) close() error { return h.server.Close() }

var handleKind = &Kind{
	Summary:    "a URL that takes signals for a wait condition",
	Properties: map[string]Property{},
	Attributes: []string{"endpoint", "token", "curl_cli"},
	Create: func(co *scheduler.Coroutine, r *Resource) error {
		// What an interrupted attempt has made, or a run before, somebody may know.
		token, port := r.known("token"), r.number("port")
		if token == "" {
			token = rand.Text()
		}
		var l net.Listener
		err := r.Intend(co, "endpoint", func(context.Context) (map[string]any, error) {
			var err error
			if l, err = net.Listen("tcp", loopback(port)); err != nil {
				return nil, err
			}
			endpoint := "http://" + l.Addr().String() + "/signal/" + token
			return map[string]any{
				"port": portOf(l), "token": token, "endpoint": endpoint,
				"curl_cli": "curl -sS -X POST -H 'Content-Type: application/json' " + endpoint,
			}, nil
		})
		switch {
		case err != nil && l != nil:
			return errors.Join(err, l.Close())
		case err != nil:
			return err
		case l != nil:
			r.serve(l, token)
			return nil
		}
		return r.serveAgain()
	},
	Delete: func(_ *scheduler.Coroutine, r *Resource) error {
		h := r.Host.handles[r.Name]
		if h == nil {
			return nil
		}
		delete(r.Host.handles, r.Name)
		return h.close()
	},
	Resume: (*Resource).serveAgain,
}

// serveAgain takes signals where an earlier run did.
func (r *Resource) serveAgain() error {
	l, err := net.Listen("tcp", loopback(r.number("port")))
	if err == nil {
		r.serve(l, r.known("token"))
	}
	return err
}

// serve starts to take signals. They are written down before they are answered,
// so that none is lost that its sender thinks has arrived.
func (r *Resource) serve(l net.Listener, token string) {
	h := &handle{arrived: new(scheduler.Event)}
	store, name := r.Host.Store, r.Name
	mux := http.NewServeMux()
	mux.HandleFunc("POST /signal/"+token, func(w http.ResponseWriter, req *http.Request) {
		sig, err := readSignal(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := store.AddSignal(req.Context(), name, sig); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		h.arrived.Set() // from this goroutine: it wakes the run
	})
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go h.server.Serve(l) //nolint:errcheck // it ends with ErrServerClosed, by close
	if r.Host.handles == nil {
		r.Host.handles = map[string]*handle{}
	}
	r.Host.handles[name] = h
}

// readSignal reads a signal in Heat's form. All of its fields may be left out;
// data may be of any type.
func readSignal(body io.Reader) (state.Signal, error) {
	var in struct {
		ID, Status, Reason string
		Data               any
	}
	err := json.NewDecoder(io.LimitReader(body, 1<<16)).Decode(&in)
	if err != nil && !errors.Is(err, io.EOF) {
		return state.Signal{}, fmt.Errorf("not a signal: %w", err)
	}
	sig := state.Signal{ID: in.ID, Status: in.Status, Reason: in.Reason}
	if sig.ID == "" {
		sig.ID = rand.Text()
	}
	if sig.Status == "" {
		sig.Status = success
	}
	if text, ok := in.Data.(string); ok || in.Data == nil {
		sig.Data = text
	} else {
		b, err := json.Marshal(in.Data)
		if err != nil {
			return sig, err
		}
		sig.Data = string(b)
	}
	return sig, nil
}

const success = "SUCCESS"

var waitConditionKind = &Kind{
	Summary: "a wait until a handle has been signalled",
	Properties: map[string]Property{
		"handle":  {Type: String, Required: true},
		"timeout": {Type: Number, Required: true},
		"count":   {Type: Number}, // 1
	},
	Attributes: []string{"data"},
	Create:     createWaitCondition,
}

// createWaitCondition waits for signals without polling: each of them wakes it.
func createWaitCondition(co *scheduler.Coroutine, r *Resource) error {
	name, store := r.Props.String("handle"), r.Host.Store
	h := r.Host.handles[name]
	if h == nil {
		return fmt.Errorf("%q is not an OS::Heat::WaitConditionHandle", name)
	}
	count, limit := int(r.Props.Number("count", 1)), r.Props.Seconds("timeout", 0)
	deadline := scheduler.Now(co.Context()).Add(limit)
	for {
		h.arrived.Reset()
		signals, err := scheduler.Call(co, func(ctx context.Context) ([]state.Signal, error) {
			return store.Signals(ctx, name)
		})
		if err != nil {
			return err
		}
		data, err := succeeded(signals)
		switch {
		case err != nil:
			return err
		case len(signals) >= count:
			r.set(map[string]any{"data": data})
			return nil
		case co.Stopping().IsSet():
			return fmt.Errorf("%w for signals: %d of %d came", ErrStopped, len(signals), count)
		case !scheduler.Now(co.Context()).Before(deadline):
			return fmt.Errorf("%d of %d signals within %v", len(signals), count, limit)
		}
		r.note("%d of %d signals", len(signals), count)
		if err := co.Yield(scheduler.On(h.arrived, co.Stopping()).Or(scheduler.At(deadline))); err != nil {
			return err
		}
	}
}

// succeeded returns the data of the signals, by id; an error if one of them
// tells of a failure.
func succeeded(signals []state.Signal) (map[string]any, error) {
	data := map[string]any{}
	for _, sig := range signals {
		if sig.Status != success {
			return nil, fmt.Errorf("signal %s: %s %s", sig.ID, sig.Status, sig.Reason)
		}
		data[sig.ID] = sig.Data
	}
	return data, nil
}
