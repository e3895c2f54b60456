package queue

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast/internal/atomicfile"
)

const seenName = "seen"

// seenKept is how many lines survive when there are twice as many.
const seenKept = 10000

// echo is how long the same content from another sender counts as the same
// event: two webhooks of one forge fire within seconds. Later it is a wish.
const echo = time.Hour

// mark is one line of the file seen.
type mark struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Delivery string    `json:"delivery,omitempty"` // see deliveryOf
	Content  string    `json:"content,omitempty"`  // see contentOf; of applied ones
	By       string    `json:"by,omitempty"`       // superseded by this one; "": it was applied
}

// seen remembers deliveries that are used up, over restarts. It is the file of
// that name, and what it says as maps. A line in it that an event was applied is
// the point of no return of that event.
type seen struct {
	root    *os.Root
	size    int64
	lines   int
	applied string // the newest event that was applied
	last    mark   // its mark
	done    map[string]bool
	by      map[string]string // superseded by
	of      map[string]string // delivery → id
}

// load reads what has been added since the last time. Others may have done so.
func (s *seen) load() error {
	f, err := s.root.OpenFile(seenName, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		s.reset()
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if s.done != nil && info.Size() == s.size {
		return nil
	}
	s.reset()
	s.size = info.Size()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var m mark
		if json.Unmarshal(lines.Bytes(), &m) == nil && IsID(m.ID) {
			s.note(m)
		}
	}
	return nil
}

func (s *seen) reset() {
	*s = seen{root: s.root, done: map[string]bool{}, by: map[string]string{}, of: map[string]string{}}
}

func (s *seen) note(m mark) {
	s.lines++
	if m.By != "" {
		s.by[m.ID] = m.By
	} else {
		s.done[m.ID] = true
		if m.ID >= s.applied {
			s.applied, s.last = m.ID, m
		}
	}
	if m.Delivery == "" {
		return
	}
	// Once used up, a delivery stays so, whatever becomes of repetitions.
	if heir, ok := s.heir(m.Delivery); !ok || !s.done[heir] || m.By == "" {
		s.of[m.Delivery] = m.ID
	}
}

// heir gives the event that stands for a delivery: the one that came with it, or
// the last of those that took its place.
func (s *seen) heir(delivery string) (id string, ok bool) {
	id, ok = s.of[delivery]
	for range len(s.by) {
		next, superseded := s.by[id]
		if !superseded {
			break
		}
		id = next
	}
	return id, ok
}

// add makes marks durable.
func (s *seen) add(marks ...mark) error {
	if len(marks) == 0 {
		return nil
	}
	if s.lines+len(marks) > 2*seenKept {
		if err := s.compact(); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	for _, m := range marks {
		if err := json.NewEncoder(&b).Encode(m); err != nil {
			return err
		}
	}
	f, err := s.root.OpenFile(seenName, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	fresh := s.size == 0
	if err = errors.Join(ownedLike(s.root, f), endLine(f)); err == nil {
		_, err = f.Write(b.Bytes())
	}
	if err = errors.Join(err, f.Sync()); err == nil && fresh {
		err = atomicfile.SyncDir(s.root, ".")
	}
	if info, serr := f.Stat(); serr == nil {
		s.size = info.Size()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		s.done = nil // read it again
		return err
	}
	for _, m := range marks {
		s.note(m)
	}
	return nil
}

// compact keeps the newest lines, and the one of the newest that was applied.
func (s *seen) compact() error {
	b, err := s.root.ReadFile(seenName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	lines = lines[max(0, len(lines)-seenKept):]
	kept := bytes.Join(lines, nil)
	if s.applied != "" && !bytes.Contains(kept, []byte(`{"id":"`+s.applied+`"`)) {
		text, err := json.Marshal(s.last)
		if err != nil {
			return err
		}
		kept = append(append(text, '\n'), kept...)
	}
	attr, err := atomicfile.Like(s.root, seenName, atomicfile.Mode(0o640))
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(s.root, seenName, kept, attr); err != nil {
		return err
	}
	s.done = nil
	return s.load()
}
