package rootsvc

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/policy"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
)

// Direct does the verbs on the machine it runs on. Its fields are set once, before use.
type Direct struct {
	// Policy reads the policy of the host.
	Policy func() (*policy.Policy, error)
	// Engine is the engine of the machine; each request uses a copy with a host that
	// asks the policy.
	Engine deploy.Engine
	// Applied reads the manifest that was last applied; kind NotFound when there is none.
	Applied func(app string) (*landfast.App, error)
	// Load reads the manifest of a release with its overlays, through read.
	Load func(read func(name string) ([]byte, error)) (*landfast.App, error)
	// Units does start, stop and restart, holding the lock of the app.
	Units func(ctx context.Context, app *landfast.App, verb string) ([]landfast.UnitStatus, error)
	// Attach gives the directives that bring what a unit writes to out, and what
	// to call when the unit has ended.
	Attach func(out io.Writer) (directives []landfast.Directive, done func(), err error)
	// Builder is the account that builds run as, and its group.
	Builder func() (uid, gid int, err error)
	// StateDir is where the state of apps lies: /var/lib/landfast.
	StateDir string
	// Systemd is the version of systemd; 0: the newest.
	Systemd func(ctx context.Context) (int, error)
}

var _ Deployer = (*Direct)(nil)

// rules are those of the app a request is about.
func (d *Direct) rules(r Request) (policy.Rules, *policy.Policy, error) {
	if err := r.check(); err != nil {
		return policy.Rules{}, nil, err
	}
	p, err := d.Policy()
	if err != nil {
		return policy.Rules{}, nil, err
	}
	rules := p.For(r.App)
	if !rules.Deploy {
		return rules, p, &landfast.Error{
			Kind: landfast.Invalid, Msg: "the policy of this host leaves app " + r.App + " to operators",
			Hint: "set deploy = true below [app." + r.App + "] in " + policy.File,
		}
	}
	return rules, p, nil
}

// engine is the engine for one request.
func (d *Direct) engine(rules policy.Rules, w Watch) *deploy.Engine {
	e := d.Engine
	e.Host = guarded{Host: d.Engine.Host, rules: rules}
	e.Watch = w.event
	return &e
}

// Deploy makes what is in incoming/ID live.
func (d *Direct) Deploy(ctx context.Context, r Request, w Watch) (landfast.Deployment, error) {
	r.Verb = VerbDeploy
	rules, _, err := d.rules(r)
	if err != nil {
		return landfast.Deployment{}, err
	}
	state, err := d.Engine.State(r.App)
	if err != nil {
		return landfast.Deployment{}, err
	}
	defer state.Close()
	incoming, err := openIncoming(state, r.Incoming)
	if err != nil {
		return landfast.Deployment{}, err
	}
	defer incoming.Close()
	app, err := d.manifest(incoming, rules)
	if err != nil {
		return landfast.Deployment{}, err
	}
	top, err := d.content(state, incoming, app, r)
	if err != nil {
		return landfast.Deployment{}, err
	}
	defer top.Close()
	open := opener(top, r.Origin, r.Incoming)
	e := d.engine(rules, w)
	e.Open = func(ctx context.Context, app *landfast.App, _ landfast.Source, work string) (*source.Artifact, error) {
		return open(ctx, app, source.Options{
			Work:   work,
			Limits: tree.Limits{Bytes: app.Releases.MaxBytes, Files: app.Releases.MaxFiles},
			RootFS: app.Main().Kind == landfast.KindNspawn,
		})
	}
	releases, err := e.Releases(app)
	if err != nil {
		return landfast.Deployment{}, err
	}
	if live, err := delivered(releases, r.Incoming); err != nil || live != "" {
		return landfast.Deployment{App: r.App, Verb: landfast.VerbDeploy, To: live, Status: landfast.StatusSucceeded}, errors.Join(err, discard(state, r.Incoming))
	}
	done, err := e.Deploy(ctx, deploy.Request{
		App: app, Actor: actor(r), Force: r.Force,
		Source: landfast.Source{Kind: landfast.SourceDir, Location: d.StateDir + "/" + r.App + "/" + incomingDir + "/" + r.Incoming},
	})
	if done.ID != "" { // it was a deployment, whatever became of it
		err = errors.Join(err, discard(state, r.Incoming))
	}
	return done, one(err)
}

// one is err, without the joint when there is but one error in it.
func one(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if all := joined.Unwrap(); len(all) == 1 {
			return all[0]
		}
	}
	return err
}

// actor is who asked, as the history of the app shows it.
func actor(r Request) string {
	if r.Actor == "" {
		return "worker"
	}
	return r.Actor
}

// manifest is the one that counts: of the release, if the policy says so and it has
// one, or else the one last applied.
func (d *Direct) manifest(dir *os.Root, rules policy.Rules) (*landfast.App, error) {
	var app *landfast.App
	err := fs.ErrNotExist
	if rules.OwnManifest {
		app, err = d.Load(func(name string) ([]byte, error) { return readFile(dir, name, maxManifest) })
	}
	if errors.Is(err, fs.ErrNotExist) || err != nil && missing(dir) {
		app, err = d.Applied(rules.App)
	}
	if err != nil {
		return nil, err
	}
	return app, rules.CheckApp(app)
}

// missing reports whether a release has no manifest.
func missing(dir *os.Root) bool {
	_, err := dir.Lstat(manifestName)
	return errors.Is(err, fs.ErrNotExist)
}

// content is the directory that becomes the release: incoming/ID, or what was built of
// it.
func (d *Direct) content(state, incoming *os.Root, app *landfast.App, r Request) (*os.Root, error) {
	if app.Build == nil {
		return incoming.OpenRoot(".")
	}
	built, err := openBelow(state, builtDir+"/"+r.Incoming+doneSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, invalid("the manifest has [build], and nothing was built of %s", r.Incoming)
	}
	if err != nil {
		return nil, err
	}
	defer built.Close()
	out, err := openBelow(built, app.Build.Output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: "the build made no directory " + app.Build.Output, Hint: "correct [build] output, or the steps",
		}
	}
	return out, err
}

// Rollback goes back to a release on the host.
func (d *Direct) Rollback(ctx context.Context, r Request, w Watch) (landfast.Deployment, error) {
	r.Verb = VerbRollback
	rules, _, err := d.rules(r)
	if err != nil {
		return landfast.Deployment{}, err
	}
	app, err := d.Applied(r.App)
	if err != nil {
		return landfast.Deployment{}, err
	}
	return d.engine(rules, w).Rollback(ctx, deploy.Target{App: app, Release: r.Release, Actor: actor(r), Force: r.Force})
}

// Resume ends what was interrupted.
func (d *Direct) Resume(ctx context.Context, r Request, w Watch) (*landfast.Deployment, error) {
	r.Verb = VerbResume
	rules, _, err := d.rules(r)
	if err != nil {
		return nil, err
	}
	return d.engine(rules, w).Resume(ctx, r.App)
}

// Power starts, stops or restarts the units of the app.
func (d *Direct) Power(ctx context.Context, r Request) ([]landfast.UnitStatus, error) {
	if r.Verb != VerbStart && r.Verb != VerbStop && r.Verb != VerbRestart {
		return nil, invalid("%q is not start, stop or restart", r.Verb)
	}
	if _, _, err := d.rules(r); err != nil {
		return nil, err
	}
	app, err := d.Applied(r.App)
	if err != nil {
		return nil, err
	}
	return d.Units(ctx, app, string(r.Verb))
}

// Discard removes incoming/ID and what was built of it.
func (d *Direct) Discard(_ context.Context, r Request) error {
	r.Verb = VerbDiscard
	if _, _, err := d.rules(r); err != nil {
		return err
	}
	state, err := d.Engine.State(r.App)
	if err != nil {
		return err
	}
	defer state.Close()
	return discard(state, r.Incoming)
}

// discard removes below a root that follows no link out of the state of the app; a link
// in the place of something is removed itself.
func discard(state *os.Root, id string) error {
	var err error
	if incoming, oerr := openReal(state, incomingDir); oerr == nil {
		err = errors.Join(incoming.RemoveAll(id), incoming.Close())
	}
	for _, name := range []string{id, id + doneSuffix} {
		err = errors.Join(err, state.RemoveAll(builtDir+"/"+name))
	}
	return err
}
