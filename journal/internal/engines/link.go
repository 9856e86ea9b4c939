package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// links measures a chain link by link. Each node of the chain writes as many bytes to a
// file of its own as the journal writes for a link, and synchronizes it: so the two take
// turns on the same disk, a millisecond apart, whatever else it has to do.
type links struct {
	bare, link []time.Duration
}

// measureLinks walks a chain of n nodes.
func (m measure) measureLinks(ctx context.Context, n int) (l links, bytes int, err error) {
	if bytes, err = m.bytesOfLink(ctx, n); err != nil {
		return l, 0, err
	}
	_, err = m.inDir(func(dir string) (time.Duration, error) {
		f, err := os.Create(filepath.Join(dir, "synced"))
		if err != nil {
			return 0, err
		}
		data, last := make([]byte, bytes), time.Now()
		err = walkChain(ctx, dir, n, func() error {
			l.link = append(l.link, time.Since(last))
			start := time.Now()
			_, err := f.Write(data)
			err = errors.Join(err, f.Sync())
			last = time.Now()
			l.bare = append(l.bare, last.Sub(start))
			return err
		})
		return 0, errors.Join(err, f.Close())
	})
	l.link, l.bare = l.link[1:], l.bare[1:] // the first one begins the run
	return l, bytes, err
}

// bytesOfLink returns how much the journal writes for a link.
func (m measure) bytesOfLink(ctx context.Context, n int) (bytes int, err error) {
	_, err = m.inDir(func(dir string) (time.Duration, error) {
		var first, last int64
		err := walkChain(ctx, dir, n, func() error {
			info, err := os.Stat(filepath.Join(dir, "journal.db-wal"))
			if err != nil {
				return err
			}
			if last = info.Size(); first == 0 {
				first = last
			}
			return nil
		})
		bytes = int(last-first) / (n - 1)
		return 0, err
	})
	return bytes, err
}

// walkChain walks a chain through a journal.
func walkChain(ctx context.Context, dir string, n int, do func() error) error {
	j, err := journal.Open(filepath.Join(dir, "journal.db"), nil)
	if err != nil {
		return err
	}
	r, err := journal.NewGroup(j, "x", chain(n).dependencies(), func(*journal.Node[string]) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return do() })
	}, nil)
	if err == nil {
		err = scheduler.Run(ctx, r, nil)
	}
	return errors.Join(err, j.Close())
}

// beyond returns the median of what a link takes more than the bare write next to it.
func (l links) beyond() time.Duration {
	var more []float64
	for i, link := range l.link {
		more = append(more, float64(link-l.bare[i]))
	}
	return time.Duration(median(more))
}

// ratio returns the median of how many links are made in the time of a bare write.
func (l links) ratio() float64 {
	var ratios []float64
	for i, link := range l.link {
		ratios = append(ratios, float64(l.bare[i])/float64(link))
	}
	return median(ratios)
}

// fsync returns the median of the bare writes.
func (l links) fsync() time.Duration {
	var took []float64
	for _, d := range l.bare {
		took = append(took, float64(d))
	}
	return time.Duration(median(took))
}
