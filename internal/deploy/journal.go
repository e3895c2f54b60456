package deploy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// A journal is the record of one deployment: deployments/ID.jsonl below the app's
// state directory, one JSON object a line, appended and fsynced. Its first line is
// there from the beginning, because the file appears by a rename; a torn last line
// is what a dying process leaves, and is not believed.
type journal struct {
	f    *os.File
	size int64 // of the whole lines
}

const (
	journalDir    = "deployments"
	journalSuffix = ".jsonl"
)

// entry is one line. Kind says which of the fields count.
type entry struct {
	At      time.Time                 `json:"at"`
	Kind    entryKind                 `json:"kind"`
	Begin   *beginning                `json:"begin,omitempty"`
	To      string                    `json:"to,omitempty"`
	Units   []landfast.UnitStatus     `json:"units,omitempty"`
	Plan    *planned                  `json:"plan,omitempty"`
	Step    *landfast.StepRecord      `json:"step,omitempty"`
	Status  landfast.DeploymentStatus `json:"status,omitempty"`
	Failure *landfast.Failure         `json:"failure,omitempty"`
}

type entryKind string

const (
	entryBegin   entryKind = "begin"
	entryTo      entryKind = "to"      // the release has its final id
	entryPlan    entryKind = "plan"    // what the release changes, and how it was
	entryUnits   entryKind = "units"   // how the units were before anything live was touched
	entryStep    entryKind = "step"    // a step changed its status
	entryStatus  entryKind = "status"  // the deployment changed its status
	entryFailure entryKind = "failure" // why it failed
)

// beginning is everything a process that finds the journal must know to undo the
// deployment or to finish it.
type beginning struct {
	Deployment landfast.Deployment `json:"deployment"`
	Manifest   string              `json:"manifest"` // of the release to make live
	Before     before              `json:"before"`
}

// before is how the machine was.
type before struct {
	Snapshot json.RawMessage       `json:"snapshot"`           // files and directories, as Host.Snapshot gave them
	Settings string                `json:"settings,omitempty"` // the set of secrets and configuration that counts
	Units    []landfast.UnitStatus `json:"units,omitempty"`    // of every unit of the old and the new plan
	Planned  planned               `json:"planned,omitzero"`
}

// planned is what is known once the release has its id.
type planned struct {
	Instance landfast.Instance `json:"instance"`           // how the new release runs
	Former   landfast.Instance `json:"former"`             // how the one before it does
	Snapshot json.RawMessage   `json:"snapshot,omitempty"` // what installing touches, as Host.Snapshot gave it
	Sockets  bool              `json:"sockets"`            // a socket that is open changes, so it is opened anew
	Replaced []string          `json:"replaced,omitempty"` // units of other releases
}

// record is a journal that was read.
type record struct {
	beginning
	size int64 // of the lines that count
}

// newJournal makes the journal of a deployment with its first line.
func newJournal(state *os.Root, b *beginning) (*journal, error) {
	if err := state.MkdirAll(journalDir, 0o750); err != nil {
		return nil, fmt.Errorf("make the journal's directory: %w", err)
	}
	text, err := encode(entry{At: b.Deployment.Started, Kind: entryBegin, Begin: b})
	if err != nil {
		return nil, err
	}
	name := journalDir + "/" + b.Deployment.ID + journalSuffix
	if err := atomicfile.WriteFile(state, name, text, atomicfile.Mode(0o640)); err != nil {
		return nil, fmt.Errorf("write the journal %s: %w", name, err)
	}
	return openJournal(state, b.Deployment.ID, int64(len(text)))
}

// openJournal opens a journal for appending behind its first size bytes: what
// follows them is a torn line.
func openJournal(state *os.Root, id string, size int64) (*journal, error) {
	f, err := state.OpenFile(journalDir+"/"+id+journalSuffix, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, fmt.Errorf("cut the journal's torn line: %w", err)
	}
	return &journal{f: f, size: size}, nil
}

func encode(e entry) ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode a journal line: %w", err)
	}
	return append(b, '\n'), nil
}

// append writes one line and does not return before it is on disk. A line that
// could not be written whole is cut off again, so that the next one does not
// continue it.
func (j *journal) append(e entry) error {
	b, err := encode(e)
	if err != nil {
		return err
	}
	_, err = j.f.Write(b)
	if err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("write the journal: %w", errors.Join(err, j.f.Truncate(j.size)))
	}
	j.size += int64(len(b))
	return nil
}

func (j *journal) close() error { return j.f.Close() }

// readJournal folds the lines of a journal into what is known of its deployment.
func readJournal(state *os.Root, id string) (*record, error) {
	name := journalDir + "/" + id + journalSuffix
	b, err := readRegular(state, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the journal of %s: %w", id, err)
	}
	var rec *record
	if err == nil {
		rec, err = decode(b)
	}
	if err != nil {
		path := filepath.Join(state.Name(), name)
		return nil, &landfast.Error{
			Msg: fmt.Sprintf("the journal %s cannot be read", path), Err: err,
			Hint: "look at it; once it is moved away its deployment counts as ended, whatever it left",
		}
	}
	return rec, nil
}

// maxJournal is far more than a journal ever holds.
const maxJournal = 64 << 20

// readRegular reads a file that is one: anything else in its place could block.
func readRegular(root *os.Root, name string) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxJournal {
		return nil, errors.New("it is no file of ours")
	}
	return io.ReadAll(f)
}

// decode reads lines up to a torn last one. Any other line that it does not
// understand is an error: guessing could undo the wrong thing.
func decode(b []byte) (*record, error) {
	var rec record
	in := bufio.NewReader(bytes.NewReader(b))
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // the rest, if any, is a torn line
		}
		var e entry
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if (n == 1) != (e.Kind == entryBegin) {
			return nil, fmt.Errorf("line %d: a line %q does not belong there", n, e.Kind)
		}
		if err := rec.fold(e); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rec.size += int64(len(text))
	}
	if rec.size == 0 {
		return nil, errors.New("it has no first line")
	}
	return &rec, nil
}

func (rec *record) fold(e entry) error { //nolint:gocyclo // a line per kind of entry
	d := &rec.Deployment
	switch {
	case e.Kind == entryBegin && e.Begin != nil:
		rec.beginning = *e.Begin
	case e.Kind == entryTo:
		d.To = e.To
	case e.Kind == entryPlan && e.Plan != nil:
		rec.Before.Planned = *e.Plan
	case e.Kind == entryUnits:
		rec.Before.Units = e.Units
	case e.Kind == entryStep && e.Step != nil:
		setStep(d, *e.Step)
	case e.Kind == entryFailure && e.Failure != nil:
		d.Failure = e.Failure
	case e.Kind == entryStatus:
		if !d.Status.CanBecome(e.Status) && d.Status != e.Status {
			return fmt.Errorf("a deployment that is %s cannot become %s", d.Status, e.Status)
		}
		d.Status = e.Status
		if e.Status.Ended() || e.Status == landfast.StatusStuck {
			d.Ended = e.At
		}
	default:
		return fmt.Errorf("unknown kind of line %q", e.Kind)
	}
	return nil
}

// setStep replaces the record of a step, or adds it.
func setStep(d *landfast.Deployment, s landfast.StepRecord) {
	for i := range d.Steps {
		if d.Steps[i].Name == s.Name {
			d.Steps[i] = s
			return
		}
	}
	d.Steps = append(d.Steps, s)
}

// journals lists the ids of all deployments, oldest first.
func journals(state *os.Root) ([]string, error) {
	dir, err := fs.ReadDir(state.FS(), journalDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the deployments: %w", err)
	}
	var ids []string
	for _, e := range dir {
		if id, ok := strings.CutSuffix(e.Name(), journalSuffix); ok && landfast.CheckReleaseID(id) == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// History reads the last n deployments of an app, newest first; n 0 means all.
// state is the app's state directory.
func History(state *os.Root, n int) ([]landfast.Deployment, error) {
	ids, err := journals(state)
	if err != nil {
		return nil, err
	}
	slices.Reverse(ids)
	if n > 0 && len(ids) > n {
		ids = ids[:n]
	}
	out := make([]landfast.Deployment, 0, len(ids))
	for _, id := range ids {
		rec, err := readJournal(state, id)
		if err != nil {
			return nil, err
		}
		out = append(out, rec.Deployment)
	}
	return out, nil
}

// Show reads one deployment. An id that does not exist is an error of kind NotFound.
func Show(state *os.Root, id string) (landfast.Deployment, error) {
	rec, err := readJournal(state, id)
	if errors.Is(err, fs.ErrNotExist) {
		return landfast.Deployment{}, &landfast.Error{
			Kind: landfast.NotFound, Msg: fmt.Sprintf("there is no deployment %q", id),
			Hint: "`landfast deployments` lists them",
		}
	}
	if err != nil {
		return landfast.Deployment{}, err
	}
	return rec.Deployment, nil
}
