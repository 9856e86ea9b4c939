package inspect_test

import (
	"bytes"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

// heldBack is an answer that stops before the nodes of a stream until it may go on.
type heldBack struct {
	http.ResponseWriter
	goOn <-chan struct{}
}

func (h heldBack) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h heldBack) Write(b []byte) (int, error) {
	first := bytes.Index(b, []byte("event: nodes"))
	if first < 0 {
		return h.ResponseWriter.Write(b)
	}
	n, err := h.ResponseWriter.Write(b[:first])
	if err != nil {
		return n, err
	}
	control := http.NewResponseController(h.ResponseWriter)
	if err := errors.Join(control.Flush(), control.SetWriteDeadline(time.Time{})); err != nil {
		return n, err
	}
	<-h.goOn // for longer than a piece may take, on a busy machine
	m, err := h.ResponseWriter.Write(b[first:])
	return n + m, err
}

// TestBrowser_keeps_what_is_selected: after a reload also while the nodes have not
// arrived, which is seen if a frame is drawn in between.
func TestBrowser_keeps_what_is_selected(t *testing.T) {
	page := inspect.New(nil)
	var held atomic.Pointer[chan struct{}]
	w := open(t, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if goOn := held.Load(); goOn != nil {
			out = heldBack{out, *goOn}
		}
		page.ServeHTTP(out, r)
	}), 1360, 800)
	if w == nil {
		return
	}
	group := watchedGroup(t, page, graph("disk server:disk"),
		func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) }, nil)
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	w.until(`document.getElementById('found').innerText === '2'`)
	w.do(chromedp.Click(graphNode("server")))
	w.until(`document.querySelector('#node h2')?.innerText === 'server'`)

	goOn := make(chan struct{})
	held.Store(&goOn)
	w.do(chromedp.Reload())
	w.until(`document.getElementById('where').innerText.includes('0 of 2 nodes have arrived')`)
	require.True(t, eval[bool](w, `document.getElementById('node').hidden`))
	close(goOn)
	w.until(`document.querySelector('#node h2')?.innerText === 'server' && document.querySelectorAll('#graph .selected').length === 1`)
	w.silent()
}
