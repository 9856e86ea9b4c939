package resource

import (
	"errors"
	"strconv"
	"syscall"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/template"
)

var portKind = &Kind{
	Summary: "a TCP port of this machine, reserved until a process that lists it takes it over",
	Properties: map[string]Property{
		"port": {Type: Number}, // none: any free one
	},
	Attributes: []string{"port", "address"},
	Reference:  "port",
	Create: func(co *scheduler.Coroutine, r *Resource) error {
		// Nothing to write down before: a reservation ends with this program.
		port, err := r.Host.hold(int(r.Props.Number("port", 0)))
		if err != nil {
			return err
		}
		return r.Intend(co, map[string]any{"port": port, "address": loopback(port)})
	},
	Delete: func(_ *scheduler.Coroutine, r *Resource) error { return r.Host.release(r.number("port")) },
	Resume: func(r *Resource) error {
		_, err := r.Host.hold(r.number("port"))
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil // by the process that it was reserved for
		}
		return err
	},
}

// number returns a number from what the resource is known by: from a file of
// JSON all of them come back as float64.
func (r *Resource) number(key string) int {
	n, _ := strconv.Atoi(template.Text(r.Data[key]))
	if i, ok := r.Data[key].(int); ok {
		return i
	}
	return n
}
