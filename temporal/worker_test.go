package temporal_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/steptask/scheduler/temporal"
)

// heartbeatSpy has the payloads that reach the SDK with each heartbeat.
type heartbeatSpy struct {
	interceptor.WorkerInterceptorBase
	converter converter.DataConverter
	sent      [][]*common.Payload
}

func (s *heartbeatSpy) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &spyInbound{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, spy: s}
}

type spyInbound struct {
	interceptor.ActivityInboundInterceptorBase
	spy *heartbeatSpy
}

func (i *spyInbound) Init(out interceptor.ActivityOutboundInterceptor) error {
	return i.Next.Init(&spyOutbound{
		ActivityOutboundInterceptorBase: interceptor.ActivityOutboundInterceptorBase{Next: out}, spy: i.spy,
	})
}

type spyOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
	spy *heartbeatSpy
}

func (o *spyOutbound) RecordHeartbeat(ctx context.Context, details ...any) {
	payloads, err := o.spy.converter.ToPayloads(details...)
	if err != nil {
		panic(err)
	}
	o.spy.sent = append(o.spy.sent, payloads.GetPayloads())
	o.Next.RecordHeartbeat(ctx, details...)
}

// GetInfo has a timeout, which the environment does not give.
func (o *spyOutbound) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	info.HeartbeatTimeout = temporal.DefaultHeartbeat
	return info
}

// heartbeatsOf runs an activity, whose earlier attempt has left details, in a
// bubble, and returns what was sent to the server.
func heartbeatsOf(t *testing.T, dc converter.DataConverter, before any, run func(context.Context) error) [][]*common.Payload {
	t.Helper()
	spy := &heartbeatSpy{converter: dc}
	synctest.Test(t, func(t *testing.T) {
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(quietLogger{})
		env := suite.NewTestActivityEnvironment()
		env.SetDataConverter(dc)
		env.SetWorkerOptions(temporal.WorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{spy}}))
		if before != nil {
			env.SetHeartbeatDetails(before)
		}
		env.RegisterActivityWithOptions(run, named("Run"))
		_, err := env.ExecuteActivity("Run")
		require.NoError(t, err)
	})
	return spy.sent
}

// pass lets the activity take some time.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in a bubble
}

func TestWorkerOptions_heartbeats(t *testing.T) {
	plain := converter.GetDefaultDataConverter()
	values := func(t *testing.T, dc converter.DataConverter, payloads []*common.Payload, targets ...any) {
		t.Helper()
		require.Len(t, payloads, len(targets))
		require.NoError(t, dc.FromPayloads(&common.Payloads{Payloads: payloads}, targets...))
	}
	for _, dc := range []struct {
		name string
		converter.DataConverter
	}{
		{"plain", plain},
		{"with a codec", converter.NewCodecDataConverter(plain, converter.NewZlibCodec(converter.ZlibCodecOptions{AlwaysEncode: true}))},
	} {
		t.Run("repeat the latest details, "+dc.name, func(t *testing.T) {
			changed := map[string]int{"part": 1}
			sent := heartbeatsOf(t, dc, nil, func(ctx context.Context) error {
				activity.RecordHeartbeat(ctx, "an older one")
				activity.RecordHeartbeat(ctx, "part", 1, changed, []byte{0, 1}, wrapperspb.String("proto"), nil)
				changed["part"] = 2
				pass(4500 * time.Millisecond)
				return nil
			})
			require.Len(t, sent, 5) // two of its own, three repetitions: the first tick follows its own
			for i, payloads := range sent[1:] {
				var text string
				var number int
				var parts map[string]int
				var raw []byte
				var proto *wrapperspb.StringValue
				var nothing any
				values(t, dc, payloads, &text, &number, &parts, &raw, &proto, &nothing)
				require.Equal(t, "part", text, i)
				require.Equal(t, 1, number)
				require.Equal(t, map[string]int{"part": 1}, parts)
				require.Equal(t, []byte{0, 1}, raw)
				require.Equal(t, "proto", proto.GetValue())
				require.Nil(t, nothing)
			}
		})
		t.Run("repeat what the earlier attempt has left, "+dc.name, func(t *testing.T) {
			sent := heartbeatsOf(t, dc, map[string]int{"part": 7}, func(context.Context) error {
				pass(2500 * time.Millisecond)
				return nil
			})
			require.Len(t, sent, 2)
			for _, payloads := range sent {
				var parts map[string]int
				values(t, dc, payloads, &parts)
				require.Equal(t, map[string]int{"part": 7}, parts)
			}
		})
	}
	t.Run("have no details where there are none", func(t *testing.T) {
		sent := heartbeatsOf(t, plain, nil, func(context.Context) error {
			pass(2500 * time.Millisecond)
			return nil
		})
		require.Equal(t, [][]*common.Payload{nil, nil}, sent)
	})
	t.Run("are left to an activity that sends its own", func(t *testing.T) {
		sent := heartbeatsOf(t, plain, nil, func(ctx context.Context) error {
			for i := range 20 {
				activity.RecordHeartbeat(ctx, i)
				pass(500 * time.Millisecond)
			}
			return nil
		})
		require.Len(t, sent, 20)
	})
	t.Run("survive a codec that panics, and continue", func(t *testing.T) {
		codec := &failingCodec{}
		sent := heartbeatsOf(t, converter.NewCodecDataConverter(plain, codec), nil, func(ctx context.Context) error {
			activity.RecordHeartbeat(ctx, "kept")
			pass(1500 * time.Millisecond)
			codec.fails.Store(true)
			pass(2 * time.Second)
			codec.fails.Store(false)
			pass(2 * time.Second)
			return nil
		})
		require.Len(t, sent, 3)
		require.True(t, bytes.Contains(sent[2][0].GetData(), []byte("kept")))
	})
}

// failingCodec changes nothing, and fails when it is told to.
type failingCodec struct{ fails atomic.Bool }

func (c *failingCodec) Encode(payloads []*common.Payload) ([]*common.Payload, error) {
	if c.fails.Load() {
		return nil, errors.New("no key")
	}
	return payloads, nil
}

func (c *failingCodec) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	return payloads, nil
}
