//go:build race

package scheduler_test

const exhaustiveReduced = true
