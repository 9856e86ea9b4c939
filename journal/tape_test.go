//go:build linux && (amd64 || arm64)

package journal

import (
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"modernc.org/libc"
	sqlitelib "modernc.org/sqlite/lib"
)

// Tape is a layer between SQLite and the system, which writes down what is done to
// files, and in between whatever else matters. Afterwards it can tell what was on
// disk at each moment, or would have been after a loss of power.
type Tape struct {
	mu  sync.Mutex
	ops []op
}

type opKind uint8

const (
	opWrite opKind = iota + 1
	opTruncate
	opSync
	opDelete
	opEffect
)

type op struct {
	kind opKind
	file string // its base name; of opEffect a text
	at   int64  // of opTruncate: the size
	data []byte
}

// The layer is known to SQLite once, so it has one tape at a time.
var layer struct {
	once    sync.Once
	mu      sync.Mutex
	tape    *Tape
	names   map[uintptr]string  // of open files
	methods map[uintptr]uintptr // ours by theirs
	theirs  map[uintptr]uintptr // by open file
	open    uintptr
	delete  uintptr
}

// Offsets in sqlite3_vfs and sqlite3_io_methods, and their sizes.
const (
	vfsName, vfsOpen, vfsDelete, vfsSize                         = 24, 40, 48, 168
	methodClose, methodWrite, methodTruncate, methodSync, ioSize = 8, 24, 32, 40, 152
)

// OpenTaped opens a file through the layer.
func OpenTaped(t *testing.T, path string, opts *Options) (*Journal, *Tape) {
	t.Helper()
	layer.once.Do(func() {
		layer.names, layer.methods, layer.theirs = map[uintptr]string{}, map[uintptr]uintptr{}, map[uintptr]uintptr{}
		tls := libc.NewTLS()
		system := sqlitelib.Xsqlite3_vfs_find(tls, 0)
		ours := libc.Xmalloc(tls, vfsSize)
		libc.Xmemcpy(tls, ours, system, vfsSize)
		name, err := libc.CString("tape")
		require.NoError(t, err)
		layer.open = libc.AtomicLoadPUintptr(system + vfsOpen)
		layer.delete = libc.AtomicLoadPUintptr(system + vfsDelete)
		libc.AtomicStorePUintptr(ours+vfsName, name)
		libc.AtomicStorePUintptr(ours+vfsOpen, pointer(tapeOpen))
		libc.AtomicStorePUintptr(ours+vfsDelete, pointer(tapeDelete))
		require.Zero(t, sqlitelib.Xsqlite3_vfs_register(tls, ours, 0))
	})
	tape := &Tape{}
	layer.mu.Lock()
	layer.tape = tape
	layer.mu.Unlock()
	if opts == nil {
		opts = &Options{}
	}
	j, err := open(path, opts, url.Values{"vfs": {"tape"}})
	require.NoError(t, err)
	return j, tape
}

// pointer returns what SQLite calls a function by.
func pointer[F any](f F) uintptr {
	var v any = f
	return (*[2]uintptr)(unsafe.Pointer(&v))[1]
}

// function returns the function that is called by p.
func function[F any](p uintptr) F {
	return *(*F)(unsafe.Pointer(&struct{ p uintptr }{p}))
}

func tapeOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	code := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](layer.open)(tls, vfs, name, file, flags, out)
	if code != 0 || name == 0 {
		return code
	}
	layer.mu.Lock()
	defer layer.mu.Unlock()
	theirs := libc.AtomicLoadPUintptr(file)
	ours := layer.methods[theirs]
	if ours == 0 {
		ours = libc.Xmalloc(tls, ioSize)
		libc.Xmemcpy(tls, ours, theirs, ioSize)
		libc.AtomicStorePUintptr(ours+methodClose, pointer(tapeClose))
		libc.AtomicStorePUintptr(ours+methodWrite, pointer(tapeWrite))
		libc.AtomicStorePUintptr(ours+methodTruncate, pointer(tapeTruncate))
		libc.AtomicStorePUintptr(ours+methodSync, pointer(tapeSync))
		layer.methods[theirs] = ours
	}
	libc.AtomicStorePUintptr(file, ours)
	layer.names[file], layer.theirs[file] = filepath.Base(libc.GoString(name)), theirs
	return code
}

// tapeOp writes an operation down, and returns the system's method for it.
func tapeOp(file uintptr, method uintptr, o op) uintptr {
	layer.mu.Lock()
	defer layer.mu.Unlock()
	o.file = layer.names[file]
	if o.kind != 0 {
		layer.tape.add(o)
	}
	return libc.AtomicLoadPUintptr(layer.theirs[file] + method)
}

func tapeClose(tls *libc.TLS, file uintptr) int32 {
	theirs := tapeOp(file, methodClose, op{})
	return function[func(*libc.TLS, uintptr) int32](theirs)(tls, file)
}

func tapeWrite(tls *libc.TLS, file, data uintptr, n int32, at int64) int32 {
	theirs := tapeOp(file, methodWrite, op{kind: opWrite, at: at, data: slices.Clone(libc.GoBytes(data, int(n)))})
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](theirs)(tls, file, data, n, at)
}

func tapeTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	theirs := tapeOp(file, methodTruncate, op{kind: opTruncate, at: size})
	return function[func(*libc.TLS, uintptr, int64) int32](theirs)(tls, file, size)
}

func tapeSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	theirs := tapeOp(file, methodSync, op{kind: opSync})
	return function[func(*libc.TLS, uintptr, int32) int32](theirs)(tls, file, flags)
}

func tapeDelete(tls *libc.TLS, vfs, name uintptr, sync int32) int32 {
	layer.mu.Lock()
	layer.tape.add(op{kind: opDelete, file: filepath.Base(libc.GoString(name))})
	layer.mu.Unlock()
	return function[func(*libc.TLS, uintptr, uintptr, int32) int32](layer.delete)(tls, vfs, name, sync)
}

func (t *Tape) add(o op) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ops = append(t.ops, o)
}

// Effect writes down that something has happened outside.
func (t *Tape) Effect(text string) { t.add(op{kind: opEffect, file: text}) }

// Len returns how many operations there were.
func (t *Tape) Len() int { return len(t.ops) }

// Syncs returns how often files were synchronized.
func (t *Tape) Syncs() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.ops {
		if o.kind == opSync {
			n++
		}
	}
	return n
}

// Effects returns what had happened before operation n.
func (t *Tape) Effects(n int) []string {
	var effects []string
	for _, o := range t.ops[:n] {
		if o.kind == opEffect {
			effects = append(effects, o.file)
		}
	}
	return effects
}

// Killed writes into dir the files as they are if the process is killed before
// operation n: what was written is there.
func (t *Tape) Killed(test *testing.T, n int, dir string) {
	files := map[string][]byte{}
	for _, o := range t.ops[:n] {
		o.apply(files)
	}
	save(test, files, dir)
}

// PowerLost writes into dir the files as they may be if power is lost before
// operation n: what was written since a file was last synchronized is there or not,
// as chance has it; with lucky 0 nothing of it is.
func (t *Tape) PowerLost(test *testing.T, n int, dir string, lucky float64, chance *rand.Rand) {
	files, durable := map[string][]byte{}, map[string][]byte{}
	last := map[string]int{}
	for i, o := range t.ops[:n] {
		o.apply(files)
		switch o.kind {
		case opSync:
			durable[o.file] = append([]byte(nil), files[o.file]...)
			last[o.file] = i
		case opDelete: // which synchronizes the directory
			delete(durable, o.file)
			last[o.file] = i
		case opWrite, opTruncate, opEffect:
		}
	}
	for i, o := range t.ops[:n] {
		if at, synced := last[o.file]; (!synced || i > at) && lucky > 0 && chance.Float64() < lucky {
			o.apply(durable)
		}
	}
	save(test, durable, dir)
}

// apply does an operation to files.
func (o op) apply(files map[string][]byte) {
	switch o.kind {
	case opWrite:
		f := files[o.file]
		if end := int(o.at) + len(o.data); end > len(f) {
			f = append(f, make([]byte, end-len(f))...)
		}
		copy(f[o.at:], o.data)
		files[o.file] = f
	case opTruncate:
		if f := files[o.file]; int(o.at) < len(f) {
			files[o.file] = f[:o.at:o.at]
		}
	case opDelete:
		delete(files, o.file)
	case opSync, opEffect:
	}
}

func save(t *testing.T, files map[string][]byte, dir string) {
	t.Helper()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
}
