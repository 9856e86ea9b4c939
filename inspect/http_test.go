package inspect_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

// pipes is a listener for connections within the process, whose time is that of
// the bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	slow   time.Duration // for each piece that the client reads
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	p.conns <- server
	return &slowConn{client, p.slow}, nil
}

// slowConn is a slow line.
type slowConn struct {
	net.Conn
	each time.Duration
}

func (c *slowConn) Read(b []byte) (int, error) {
	time.Sleep(c.each) //nolint:forbidigo // in a bubble
	return c.Conn.Read(b[:min(len(b), 4<<10)])
}

// serve serves the page by one version of HTTP alone, in a bubble.
func serve(t *testing.T, page http.Handler, http2 bool, slow time.Duration) *http.Client {
	t.Helper()
	return serveBy(t, &http.Server{Handler: page}, http2, slow)
}

// serveBy serves by a server.
func serveBy(t *testing.T, server *http.Server, http2 bool, slow time.Duration) *http.Client {
	t.Helper()
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	line := &pipes{conns: make(chan net.Conn), closed: make(chan struct{}), slow: slow}
	server.Protocols = protocols
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(line) }()
	transport := &http.Transport{DialContext: line.dial, Protocols: protocols}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble: the last reads return
	})
	return &http.Client{Transport: transport}
}

// A stream on which nothing happens stays open.
func TestEvents_idle(t *testing.T) {
	for version, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				page := inspect.New(nil)
				defer page.Close()
				require.NoError(t, scheduler.Run(t.Context(), newGroup(t, page, "a", func(string) scheduler.Task {
					return scheduler.Pause(scheduler.Next)
				}, nil), nil))
				response, err := serve(t, page, http2, 0).Get("http://localhost/events?id=1")
				require.NoError(t, err)
				defer response.Body.Close()
				require.Equal(t, version, response.Proto)
				start, lines := time.Now(), bufio.NewReader(response.Body)
				for time.Since(start) < 5*time.Minute {
					_, err := lines.ReadString('\n')
					require.NoError(t, err, "after %v", time.Since(start))
				}
			})
		})
	}
}

// A run that takes longer than the time limit to arrive arrives.
func TestRun_on_a_slow_line(t *testing.T) {
	for version, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				page := inspect.New(nil)
				defer page.Close()
				name := strings.Repeat("long", 200)
				deps := scheduler.NewDependencies[string]()
				for i := range 1500 {
					deps.Add(name + fmt.Sprint(i))
				}
				group := watchedGroup(t, page, deps, func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) }, nil)
				require.NoError(t, scheduler.Run(t.Context(), group, nil))
				start := time.Now()
				client := serve(t, page, http2, 200*time.Millisecond)
				response, err := client.Get("http://localhost/run?id=1")
				require.NoError(t, err)
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Greater(t, len(body), 1500*len(name))
				require.Greater(t, time.Since(start), 30*time.Second)
			})
		})
	}
}

// Of a request only its address is read.
func TestHandler_reads_no_body(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	page := inspect.New(nil)
	defer page.Close()
	for _, path := range []string{"run?id=1", "node?id=1&node=0", "events?id=1"} {
		body, out := io.Pipe()
		form := multipart.NewWriter(out)
		read := make(chan int64, 1)
		go func() {
			w, err := form.CreateFormFile("f", "f")
			n := int64(0)
			for i := 0; err == nil && i < 100; i++ {
				var written int
				written, err = w.Write(make([]byte, 1<<20))
				n += int64(written)
			}
			_ = form.Close()
			_ = out.Close()
			read <- n
		}()
		ctx, cancel := context.WithCancel(t.Context())
		request := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/"+path, body)
		request.Header.Set("Content-Type", form.FormDataContentType())
		time.AfterFunc(10*time.Millisecond, cancel) // for the stream
		page.ServeHTTP(httptest.NewRecorder(), request)
		require.NoError(t, body.Close())
		require.Zero(t, <-read, path)
		files, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Empty(t, files, path)
	}
}
