package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// State is where an event stands.
type State string

// The states of an event:
//
//	queued ──▶ running ──▶ done
//	   │          ├──▶ retrying ──▶ running
//	   │          └──▶ failed
//	   └──▶ closed, superseded, duplicate, cancelled, dropped   (retrying as well)
//
// Damaged is what was no event.
const (
	Queued     State = "queued"
	Running    State = "running"
	Retrying   State = "retrying"
	Done       State = "done"
	Failed     State = "failed"
	Closed     State = "closed"     // it was not to take effect, by the word of whoever queued it
	Superseded State = "superseded" // a newer one takes its place
	Duplicate  State = "duplicate"  // it has been sent before
	Cancelled  State = "cancelled"  // by another event
	Dropped    State = "dropped"    // by a person
	Damaged    State = "damaged"
)

// Ended tells whether the state is final.
func (s State) Ended() bool { return s != Queued && s != Running && s != Retrying }

// Outcome is what came of an event that was applied.
type Outcome struct {
	Deployment string `json:"deployment,omitempty"` // its id
	Release    string `json:"release,omitempty"`
	Text       string `json:"text,omitempty"` // for people
}

// Line is one line of an event's journal. Each has a time; the first has the
// event; the others a change of state, or a line of progress.
type Line struct {
	Time    time.Time       `json:"time"`
	Event   *landfast.Event `json:"event,omitempty"`
	State   State           `json:"state,omitempty"`
	Attempt int             `json:"attempt,omitempty"` // running: which one it is, from 1
	Reason  string          `json:"reason,omitempty"`
	By      string          `json:"by,omitempty"`      // the id of the event that is behind the state
	Next    time.Time       `json:"next,omitzero"`     // retrying: not before
	Outcome *Outcome        `json:"outcome,omitempty"` // done
	Text    string          `json:"text,omitempty"`

	Interrupted bool `json:"interrupted,omitempty"` // retrying: the worker died, perhaps behind its effect
}

// Entry is what is known of one event.
type Entry struct {
	Event    landfast.Event `json:"event"`
	State    State          `json:"state"`
	Since    time.Time      `json:"since"` // when the state became this one
	Attempts int            `json:"attempts"`
	Reason   string         `json:"reason,omitempty"`
	By       string         `json:"by,omitempty"`
	Next     time.Time      `json:"next,omitzero"`
	Outcome  *Outcome       `json:"outcome,omitempty"`
	Lines    []Line         `json:"lines,omitempty"` // as far as they were asked for

	Interrupted bool `json:"interrupted,omitempty"` // the worker died at it: it may have taken effect
}

// apply adds a line to what is known.
func (e *Entry) apply(l Line) {
	if l.Event != nil {
		e.Event = *l.Event
	}
	if l.State == "" {
		return
	}
	e.State, e.Since, e.Reason, e.By, e.Next, e.Outcome = l.State, l.Time, l.Reason, l.By, l.Next, l.Outcome
	e.Interrupted = l.Interrupted
	if l.State == Running {
		e.Attempts = l.Attempt
	}
}

const (
	extNew     = ".json"
	extJournal = ".jsonl"
	extDamaged = ".damaged"
	extTemp    = ".tmp"
)

// maxJournal is how large a journal may grow, in bytes: progress beyond it is
// left out, changes of state are not.
const maxJournal = 1 << 20

// readJournal reads a journal below root. A line that was cut off is left out;
// without a readable first line it is an error.
func readJournal(root *os.Root, name, id string, lines bool) (Entry, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEvent+2*maxJournal))
	if err != nil {
		return Entry{}, err
	}
	return parseJournal(b, id, lines)
}

var errDamaged = errors.New("its journal cannot be read")

func parseJournal(b []byte, id string, lines bool) (Entry, error) {
	var e Entry
	for i := 0; len(b) > 0; i++ {
		text, rest, whole := bytes.Cut(b, []byte("\n"))
		b = rest
		l, err := parseLine(text)
		if !whole || err != nil {
			if i == 0 {
				return e, errDamaged
			}
			continue // cut off by a crash
		}
		if i == 0 && (l.Event == nil || l.Event.ID != id || l.State == "") {
			return e, errDamaged
		}
		e.apply(l)
		if lines {
			e.Lines = append(e.Lines, l)
		}
	}
	if e.State == "" {
		return e, errDamaged
	}
	return e, nil
}

func parseLine(text []byte) (Line, error) {
	var l Line
	err := json.Unmarshal(text, &l)
	return l, err
}

// encodeLines gives lines as they stand in a journal.
func encodeLines(lines ...Line) ([]byte, error) {
	var b []byte
	for _, l := range lines {
		text, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		b = append(append(b, text...), '\n')
	}
	return b, nil
}

// openJournal opens a journal to append to it, behind the end of a line.
func openJournal(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	err = endLine(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mend %s: %w", name, err), f.Close())
	}
	return f, nil
}

// endLine ends a line that was cut off by a crash.
func endLine(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, info.Size()-1); err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	_, err = f.WriteString("\n")
	return err
}

// appendJournal adds lines to a journal and flushes it.
func appendJournal(root *os.Root, name string, lines ...Line) error {
	b, err := encodeLines(lines...)
	if err != nil {
		return err
	}
	f, err := openJournal(root, name)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}
