package report

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/hostconf"
)

// State is what is told of a deployment.
type State string

// The states.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
)

// Report is what is told. It is also the JSON that webhooks and commands get.
type Report struct {
	App        string    `json:"app"`
	Host       string    `json:"host"`
	Deployment string    `json:"deployment,omitempty"` // its id, once there is one
	State      State     `json:"state"`
	Event      string    `json:"event,omitempty"`    // id of the event it came from
	Provider   string    `json:"provider,omitempty"` // of the event
	Repository string    `json:"repository,omitempty"`
	Ref        string    `json:"ref,omitempty"`
	Commit     string    `json:"commit,omitempty"`
	Release    string    `json:"release,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	Message    string    `json:"message,omitempty"` // first line of the commit
	Reason     string    `json:"reason,omitempty"`  // of a failure
	Time       time.Time `json:"time"`
}

// Of is a report on the deployment that ev asked for.
func Of(ev landfast.Event, host string, state State, at time.Time) Report {
	return Report{
		App: ev.App, Host: host, State: state, Event: ev.ID, Provider: ev.Provider, Repository: ev.Repository,
		Ref: ev.Ref, Commit: ev.Commit, Actor: ev.Actor, Message: ev.Message, Time: at.UTC(),
	}
}

// Options are what an Outbox needs.
type Options struct {
	Reports []hostconf.Report
	// Secret gives the credential called id, as hostconf.ReadSecret does.
	Secret func(id string) ([]byte, error)
	Client *http.Client     // nil: one of its own
	Now    func() time.Time // nil: time.Now
}

// Outbox keeps the reports that are still to be sent, one file for each receiver.
// One process at a time uses it.
type Outbox struct {
	Options
	dir string
}

// Dir is the outbox of an app.
func Dir(app string) string { return path.Join("/var/spool/landfast", app, "reports") }

// Open is the outbox in dir, which Add makes if need be.
func Open(dir string, o Options) *Outbox {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Outbox{o, dir}
}

// entry is one file.
type entry struct {
	name    string
	To      string    `json:"to"` // the name of the receiver
	Report  Report    `json:"report"`
	ID      string    `json:"id"` // the same for each try, so that receivers can tell
	Tries   int       `json:"tries"`
	Due     time.Time `json:"due"`
	Problem string    `json:"problem,omitempty"` // of the last try
}

// Add stores a report for everyone who is to be told. It is on disk when Add
// returns.
func (b *Outbox) Add(r Report) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("open the outbox: %w", err)
	}
	root, err := os.OpenRoot(b.dir)
	if err != nil {
		return fmt.Errorf("open the outbox: %w", err)
	}
	defer root.Close()
	at, err := b.arrival()
	if err != nil {
		return err
	}
	for i := range b.Reports {
		to := &b.Reports[i]
		if !hostconf.Allows(to.Apps, r.App) || !slices.Contains(to.On, string(r.State)) {
			continue
		}
		e := entry{To: to.Name, Report: r, ID: "msg_" + rand.Text(), Due: r.Time}
		e.name = fmt.Sprintf("%020d.json", at)
		at++
		if err := e.write(root); err != nil {
			return err
		}
	}
	return nil
}

// arrival is a number that sorts behind all entries, also when the clock steps back.
func (b *Outbox) arrival() (int64, error) {
	entries, err := b.entries()
	at := b.Now().UnixNano()
	for _, e := range entries {
		if n, err := strconv.ParseInt(strings.TrimSuffix(e.name, ".json"), 10, 64); err == nil && n >= at {
			at = n + 1
		}
	}
	return at, err
}

func (e *entry) write(root *os.Root) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(root, e.name, text, atomicfile.Mode(0o600)); err != nil {
		return fmt.Errorf("store a report: %w", err)
	}
	return nil
}

// entries are all of them, the oldest first. One that cannot be read is left out.
func (b *Outbox) entries() ([]*entry, error) {
	names, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []*entry
	for _, n := range names {
		if !strings.HasSuffix(n.Name(), ".json") || strings.HasPrefix(n.Name(), ".") {
			continue
		}
		text, rerr := os.ReadFile(filepath.Join(b.dir, n.Name()))
		e := &entry{}
		if rerr != nil || json.Unmarshal(text, e) != nil {
			continue
		}
		e.name = n.Name()
		all = append(all, e)
	}
	return all, err
}

// Sent is what became of one report.
type Sent struct {
	To      string `json:"to"`
	App     string `json:"app"`
	State   State  `json:"state"`
	Outcome string `json:"outcome"` // sent, overtaken, waits, given up
	Problem string `json:"problem,omitempty"`
}

// The outcomes.
const (
	OutcomeSent      = "sent"
	OutcomeOvertaken = "overtaken"
	OutcomeWaits     = "waits"
	OutcomeGivenUp   = "given up"
)

// How long it is tried.
const (
	firstPause = 10 * time.Second
	longest    = time.Hour
	giveUp     = 24 * time.Hour
)

// Send tries every report that is due, the oldest first, each for at most 30
// seconds. It gives what became of them, and when the next try is due (zero: nothing
// is left). An error is of the disk, or of the context.
func (b *Outbox) Send(ctx context.Context) (all []Sent, next time.Time, err error) {
	entries, err := b.entries()
	if err != nil || len(entries) == 0 {
		return nil, time.Time{}, err
	}
	root, err := os.OpenRoot(b.dir)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer root.Close()
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			return all, b.Now(), err
		}
		one, err := b.try(ctx, root, e, overtaken(e, entries[i+1:]))
		if err != nil {
			return all, b.Now(), err
		}
		if one.Outcome == OutcomeWaits && (next.IsZero() || e.Due.Before(next)) {
			next = e.Due
		}
		all = append(all, one)
	}
	return all, next, nil
}

// overtaken reports whether a later entry says more of the same.
func overtaken(e *entry, later []*entry) bool {
	return slices.ContainsFunc(later, func(l *entry) bool {
		a, b := l.Report, e.Report
		return l.To == e.To && a.App == b.App && a.Commit == b.Commit && (b.State == Pending || b.Event == a.Event)
	})
}

// try sends one entry if it is due, and keeps or removes its file.
func (b *Outbox) try(ctx context.Context, root *os.Root, e *entry, overtaken bool) (Sent, error) {
	one := Sent{To: e.To, App: e.Report.App, State: e.Report.State, Outcome: OutcomeOvertaken}
	if !overtaken {
		if b.Now().Before(e.Due) {
			one.Outcome, one.Problem = OutcomeWaits, e.Problem
			return one, nil
		}
		one.Outcome = OutcomeSent
		if err := b.send(ctx, e); err != nil {
			if ctx.Err() != nil {
				return one, ctx.Err()
			}
			_, never := errors.AsType[refused](err)
			e.Tries++
			e.Problem = err.Error()
			e.Due = b.Now().Add(min(firstPause<<min(e.Tries-1, 20), longest))
			one.Outcome, one.Problem = OutcomeWaits, e.Problem
			if !never && b.Now().Sub(e.Report.Time) < giveUp {
				return one, e.write(root)
			}
			one.Outcome = OutcomeGivenUp
		}
	}
	return one, atomicfile.Remove(root, e.name)
}
