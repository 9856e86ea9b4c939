package journal

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// errLocked means that another open file has the lock.
var errLocked = errors.New("journal: locked")

// fileLock is the lock on a file of its own. It ends with the process, however
// that ends.
type fileLock struct{ file *os.File }

// acquire takes the lock, or returns errLocked. It tries for a moment, since those
// who only look whether it is taken have it for a moment.
func acquire(path string) (*fileLock, error) {
	for tries := 0; ; {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		switch err = lock(file, true); {
		case err == nil && isAt(file, path):
			return &fileLock{file}, nil
		case err == nil: // the one before has just removed it
		case !errors.Is(err, errLocked) || tries == 5:
			return nil, errors.Join(err, file.Close())
		default:
			tries++
			time.Sleep(5 * time.Millisecond) //nolint:forbidigo // Only where another process has the run.
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

// isAt reports whether the file is the one that is found at path.
func isAt(file *os.File, path string) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// isLocked reports whether somebody has the lock.
func isLocked(path string) (bool, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = lock(file, false)
	if errors.Is(err, errLocked) {
		return true, file.Close()
	}
	return false, errors.Join(err, file.Close())
}

// release removes the file and lets go of the lock.
func (l *fileLock) release() error {
	err := remove(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}
