// Package scheduler drives many long operations on one goroutine, one step at a
// time, in the order of their dependencies.
package scheduler
