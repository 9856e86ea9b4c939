package inspect

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
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

// ServeHTTP answers with the page, one of its files, JSON or a stream of events,
// depending on the last part of the path. It reads nothing but the request's method,
// host and address, and calls no code of tasks, keys or errors.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.must("ServeHTTP")
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if !p.hosts.allow(r.Host) {
		http.Error(w, "inspect: this page does not answer for the host "+strconv.Quote(cut(r.Host, summaryMax))+
			"; Options.Hosts names those that it does answer for besides localhost and IP addresses", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the page is read-only", http.StatusMethodNotAllowed)
		return
	}
	switch name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; name {
	case "":
		p.serveFile(w, r, index)
	case "runs":
		serveJSON(w, r, &p.paces.runs, p.writeRuns)
	case "run":
		if run := p.requested(w, r); run != nil {
			serveJSON(w, r, &p.paces.run, run.write)
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

// serveJSON has an answer written when it is its turn, if anybody wants to read it.
func serveJSON(w http.ResponseWriter, r *http.Request, turn *pace, answer func(s *sender)) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead || !turn.wait(r.Context()) {
		return
	}
	s, began := newSender(w), time.Now()
	answer(s)
	turn.worked(time.Since(began) - s.waited)
	s.flush()
}

func (p *Page) writeRuns(s *sender) {
	s.text(`{"runs":[`)
	for i, run := range p.all() {
		if i > 0 {
			s.text(",")
		}
		s.value(run.summary())
		if !s.piece() {
			return
		}
	}
	s.text("]}")
}

// write answers with all of a run. Nodes that change meanwhile are in it as
// they were when they were written.
func (r *run) write(s *sender) {
	s.text(`{"run":`)
	sum := r.summary()
	s.value(sum)
	s.text(`,"nodes":[`)
	for next := 0; next < sum.Nodes; {
		if next > 0 {
			s.text(",")
		}
		if next = r.briefs(s, next); !s.piece() {
			return
		}
	}
	s.text(`],"forecast":`)
	s.value(r.forecastNow())
	s.text("}")
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
	if err != nil || node < 0 || int(node) >= run.summary().Nodes {
		http.Error(w, "there is no such node", http.StatusNotFound)
		return
	}
	serveJSON(w, r, &p.paces.node, func(s *sender) {
		page, hasEnded := run.describe(int32(node))
		if !hasEnded {
			began := time.Now()
			if e, ok := run.explain(r.Context(), int(node)); ok {
				page.Explanation = &e
			} else {
				page.Busy = true
			}
			s.waited += time.Since(began)
		}
		s.value(page)
	})
}
