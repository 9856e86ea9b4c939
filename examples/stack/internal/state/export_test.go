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
