package scheduler

import (
	"log/slog"
	"strings"
)

// LogObserver is an [Observer] that writes a log: what happens to groups and what
// closes at level info, failures, slow steps and calls left behind at warn, all other
// changes of nodes at debug. docs/watching.md has each message with its attributes.
//
// The time is that of the run's clock. The Handler gets the context of the step, so
// that it can add trace identities, and everything waits for it. Groups on several
// goroutines may share a LogObserver if its Handler may be shared. A line below the
// logger's level allocates nothing.
type LogObserver struct {
	logger *slog.Logger
}

// NewLogObserver returns a LogObserver for logger; nil stands for [slog.Default].
func NewLogObserver(logger *slog.Logger) *LogObserver {
	if logger == nil {
		logger = slog.Default()
	}
	return &LogObserver{logger: logger}
}

// Observe writes a line for r if the logger's level allows it.
func (l *LogObserver) Observe(r Record) {
	level := logLevel(&r)
	if !l.logger.Enabled(r.Context(), level) {
		return
	}
	var attrs []slog.Attr
	message := r.Kind.String()
	switch r.Kind {
	case GroupBegun:
		message = "group started"
		attrs = append(attrs, groupAttr(&r,
			slog.Int("nodes", r.Group().Len()), slog.Int("completed", r.Group().Count(StateSucceeded))))
	case GroupEnded:
		attrs = append(attrs, groupAttr(&r, countAttrs(&r)...))
	case NodeChanged:
		message = "node " + r.To.String()
		attrs = append(attrs, roundAttr(&r), nodeAttr(&r, slog.String("from", r.From.String())))
	case NodeStopping:
		attrs = append(attrs, roundAttr(&r), nodeAttr(&r), slog.Duration("grace", r.Took()))
	case NodeNoted, NodeRetrying:
		attrs = append(attrs, roundAttr(&r), nodeAttr(&r))
		attrs = appendNotes(attrs, r.Notes(), r.Kind)
	case NodeAbandoned, NodeAdded:
		attrs = append(attrs, roundAttr(&r), nodeAttr(&r))
	case NodeStillClosing, SlowStep:
		attrs = append(attrs, roundAttr(&r), nodeAttr(&r), slog.Duration("took", r.Took()))
	default:
		attrs = append(attrs, groupAttr(&r))
	}
	if r.Err != nil {
		attrs = append(attrs, slog.Any("error", r.Err))
	}
	l.write(level, &r, message, attrs)
}

func logLevel(r *Record) slog.Level {
	switch r.Kind {
	case NodeStillClosing, NodeAbandoned, SlowStep:
		return slog.LevelWarn
	case NodeAdded, NodeStopping, GroupNoticed, NodeNoted, NodeRetrying:
		return slog.LevelDebug
	case NodeChanged:
		switch {
		case hasFailed(r.To):
			return slog.LevelWarn
		case r.To == StateClosing, r.To == StateCancelled && r.Err != nil:
			return slog.LevelInfo
		}
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// groupAttr says which group r is about.
func groupAttr(r *Record, more ...slog.Attr) slog.Attr {
	attrs := []slog.Attr{slog.String("name", r.Group().Name())}
	if path := r.Group().Path(); path != "" {
		attrs = append(attrs, slog.String("path", path))
	}
	return slog.GroupAttrs("group", append(attrs, more...)...)
}

// roundAttr says in which round of which group r happens.
func roundAttr(r *Record) slog.Attr {
	return slog.GroupAttrs("group", slog.String("name", r.Group().Name()), slog.Int("round", r.Round()))
}

// nodeAttr says which node r is about.
func nodeAttr(r *Record, more ...slog.Attr) slog.Attr {
	attrs := append([]slog.Attr{slog.String("path", r.Path())}, more...)
	if task := r.Task(); task != "" {
		attrs = append(attrs, slog.String("task", task))
	}
	return slog.GroupAttrs("node", attrs...)
}

// appendNotes appends what a record of kind is about.
func appendNotes(attrs []slog.Attr, n Notes, kind Kind) []slog.Attr {
	if kind == NodeRetrying {
		return append(attrs, slog.Int("attempt", n.Attempt))
	}
	return append(attrs, slog.String("note", n.Text))
}

// countAttrs says how a group has ended.
func countAttrs(r *Record) []slog.Attr {
	attrs := []slog.Attr{slog.Int("rounds", r.Round()), slog.Duration("took", r.Took())}
	for s := StatePending; s <= StateSkipped; s++ {
		if n := r.Group().Count(s); n > 0 {
			attrs = append(attrs, slog.Int(strings.ReplaceAll(s.String(), " ", "_"), n))
		}
	}
	return attrs
}

// write makes the record by hand: a Logger would give it the time of the
// process. What the Handler returns is dropped, as a Logger does.
func (l *LogObserver) write(level slog.Level, r *Record, message string, attrs []slog.Attr) {
	record := slog.NewRecord(r.Time(), level, message, 0)
	record.AddAttrs(attrs...)
	_ = l.logger.Handler().Handle(r.Context(), record)
}
