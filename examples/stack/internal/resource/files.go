package resource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/steptask/scheduler"
)

var directoryKind = &Kind{
	Summary: "a directory",
	Properties: map[string]Property{
		"path":  {Type: String, Required: true},
		"mode":  {Type: String},
		"purge": {Type: Bool}, // delete also what others put into it
	},
	Attributes: []string{"path"},
	Reference:  "path",
	Create:     createDirectory,
	Delete:     deleteDirectory,
	Resume:     stillThere,
}

func createDirectory(co *scheduler.Coroutine, r *Resource) error {
	path := r.path("path")
	mode, err := r.mode(0o755)
	if err != nil {
		return err
	}
	if err := r.claim(co, path); err != nil {
		return err
	}
	return done(co, func(context.Context) error {
		err := os.Mkdir(path, mode)
		if errors.Is(err, fs.ErrExist) && isEmptyDir(path) {
			return nil // made by the run that was interrupted
		}
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s was created meanwhile, and does not belong to the stack", path)
		}
		return err
	})
}

func deleteDirectory(co *scheduler.Coroutine, r *Resource) error {
	path, purge := r.known("path"), r.Props.Bool("purge") && r.Complete
	return done(co, func(context.Context) error {
		info, err := os.Lstat(path)
		switch {
		case err != nil:
			return unlessGone(err)
		case !info.IsDir():
			return fmt.Errorf("%s is not the directory that the stack made", path)
		case purge:
			return os.RemoveAll(path)
		case !r.Complete && !isEmptyDir(path):
			return nil // somebody else's
		}
		return unlessGone(os.Remove(path))
	})
}

func isEmptyDir(path string) bool {
	entries, err := os.ReadDir(path)
	info, statErr := os.Lstat(path)
	return err == nil && statErr == nil && info.IsDir() && len(entries) == 0
}

var fileKind = &Kind{
	Summary: "a file",
	Properties: map[string]Property{
		"path":    {Type: String, Required: true},
		"content": {Type: Any}, // a list or map is written as JSON
		"mode":    {Type: String},
	},
	Attributes: []string{"path", "size", "sha256"},
	Reference:  "path",
	Create:     createFile,
	Delete: func(co *scheduler.Coroutine, r *Resource) error {
		return done(co, func(context.Context) error { return r.removeOwn() })
	},
	Resume: stillThere,
}

func createFile(co *scheduler.Coroutine, r *Resource) error {
	path, content := r.path("path"), []byte(r.Props.String("content"))
	mode, err := r.mode(0o644)
	if err != nil {
		return err
	}
	if err := r.claim(co, path); err != nil {
		return err
	}
	return r.publish(co, func(_ context.Context, path string) (map[string]any, error) {
		sum := sha256.Sum256(content)
		return map[string]any{"size": len(content), "sha256": hex.EncodeToString(sum[:])}, writeNew(path, content, mode)
	})
}

// writeNew writes a file that is not there yet, or was left half written.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	if err := removeRegular(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// stillThere finds out whether a file or directory has gone missing.
func stillThere(r *Resource) error {
	_, err := os.Lstat(r.known("path"))
	return err
}

// known returns text from what the resource is known by.
func (r *Resource) known(key string) string {
	s, _ := r.Data[key].(string)
	return s
}

// mode returns the permissions that the property mode gives, in octal.
func (r *Resource) mode(fallback fs.FileMode) (fs.FileMode, error) {
	text := r.Props.String("mode")
	if text == "" {
		return fallback, nil
	}
	m, err := strconv.ParseUint(text, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("property \"mode\": %q is not an octal number such as \"0644\"", text)
	}
	return fs.FileMode(m), nil
}
