package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// The packages' main job: things that require one another, created in order,
// side by side where the order allows it, each polled until it is ready.
func Example() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume") // the server requires both
	deps.Add("dns", "server")

	create := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			fmt.Println("creating", name)
			if err := co.Yield(scheduler.After(3 * time.Second)); err != nil {
				return err
			}
			fmt.Println(name, "is ready")
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, create, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	clock := schedulertest.NewClock(time.Time{}) // the example needs no time
	if err := scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// creating network
	// creating volume
	// network is ready
	// volume is ready
	// creating server
	// server is ready
	// creating dns
	// dns is ready
}

// under is a Run that needs no time.
func under(task scheduler.Task, opts scheduler.RunnerOptions) error {
	opts.Clock = schedulertest.NewClock(time.Time{})
	return scheduler.Run(context.Background(), task, &opts)
}

// say returns a task that takes some seconds, and may fail.
func say(name string, seconds int, err error) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		fmt.Println(name, "begins")
		if err := co.Yield(scheduler.After(time.Duration(seconds) * time.Second)); err != nil {
			fmt.Printf("%s ends: %v\n", name, err)
			return err
		}
		if err == nil {
			fmt.Println(name, "is done")
		}
		return err
	})
}

func ExampleRun() {
	err := under(say("job", 60, nil), scheduler.RunnerOptions{Timeout: 10 * time.Second, Name: "job"})
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// job begins
	// job ends: job: timed out after 10s
	// job: timed out after 10s
	// true
}

// One step at a time, from a loop of one's own.
func ExampleTaskRunner_Step() {
	clock := schedulertest.NewClock(time.Time{})
	r := scheduler.NewTaskRunner(say("job", 5, nil), &scheduler.RunnerOptions{Clock: clock})
	ctx := context.Background()
	if err := r.Start(ctx, 0); err != nil {
		fmt.Println(err)
	}
	wait, _ := r.Due().In(clock.Now()) // false would mean: when an event is set
	fmt.Println("come back in", wait)
	clock.Advance(5 * time.Second)
	fmt.Println(r.Step(ctx))
	// Output:
	// job begins
	// come back in 5s
	// job is done
	// true <nil>
}

// A notice, a grace, and then the end.
func ExampleTaskRunner_Stop() {
	clock := schedulertest.NewClock(time.Time{})
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
			return err
		}
		fmt.Println("asked to stop, cleaning up")
		return co.Yield(scheduler.After(time.Hour))
	})
	r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: clock, Grace: time.Minute})
	ctx := context.Background()
	if err := r.Start(ctx, 0); err != nil {
		fmt.Println(err)
	}
	r.Stop(errors.New("the user said so"))
	fmt.Println(r.RunToCompletion(ctx, 0))
	fmt.Println(clock.Now().Sub(schedulertest.NewClock(time.Time{}).Now()).Round(time.Second))
	// Output:
	// asked to stop, cleaning up
	// the user said so
	// 1m0s
}

// Another goroutine throws an error into what runs.
func ExampleTaskRunner_Interrupt() {
	var r *scheduler.TaskRunner
	r = scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
		go r.Interrupt(errors.New("a new version of the update")) // from anywhere
		err := co.Yield(scheduler.On(new(scheduler.Event)))       // for ever
		fmt.Println("thrown in:", err)
		return nil
	}), nil)
	fmt.Println(r.RunWith(context.Background(), 0, 0))
	// Output:
	// thrown in: a new version of the update
	// <nil>
}

// A subtask with a time limit of its own.
func ExampleTaskRunner_AsTask() {
	within := func(d time.Duration, name string, task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Name: name}).AsTask(d)
	}
	err := under(scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := co.Await(within(time.Second, "volume", say("volume", 5, nil)))
		fmt.Println("went on after:", err)
		return nil
	}), scheduler.RunnerOptions{})
	fmt.Println(err)
	// Output:
	// volume begins
	// volume ends: volume: timed out after 1s
	// went on after: volume: timed out after 1s
	// <nil>
}

func ExampleWrap() {
	err := under(scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Await(say("first", 1, nil)); err != nil {
			return err
		}
		return co.Await(say("second", 1, errors.New("no more quota")))
	}), scheduler.RunnerOptions{})
	fmt.Println(err)
	// Output:
	// first begins
	// first is done
	// second begins
	// no more quota
}

// A call that blocks, with its result, inside a coroutine.
func ExampleCall() {
	created := map[string]string{}
	createServer := func(context.Context) (string, error) { return "id-7", nil } // a blocking SDK call
	err := scheduler.Run(context.Background(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
		id, err := scheduler.Call(co, createServer)
		if id != "" {
			created["server"] = id // no lock: this runs on the driving goroutine
		}
		return err
	}), nil)
	fmt.Println(created, err)
	// Output:
	// map[server:id-7] <nil>
}

func ExampleBlocking() {
	ctx, cancel := context.WithCancel(context.Background())
	task := scheduler.Blocking(func(ctx context.Context) error {
		cancel() // somebody ends the run
		<-scheduler.Stopping(ctx)
		fmt.Println("asked to stop")
		return nil
	})
	fmt.Println(scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: time.Minute}))
	// Output:
	// asked to stop
	// context canceled
}

func ExampleFetch() {
	task := scheduler.Fetch(
		func(context.Context) (int, error) { return 42, nil }, // on its own goroutine
		func(n int, err error) error { fmt.Println(n, err); return err })
	fmt.Println(scheduler.Run(context.Background(), task, nil))
	// Output:
	// 42 <nil>
	// <nil>
}

func ExamplePoll() {
	tries := 0
	task := scheduler.Poll(time.Millisecond, func(context.Context) (bool, error) {
		tries++
		return tries == 3, nil
	})
	err := scheduler.Run(context.Background(), task, nil)
	fmt.Println(tries, err)
	// Output:
	// 3 <nil>
}

// backOff doubles. Those of github.com/cenkalti/backoff fit as they are.
type backOff struct{ next time.Duration }

func (b *backOff) NextBackOff() time.Duration {
	b.next *= 2
	return b.next
}

func ExampleRetry() {
	err := under(scheduler.Retry(&backOff{next: time.Second}, func(attempt int, last error) scheduler.Task {
		if attempt > 3 {
			return nil // enough: the last error is the result
		}
		fmt.Println("attempt", attempt, "after", last)
		return say("upload", 1, errors.New("busy"))
	}), scheduler.RunnerOptions{})
	fmt.Println(err)
	// Output:
	// attempt 1 after <nil>
	// upload begins
	// attempt 2 after busy
	// upload begins
	// attempt 3 after busy
	// upload begins
	// busy
}

func ExampleFinally() {
	task := scheduler.Finally(say("work", 60, nil), say("clean-up", 1, nil))
	fmt.Println(under(task, scheduler.RunnerOptions{Name: "work", Timeout: time.Second, Grace: time.Minute}))
	// Output:
	// work begins
	// work ends: work: timed out after 1s
	// clean-up begins
	// clean-up is done
	// work: timed out after 1s
}

func ExampleSequence() {
	fmt.Println(under(scheduler.Sequence(say("one", 1, nil), say("two", 1, nil)), scheduler.RunnerOptions{}))
	// Output:
	// one begins
	// one is done
	// two begins
	// two is done
	// <nil>
}

func ExampleAll() {
	fmt.Println(under(scheduler.All(say("one", 1, nil), say("two", 1, nil)), scheduler.RunnerOptions{}))
	// Output:
	// one begins
	// two begins
	// one is done
	// two is done
	// <nil>
}

// site is a small graph for the examples below.
func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("dns", "server")
	deps.Add("backup")
	return deps
}

// A failure skips what depends on it; all else goes on.
func ExampleDependencyTaskGroup_Outcomes() {
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		if name == "volume" {
			return say(name, 1, errors.New("no space"))
		}
		return say(name, 2, nil)
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(under(group, scheduler.RunnerOptions{}))
	for o := range group.Outcomes() {
		fmt.Printf("%s is %s because of %s\n", o.Key, o.State, o.Err)
	}
	// Output:
	// network begins
	// volume begins
	// backup begins
	// network is done
	// backup is done
	// 1 task failed:
	// - volume: no space
	// volume is failed because of volume: no space
	// server is skipped because of volume: no space
	// dns is skipped because of volume: no space
}

// What becomes of the group is decided for each failure.
func ExampleGroupOptions_onError() {
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println(name)
			if name == "backup" || name == "volume" {
				return errors.New("no space")
			}
			return nil
		})
	}, &scheduler.GroupOptions[string]{
		OnError: func(name string, _ error) scheduler.Disposition {
			if name == "backup" {
				return scheduler.IgnoreError
			}
			return scheduler.SkipDependents
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(under(group, scheduler.RunnerOptions{}))
	fmt.Println(len(group.Errors()), "errors in all")
	// Output:
	// network
	// volume
	// backup
	// 1 task failed:
	// - volume: no space
	// 2 errors in all
}

// Deleting is the same graph walked the other way.
func ExampleGroupOptions_reverse() {
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println("delete", name)
			return nil
		})
	}, &scheduler.GroupOptions[string]{Reverse: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(under(group, scheduler.RunnerOptions{}))
	// Output:
	// delete dns
	// delete server
	// delete network
	// delete volume
	// delete backup
	// <nil>
}

// A crawler: each page that is fetched says which others there are. In the end the
// graph as it has become is walked in reverse.
func ExampleDependencyTaskGroup_Add() {
	links := map[string][]string{"/": {"/a", "/b"}, "/a": {"/b", "/c"}, "/c": {"/missing"}}
	open := 1 // pages that were found and not fetched
	var group *scheduler.DependencyTaskGroup[string]
	fetch := func(page string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			open--
			if page == "/missing" {
				fmt.Println(page, "is missing")
			} else {
				fmt.Println(page, "has", links[page])
			}
			for _, to := range links[page] {
				switch err := group.Add(to, page); {
				case err == nil:
					open++
				case !errors.Is(err, scheduler.ErrNodeExists): // it was found before
					return err
				}
			}
			if open == 0 {
				group.CloseInput()
			}
			return nil
		})
	}
	deps := scheduler.NewDependencies[string]()
	deps.Add("/")
	group, err := scheduler.NewDependencyTaskGroup(deps, fetch, &scheduler.GroupOptions[string]{KeepOpen: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	fmt.Println(deps.Len(), "page at first, and in the end")
	fmt.Println(group.Dependencies())
	// Output:
	// / has [/a /b]
	// /a has [/b /c]
	// /b has []
	// /c has [/missing]
	// /missing is missing
	// <nil>
	// 1 page at first, and in the end
	// /
	// /a -> /
	// /b -> /
	// /c -> /a
	// /missing -> /c
}

// Nodes that come from another goroutine are added by Post.
func ExampleDependencyTaskGroup_CloseInput() {
	group, err := scheduler.NewDependencyTaskGroup(scheduler.NewDependencies[string](), func(job string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { fmt.Println(job); return nil })
	}, &scheduler.GroupOptions[string]{KeepOpen: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	runner := scheduler.NewTaskRunner(group, nil)
	go func() {
		for _, job := range []string{"one", "two", "three"} {
			runner.Post(func() {
				if err := group.Add(job); err != nil {
					fmt.Println(err)
				}
			})
		}
		runner.Post(group.CloseInput)
	}()
	fmt.Println(runner.Run(context.Background()))
	// Output:
	// one
	// two
	// three
	// <nil>
}

// The most urgent first, and what it needs.
func ExampleGroupOptions_priority() {
	deps := scheduler.DependenciesOf(map[string][]string{"backup": nil, "report": nil, "login": {"db"}})
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { fmt.Println(name); return nil })
	}, &scheduler.GroupOptions[string]{
		Limit:    1,
		Priority: func(name string) int { return map[string]int{"login": 10, "backup": -1}[name] },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	// Output:
	// db
	// login
	// report
	// backup
	// <nil>
}

// At most two of a kind at a time, whoever makes them.
func ExampleClaiming() {
	api := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "api", Capacity: 1})
	deps := scheduler.NewDependencies[string]()
	deps.Add("web")
	deps.Add("db")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			// Only the request counts against the API's limit, not the wait for the server.
			request := scheduler.Func(func(context.Context) error {
				fmt.Println("create", name, "while", api.InUse(), "is in use")
				return nil
			})
			err := co.Await(scheduler.Claiming([]scheduler.Claim{{Limiter: api, Weight: 1}}, request))
			if err != nil {
				return err
			}
			if err := co.Yield(scheduler.After(time.Second)); err != nil {
				return err
			}
			fmt.Println(name, "is ready")
			return nil
		})
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	clock := schedulertest.NewClock(time.Time{})
	fmt.Println(scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}))
	// Output:
	// create web while 1 is in use
	// create db while 1 is in use
	// web is ready
	// db is ready
	// <nil>
}

func ExampleLimiter_SetCapacity() {
	api := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "api", Capacity: 1})
	api.SetCapacity(0) // the service asks for a pause
	one := []scheduler.Claim{{Limiter: api, Weight: 1}}
	resume := scheduler.Sequence(
		scheduler.Pause(scheduler.After(time.Minute)),
		scheduler.Func(func(context.Context) error {
			fmt.Println("waiting:", api.Waiting())
			api.SetCapacity(10)
			return nil
		}))
	request := scheduler.Claiming(one, scheduler.Func(func(context.Context) error {
		fmt.Println("request")
		return nil
	}))
	clock := schedulertest.NewClock(time.Time{})
	fmt.Println(scheduler.Run(context.Background(), scheduler.All(request, resume), &scheduler.RunnerOptions{Clock: clock}))
	// Output:
	// waiting: 1
	// request
	// <nil>
}

func ExampleLimiter() {
	volumes := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "volumes", Capacity: 2})
	deps := scheduler.NewDependencies[string]()
	for _, name := range []string{"v1", "v2", "v3", "n1"} {
		deps.Add(name)
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return say(name, 1, nil)
	}, &scheduler.GroupOptions[string]{
		Claims: func(name string) []scheduler.Claim {
			if name[0] == 'v' {
				return []scheduler.Claim{{Limiter: volumes, Weight: 1}}
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(under(group, scheduler.RunnerOptions{}))
	// Output:
	// v1 begins
	// v2 begins
	// n1 begins
	// v1 is done
	// v2 is done
	// n1 is done
	// v3 begins
	// v3 is done
	// <nil>
}

// Why does it not go on?
func ExampleDependencyTaskGroup_WriteTo() {
	clock := schedulertest.NewClock(time.Time{})
	group, err := scheduler.NewDependencyTaskGroup(site(), func(string) scheduler.Task {
		return scheduler.Pause(scheduler.After(time.Minute))
	}, &scheduler.GroupOptions[string]{Name: "site", Limit: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Clock: clock})
	if err := r.Start(context.Background(), 0); err != nil {
		fmt.Println(err)
	}
	if _, err := group.WriteTo(os.Stdout); err != nil {
		fmt.Println(err)
	}
	fmt.Println(r.Cancel())
	// Output:
	// site: round 1, 3 pending, 2 running
	//   network: running since round 1, waits: at 2000-01-01T00:01:00Z
	//   volume: running since round 1, waits: at 2000-01-01T00:01:00Z
	//   server: pending since round 0, requires network, volume
	//   dns: pending since round 0, requires server
	//   backup: pending since round 0, waits for the group's limit
	// <nil>
}

// A process is killed in the middle of a run. Another one goes on from what it
// had stored.
func ExampleSnapshot_Resume() {
	var stored []byte
	run := func(kill string, completed func(string) bool) {
		var group *scheduler.DependencyTaskGroup[string]
		group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				if name == kill {
					panic("killed")
				}
				fmt.Println("create", name)
				return nil
			})
		}, &scheduler.GroupOptions[string]{
			Completed: completed,
			Observer: scheduler.ObserverFunc(func(scheduler.Record) {
				stored, _ = json.Marshal(group.Snapshot()) // to a file, in a real program
			}),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = recover() }() // the process dies here
		fmt.Println(scheduler.Run(context.Background(), group, nil))
	}
	run("server", nil)
	var snapshot scheduler.Snapshot[string]
	if err := json.Unmarshal(stored, &snapshot); err != nil {
		fmt.Println(err)
	}
	fmt.Println("killed;", string(stored))
	run("", snapshot.Resume())
	// Output:
	// create network
	// create volume
	// killed; {"completed":["network","volume"],"started":["server"]}
	// create server
	// create dns
	// create backup
	// <nil>
}

// Roll-back is a reverse group of the same dependencies, which leaves out what
// was never started. What was made in part is deleted too.
func ExampleSnapshot_RollBack() {
	snapshot := scheduler.Snapshot[string]{
		Completed: []string{"network", "volume"},
		Started:   []string{"server"}, // half made when the process was killed
	}
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println("delete", name)
			return nil
		})
	}, &scheduler.GroupOptions[string]{Reverse: true, Completed: snapshot.RollBack()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	// Output:
	// delete server
	// delete network
	// delete volume
	// <nil>
}

func ExampleExceptionGroup_Split() {
	quota := errors.New("quota")
	group := &scheduler.ExceptionGroup{Errors: []error{
		&scheduler.TaskError{Key: "a", Err: quota},
		&scheduler.TaskError{Key: "b", Err: errors.New("network")},
	}}
	match, rest := group.Split(func(err error) bool { return errors.Is(err, quota) })
	fmt.Println(match.Errors, rest.Errors)
	// Output:
	// [a: quota] [b: network]
}

func ExampleDependencies() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("volume", "pool")
	deps.Add("bucket")

	fmt.Println("create:", slices.Collect(deps.All()))
	fmt.Println("delete:", slices.Collect(deps.Backward()))
	fmt.Println("volume requires:", slices.Collect(deps.Requires("volume")))
	fmt.Println("volume is required by:", slices.Collect(deps.RequiredBy("volume")))
	// Output:
	// create: [network pool volume server bucket]
	// delete: [server network volume pool bucket]
	// volume requires: [pool]
	// volume is required by: [server]
}

func ExampleDependencies_From() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("address", "server")
	deps.Add("bucket")

	// What has to be made anew with the network.
	fmt.Println(slices.Collect(deps.From("network").All()))
	// Output:
	// [network server address]
}

func ExampleDependencies_Validate() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	deps.Add("network", "router")
	deps.Add("router", "server", "address")

	err := deps.Validate()
	fmt.Println(err)
	fmt.Println(errors.Is(err, scheduler.ErrCircularDependency))

	var circular *scheduler.CircularDependencyError[string]
	if errors.As(err, &circular) {
		fmt.Println(circular.Path)
	}
	// Output:
	// scheduler: circular dependency: network -> router -> server -> network
	// true
	// [network router server network]
}

func ExampleTranslate() {
	type resource struct{ kind, name string }
	deps := scheduler.NewDependencies[resource]()
	deps.Add(resource{"server", "web"}, resource{"network", "front"})
	deps.Add(resource{"server", "db"}, resource{"network", "back"})

	kinds := scheduler.Translate(deps, func(r resource) string { return r.kind })
	for requirer, required := range kinds.Edges() {
		fmt.Println(requirer, "requires", required)
	}
	// Output:
	// server requires network
}

func ExampleDependencies_WriteDOT() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	deps.Add("network", "router")
	deps.Add("router", "network")

	if err := deps.WriteDOT(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// digraph dependencies {
	// 	n0 [label="network", color=red]
	// 	n1 [label="server"]
	// 	n2 [label="router", color=red]
	// 	n0 -> n2 [color=red]
	// 	n1 -> n0
	// 	n2 -> n0 [color=red]
	// }
}

func ExampleDependencies_WriteMermaid() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	deps.Add("network", "router")
	deps.Add("router", "network")

	if err := deps.WriteMermaid(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// flowchart TD
	// 	n0["network"]:::cycle
	// 	n1["server"]
	// 	n2["router"]:::cycle
	// 	n0 ==> n2
	// 	n1 --> n0
	// 	n2 ==> n0
	// 	classDef cycle stroke:red
}

// Where does a run stand? Whether the text is put into a Markdown page or given
// to Graphviz, it is a picture.
func ExampleDependencyTaskGroup_WriteMermaid() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("dns", "server")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		if name == "network" {
			return scheduler.Func(func(context.Context) error { return nil })
		}
		return scheduler.Pause(scheduler.After(time.Minute))
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})})
	if err := r.Start(context.Background(), 0); err != nil { // the first round
		fmt.Println(err)
	}
	if err := group.WriteMermaid(os.Stdout); err != nil {
		fmt.Println(err)
	}
	fmt.Println(r.Cancel())
	// Output:
	// flowchart TD
	// 	n0["network<br>succeeded"]:::succeeded
	// 	n1["volume<br>running"]:::running
	// 	n2["server<br>pending"]:::pending
	// 	n3["dns<br>pending"]:::pending
	// 	n2 --> n0
	// 	n2 --> n1
	// 	n3 --> n2
	// 	classDef pending fill:#ffffff,stroke:#8c959f,color:#000
	// 	classDef running fill:#fff3b0,stroke:#b08800,color:#000
	// 	classDef succeeded fill:#c8e6c9,stroke:#2e7d32,color:#000
	// <nil>
}

// A log, and a count of failures of one's own.
func ExampleObservers() {
	failures := 0
	count := scheduler.ObserverFunc(func(t scheduler.Record) {
		if t.To == scheduler.StateFailed {
			failures++
		}
	})
	say := scheduler.ObserverFunc(func(t scheduler.Record) { fmt.Println(t.Path(), t.To) })
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "volume")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return fmt.Errorf("quota exceeded") })
	}, &scheduler.GroupOptions[string]{Observer: scheduler.Observers(count, say)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	fmt.Println(failures)
	// Output:
	// volume running
	// volume failed
	// server cancelled
	// volume: quota exceeded
	// 1
}

func ExampleLogObserver() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		if name == "volume" {
			return scheduler.Func(func(context.Context) error { return errors.New("quota exceeded") })
		}
		return scheduler.Pause(scheduler.After(time.Minute))
	}, &scheduler.GroupOptions[string]{
		Name: "site", AggregateErrors: true, Observer: scheduler.NewLogObserver(logger),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	clock := schedulertest.NewClock(time.Time{}).Alone()
	err = scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock})
	fmt.Println(err)
	// Output:
	// level=INFO msg="group started" group.name=site group.nodes=5 group.completed=0
	// level=WARN msg="node failed" group.name=site group.round=1 node.path=volume node.from=running node.task=scheduler_test.ExampleLogObserver.func1.1 error="quota exceeded"
	// level=INFO msg="group ended" group.name=site group.rounds=2 group.took=1m0s group.succeeded=2 group.failed=1 group.skipped=2 error="1 task failed:\n- volume: quota exceeded"
	// 1 task failed:
	// - volume: quota exceeded
}

// A node that cleans up is started whatever has failed, and one that is switched off
// passes, so that the order of what is behind it stays.
func ExampleGroupOptions_when() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("test", "build")
	deps.Add("scan", "build")
	deps.Add("deploy", "test", "scan")
	deps.Add("clean up", "deploy")
	job := func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println(name)
			if name == "test" {
				return errors.New("2 tests failed")
			}
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, job, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
		When: func(name string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			switch name {
			case "scan": // it is switched off
				return scheduler.Pass
			case "clean up":
				return scheduler.Start
			}
			return scheduler.Usual
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	for o := range group.Outcomes() {
		fmt.Println(o.Key, o.State, "because of", o.Because)
	}
	// Output:
	// build
	// test
	// clean up
	// 1 task failed:
	// - test: 2 tests failed
	// test failed because of test
	// deploy skipped because of test
}

// A database is there for as long as something needs it: the tests start when it is
// ready, and it ends when they have.
func ExampleReady() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("migrate", "database")
	deps.Add("test", "migrate")
	task := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if name != "database" {
				fmt.Println(name)
				return nil
			}
			fmt.Println("database is up")
			co.Ready()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			fmt.Println("database ends:", co.StopCause())
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, task, &scheduler.GroupOptions[string]{Grace: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	// Output:
	// database is up
	// migrate
	// test
	// database ends: scheduler: not needed any more
	// <nil>
}

// One node is taken out of a run, with what depends on it.
func ExampleDependencyTaskGroup_SkipNode() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("deploy", "build")
	deps.Add("announce", "deploy")
	var group *scheduler.DependencyTaskGroup[string]
	task := func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println(name)
			group.SkipNode("announce", errors.New("a release candidate"))
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, task, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	fmt.Println(group.State("announce"), group.Err("announce"))
	// Output:
	// build
	// deploy
	// <nil>
	// skipped announce: a release candidate
}

// One node is ended while it runs, and fails with the cause that is given.
func ExampleDependencyTaskGroup_StopNode() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("download")
	deps.Add("install", "download")
	deps.Add("report")
	var group *scheduler.DependencyTaskGroup[string]
	task := func(name string) scheduler.Task {
		if name != "report" {
			return scheduler.Pause(scheduler.After(time.Hour))
		}
		return scheduler.Func(func(context.Context) error {
			group.StopNode("download", errors.New("the disk is full"))
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, task, &scheduler.GroupOptions[string]{AggregateErrors: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	fmt.Println(group.State("download"), group.State("install"), group.State("report"))
	// Output:
	// 1 task failed:
	// - download: the disk is full
	// failed skipped succeeded
}

// A volume takes too long. The error says what the node was waiting for.
func ExampleNote() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("volume")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			for state := "queued"; ; state = "building" {
				co.Note("volume is still " + state)
				if err := co.Yield(scheduler.After(time.Minute)); err != nil {
					return err
				}
			}
		})
	}, &scheduler.GroupOptions[string]{
		Timeout: func(string) time.Duration { return 10 * time.Minute },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	fmt.Println(scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}))
	// Output: volume: timed out after 10m0s: volume is still building
}

// Try again when somebody has given something back, or after ten seconds.
func ExampleBackOffFunc() {
	var givenBack scheduler.Event
	again := scheduler.BackOffFunc(func(attempt int, err error) scheduler.Yield {
		fmt.Printf("attempt %d: %v\n", attempt, err)
		givenBack.Reset()
		return scheduler.On(&givenBack).Or(scheduler.After(10 * time.Second))
	})
	free := false
	task := scheduler.All(
		scheduler.Retry(again, func(int, error) scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				if !free {
					return errors.New("no quota left")
				}
				fmt.Println("created")
				return nil
			})
		}),
		scheduler.Sequence(scheduler.Pause(scheduler.After(13*time.Second)), scheduler.Func(func(context.Context) error {
			fmt.Println("given back")
			free = true
			givenBack.Set()
			return nil
		})),
	)
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	fmt.Println(scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock}))
	// Output:
	// attempt 1: no quota left
	// attempt 2: no quota left
	// given back
	// created
	// <nil>
}

func ExamplePermanent() {
	errMissing := errors.New("404 image not found")
	task := scheduler.Retry(everySecond{}, func(attempt int, _ error) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println("attempt", attempt)
			if attempt == 1 {
				return errors.New("503 try again")
			}
			return scheduler.Permanent(errMissing)
		})
	})
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	err := scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock})
	fmt.Println(err, errors.Is(err, errMissing))
	// Output:
	// attempt 1
	// attempt 2
	// 404 image not found true
}

type everySecond struct{}

func (everySecond) NextBackOff() time.Duration { return time.Second }

func ExampleRetryCall() {
	asked := 0
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		address, err := scheduler.RetryCall(co, noPause{}, func(context.Context) (string, error) {
			if asked++; asked < 3 {
				return "", errors.New("503 try again")
			}
			return "10.0.0.7", nil
		})
		fmt.Println(address, err)
		return err
	})
	fmt.Println(scheduler.Run(context.Background(), task, nil))
	// Output:
	// 10.0.0.7 <nil>
	// <nil>
}

type noPause struct{}

func (noPause) NextBackOff() time.Duration { return 0 }

func ExamplePollCall() {
	asked := 0
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		address, err := scheduler.PollCall(co, time.Millisecond, func(context.Context) (string, bool, error) {
			asked++
			return fmt.Sprint("10.0.0.", asked), asked == 3, nil
		})
		fmt.Println(address)
		return err
	})
	fmt.Println(scheduler.Run(context.Background(), task, nil))
	// Output:
	// 10.0.0.3
	// <nil>
}

// The nearest mirror that has the file wins.
func ExampleFirst() {
	from := func(mirror string, takes time.Duration, err error) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(takes)); err != nil {
				fmt.Println(mirror, "ends:", err)
				return err
			}
			fmt.Println(mirror, "answers:", err)
			return err
		})
	}
	task := scheduler.First(
		from("far", time.Minute, nil),
		from("broken", time.Second, errors.New("404 not found")),
		from("near", 2*time.Second, nil),
	)
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	fmt.Println(scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock}))
	// Output:
	// broken answers: 404 not found
	// near answers: <nil>
	// far ends: scheduler: closed
	// <nil>
}

func ExampleWithTimeout() {
	task := scheduler.Sequence(
		scheduler.WithTimeout(time.Minute, scheduler.Named("booting", scheduler.Pause(scheduler.After(50*time.Second)))),
		scheduler.WithTimeout(time.Minute, scheduler.Named("probing", scheduler.Pause(scheduler.After(time.Hour)))),
	)
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	err := scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock})
	fmt.Println(err, errors.Is(err, context.DeadlineExceeded))
	// Output: probing: timed out after 1m0s true
}

// A clean-up must not mistake its own end for a failure of the work.
func ExampleInterrupted() {
	for _, err := range []error{
		nil,
		errors.New("disk full"),
		scheduler.ErrClosed,
		fmt.Errorf("uploading: %w", &scheduler.StopError{}),
		errors.Join(&scheduler.StopError{}, errors.New("disk full")),
	} {
		fmt.Println(scheduler.Interrupted(err))
	}
	// Output:
	// false
	// false
	// true
	// true
	// false
}
