package temporal

import (
	"slices"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
)

// Signal returns a Task that is complete when the workflow has received a signal of
// that name; the signal's value is its result. If several wait for the same name, the
// one that started first gets the first signal.
//
// The SDK drops a signal whose value is not a T, and logs it. If an earlier run of
// the workflow had received the signal and passed it on in its [Checkpoint], the Task
// fails instead; reading it costs an event.
func Signal[T any](name string) *Call[T] {
	c := &Call[T]{call: call{kind: "signal", id: name, isSignal: true}}
	var values workflow.ReceiveChannel
	var unread *UnreadSignal
	received := false
	c.begin = func(ctx workflow.Context) workflow.Future {
		values = workflow.GetSignalChannel(ctx, name)
		return nil
	}
	c.look = func() bool {
		if received || c.isOver() {
			return received
		}
		unread = c.d.takeUnread(name)
		received = unread != nil || values.ReceiveAsync(&c.value)
		return received
	}
	c.finish = func(ctx workflow.Context, _ workflow.Future) error {
		if unread != nil {
			if err := unread.decode(ctx, &c.value); err != nil {
				return err
			}
		}
		if c.then == nil {
			return nil
		}
		return c.then(c.value)
	}
	return c
}

// UnreadSignal is a signal received for a node that had not started. Its value is in
// the SDK's encoding, such as JSON, bytes or protobuf.
type UnreadSignal struct {
	Name     string            `json:"name"`
	Metadata map[string][]byte `json:"metadata,omitempty"` // none if the signal has no value
	Data     []byte            `json:"data,omitempty"`
}

// receiveUnread receives all signals that nobody has taken, by name and then in
// the order in which they came.
func receiveUnread(ctx workflow.Context) []UnreadSignal {
	var unread []UnreadSignal
	names := workflow.GetUnhandledSignalNames(ctx)
	slices.Sort(names)
	for _, name := range names {
		channel := workflow.GetSignalChannel(ctx, name)
		for {
			var value converter.RawValue // which is never refused
			if !channel.ReceiveAsync(&value) {
				break
			}
			payload := value.Payload()
			unread = append(unread, UnreadSignal{Name: name, Metadata: payload.GetMetadata(), Data: payload.GetData()})
		}
	}
	return unread
}

// decode gives the value as the workflow's own converter decodes it. That is
// reached by way of a side effect alone.
func (s *UnreadSignal) decode(ctx workflow.Context, target any) error {
	if len(s.Metadata) == 0 {
		return nil
	}
	value := converter.NewRawValue(&common.Payload{Metadata: s.Metadata, Data: s.Data})
	return workflow.SideEffect(ctx, func(workflow.Context) any { return value }).Get(target)
}

// takeUnread takes the first signal of a name that an earlier run of the workflow
// has received, or returns nil.
func (d *driver) takeUnread(name string) *UnreadSignal {
	if d.unread == nil {
		return nil
	}
	i := slices.IndexFunc(*d.unread, func(s UnreadSignal) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	s := (*d.unread)[i]
	*d.unread = slices.Delete(*d.unread, i, i+1)
	return &s
}
