package trigger

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/landfast/landfast/internal/atomicfile"
)

// QuarantineDir holds messages that are not verified yet. The listener adds files;
// the worker takes them out.
const QuarantineDir = "/var/spool/landfast/.unverified"

// Stored is a message as it came, kept until it can be verified. Nothing may act
// upon it before.
type Stored struct {
	Trigger  string    `json:"trigger"`
	Remote   string    `json:"remote,omitempty"`
	Body     []byte    `json:"body"`
	Received time.Time `json:"received"`
}

func newStored(r Request, now time.Time) *Stored {
	return &Stored{Trigger: r.Trigger, Remote: r.Remote.String(), Body: r.Body, Received: now.UTC()}
}

// Limits of the quarantine. Anybody may fill it, as what is in it is not verified.
const (
	maxStored     = 256
	maxStoredBody = 300 << 10 // a message of SNS has at most 256 KiB
	maxStoredAge  = 24 * time.Hour
)

// Quarantine is the directory of messages that wait to be verified.
type Quarantine struct{ dir string }

// OpenQuarantine is the quarantine in dir.
func OpenQuarantine(dir string) *Quarantine { return &Quarantine{dir} }

// Put stores m: it is on disk when Put returns. A full quarantine is a Refusal with
// 503, and the sender tries again.
func (q *Quarantine) Put(m *Stored) error {
	if len(m.Body) > maxStoredBody {
		return refuse(http.StatusRequestEntityTooLarge, "the message is larger than one of SNS can be")
	}
	root, err := os.OpenRoot(q.dir)
	if err != nil {
		return fmt.Errorf("open the quarantine: %w", err)
	}
	defer root.Close()
	if names, err := q.names(); err != nil || len(names) >= maxStored {
		return errors.Join(err, refuse(http.StatusServiceUnavailable, "too many messages wait to be verified; try again later"))
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%020d-%s.json", m.Received.UnixNano(), rand.Text()[:12])
	if err := atomicfile.WriteFile(root, name, text, atomicfile.Mode(0o644)); err != nil {
		return fmt.Errorf("store the message: %w", err)
	}
	return nil
}

// askName is the file that asks for a refresh.
const askName = "refresh"

// Ask leaves a note that what is published has to be fetched. It is done again and
// again at no cost; the process that fetches is started by what is in the
// directory.
func (q *Quarantine) Ask() error {
	root, err := os.OpenRoot(q.dir)
	if err != nil {
		return fmt.Errorf("open the quarantine: %w", err)
	}
	defer root.Close()
	f, err := root.OpenFile(askName, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// Asked takes the note away and says whether there was one.
func (q *Quarantine) Asked() (bool, error) {
	err := os.Remove(filepath.Join(q.dir, askName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// names are the files of the quarantine, the oldest first.
func (q *Quarantine) names() ([]string, error) {
	entries, err := os.ReadDir(q.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// load reads one message of the quarantine.
func (q *Quarantine) load(name string) (*Stored, error) {
	text, err := os.ReadFile(filepath.Join(q.dir, name))
	if err != nil {
		return nil, err
	}
	m := &Stored{}
	return m, json.Unmarshal(text, m)
}

// request is m as it arrived.
func (m *Stored) request() Request {
	remote, _ := netip.ParseAddr(m.Remote) // one that is not there is in no range
	return Request{Trigger: m.Trigger, Header: http.Header{}, Body: m.Body, Remote: remote}
}
