//go:build !race

package proof_test

// exhaustiveReduced leaves the largest graphs out: with the race detector
// everything takes ten times as long, and these tests have one goroutine each.
const exhaustiveReduced = false
