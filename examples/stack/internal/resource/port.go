package resource

import (
	"context"
	"errors"
	"net"
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
		var l net.Listener
		err := r.Intend(co, "reserve", func(context.Context) (map[string]any, error) {
			var err error
			if l, err = net.Listen("tcp", loopback(int(r.Props.Number("port", 0)))); err != nil {
				return nil, err
			}
			return map[string]any{"port": portOf(l), "address": l.Addr().String()}, nil
		})
		switch {
		case err != nil && l != nil:
			return errors.Join(err, l.Close())
		case err != nil:
			return err
		case l != nil:
			r.Host.keep(l)
			return nil
		}
		return r.Host.hold(r.number("port")) // by an attempt that was interrupted
	},
	Delete: func(_ *scheduler.Coroutine, r *Resource) error { return r.Host.release(r.number("port")) },
	Resume: func(r *Resource) error {
		err := r.Host.hold(r.number("port"))
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
