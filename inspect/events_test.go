package inspect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

// stream is a viewer of the page's events.
type stream struct {
	t      *testing.T
	cancel context.CancelFunc
	ended  chan struct{}
	status int
	header http.Header
	before func(text []byte) // called before each Write

	mu   sync.Mutex
	text bytes.Buffer
}

// watch opens a stream, within a bubble.
func watch(t *testing.T, page http.Handler, path string) *stream {
	return watchWrites(t, page, path, func([]byte) {})
}

// watchWrites opens a stream, and has before called before each of its writes.
func watchWrites(t *testing.T, page http.Handler, path string, before func(text []byte)) *stream {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stream{t: t, cancel: cancel, ended: make(chan struct{}), header: http.Header{}, before: before}
	go func() {
		defer close(s.ended)
		page.ServeHTTP(s, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/"+path, nil))
	}()
	t.Cleanup(s.close)
	return s
}

func (s *stream) close() {
	s.cancel()
	<-s.ended
}

func (s *stream) Header() http.Header    { return s.header }
func (s *stream) WriteHeader(status int) { s.status = status }
func (s *stream) Flush()                 {}

func (s *stream) Write(b []byte) (int, error) {
	s.before(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// event is what a stream was sent.
type event struct{ name, data string }

// events returns what was sent since the last call, a second from now.
func (s *stream) events() (events []event) {
	time.Sleep(time.Second) //nolint:forbidigo // in a bubble
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for part := range strings.SplitSeq(s.text.String(), "\n\n") {
		if part != "" {
			name, data, _ := strings.Cut(strings.TrimPrefix(part, "event: "), "\ndata: ")
			events = append(events, event{name, data})
		}
	}
	s.text.Reset()
	return events
}

func names(events []event) (names string) {
	for _, e := range events {
		names += e.name + " "
	}
	return strings.TrimSpace(names)
}

// whole puts together the run that a stream was sent in pieces.
func whole(t *testing.T, events []event) wholeRun {
	w := last[wholeRun](t, events, "run")
	for _, e := range events {
		if e.name == "nodes" {
			var some struct {
				From  int
				Nodes []shownNode
			}
			require.NoError(t, json.Unmarshal([]byte(e.data), &some))
			require.Len(t, w.Nodes, some.From)
			w.Nodes = append(w.Nodes, some.Nodes...)
		}
	}
	return w
}

// last decodes the last event of a name.
func last[T any](t *testing.T, events []event, name string) (data T) {
	t.Helper()
	for _, e := range slices.Backward(events) {
		if e.name == name {
			require.NoError(t, json.Unmarshal([]byte(e.data), &data))
			return data
		}
	}
	t.Fatalf("no event %q among %s", name, names(events))
	return data
}

// drive runs a group in a bubble.
func drive(t *testing.T, group scheduler.Task) (end chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	end = make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		end <- scheduler.Run(ctx, group, nil)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return end
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(&inspect.Options{Ended: 1})
		before := watch(t, page, "events")
		require.Equal(t, "runs", names(before.events()))
		require.Equal(t, "text/event-stream", before.header.Get("Content-Type"))

		var a, b scheduler.Event
		drive(t, newGroup(t, page, "a b:a", func(k string) scheduler.Task {
			return scheduler.Pause(scheduler.On(map[string]*scheduler.Event{"a": &a, "b": &b}[k]))
		}, &scheduler.GroupOptions[string]{Name: "one"}))
		list := last[runList](t, before.events(), "runs")
		require.Len(t, list.Runs, 1)
		require.Equal(t, map[string]int{"pending": 1, "running": 1}, list.Runs[0].Counts)

		first := watch(t, page, "events?id=1")
		sent := first.events()
		require.Equal(t, "runs run nodes forecast", names(sent))
		require.Equal(t, []string{"a running", "b pending"}, states(whole(t, sent)))
		a.Set()
		sent = first.events()
		require.Equal(t, "runs changes forecast", names(sent))
		c := last[changes](t, sent, "changes")
		require.Equal(t, 3, c.Version)
		require.Equal(t, "[{0 succeeded } {1 running }]", fmt.Sprint(c.Changes))

		late := watch(t, page, "events?id=1")
		require.Equal(t, []string{"a succeeded", "b running"}, states(whole(t, late.events())), "a late viewer gets the whole state")
		late.close()
		late = watch(t, page, "events?id=1")
		require.Equal(t, []string{"a succeeded", "b running"}, states(whole(t, late.events())), "and so does one who comes again")

		b.Set()
		require.Equal(t, "[{1 succeeded }]", fmt.Sprint(last[changes](t, first.events(), "changes").Changes))
		require.Equal(t, "succeeded", last[runList](t, before.events(), "runs").Runs[0].Status)

		// Nothing happens: there is a sign of life all the same.
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		require.Contains(t, names(first.events()), "still here")

		// Another run takes the place of the first.
		drive(t, newGroup(t, page, "x", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) }, nil))
		require.Equal(t, []int{1}, last[runList](t, before.events(), "runs").Gone)
		require.Equal(t, "runs gone", names(watch(t, page, "events?id=1").events()))

		page.Close()
		page.Close()
		<-first.ended
		<-before.ended
		closed := watch(t, page, "events")
		<-closed.ended
		require.Equal(t, http.StatusServiceUnavailable, closed.status)
	})
}

func TestEvents_of_too_many_viewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		for range 100 {
			watch(t, page, "events")
		}
		synctest.Wait()
		refused := watch(t, page, "events")
		<-refused.ended
		require.Equal(t, http.StatusServiceUnavailable, refused.status)
		require.Equal(t, http.StatusOK, get(page, "runs").Code)
		page.Close()
	})
}

func TestEvents_head(t *testing.T) {
	w := httptest.NewRecorder()
	inspect.New(nil).ServeHTTP(w, httptest.NewRequest(http.MethodHead, "http://localhost/events", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Empty(t, w.Body.String())
}

// stuck is a viewer who does not read: what is written to it stays.
type stuck struct {
	stream
	release chan struct{}
	writing chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	s.writing <- struct{}{}
	<-s.release
	return len(b), nil
}

// TestEvents_of_a_viewer_who_does_not_read: the run goes on to its end, in no
// more simulated time than without it.
func TestEvents_of_a_viewer_who_does_not_read(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := inspect.New(nil)
		deps := scheduler.NewDependencies[int]()
		for k := range 999 {
			deps.Add(k+1, k)
		}
		group := watchedGroup(t, page, deps, func(int) scheduler.Task { return scheduler.Pause(scheduler.After(time.Second)) }, nil)
		began := time.Now()
		end := drive(t, group)
		synctest.Wait()
		viewers := []*stuck{}
		for range 20 {
			v := &stuck{release: make(chan struct{}), writing: make(chan struct{}, 1), stream: stream{header: http.Header{}, ended: make(chan struct{})}}
			ctx, cancel := context.WithCancel(context.Background())
			v.cancel = cancel
			go func() {
				defer close(v.ended)
				page.ServeHTTP(v, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/events?id=1", nil))
			}()
			<-v.writing
			viewers = append(viewers, v)
		}
		require.NoError(t, <-end)
		require.Equal(t, 1000*time.Second, time.Since(began))
		for _, v := range viewers {
			v.cancel()
			go func() {
				for range v.writing { // takes what else is written
				}
			}()
			close(v.release)
			<-v.ended
			close(v.writing)
		}
	})
}

// TestEvents_over_a_network: the same with a connection whose other end never
// reads, and readers who ask all the time, for the race detector.
func TestEvents_over_a_network(t *testing.T) {
	page := inspect.New(nil)
	server := httptest.NewServer(mounted(page))
	t.Cleanup(server.Close)
	var sum scheduler.Event
	deps := scheduler.NewDependencies[string]()
	for i := range 3000 {
		deps.Add(fmt.Sprintf("node-%d", i), "sum")
		deps.Add(fmt.Sprintf("after-%d", i), fmt.Sprintf("node-%d", i))
	}
	group := watchedGroup(t, page, deps, func(k string) scheduler.Task {
		if k == "sum" {
			return scheduler.Pause(scheduler.On(&sum))
		}
		return scheduler.Pause(scheduler.Next)
	}, &scheduler.GroupOptions[string]{Limit: 50})
	end := drive(t, group)

	address := strings.TrimPrefix(server.URL, "http://")
	for range 5 {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() }) //nolint:errcheck // the test is over
		_, err = fmt.Fprintf(conn, "GET %sevents?id=1 HTTP/1.1\r\nHost: %s\r\n\r\n", base, address)
		require.NoError(t, err)
	}
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for _, path := range []string{"run?id=1", "runs", "node?id=1&node=5000", "node?id=1&node=0"} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					get(page, path)
				}
			}
		})
	}
	sum.Set()
	require.NoError(t, <-end)
	close(stop)
	readers.Wait()
	require.Equal(t, 6001, ask[runList](t, page, "runs").Runs[0].Counts["succeeded"])
	page.Close()
}
