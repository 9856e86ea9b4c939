// Package proof has the tests of package scheduler that do not follow an example
// of use. They make runs, by chance, by exhaustion or from the bytes of a fuzzer,
// and hold each of them to what is promised of all: that the engine does what the
// model does, that invariants hold after each step, and that nothing is lost or
// left behind. One gives what is nil, zero or far too large to all that is exported.
//
// The tests use the exported API alone. docs/testing.md describes what each of
// them finds and how to run it for long.
package proof
