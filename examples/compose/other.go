//go:build !unix

package main

import (
	"context"
	"errors"
)

var errUnix = errors.New("processes can be run on Unix systems only")

func execute(context.Context, Command) error { return errUnix }

type lock struct{}

func takeLock(string) (*lock, error) { return nil, errUnix }

func (*lock) release() error { return nil }

func endHolder(context.Context, string) error { return errUnix }
