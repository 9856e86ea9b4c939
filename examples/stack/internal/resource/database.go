package resource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/steptask/scheduler"

	_ "modernc.org/sqlite" // the driver, pure Go
)

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
		return done(co, func(context.Context) error {
			return errors.Join(removeAll(besideDatabase(r.unfinished())), r.removeOwn(besideDatabase(r.known("path"))...))
		})
	},
	Resume: stillThere,
}

// besideDatabase are the files that SQLite makes beside a database.
func besideDatabase(path string) []string {
	if path == "" {
		return nil
	}
	return []string{path + "-wal", path + "-shm", path + "-journal"}
}

func removeAll(paths []string) error {
	var err error
	for _, path := range paths {
		err = errors.Join(err, removeRegular(path))
	}
	return err
}

func createSQLite(co *scheduler.Coroutine, r *Resource) error {
	path, statements := r.path("path"), r.Props.Strings("schema")
	if err := r.claim(co, path, besideDatabase(path)...); err != nil {
		return err
	}
	return r.publish(co, func(ctx context.Context, making string) (map[string]any, error) {
		// A database that an interrupted attempt left half made is made anew.
		if err := removeAll(append(besideDatabase(making), making)); err != nil {
			return nil, err
		}
		tables, err := applySchema(ctx, making, statements)
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return map[string]any{"tables": tables}, err
	})
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
