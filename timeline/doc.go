// Package timeline keeps when the nodes of groups ran, and says what took the
// time.
//
// A [Recorder] is an observer. What it has recorded, a list of [Span], is
// written by [WriteTrace], for a trace viewer such as Perfetto, and by
// [WriteSVG], as a picture. A [Report] says of the spans of one group which
// chain of nodes made the run as long as it was, how much slack the others had,
// and how long a limit held something up. [Simulate] says how long the same
// work would take under other options: it runs the library itself on a
// simulated clock, so what it starts when is what a real run would start.
//
//	rec := timeline.NewRecorder()
//	opts := &scheduler.GroupOptions[string]{Limit: 8, Observer: rec}
//	... run a group of deps with opts ...
//	report, err := timeline.NewReport(rec.Spans(), deps, opts)
//	report.WriteTo(os.Stdout)
//	timeline.WriteSVG(file, report.Spans())
package timeline
