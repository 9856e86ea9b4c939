package service_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/service"
	"github.com/stretchr/testify/require"
)

// serve starts a service and returns its URL.
func serve(t *testing.T, args ...string) string {
	t.Helper()
	config, err := service.ParseFlags(args, io.Discard)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := service.Run(ctx, config, write)
		done <- errors.Join(err, write.Close())
	}()
	address := make(chan string, 1)
	var drained sync.WaitGroup
	drained.Go(func() {
		defer close(address)
		b := make([]byte, 4096)
		for first := true; ; first = false {
			n, err := read.Read(b)
			if err != nil {
				return
			}
			if m := regexp.MustCompile(`listens on (\S+)`).FindSubmatch(b[:n]); first && m != nil {
				address <- string(m[1])
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		drained.Wait()
	})
	a, ok := <-address
	require.True(t, ok)
	return "http://" + a
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// TestRun: two services, one of which calls the other and says when it is up.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "visits.sqlite")
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	_, err = db.Exec(`CREATE TABLE visit (service TEXT, at TEXT)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	signalled := make(chan string, 1)
	handle := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		signalled <- string(b)
	}))
	t.Cleanup(handle.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)

	store := serve(t, "-name=store", "-token=secret", "-db="+path)
	front := serve(t, "-name=front", "-token=secret", "-upstream=store="+store+"/", "-signal="+handle.URL)
	require.JSONEq(t, `{"id": "front", "status": "SUCCESS", "data": "all upstreams answer"}`, <-signalled)

	status, body := get(t, front+"/?token=secret")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"service": "front", "upstreams": {"store": {"service": "store", "visits": 2}}}`, body)
	status, _ = get(t, front+"/")
	require.Equal(t, http.StatusForbidden, status)
	status, body = get(t, front+"/healthz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok\n", body)
}

func TestRun_failures(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	status, _ := get(t, serve(t, "-warm-up=1h")+"/healthz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _ = get(t, serve(t, "-upstream=gone=http://127.0.0.1:1/")+"/")
	require.Equal(t, http.StatusBadGateway, status)
	status, _ = get(t, serve(t, "-db="+filepath.Join(t.TempDir(), "no", "such.db"))+"/")
	require.Equal(t, http.StatusBadGateway, status)
	_, err := service.ParseFlags([]string{"-upstream=x"}, io.Discard)
	require.Error(t, err)
	nowhere, err := service.ParseFlags([]string{"-listen=nowhere"}, io.Discard)
	require.NoError(t, err)
	require.Error(t, service.Run(t.Context(), nowhere, io.Discard))
}
