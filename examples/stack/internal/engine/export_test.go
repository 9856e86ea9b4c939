package engine

import (
	"fmt"
	"syscall"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
)

// FillDisk makes all further records of the engine fail as on a disk that is
// full.
func (e *Engine) FillDisk() { e.host.Recorder = full{e.host.Recorder} }

type full struct{ resource.Recorder }

func (full) Save(*scheduler.Coroutine, state.Record) error {
	return fmt.Errorf("saving: %w", syscall.ENOSPC)
}

func (full) Delete(*scheduler.Coroutine, string) error {
	return fmt.Errorf("deleting: %w", syscall.ENOSPC)
}
