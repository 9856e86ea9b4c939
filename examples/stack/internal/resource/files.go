package resource

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"

	"github.com/steptask/scheduler"

	_ "modernc.org/sqlite" // the driver, pure Go
)

var directoryKind = &Kind{
	Summary: "a directory",
	Properties: map[string]Property{
		"path":  {Type: String, Required: true},
		"mode":  {Type: String},
		"purge": {Type: Bool}, // delete also what others put into it
	},
	Attributes: []string{"path"},
	Reference:  "path",
	Create:     createDirectory,
	Delete: func(co *scheduler.Coroutine, r *Resource) error {
		path := r.known("path")
		remove := os.Remove
		if r.Props.Bool("purge") {
			remove = os.RemoveAll
		}
		return done(co, func(context.Context) error { return unlessGone(remove(path)) })
	},
	Resume: stillThere,
}

func createDirectory(co *scheduler.Coroutine, r *Resource) error {
	path := r.path("path")
	mode, err := r.mode(0o755)
	if err != nil {
		return err
	}
	if err := r.claim(co, path); err != nil {
		return err
	}
	return done(co, func(context.Context) error {
		err := os.Mkdir(path, mode)
		if errors.Is(err, fs.ErrExist) {
			return nil // made by the run that was interrupted: claim saw to that
		}
		return err
	})
}

var fileKind = &Kind{
	Summary: "a file",
	Properties: map[string]Property{
		"path":    {Type: String, Required: true},
		"content": {Type: Any}, // a list or map is written as JSON
		"mode":    {Type: String},
	},
	Attributes: []string{"path", "size", "sha256"},
	Reference:  "path",
	Create:     createFile,
	Delete: func(co *scheduler.Coroutine, r *Resource) error {
		path := r.known("path")
		return done(co, func(context.Context) error {
			return errors.Join(unlessGone(os.Remove(path)), unlessGone(os.Remove(path+unfinished)))
		})
	},
	Resume: stillThere,
}

// unfinished ends the name of a file until all of it is there.
const unfinished = ".unfinished"

func createFile(co *scheduler.Coroutine, r *Resource) error {
	path, content := r.path("path"), []byte(r.Props.String("content"))
	mode, err := r.mode(0o644)
	if err != nil {
		return err
	}
	if err := r.claim(co, path); err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	r.set(map[string]any{"size": len(content), "sha256": hex.EncodeToString(sum[:])})
	return done(co, func(context.Context) error {
		if err := os.WriteFile(path+unfinished, content, mode); err != nil {
			return err
		}
		return os.Rename(path+unfinished, path)
	})
}

var sqliteKind = &Kind{
	Summary: "an SQLite database with a schema",
	Properties: map[string]Property{
		"path":   {Type: String, Required: true},
		"schema": {Type: Any}, // SQL, or a list of statements
	},
	Attributes: []string{"path", "tables"},
	Reference:  "path",
	Create:     createSQLite,
	Delete: func(co *scheduler.Coroutine, r *Resource) error {
		path := r.known("path")
		return done(co, func(context.Context) error { return removeSQLite(path) })
	},
	Resume: stillThere,
}

func createSQLite(co *scheduler.Coroutine, r *Resource) error {
	path, statements := r.path("path"), r.Props.Strings("schema")
	if err := r.claim(co, path); err != nil {
		return err
	}
	tables, err := scheduler.Call(co, func(ctx context.Context) ([]any, error) {
		// A database that an interrupted run left half made is made anew.
		if err := removeSQLite(path); err != nil {
			return nil, err
		}
		return applySchema(ctx, path, statements)
	})
	r.set(map[string]any{"tables": tables})
	return err
}

// applySchema makes the database and returns the names of its tables.
func applySchema(ctx context.Context, path string, statements []string) (tables []any, err error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=journal_mode(wal)")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
	}
	rows, err := tx.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	return tables, errors.Join(rows.Err(), tx.Commit())
}

func removeSQLite(path string) error {
	var err error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		err = errors.Join(err, unlessGone(os.Remove(path+suffix)))
	}
	return err
}

// claim writes down that the file or directory at path is about to be made. If
// something is there already it is an error, unless this resource put it there
// before it was interrupted: what is not the stack's own is never overwritten,
// and so never deleted.
func (r *Resource) claim(co *scheduler.Coroutine, path string) error {
	if r.Data["path"] == path {
		return nil
	}
	err := done(co, func(context.Context) error {
		_, err := os.Lstat(path)
		switch {
		case err == nil:
			return fmt.Errorf("%s exists, and does not belong to the stack", path)
		case errors.Is(err, fs.ErrNotExist):
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.Intend(co, map[string]any{"path": path})
}

// stillThere finds out whether a file or directory has gone missing.
func stillThere(r *Resource) error {
	_, err := os.Lstat(r.known("path"))
	return err
}

// known returns text from what the resource is known by.
func (r *Resource) known(key string) string {
	s, _ := r.Data[key].(string)
	return s
}

// mode returns the permissions that the property mode gives, in octal.
func (r *Resource) mode(fallback fs.FileMode) (fs.FileMode, error) {
	text := r.Props.String("mode")
	if text == "" {
		return fallback, nil
	}
	m, err := strconv.ParseUint(text, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("property \"mode\": %q is not an octal number such as \"0644\"", text)
	}
	return fs.FileMode(m), nil
}

func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
