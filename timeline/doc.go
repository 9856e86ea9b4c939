// Package timeline records when the nodes of groups ran, and explains where the time
// went.
//
// A [Recorder] is an observer. It yields a list of [Span], which [WriteTrace] writes
// for a trace viewer such as Perfetto, and [WriteSVG] as a picture. A [Report] on the
// spans of one group tells which chain of nodes determined the duration of the run,
// how much slack the others had, and how long a limit held nodes up. [Simulate]
// predicts the duration of the same work under other options: it runs the library
// itself on a simulated clock, so nodes start in the order of a real run.
//
//	rec := timeline.NewRecorder()
//	opts := &scheduler.GroupOptions[string]{Limit: 8, Observer: rec}
//	... run a group of deps with opts ...
//	report, err := timeline.NewReport(rec.Spans(), deps, opts)
//	report.WriteTo(os.Stdout)
//	timeline.WriteSVG(file, report.Spans())
package timeline
