//go:build !unix

package main

import (
	"context"
	"errors"
	"os/exec"
)

func runProcess(context.Context, *exec.Cmd, func()) error {
	return errors.New("processes can be run on Unix systems only")
}
