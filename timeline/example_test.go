package timeline_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/timeline"
)

// took says how long the nodes of the examples take.
var took = map[string]time.Duration{
	"network": 4 * time.Second, "volume": 9 * time.Second, "image": 6 * time.Second,
	"server": 5 * time.Second, "dns": time.Second, "backup": 2 * time.Second,
}

func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume", "image")
	deps.Add("dns", "server")
	deps.Add("backup", "volume")
	return deps
}

// record runs the site, two nodes at a time, and returns what was recorded.
func record(opts *scheduler.GroupOptions[string]) []timeline.Span {
	rec := timeline.NewRecorder()
	opts.Observer = rec
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		return scheduler.Pause(scheduler.After(took[name]))
	}, opts)
	if err != nil {
		panic(err)
	}
	clock := schedulertest.NewClock(time.Time{}).Alone() // the example needs no time
	if err := scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}); err != nil {
		panic(err)
	}
	return rec.Spans()
}

// What made the run as long as it was, and what would a higher limit bring?
func ExampleReport() {
	opts := &scheduler.GroupOptions[string]{Name: "site", Limit: 2}
	report, err := timeline.NewReport(record(opts), site(), opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := report.WriteTo(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// site: 6 nodes in 16s
	//
	// What made it as long as it was:
	//   at   took  waited for room  node
	//   0s   4s                     network
	//   4s   6s    4s               image
	//   10s  5s                     server
	//   15s  1s                     dns
	//
	// The longest path takes 15s: volume > server > dns
	// Something was ready and kept waiting for 4s (25 %).
	//
	// With the same durations it would take:
	//   limit 2   16s  the limit that it had
	//   limit 4   15s
	//   no limit  15s
	//
	// What has the least slack beside that path:
	//   slack  took  node
	//   3s     6s    image
	//   4s     2s    backup
	//   5s     4s    network
}

// How long would it take with a limit for each kind of thing? Nothing has to be
// recorded for that.
func ExampleSimulate() {
	disks := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "disks", Capacity: 1})
	would, err := timeline.Simulate(site(), func(name string) time.Duration { return took[name] },
		&scheduler.GroupOptions[string]{
			Claims: func(name string) []scheduler.Claim {
				if name == "volume" || name == "image" {
					return []scheduler.Claim{{Limiter: disks, Weight: 1}}
				}
				return nil
			},
		})
	fmt.Println(would, err)
	// Output: 21s <nil>
}

// For ui.perfetto.dev or chrome://tracing.
func ExampleWriteTrace() {
	opts := &scheduler.GroupOptions[string]{Name: "site", Limit: 2}
	spans := record(opts)
	if err := timeline.WriteTrace(os.Stdout, spans[:2]); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"displayTimeUnit":"ms","traceEvents":[
	// {"name":"process_name","ph":"M","ts":0,"dur":0,"pid":1,"tid":0,"args":{"name":"site"}},
	// {"name":"network","cat":"succeeded","ph":"X","ts":0,"dur":4000000,"pid":1,"tid":1,"args":{"task":"Pause(after 4s)","ended":"succeeded"}},
	// {"name":"volume","cat":"succeeded","ph":"X","ts":0,"dur":9000000,"pid":1,"tid":2,"args":{"task":"Pause(after 9s)","ended":"succeeded"}}
	// ]}
}

// A picture for a browser, with the chain that took the time marked.
func ExampleWriteSVG() {
	opts := &scheduler.GroupOptions[string]{Name: "site", Limit: 2}
	report, err := timeline.NewReport(record(opts), site(), opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	var picture strings.Builder // or a file
	if err := timeline.WriteSVG(&picture, report.Spans()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(strings.Count(picture.String(), "<rect class=\"succeeded chain\""), "of",
		strings.Count(picture.String(), "<rect"))
	// Output: 4 of 6
}
