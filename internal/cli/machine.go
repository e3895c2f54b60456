package cli

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/cutover"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/host"
	"github.com/landfast/landfast/internal/logs"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/release"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/systemd"
)

// machine is the host that a verb works on.
type machine struct {
	*host.Host
	units  systemd.Manager
	root   string
	staged bool // it is a directory tree, where nothing runs
}

// openMachine opens the running machine, or the directory tree at root.
func (c *command) openMachine(ctx context.Context, root string) (*machine, error) {
	if err := knownSystemd(c.systemd); err != nil {
		return nil, err
	}
	if root != c.host {
		m, err := newMachine(root, systemd.Offline(root).For(c.systemd))
		if err == nil {
			m.staged = true
		}
		return m, err
	}
	if c.systemd != 0 {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: "--systemd goes with --root",
			Hint: "the systemd that runs here is asked for its version",
		}
	}
	units, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return newMachine(root, units)
}

// newMachine is the machine at root, which closes units in the end.
func newMachine(root string, units systemd.Manager) (*machine, error) {
	h, err := host.Open(root, units)
	if err != nil {
		return nil, errors.Join(err, units.Close())
	}
	return &machine{Host: h, units: units, root: root}, nil
}

func (m *machine) Close() {
	_ = m.units.Close() // nothing was left unsaid on the bus
	_ = m.Host.Close()
}

// engine is the deployment engine of the machine, telling watch what happens.
func (m *machine) engine(watch func(deploy.Event)) *deploy.Engine {
	return &deploy.Engine{
		Host:     m.Host,
		Units:    m.units,
		Open:     open,
		Settings: func(app *landfast.App, state *os.Root) (deploy.Settings, error) { return m.settings(app, state), nil },
		Releases: func(app *landfast.App) (deploy.Releases, error) {
			return m.store(app)
		},
		Parse: func(text string) (*landfast.App, error) {
			return manifest.Parse(localManifest, []byte(text))
		},
		Dialer:   &net.Dialer{},
		Traffic:  cutover.On(m.root),
		FreePort: freePort,
		PortFree: func(port int) bool { return bind(port) == nil },
		Log: func(ctx context.Context, unit, invocation string) []string {
			return logs.Tail(ctx, unit, invocation, 12)
		},
		State:  m.State,
		Now:    time.Now,
		Watch:  watch,
		Staged: m.staged,
	}
}

// freePort finds a port of the loopback address that nobody has.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it is one of TCP
	return port, l.Close()
}

// bind tries to take a port, and gives it back.
func bind(port int) error {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return err
	}
	return l.Close()
}

// open gets a source for an app, within the limits of its manifest.
func open(ctx context.Context, app *landfast.App, src landfast.Source, work string) (*source.Artifact, error) {
	return source.Open(ctx, src, source.Options{
		Work:   work,
		Object: openObject,
		Limits: tree.Limits{Bytes: app.Releases.MaxBytes, Files: app.Releases.MaxFiles},
		RootFS: app.Main().Kind == landfast.KindNspawn,
	})
}

// store opens the releases of an app. Before its accounts exist they belong to
// whoever makes them; there are none to be made then but in a tree.
func (m *machine) store(app *landfast.App) (*release.Store, error) {
	uid, gid, err := m.Owner(app.DeployUser, app.Group)
	if err != nil {
		return nil, err
	}
	return release.New(release.Options{
		App: app.Name, UID: uid, GID: gid,
		Deploy:   filepath.Join(m.root, app.Paths.Deploy),
		Releases: strings.TrimPrefix(app.Paths.Releases, app.Paths.Deploy+"/"),
		Current:  strings.TrimPrefix(app.Paths.Current, app.Paths.Deploy+"/"),
		State:    filepath.Join(m.root, "/var/lib/landfast", app.Name),
		RootFS:   app.Main().Kind == landfast.KindNspawn,
	}), nil
}

// facts are those of the machine and of the release of app that runs there.
func (m *machine) facts(ctx context.Context, app *landfast.App) (plan.Facts, error) {
	facts, err := m.Facts(ctx)
	if err != nil || len(app.Overlapping()) == 0 {
		return facts, err
	}
	store, err := m.store(app)
	if err != nil {
		return facts, err
	}
	if facts.Instance.Release, err = store.Current(); err != nil || facts.Instance.Release == "" {
		return facts, err
	}
	rel, err := store.Get(facts.Instance.Release)
	facts.Instance.Port = rel.Port
	return facts, err
}

// history reads the last deployments of an app; an app that never had one has none.
func (m *machine) history(app string, n int) ([]landfast.Deployment, error) {
	state, err := m.OpenState(app)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer state.Close()
	return deploy.History(state, n)
}

// actor is who asks: the person behind sudo, if that is how it came.
func actor() string {
	if u := os.Getenv("SUDO_USER"); u != "" {
		return u
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
