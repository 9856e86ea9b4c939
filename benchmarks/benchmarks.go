// Package benchmarks measures the scheduler beside bare loops, which give no
// guarantee and stand for what the machine can do, and beside other modules.
//
// The command report prints it all as Markdown and compares with the limits that
// the library is held to; the benchmarks in this directory are the same
// measurements for go test and benchstat.
package benchmarks
