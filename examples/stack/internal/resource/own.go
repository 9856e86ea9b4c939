package resource

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/steptask/scheduler"
)

// A resource that is a file is made under a name that nobody else has. Once it is
// complete its checksum is written down, and it gets its own name, unless
// something has that name by then. After a crash the checksum tells the
// resource's file from a stranger's, which is never overwritten or removed.

// claim writes down that the file or directory at path is about to be made,
// and under which other name until it is complete. It is an error if something
// is there, or at one of the names beside it.
func (r *Resource) claim(co *scheduler.Coroutine, path string, beside ...string) error {
	return r.Intend(co, "claim", func(context.Context) (map[string]any, error) {
		return map[string]any{"path": path, "unfinished": path + ".unfinished-" + rand.Text()}, mustNotExist(append(beside, path)...)
	})
}

func mustNotExist(paths ...string) error {
	for _, path := range paths {
		_, err := os.Lstat(path)
		if err == nil {
			return fmt.Errorf("%s exists, and does not belong to the stack", path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// unfinished is the name of the file until it is complete.
func (r *Resource) unfinished() string { return r.known("unfinished") }

// publish makes the file under the other name, which write does, and gives it its own.
func (r *Resource) publish(co *scheduler.Coroutine, write func(ctx context.Context, path string) (map[string]any, error)) error {
	for {
		err := r.Intend(co, "write", func(ctx context.Context) (map[string]any, error) {
			data, err := write(ctx, r.unfinished())
			if err != nil {
				return nil, err
			}
			if data == nil {
				data = map[string]any{}
			}
			data["published"], err = sumOf(r.unfinished())
			return data, err
		})
		if err != nil {
			return err
		}
		err = done(co, func(context.Context) error { return r.link() })
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// An interrupted attempt has written it, and somebody has removed it since: it
		// is written again. What is on record is no longer true.
	}
}

// link gives the finished file its name, unless an interrupted attempt has done that.
func (r *Resource) link() error {
	from, to := r.unfinished(), r.known("path")
	if r.isPublished() {
		return removeRegular(from)
	}
	err := os.Link(from, to) // which, unlike a rename, overwrites nothing
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s was created meanwhile, and does not belong to the stack", to)
	}
	if err != nil {
		return err
	}
	return os.Remove(from)
}

func sameFile(a, b string) bool {
	one, err := os.Lstat(a)
	if err != nil {
		return false
	}
	other, err := os.Lstat(b)
	return err == nil && os.SameFile(one, other)
}

// isPublished reports whether the file is there under its own name: put there
// by this attempt, or by one that was interrupted.
func (r *Resource) isPublished() bool {
	path, sum := r.known("path"), r.known("published")
	if sum == "" {
		return false
	}
	if sameFile(path, r.unfinished()) {
		return true
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	got, err := sumOf(path)
	return err == nil && got == sum
}

// removeOwn removes the file, or what there is of it, with what its users put
// beside it. What has its name but is not the resource's stays.
func (r *Resource) removeOwn(beside ...string) error {
	err := removeRegular(r.unfinished())
	if !r.Complete && !r.isPublished() {
		return err
	}
	for _, path := range append(beside, r.known("path")) {
		err = errors.Join(err, removeRegular(path))
	}
	return err
}

// removeRegular removes a file, unless it is gone or something else has its
// name by now.
func removeRegular(path string) error {
	info, err := os.Lstat(path)
	switch {
	case path == "" || errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not the file that the stack made", path)
	}
	return unlessGone(os.Remove(path))
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return hex.EncodeToString(hash.Sum(nil)), err
}

func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
