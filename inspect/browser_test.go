package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

// browserPatience is how long the tests wait for what must happen. Nothing
// depends on how much of it is needed.
const browserPatience = time.Minute

// window is a page in a real browser.
type window struct {
	t      *testing.T
	ctx    context.Context
	mu     sync.Mutex
	errors []string // what the browser has complained of
}

// open opens the page in a headless Chromium.
func open(t *testing.T, page http.Handler, width, height int64) *window {
	t.Helper()
	if testing.Short() {
		return nil
	}
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	require.NotEmpty(t, program, "this test needs Chromium: run \"make -C inspect browser\", which installs it with apt-get, or give -short")

	server := httptest.NewServer(mounted(page))
	t.Cleanup(server.Close)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox,
		chromedp.WSURLReadTimeout(browserPatience))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	w := &window{t: t}
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(w.listen))
	t.Cleanup(cancel)
	w.ctx = ctx
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	w.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(server.URL+base))
	return w
}

// listen keeps what the browser complains of.
func (w *window) listen(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		w.errors = append(w.errors, fmt.Sprintf("%+v", e.ExceptionDetails))
	case *log.EventEntryAdded:
		w.errors = append(w.errors, fmt.Sprintf("%+v", e.Entry))
	}
}

// base is where the page is mounted.
const base = "/debug/scheduler/"

func mounted(page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(base, page)
	return mux
}

type action = chromedp.Action[chromedp.Void]

// do does something in the browser.
func (w *window) do(actions ...action) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, browserPatience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		w.fatal(err.Error())
	}
}

// fatal ends the test with what there is to be seen.
func (w *window) fatal(what string) {
	w.t.Helper()
	text, _ := chromedp.Run(w.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Fatalf("%s\nthe browser says: %q\nthe page says:\n%s", what, w.errors, text)
}

// until waits until a condition in JavaScript holds.
func (w *window) until(condition string) {
	w.t.Helper()
	poll := chromedp.Poll[chromedp.Void](condition,
		chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(browserPatience))
	if err := chromedp.Do(w.ctx, poll); err != nil {
		w.fatal("waited in vain for " + condition + ": " + err.Error())
	}
}

// eval evaluates an expression in JavaScript.
func eval[T any](w *window, expression string) T {
	w.t.Helper()
	value, err := chromedp.Run(w.ctx, chromedp.Evaluate[T](expression))
	require.NoError(w.t, err)
	return value
}

// text returns the text of an element.
func (w *window) text(selector string) string {
	w.t.Helper()
	return eval[string](w, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// click clicks on the first element of a selector.
func click(selector string) action { return chromedp.Click(chromedp.CSS(selector)) }

// graphNode is the node of that name in the graph.
func graphNode(name string) string {
	return fmt.Sprintf("//*[@id='graph']//*[starts-with(@aria-label,'%s:')]", name)
}

// scheme switches between the dark and the light design.
func (w *window) scheme(name string) {
	w.t.Helper()
	_, err := chromedp.Call(w.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
	require.NoError(w.t, err)
}

// shot takes a screenshot, if these are wanted.
func (w *window) shot(name string) {
	w.t.Helper()
	if *screenshots == "" {
		return
	}
	png, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	require.NoError(w.t, err)
	require.NoError(w.t, os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o644))
}

// silent checks that the browser had nothing to complain of.
func (w *window) silent() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(w.t, w.errors)
}

var errSpace = errors.New("no space left on device")

// steps is a run whose tasks end when the test says so.
type steps struct {
	events map[string]*scheduler.Event
	fails  map[string]error
	end    chan error
}

func (s *steps) task(name string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Yield(scheduler.On(s.events[name])); err != nil {
			return err
		}
		return s.fails[name]
	})
}

// run drives a group on a goroutine of its own until the end of the test.
func (s *steps) run(t *testing.T, page *inspect.Page, deps *scheduler.Dependencies[string], opts *scheduler.GroupOptions[string]) {
	t.Helper()
	s.events, s.end = map[string]*scheduler.Event{}, make(chan error, 1)
	for name := range deps.Nodes() {
		s.events[name] = new(scheduler.Event)
	}
	group := watchedGroup(t, page, deps, s.task, opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.end <- scheduler.Run(ctx, group, nil)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func (s *steps) finish(names ...string) {
	for _, name := range names {
		s.events[name].Set()
	}
}

// site is a graph of a small site; one of its nodes has a name that would run
// as a script if it got into the document as HTML.
func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for _, line := range []string{
		"network", "volume", "image", "key-pair", "subnet:network", "router:subnet", "security-group:network",
		"port-1:subnet,security-group", "port-2:subnet,security-group", "server-1:port-1,image,key-pair,volume", "server-2:port-2,image,key-pair",
		"database:server-1", "cache:server-2", "load-balancer:server-1,server-2,router", "floating-ip:router,load-balancer",
		"dns:floating-ip", "monitor:database,cache", script + ":volume",
	} {
		name, required, _ := strings.Cut(line, ":")
		deps.Add(name)
		for q := range strings.SplitSeq(required, ",") {
			if q != "" {
				deps.Add(name, q)
			}
		}
	}
	return deps
}

const script = `<script>alert(1)</script><img src=x onerror="document.title='run'">`

func TestBrowser(t *testing.T) {
	page := inspect.New(nil)
	w := open(t, page, 1360, 800)
	if w == nil {
		return
	}
	w.until(`document.getElementById('empty').innerText.startsWith('No run yet')`)
	w.until(`document.getElementById('connection').innerText === 'live'`)

	var s steps
	s.fails = map[string]error{"server-2": fmt.Errorf("boot: %w", errors.Join(errSpace, errors.New("no console")))}
	s.run(t, page, site(), &scheduler.GroupOptions[string]{Name: "create", AggregateErrors: true})
	// A node that begins is drawn as running, and others as pending.
	state := func(node, state string) string {
		return fmt.Sprintf(`[...document.querySelectorAll('#graph .item')].some(i => i.dataset.state === %q && i.querySelector('title').textContent.startsWith(%q))`, state, node+":")
	}
	w.until(state("network", "running"))
	w.until(state("server-1", "pending"))
	colour := func() string {
		return eval[string](w, `getComputedStyle([...document.querySelectorAll('#graph .item')].find(i => i.querySelector('title').textContent.startsWith('network:')).querySelector('rect.box')).stroke`)
	}
	running := colour()
	s.finish("network")
	w.until(state("network", "succeeded"))
	require.NotEqual(t, running, colour(), "a node changes its colour")
	s.finish("volume", "image", "key-pair", "subnet", "security-group", script, "port-2", "port-1", "router")
	w.until(state("server-2", "running"))
	w.shot("small")

	// What a node waits for is said by the group.
	w.do(chromedp.Click(graphNode("database")))
	w.until(`document.querySelector('#said')?.innerText.includes('requires server-1')`)
	require.Equal(t, "database: pending since round 0, requires server-1", w.text("#said"))

	// A failure is shown as soon as it happens, with all that it wraps.
	s.finish("server-2")
	w.until(state("server-2", "failed"))
	w.until(state("cache", "skipped"))
	w.do(chromedp.SendKeys(chromedp.CSS("#search"), "er 2"))
	w.until(`document.getElementById('found').innerText === '1 of 18'`)
	w.until(`document.querySelector('#list .row').innerText.includes('server-2')`)
	w.do(chromedp.SendKeys(chromedp.CSS("#search"), kb.Enter), chromedp.SendKeys(chromedp.CSS("#list"), kb.Enter))
	w.until(`document.querySelector('#node h2')?.innerText === 'server-2' && document.querySelectorAll('#node .chain li').length === 4`)
	chain := w.text("#node .chain")
	for _, want := range []string{"*fmt.wrapError", "boot: no space left on device", "*errors.joinError", "no console"} {
		require.Contains(t, chain, want)
	}

	// The filter finds by state, the keyboard goes through the graph.
	w.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('search').value = ''; document.getElementById('search').dispatchEvent(new Event('input'))`))
	w.do(click("#filters .failed"))
	w.until(`document.getElementById('found').innerText === '1 of 18'`)
	w.do(click("#filters .failed"))
	w.until(`document.getElementById('found').innerText === '18'`)
	w.do(chromedp.Focus(graphNode("server-2")), chromedp.KeyEvent(kb.ArrowLeft))
	w.until(`document.activeElement.closest('#graph') && document.activeElement.dataset.state === 'succeeded'`)
	w.do(chromedp.KeyEvent(kb.Enter))
	w.until(`document.querySelector('#node h2').innerText !== 'server-2'`)

	// A node's name is text, wherever it is shown.
	w.do(chromedp.Click(strings.Replace(graphNode("<script"), ":')", "')", 1)))
	w.until(fmt.Sprintf(`document.querySelector('#node h2').innerText === %q`, script))
	require.Zero(t, eval[int](w, `document.querySelectorAll('img, script:not([src])').length`))

	// A viewer who comes late, or again, sees everything.
	s.finish("server-1", "database", "load-balancer")
	w.until(state("database", "succeeded"))
	w.do(chromedp.Reload())
	w.until(state("database", "succeeded"))
	w.until(fmt.Sprintf(`document.querySelector('#node h2')?.innerText === %q`, script))
	w.until(`document.getElementById('status').innerText === 'failed'`)
	require.ErrorContains(t, <-s.end, "1 task failed")
	w.until(`document.getElementById('failure-text').innerText.includes('1 task failed')`)
	w.do(click("#failure summary"))
	require.Contains(t, w.text("#failure-chain"), "no console")
	w.do(click("#failure summary"))

	// The timeline has what ran, and marks the longest path.
	w.do(chromedp.Click(graphNode("server-2")))
	w.until(`document.querySelector('#node h2').innerText === 'server-2'`)
	w.shot("failed")
	w.scheme("dark")
	w.shot("failed-dark")
	w.do(chromedp.KeyEvent(kb.Escape))
	w.until(`document.getElementById('node').hidden`)
	w.do(click("#tab-timeline"))
	w.until(`document.querySelectorAll('#bars .row').length === 13 && document.querySelectorAll('#bars .longest').length >= 3`)
	w.shot("timeline-dark")
	w.scheme("light")
	w.shot("timeline")
	w.do(click("#only-longest"))
	w.until(`document.querySelectorAll('#bars .row').length === document.querySelectorAll('#bars .longest').length`)
	w.silent()
}
