package inspect

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed web
var web embed.FS

// assets are the files of the page.
var assets = func() fs.FS {
	sub, err := fs.Sub(web, "web")
	if err != nil {
		panic("inspect: internal error: " + err.Error())
	}
	return sub
}()

const index = "index.html"

// policy lets the page load its own files and nothing else, run no script that
// is written into it, and put no text into the document as HTML.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// ServeHTTP answers with the page, one of its files, JSON or a stream of events:
// by the last part of the path, whatever comes before it.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the page is read-only", http.StatusMethodNotAllowed)
		return
	}
	switch name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; name {
	case "":
		p.serveFile(w, r, index)
	case "runs":
		runs, _, _ := p.list(0)
		serveJSON(w, runList{Runs: runs})
	case "run":
		if run := p.requested(w, r); run != nil {
			serveJSON(w, run.whole())
		}
	case "node":
		p.serveNode(w, r)
	case "events":
		p.serveEvents(w, r)
	default:
		p.serveFile(w, r, name)
	}
}

func (p *Page) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	b, err := fs.ReadFile(assets, name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", contentTypes[path.Ext(name)])
	_, _ = w.Write(b) // an error means that the viewer has gone
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// requested returns the run that the request names, or answers that there is
// none.
func (p *Page) requested(w http.ResponseWriter, r *http.Request) *run {
	id, err := strconv.Atoi(r.URL.Query().Get("id"))
	run := p.find(id)
	if err != nil || run == nil {
		http.Error(w, "there is no such run", http.StatusNotFound)
		return nil
	}
	return run
}

func (p *Page) serveNode(w http.ResponseWriter, r *http.Request) {
	run := p.requested(w, r)
	if run == nil {
		return
	}
	node, err := strconv.ParseInt(r.URL.Query().Get("node"), 10, 32)
	if err != nil || node < 0 || int(node) >= len(run.graph.names) {
		http.Error(w, "there is no such node", http.StatusNotFound)
		return
	}
	page := run.snapshot().page(run.graph, int32(node))
	if explain := run.explainer(); explain != nil {
		if e, ok := explain(r.Context(), int32(node)); ok {
			page.Explanation = &e
		} else {
			page.Busy = true
		}
	}
	serveJSON(w, page)
}

// explainer returns the function that asks the group; nil after its end.
func (r *run) explainer() explainer {
	r.page.mu.Lock()
	defer r.page.mu.Unlock()
	return r.explain
}

// serveJSON answers with v.
func serveJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = write(http.NewResponseController(w), w, encode(v)) // an error means that the viewer has gone
}

// encode returns v as JSON. The types in state.go cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("inspect: internal error: " + err.Error())
	}
	return b
}
