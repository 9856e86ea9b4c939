package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // for its system database
)

// dbosWalk runs a step for each node, in topological order. Its own URL would set
// synchronous to NORMAL whatever it says, so it gets a database that is opened with
// everything else that it sets.
func dbosWalk(synchronous string) func(context.Context, string, graph) (time.Duration, error) {
	return func(ctx context.Context, dir string, g graph) (took time.Duration, err error) {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "dbos.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)"+
			"&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous("+synchronous+")")
		if err != nil {
			return 0, err
		}
		db.SetMaxOpenConns(8)
		db.SetMaxIdleConns(4)
		defer func() { err = errors.Join(err, db.Close()) }()
		c, err := dbos.NewContext(ctx, dbos.Config{
			AppName: "engines", SQLiteSystemDB: db, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return 0, err
		}
		dbos.RegisterWorkflow(c, dbosSteps)
		if err := dbos.Launch(c); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, dbos.Shutdown(c, time.Minute)) }()
		start := time.Now()
		handle, err := dbos.RunWorkflow(c, dbosSteps, g.keys)
		if err != nil {
			return 0, err
		}
		n, err := handle.GetResult()
		took = time.Since(start)
		if err == nil && n != len(g.keys) {
			err = errors.New("not all steps were run")
		}
		return took, err
	}
}

func dbosSteps(ctx dbos.Context, keys []string) (int, error) {
	n := 0
	for _, key := range keys {
		if _, err := dbos.RunAsStep(ctx, func(context.Context) (string, error) { return "", nil }, dbos.WithStepName(key)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
