//go:build race || mutation

package scheduler_test

const exhaustiveReduced = true
