//go:build race

package proof_test

const exhaustiveReduced = true
