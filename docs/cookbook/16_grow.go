package main

import (
	"context"
	"time"

	"github.com/steptask/scheduler"
)

// program declares things, one after the other, and makes none of them: a program
// of a user, in whatever language, that talks to the engine.
type program struct {
	engine *scheduler.TaskRunner
	group  *scheduler.DependencyTaskGroup[string]
	say    say
}

// declare says that there is to be a thing. It is called from another goroutine, so
// the node is added on the one that drives the run.
func (p *program) declare(name string, needs ...string) {
	p.engine.Post(func() {
		if err := p.group.Add(name, needs...); err != nil {
			p.say("%v", err)
		}
	})
}

func (p *program) run() {
	p.declare("network")
	p.declare("volume")
	time.AfterFunc(6*time.Second, func() {
		p.declare("server", "network", "volume")
		p.declare("dns", "server", "domain")
		p.declare("network")
		p.engine.Post(p.group.CloseInput)
	})
}

// makeWhatArrives makes things as they are declared, and takes them down in the end.
func makeWhatArrives(ctx context.Context, cloud *cloud, say say) error {
	none := scheduler.NewDependencies[string]()
	var group *scheduler.DependencyTaskGroup[string]
	create := creating(cloud, say)
	group, err := scheduler.NewDependencyTaskGroup(none, func(name string) scheduler.Task {
		if name != "network" {
			return create(name)
		}
		return scheduler.Sequence(create(name), scheduler.Func(func(context.Context) error {
			say("network: it has two subnets") // which only it knows
			for _, subnet := range []string{"subnet 1", "subnet 2"} {
				if err := group.Add(subnet, "network"); err != nil {
					return err
				}
			}
			return nil
		}))
	}, &scheduler.GroupOptions[string]{KeepOpen: true})
	if err != nil {
		return err
	}
	engine := scheduler.NewTaskRunner(group, nil)
	user := &program{engine, group, say}
	user.run()
	if err := engine.Run(ctx); err != nil {
		return err
	}

	say("all that was declared is there: down again")
	down, err := scheduler.NewDependencyTaskGroup(group.Dependencies(), deleting(cloud, say), &scheduler.GroupOptions[string]{Reverse: true})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, down, nil)
}
