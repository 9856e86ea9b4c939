//go:build !race

package main

// killEvery says which writes TestKill_atEveryWrite looks at. With the race
// detector each of its 500 processes takes several times as long.
const killEvery = 1
