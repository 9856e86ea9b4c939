// Package active has the operators that take the place of those of the package
// under test, into which this file is compiled. Each does what it stands for,
// unless the mutant with its number is the active one.
package active

import (
	"cmp"
	"os"
	"strconv"
	"syscall"
)

type mutantInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

type mutantNumber interface {
	mutantInteger | ~float32 | ~float64
}

// mutantActive is the number of the mutant of this run; 0 is none.
var mutantActive, _ = strconv.Atoi(os.Getenv("MUTANT"))

// mutantReached has a byte for each mutant, which is set when the run gets there.
// It is a file, so that it outlives every end of the run; nil is none.
var mutantReached = func() []byte {
	file, err := os.OpenFile(os.Getenv("MUTANTS_REACHED"), os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		panic(err)
	}
	b, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return b
}()

func mutantOn(n int) bool {
	if mutantReached != nil {
		mutantReached[n] = 1
	}
	return mutantActive == n
}

// The comparisons have two mutants each: the other boundary, and the opposite.

func mutantLSS[T cmp.Ordered](n int, a, b T) bool {
	return mutantOf(n, a < b, a <= b, a >= b)
}

func mutantLEQ[T cmp.Ordered](n int, a, b T) bool {
	return mutantOf(n, a <= b, a < b, a > b)
}

func mutantGTR[T cmp.Ordered](n int, a, b T) bool {
	return mutantOf(n, a > b, a >= b, a <= b)
}

func mutantGEQ[T cmp.Ordered](n int, a, b T) bool {
	return mutantOf(n, a >= b, a > b, a < b)
}

func mutantOf(n int, itself, boundary, opposite bool) bool {
	switch {
	case mutantOn(n):
		return boundary
	case mutantOn(n + 1):
		return opposite
	}
	return itself
}

func mutantADD[T mutantNumber](n int, a, b T) T {
	if mutantOn(n) {
		return a - b
	}
	return a + b
}

func mutantSUB[T mutantNumber](n int, a, b T) T {
	if mutantOn(n) {
		return a + b
	}
	return a - b
}

func mutantMUL[T mutantNumber](n int, a, b T) T {
	if mutantOn(n) {
		return a / b
	}
	return a * b
}

func mutantQUO[T mutantNumber](n int, a, b T) T {
	if mutantOn(n) {
		return a * b
	}
	return a / b
}

func mutantREM[T mutantInteger](n int, a, b T) T {
	if mutantOn(n) {
		return a * b
	}
	return a % b
}

func mutantNEG[T mutantNumber](n int, a T) T {
	if mutantOn(n) {
		return a
	}
	return -a
}

// mutantSigned is what is added to or taken from x: by, or the opposite.
func mutantSigned[T mutantNumber](n int, _, by T) T {
	if mutantOn(n) {
		return -by
	}
	return by
}
