//go:build race

package main

const killEvery = 7
