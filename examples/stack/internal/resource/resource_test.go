package resource_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/stretchr/testify/require"
)

var errNotYet = errors.New("not yet")

// TestPoll: when it asks, and what ends it.
func TestPoll(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, c := range map[string]struct {
		until   time.Duration // when the event is set; 0: never
		stop    time.Duration // when the run is told to stop; 0: never
		answers int           // how many times the answer is "not yet"
		asked   int
		took    time.Duration
		err     string
	}{
		"at once":              {answers: 0, asked: 1},
		"the third time":       {answers: 2, asked: 3, took: 2 * second},
		"never":                {answers: 99, asked: 11, took: 10 * second, err: "no success within 10s: not yet"},
		"event":                {answers: 99, until: 2500 * time.Millisecond, asked: 4, took: 2500 * time.Millisecond, err: "ended"},
		"stopped":              {answers: 99, stop: 1500 * time.Millisecond, asked: 3, took: 1500 * time.Millisecond, err: "stopped while it was waiting; last answer: not yet\nenough"},
		"right after an event": {answers: 3, until: 2500 * time.Millisecond, asked: 4, took: 2500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				event, asked, start := new(scheduler.Event), 0, time.Now()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if c.until > 0 {
					time.AfterFunc(c.until, event.Set)
				}
				if c.stop > 0 {
					time.AfterFunc(c.stop, func() { cancel(errors.New("enough")) })
				}
				err := scheduler.Run(ctx, scheduler.Wrap(func(co *scheduler.Coroutine) error {
					return resource.Poll(co, second, 10*second, event, func(context.Context) error {
						asked++
						if asked <= c.answers {
							return errNotYet
						}
						return nil
					})
				}), &scheduler.RunnerOptions{Grace: time.Minute})
				if c.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, strings.Split(c.err, "\n")[0])
				}
				require.Equal(t, c.asked, asked)
				require.Equal(t, c.took, time.Since(start))
			})
		})
	}
}

// TestPoll_doesNotBlock: while one answer takes long, others go on.
func TestPoll_doesNotBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deps := scheduler.NewDependencies[string]()
		deps.Add("slow")
		deps.Add("quick")
		start, ended := time.Now(), map[string]time.Duration{}
		group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
			takes := map[string]time.Duration{"slow": time.Hour, "quick": time.Second}[name]
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := resource.Poll(co, time.Second, 2*time.Hour, nil, func(context.Context) error {
					time.Sleep(takes) //nolint:forbidigo // in a bubble
					return nil
				})
				ended[name] = time.Since(start)
				return err
			})
		}, nil)
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), group, nil))
		require.Equal(t, map[string]time.Duration{"quick": time.Second, "slow": time.Hour}, ended)
	})
}

func TestRandomString(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		props resource.Props
		chars string
		n     int
	}{
		{resource.Props{}, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 32},
		{resource.Props{"length": int64(7), "sequence": "digits"}, "0123456789", 7},
		{resource.Props{"length": "5", "character_sequences": []any{map[string]any{"sequence": "ab"}}}, "ab", 5},
	} {
		s, err := resource.RandomString(c.props)
		require.NoError(t, err)
		require.Len(t, s, c.n)
		require.Empty(t, strings.Trim(s, c.chars))
	}
	classes := []any{map[string]any{"class": "digits", "min": int64(2)}, map[string]any{"class": "uppercase", "min": int64(3)}}
	for range 50 {
		s, err := resource.RandomString(resource.Props{"length": int64(5), "character_classes": classes})
		require.NoError(t, err)
		require.Len(t, strings.Trim(s, ""), 5)
		require.Equal(t, 2, len(s)-len(strings.Map(dropDigits, s)), s)
	}
	for _, p := range []resource.Props{
		{"length": int64(0)},
		{"length": int64(513)},
		{"sequence": "runes"},
		{"length": int64(1), "character_classes": classes},
	} {
		_, err := resource.RandomString(p)
		require.Error(t, err, p)
	}
}

func dropDigits(r rune) rune {
	if r >= '0' && r <= '9' {
		return -1
	}
	return r
}

func TestReadSignal(t *testing.T) {
	t.Parallel()
	sig, err := resource.ReadSignal(strings.NewReader(`{"status": "FAILURE", "reason": "r", "id": "7", "data": {"a": 1}}`))
	require.NoError(t, err)
	require.Equal(t, state.Signal{ID: "7", Status: "FAILURE", Reason: "r", Data: `{"a":1}`}, sig)
	for _, text := range []string{"", "{}", `{"data": "x"}`} {
		sig, err := resource.ReadSignal(strings.NewReader(text))
		require.NoError(t, err, text)
		require.Equal(t, "SUCCESS", sig.Status)
		require.NotEmpty(t, sig.ID)
	}
	_, err = resource.ReadSignal(strings.NewReader("yes"))
	require.Error(t, err)

	_, err = resource.Succeeded([]state.Signal{{ID: "1", Status: "SUCCESS"}, {ID: "2", Status: "FAILURE", Reason: "why"}})
	require.EqualError(t, err, "signal 2: FAILURE why")
}

func TestTimes(t *testing.T) {
	t.Parallel()
	times, err := resource.ParseTimes("OS::Nova::Server=1m, My::*=8s,")
	require.NoError(t, err)
	for typ, want := range map[string]time.Duration{
		"OS::Nova::Server": time.Minute, "My::Own": 8 * time.Second, "OS::Cinder::Volume": 12 * time.Second,
		"lib/web.yaml": time.Minute, "Something": time.Second,
	} {
		create, destroy := times.Of(typ)
		require.Equal(t, want, create, typ)
		require.Equal(t, want/4, destroy, typ)
	}
	for _, text := range []string{"a", "a=b", "a=-1s", "[=1s"} {
		_, err := resource.ParseTimes(text)
		require.Error(t, err, text)
	}
}

func TestProps(t *testing.T) {
	t.Parallel()
	p := resource.Props{"n": "2.5", "s": "one", "list": []any{int64(1), "b"}, "yes": true, "m": map[string]any{"x": int64(1)}, "huge": 1e300}
	require.Equal(t, 2500*time.Millisecond, p.Seconds("n", 0))
	require.Equal(t, time.Minute, p.Seconds("none", time.Minute))
	require.Equal(t, 7.0, p.Number("s", 7), "not a number: the types were checked before")
	require.Positive(t, p.Seconds("huge", 0))
	require.Equal(t, []string{"1", "b"}, p.Strings("list"))
	require.Equal(t, []string{"one"}, p.Strings("s"))
	require.Empty(t, p.Strings("none"))
	require.True(t, p.Bool("yes"))
	require.False(t, p.Bool("s"))
	require.Equal(t, "1", p.Map("m").String("x"))
}

// TestKinds: every type has a summary, and what get_resource gives is an
// attribute.
func TestKinds(t *testing.T) {
	t.Parallel()
	for name, kind := range resource.Kinds() {
		require.NotEmpty(t, kind.Summary, name)
		require.NotNil(t, kind.Create, name)
		if kind.Reference != "" {
			require.Contains(t, kind.Attributes, kind.Reference, name)
		}
	}
}
