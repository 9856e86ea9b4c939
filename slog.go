package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// LogObserver is an [Observer] that writes a log. Make it with
// [NewLogObserver].
//
//	level  message                                 attributes
//	info   group started                           group: name, path, nodes, completed
//	info   group ended                             group: name, path, rounds, took, and the number of nodes in each state
//	warn   node failed, node timed out             group: name, round; node: path, task, from; error
//	info   node cancelled, if with an error        the same
//	debug  node running, and every other change    the same
//	warn   slow step                               node: path, task; took
//
// The path of a group is that of the node it runs in; an outermost group has
// none. A group starts with the first change of one of its nodes, and ends when
// none is left to be done; nodes that count as completed beforehand do not
// change. So a group without any change is not told of, nor is the end of one
// that is drained while nothing runs in it.
//
// The time of a record is that of the run's clock, but for slow steps, which
// have the time of the process.
//
// A LogObserver may be shared by any number of groups, on different goroutines
// too, as far as its logger's Handler may. The Handler is called in the middle
// of a round and holds everything up. What the level leaves out allocates
// nothing.
type LogObserver struct {
	logger *slog.Logger

	mu    sync.Mutex
	began map[*engine]time.Time // the groups under way. Guarded by mu
}

var _ SlowStepObserver = (*LogObserver)(nil)

// NewLogObserver returns an Observer that writes to logger; nil stands for
// [slog.Default].
func NewLogObserver(logger *slog.Logger) *LogObserver {
	if logger == nil {
		logger = slog.Default()
	}
	return &LogObserver{logger: logger, began: map[*engine]time.Time{}}
}

// Observe writes what the level lets through of a change of a node's state, and
// of the group, if it starts or ends with that.
func (l *LogObserver) Observe(t Transition) {
	if l.enabled(slog.LevelInfo) {
		group := t.group
		l.begin(group, t)
		defer l.end(group, t)
	}
	if level := logLevel(t); l.enabled(level) {
		l.node(level, t)
	}
}

// ObserveSlowStep warns of the step.
func (l *LogObserver) ObserveSlowStep(s SlowStep) {
	l.logger.LogAttrs(context.Background(), slog.LevelWarn, "slow step",
		slog.GroupAttrs("node", slog.String("path", s.Path), slog.String("task", s.Task)),
		slog.Duration("took", s.Took))
}

func (l *LogObserver) enabled(level slog.Level) bool {
	return l.logger.Enabled(context.Background(), level)
}

func logLevel(t Transition) slog.Level {
	switch t.To {
	case StateFailed, StateTimedOut:
		return slog.LevelWarn
	case StateCancelled:
		if t.Err != nil { // its Close failed, perhaps
			return slog.LevelInfo
		}
	default:
	}
	return slog.LevelDebug
}

// begin tells of a group with the first change in it.
func (l *LogObserver) begin(group *engine, t Transition) {
	l.mu.Lock()
	_, known := l.began[group]
	if !known {
		l.began[group] = t.Time()
	}
	l.mu.Unlock()
	if known {
		return
	}
	l.write(slog.LevelInfo, t, "group started", groupAttr(t,
		slog.Int("nodes", group.nodes.len()), slog.Int("completed", group.nodes.count(StateSucceeded))))
}

// end tells of a group with the last change in it.
func (l *LogObserver) end(group *engine, t Transition) {
	if !group.isOver() {
		return
	}
	l.mu.Lock()
	began := l.began[group]
	delete(l.began, group)
	l.mu.Unlock()
	attrs := []slog.Attr{slog.Int("rounds", group.round), slog.Duration("took", t.Time().Sub(began))}
	for s := StatePending; s <= StateSkipped; s++ {
		if n := group.nodes.count(s); n > 0 {
			attrs = append(attrs, slog.Int(s.String(), n))
		}
	}
	l.write(slog.LevelInfo, t, "group ended", groupAttr(t, attrs...))
}

func (l *LogObserver) node(level slog.Level, t Transition) {
	node := []slog.Attr{slog.String("path", t.Path()), slog.String("from", t.From.String())}
	if task := t.Task(); task != "" {
		node = append(node, slog.String("task", task))
	}
	attrs := []slog.Attr{
		slog.GroupAttrs("group", slog.String("name", t.Group()), slog.Int("round", t.Round())),
		slog.GroupAttrs("node", node...),
	}
	if t.Err != nil {
		attrs = append(attrs, slog.Any("error", t.Err))
	}
	l.write(level, t, "node "+t.To.String(), attrs...)
}

// groupAttr says which group t happens in.
func groupAttr(t Transition, more ...slog.Attr) slog.Attr {
	attrs := []slog.Attr{slog.String("name", t.Group())}
	around := strings.TrimSuffix(t.Path(), fmt.Sprint(t.Key()))
	if around != "" {
		attrs = append(attrs, slog.String("path", strings.TrimSuffix(around, "/")))
	}
	return slog.GroupAttrs("group", append(attrs, more...)...)
}

// write makes the record by hand: a Logger would give it the time of the
// process. What the Handler returns is dropped, as a Logger does.
func (l *LogObserver) write(level slog.Level, t Transition, message string, attrs ...slog.Attr) {
	r := slog.NewRecord(t.Time(), level, message, 0)
	r.AddAttrs(attrs...)
	_ = l.logger.Handler().Handle(context.Background(), r)
}
