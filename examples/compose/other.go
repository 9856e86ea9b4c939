//go:build !unix

package main

import (
	"context"
	"errors"
)

var errUnix = errors.New("processes can be run on Unix systems only")

func execute(context.Context, Command) error { return errUnix }

func takeLock(string) (func() error, error) { return nil, errUnix }

func down(string) error { return errUnix }
