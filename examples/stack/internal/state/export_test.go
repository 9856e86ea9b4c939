package state

import (
	"context"

	"github.com/steptask/scheduler/examples/stack/internal/process"
)

// SetOwner makes another process the one that drives the stack.
func (s *Store) SetOwner(ctx context.Context, id process.ID) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := setOwner(ctx, tx, id); err != nil {
		return err
	}
	return tx.Commit()
}

// Limit makes the file as full as a disk would: it cannot grow any more.
func (s *Store) Limit() error {
	_, err := s.db.Exec(`PRAGMA max_page_count = 1`)
	return err
}
