package journal

import (
	"os"
	"path/filepath"
)

// place is where a journal's files are. If someone removes or replaces an open file, SQLite
// goes on writing to the old one, which nobody can ever open.
type place struct {
	db, wal openFile
}

func placeOf(path string) place {
	path = filepath.FromSlash(path)
	return place{openFile{path: path}, openFile{path: path + "-wal"}}
}

// check looks whether the files are those of the first check. The caller has a transaction.
func (p *place) check() error {
	if p.db.isThere() && p.wal.isThere() {
		return nil
	}
	return ErrGone
}

// openFile is a file by its path.
type openFile struct {
	path  string
	first os.FileInfo // as it was found first
}

func (f *openFile) isThere() bool {
	now, err := os.Stat(f.path)
	if err != nil {
		return false
	}
	if f.first == nil {
		f.first = now
	}
	return os.SameFile(now, f.first)
}
