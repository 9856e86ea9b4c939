package porting

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A new graph arrives while a visit is under way, and another one that has failed is
// visited again.
func TestWalkLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu     sync.Mutex
			visits []string
			failed bool
			start  = time.Now()
		)
		graphs := make(chan map[string][]string, 1)
		graphs <- map[string][]string{"server": {"network", "volume"}, "dns": {"server"}, "bucket": nil}
		time.AfterFunc(2*time.Second, func() {
			graphs <- map[string][]string{"server": {"network", "volume", "key"}, "bucket": nil}
		})
		err := walkLatest(t.Context(), graphs, world{call: func(_ context.Context, v string) error {
			time.Sleep(takes[v]) //nolint:forbidigo // in a bubble
			mu.Lock()
			defer mu.Unlock()
			visits = append(visits, fmt.Sprintf("%v %s", time.Since(start), v))
			if v == "bucket" && !failed {
				failed = true
				return errors.New("503")
			}
			return nil
		}})
		require.NoError(t, err)
		require.Equal(t, []string{
			"0s bucket", "1s network", "3s volume", // the volume within the grace
			"3s bucket", "3s key", "5s server",
		}, sortedFrom(visits, 3))
	})
}

// sortedFrom sorts what happened at the same moment, which is two lines at from.
func sortedFrom(visits []string, from int) []string {
	if len(visits) > from+1 && visits[from] > visits[from+1] {
		visits[from], visits[from+1] = visits[from+1], visits[from]
	}
	return visits
}

// The result is that of the graph that was walked last, and the end of ctx ends it.
func TestWalkLatest_result(t *testing.T) {
	for name, test := range map[string]struct {
		stop time.Duration
		want error
	}{
		"fails":   {want: errQuota},
		"stopped": {stop: 2 * time.Second, want: errInterrupt},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if test.stop > 0 {
					time.AfterFunc(test.stop, func() { cancel(errInterrupt) })
				}
				graphs := make(chan map[string][]string, 1)
				graphs <- site
				err := walkLatest(ctx, graphs, world{call: func(_ context.Context, v string) error {
					time.Sleep(takes[v]) //nolint:forbidigo // in a bubble
					if v == "volume" {
						return errQuota
					}
					return nil
				}})
				require.ErrorIs(t, err, test.want)
			})
		})
	}
}
