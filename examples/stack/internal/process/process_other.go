//go:build !unix

package process

import (
	"errors"
	"syscall"
)

var errUnsupported = errors.New("processes can be started on Unix systems only")

func groupOfItsOwn() *syscall.SysProcAttr { return nil }

func signal(int, syscall.Signal) error { return errUnsupported }

func replace(string, []string, []string) error { return errUnsupported }
