package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// entry is one line of the guest book.
type entry struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// book is the database: a file of JSON lines that only grows. An entry is
// written and synced before Add returns. Two processes may have it open at once,
// as they do when one release takes over from another.
type book struct {
	path string

	mu    sync.Mutex
	file  *os.File
	read  int64 // how much of the file is known
	count int
	last  []entry // the newest ones
}

const shown = 10

// openBook does not fail: a database that is not there is a matter of health,
// and is looked for again with each use.
func openBook(path string) *book { return &book{path: path} }

// Read gives the number of entries and the newest ones.
func (b *book) Read() (int, []entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.catchUp(); err != nil {
		return 0, nil, err
	}
	return b.count, append([]entry(nil), b.last...), nil
}

// Add appends an entry and gives its number.
func (b *book) Add(e entry) (int, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(); err != nil {
		return 0, err
	}
	fd := int(b.file.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
		return 0, err
	}
	defer func() { _ = syscall.Flock(fd, syscall.LOCK_UN) }()
	if err := b.catchUp(); err != nil {
		return 0, err
	}
	// What is behind the last whole line was torn by a crash.
	if err := b.file.Truncate(b.read); err != nil {
		return 0, err
	}
	if _, err := b.file.WriteAt(append(line, '\n'), b.read); err != nil {
		return 0, err
	}
	if err := b.file.Sync(); err != nil {
		return 0, err
	}
	if err := b.catchUp(); err != nil {
		return 0, err
	}
	return b.count, nil
}

// Close closes the file.
func (b *book) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file != nil {
		_ = b.file.Close()
	}
}

func (b *book) open() error {
	if b.file != nil {
		return nil
	}
	f, err := os.OpenFile(b.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("guest book: %w", err)
	}
	// A new file is lost with its directory entry.
	if err := syncDir(filepath.Dir(b.path)); err != nil {
		_ = f.Close()
		return fmt.Errorf("guest book: %w", err)
	}
	b.file = f
	return nil
}

// catchUp reads the whole lines that have been added since, by anybody.
func (b *book) catchUp() error {
	if err := b.open(); err != nil {
		return err
	}
	r := bufio.NewReader(io.NewSectionReader(b.file, b.read, 1<<62))
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("guest book: %w", err)
		}
		var e entry
		if err := json.Unmarshal(bytes.TrimSpace(line), &e); err != nil {
			return fmt.Errorf("guest book: entry %d: %w", b.count+1, err)
		}
		b.read += int64(len(line))
		b.count++
		b.last = append(b.last, e)
		b.last = b.last[max(0, len(b.last)-shown):]
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
