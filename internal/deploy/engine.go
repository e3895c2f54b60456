package deploy

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/cutover"
	"github.com/landfast/landfast/internal/health"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/source"
)

// Host is what the engine asks of the machine. Every method may be called again
// after it was interrupted anywhere.
type Host interface {
	// Lock makes this process the only one that changes app, until unlock or its
	// death. It does not wait: a held lock is an error of kind Conflict that names
	// the holder, whom the next caller learns as holder.
	Lock(ctx context.Context, app, holder string) (unlock func(), err error)
	// Facts are the properties a plan depends on.
	Facts(ctx context.Context) (plan.Facts, error)
	// Observe tells what there is of the things p names.
	Observe(ctx context.Context, p *plan.Plan) (plan.Observed, error)
	// Apply makes the changes, in their order.
	Apply(ctx context.Context, c plan.Changes) error
	// Snapshot records every file and directory that c would touch, so that Restore
	// can put back exactly that.
	Snapshot(c plan.Changes) (json.RawMessage, error)
	// Restore puts back what Snapshot recorded, writes only what differs, and makes
	// systemd read changed unit files.
	Restore(ctx context.Context, snapshot json.RawMessage) error
	// Put writes a unit that a reboot forgets, in place of a former one of that name,
	// and starts nothing. systemd knows it when Put returns.
	Put(ctx context.Context, unit, text string) error
	// RunOnce runs a oneshot unit with the given text, waits for its end, and leaves
	// no trace of it but its log. A unit that fails is no error: its status says so.
	RunOnce(ctx context.Context, unit, text string) (landfast.UnitStatus, error)
	// Forget stops a unit of Put or of an interrupted RunOnce, and removes it.
	Forget(ctx context.Context, unit string) error
}

// Units is what the engine asks of systemd; see systemd.Manager for the contract.
type Units interface {
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	Restart(ctx context.Context, unit string) error
	ResetFailed(ctx context.Context, unit string) error
	Status(ctx context.Context, unit string) (landfast.UnitStatus, error)
}

// Releases are the releases of one app; see release.Store for the contract.
type Releases interface {
	NewID(t time.Time, revision string) (string, error)
	Stage(id string) (*os.Root, error)
	Seal(ctx context.Context, id string, rel landfast.Release) error
	Discard(id string) error
	Get(id string) (landfast.Release, error)
	Open(id string) (*os.Root, error)
	Current() (string, error)
	Previous(current string) (landfast.Release, error)
	Activate(id string) (previous string, err error)
	Deactivate() error
	SetPort(id string, port int) error
	SetIrreversible(id string) error
	List() ([]landfast.Release, error)
	SetState(id string, state landfast.ReleaseState, reason string) error
	MarkLive(id string, at time.Time) error
	KnownBad(digest string) (landfast.Release, bool, error)
	Prune(ctx context.Context, keep int, busy ...string) (removed []string, err error)
}

// Open gets a source and proves that it is the right one; see source.Open. It
// puts what it must download into the directory work, which is private to the app.
type Open func(ctx context.Context, app *landfast.App, src landfast.Source, work string) (*source.Artifact, error)

// Engine deploys apps on one machine. Its fields are set once, before use.
type Engine struct {
	Host     Host
	Units    Units
	Open     Open
	Releases func(app *landfast.App) (Releases, error)
	Parse    func(manifest string) (*landfast.App, error) // a manifest kept with a release or a journal
	Dialer   health.Dialer                                // for the health check
	FreePort func() (int, error)                          // a port of the loopback address that nobody has, for a while
	PortFree func(port int) bool                          // whether nobody has it
	Traffic  func(landfast.Strategy) cutover.Traffic      // nil for strategies that move none
	Log      Log
	State    func(app string) (*os.Root, error) // /var/lib/landfast/APP, made when missing
	// Settings opens the secrets and configuration of an app, whose state directory is
	// given; nil: nothing has any.
	Settings func(app *landfast.App, state *os.Root) (Settings, error)
	Now      func() time.Time
	Watch    func(Event) // told of everything as it happens
	// Staged: the host is a directory tree that is not running. Nothing in it is
	// started, asked or run, hooks included; the release is believed to be good.
	Staged bool

	fault func(point string) error // tests only: fails or dies at a named point
	twice bool                     // tests only: every do and undo is called twice
}

// Log gives the last lines that a unit wrote, oldest first, since the start that
// invocation names ("": any). It is for people; it fails by giving none.
type Log func(ctx context.Context, unit, invocation string) []string

// Event is one thing that happened in a deployment.
type Event struct {
	Deployment string                    `json:"deployment"`
	App        string                    `json:"app"`
	Step       landfast.StepRecord       `json:"step,omitzero"`    // a step changed its status
	Note       string                    `json:"note,omitempty"`   // something worth saying
	Status     landfast.DeploymentStatus `json:"status,omitempty"` // the deployment changed its status
}

// Request asks for a new release.
type Request struct {
	App    *landfast.App
	Source landfast.Source // where from
	Actor  string          // who asks
	Force  bool            // even a release known to be bad
}

// Deploy makes a new release live and returns the record of the deployment. It
// blocks until it has ended, one way or the other. When ctx ends before the commit
// the deployment is rolled back, which ctx does not stop. The error is of kind
// RolledBack when something live had been touched and was put back, Stuck when an
// undo failed, Conflict when another deployment holds the app.
func (e *Engine) Deploy(ctx context.Context, req Request) (landfast.Deployment, error) {
	return e.locked(ctx, req.App.Name, "deploy", func() (landfast.Deployment, error) {
		r, err := e.begin(ctx, intent{verb: landfast.VerbDeploy, app: req.App, source: req.Source, actor: req.Actor, force: req.Force})
		if err != nil {
			return landfast.Deployment{}, err
		}
		return r.forward(ctx)
	})
}

// Target names a release to return to.
type Target struct {
	App     *landfast.App // for its paths; the release's own manifest decides the rest
	Release string        // "": the newest good one before the current
	Actor   string
	Reason  string // why, for the record; "": nobody said
	Force   bool   // even a release known to be bad, or behind a migration that cannot be taken back
}

// Rollback makes a release that is on the host live again, with the manifest it
// was deployed with. It runs the same steps as Deploy, but for fetching, and fails
// like it.
func (e *Engine) Rollback(ctx context.Context, t Target) (landfast.Deployment, error) {
	return e.locked(ctx, t.App.Name, "rollback", func() (landfast.Deployment, error) {
		in, err := e.rollbackIntent(t)
		if err != nil {
			return landfast.Deployment{}, err
		}
		r, err := e.begin(ctx, in)
		if err != nil {
			return landfast.Deployment{}, err
		}
		return r.forward(ctx)
	})
}

// Resume ends the deployment that a dead process, or a failed undo, left behind:
// undone before its commit, finished behind it. It returns nil when there is none.
func (e *Engine) Resume(ctx context.Context, app string) (*landfast.Deployment, error) {
	unlock, err := e.Host.Lock(ctx, app, "resume")
	if err != nil {
		return nil, err
	}
	defer unlock()
	return e.settle(ctx, app, true)
}

// locked runs f while holding the app's lock, after settling what was left behind.
func (e *Engine) locked(ctx context.Context, app, verb string, f func() (landfast.Deployment, error)) (landfast.Deployment, error) {
	unlock, err := e.Host.Lock(ctx, app, verb)
	if err != nil {
		return landfast.Deployment{}, err
	}
	defer unlock()
	if _, err := e.settle(ctx, app, false); err != nil {
		return landfast.Deployment{}, err
	}
	return f()
}
