package journal

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// errLocked means that somebody has the lock.
var errLocked = errors.New("journal: locked")

// fileLock is the lock on a file of its own. It ends with the process, however that
// ends, and is not passed on to the processes that this one starts.
type fileLock struct {
	file *os.File
	info fs.FileInfo
}

// held are the locks that this process has. The system keeps processes apart, not the open
// files of one process: when one of these is closed, the lock on the file is gone. So a file
// that is in the list must not be opened again.
var held struct {
	mu    sync.Mutex
	locks []*fileLock
}

// acquire takes the lock, or returns errLocked. It tries for a moment, since on Windows
// those who only look whether it is taken have it for a moment.
func acquire(path string) (*fileLock, error) {
	for tries := 0; ; tries++ {
		l, err := tryAcquire(path)
		if tries == 5 || !errors.Is(err, errLocked) {
			return l, err
		}
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // Only where the run is open.
	}
}

func tryAcquire(path string) (*fileLock, error) {
	held.mu.Lock()
	defer held.mu.Unlock()
	for {
		if isHeldHere(path) {
			return nil, errLocked
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lock(file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		info, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if isAt(info, path) {
			l := &fileLock{file, info}
			held.locks = append(held.locks, l)
			return l, nil
		}
		if err := file.Close(); err != nil { // the one before has just removed it
			return nil, err
		}
	}
}

// isHeldHere reports whether this process has the lock. The caller holds held.mu.
func isHeldHere(path string) bool {
	return slices.ContainsFunc(held.locks, func(l *fileLock) bool { return isAt(l.info, path) })
}

// isAt reports whether the file is the one that is found at path.
func isAt(file fs.FileInfo, path string) bool {
	there, err := os.Stat(path)
	return err == nil && os.SameFile(file, there)
}

// isLocked reports whether somebody has the lock.
func isLocked(path string) (bool, error) {
	held.mu.Lock()
	defer held.mu.Unlock()
	if isHeldHere(path) {
		return true, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	taken, err := isTaken(file)
	return taken, errors.Join(err, file.Close())
}

// release removes the file and lets go of the lock.
func (l *fileLock) release() error {
	held.mu.Lock()
	defer held.mu.Unlock()
	held.locks = slices.DeleteFunc(held.locks, func(other *fileLock) bool { return other == l })
	err := remove(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}
