//go:build race || mutation

package proof_test

const exhaustiveReduced = true
