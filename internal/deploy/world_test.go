package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/cutover"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/host"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/release"
	"github.com/landfast/landfast/internal/secret"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/systemd/systemdtest"
)

// A world is a machine in a directory: the real host, store and sources, and a fake
// systemd whose services are good or bad as the release says that they run.
type world struct {
	t       *testing.T
	root    string
	units   *systemdtest.Fake
	host    *host.Host
	engine  *deploy.Engine
	sources string
	cloud   *cloud
	mu      sync.Mutex
	running map[string]string // service → the release it was started from
	events  []deploy.Event
}

const manifestText = `
name = "web"

[service]
command = "bin/web"

[health]
grace = "0s"
interval = "10ms"
timeout = "1s"
`

// withSocket changes the units: one more, and another text.
const withSocket = manifestText + `
[socket]
listen = "8080"

[env]
GREETING = "hello"
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, root: quickDir(t), running: map[string]string{}, sources: quickDir(t), cloud: &cloud{}}
	w.accounts()
	for _, dir := range []string{"etc/systemd/system", "etc/sysusers.d", "etc/tmpfiles.d", "run/systemd/system", "srv"} {
		if err := os.MkdirAll(filepath.Join(w.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.units = systemdtest.New(w.root)
	w.units.Behave = w.behave
	var err error
	if w.host, err = host.Open(w.root, w.units); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.host.Close() })
	w.engine = w.newEngine()
	return w
}

// quickDir is a directory in memory where there is one: the crash suite waits for
// the disk in thousands of places.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "landfast-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// accounts names the account that runs the test as every account of the app, so
// that it can give files to them.
func (w *world) accounts() {
	uid, gid := os.Getuid(), os.Getgid()
	var passwd, group strings.Builder
	for _, name := range []string{"root", "web", "landfast"} {
		fmt.Fprintf(&passwd, "%s:x:%d:%d::/:/usr/sbin/nologin\n", name, uid, gid)
		fmt.Fprintf(&group, "%s:x:%d:\n", name, gid)
	}
	w.write("etc/passwd", passwd.String())
	w.write("etc/group", group.String())
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// newEngine is what another process would make.
func (w *world) newEngine() *deploy.Engine {
	return &deploy.Engine{
		Host: w.host, Units: w.units,
		Open: func(ctx context.Context, _ *landfast.App, src landfast.Source, work string) (*source.Artifact, error) {
			return source.Open(ctx, src, source.Options{Work: work})
		},
		Releases: func(app *landfast.App) (deploy.Releases, error) { return w.store(app.Name), nil },
		Parse:    func(text string) (*landfast.App, error) { return manifest.Parse("landfast.toml", []byte(text)) },
		Log:      func(context.Context, string, string) []string { return []string{"a line of the log"} },
		State:    w.host.State,
		Traffic: func(s landfast.Strategy) cutover.Traffic {
			if !s.Ported() {
				return nil
			}
			return cutover.Link{Root: w.root, Accepted: func(context.Context, *landfast.App, landfast.Instance) error { return nil }}
		},
		FreePort: func() (int, error) { return 40001, nil },
		PortFree: func(int) bool { return true },
		Settings: func(app *landfast.App, state *os.Root) (deploy.Settings, error) {
			o := secret.StoreOptions{State: state, GID: func() (int, error) { return os.Getgid(), nil }}
			if app.Config != nil {
				o.Config = filepath.Join(w.root, app.Config.Dir)
			}
			sources := &secret.Sources{Root: w.root, Cloud: func(context.Context) (secret.Cloud, error) { return w.cloud, nil }}
			return &secret.Settings{Store: secret.NewStore(o), Sources: sources, App: app}, nil
		},
		// A fixed time makes two runs comparable; ids still differ.
		Now:   func() time.Time { return time.Date(2026, 11, 21, 1, 30, 0, 0, time.UTC) },
		Watch: func(e deploy.Event) { w.events = append(w.events, e) },
	}
}

func (w *world) store(app string) *release.Store {
	return release.New(release.Options{
		App: app, UID: os.Getuid(), GID: os.Getgid(),
		Deploy: filepath.Join(w.root, "srv", app), State: filepath.Join(w.root, "var/lib/landfast", app),
	})
}

// behave reads from the release that is current what the service does.
func (w *world) behave(unit, text string) systemdtest.Behaviour {
	switch filepath.Ext(unit) {
	case ".socket", ".timer", ".path":
		return systemdtest.Behaviour{}
	}
	current := filepath.Join(w.root, "srv/web/current")
	if strings.Contains(text, "/bin/systemctl") { // an anchor
		return systemdtest.Behaviour{Oneshot: true}
	}
	if unit != "web.service" { // a hook or an instance: it says where it runs
		for line := range strings.Lines(text) {
			if dir, ok := strings.CutPrefix(line, "WorkingDirectory="); ok {
				current = filepath.Join(w.root, strings.TrimSpace(dir))
			}
		}
	}
	behaviour, err := os.ReadFile(filepath.Join(current, "behaviour"))
	if err != nil {
		return systemdtest.Behaviour{Exit: 203}
	}
	target, _ := os.Readlink(current)
	if target == "" {
		target = filepath.Base(current)
	}
	w.mu.Lock()
	w.running[unit] = target
	w.mu.Unlock()
	switch strings.TrimSpace(string(behaviour)) {
	case "exits":
		return systemdtest.Behaviour{Exit: 1}
	case "dies":
		return systemdtest.Behaviour{DiesAfter: -1}
	}
	return systemdtest.Behaviour{Oneshot: strings.Contains(text, "\nType=oneshot\n")}
}

// app parses a manifest.
func (w *world) app(text string) *landfast.App {
	w.t.Helper()
	app, err := manifest.Parse("landfast.toml", []byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

// deploy deploys a release with the given content, from a directory of that name.
func (w *world) deploy(text, version, behaviour string) error {
	w.t.Helper()
	dir := filepath.Join(w.sources, version)
	for name, content := range map[string]string{"bin/web": "#!/bin/sh\n", "behaviour": behaviour, "version": version} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	_, err := w.engine.Deploy(w.t.Context(), deploy.Request{
		App: w.app(text), Actor: "tester", Source: landfast.Source{Kind: landfast.SourceDir, Location: dir},
	})
	return err
}

func (w *world) rollback(text string) error {
	_, err := w.engine.Rollback(w.t.Context(), deploy.Target{App: w.app(text), Actor: "tester"})
	return err
}

// resume settles what is left, as the next process would.
func (w *world) resume() error {
	_, err := w.newEngine().Resume(w.t.Context(), "web")
	return err
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

var (
	// judgement is what a deployment that failed leaves in the metadata of its
	// release, and the fingerprint of the directory that it came from.
	judgement = regexp.MustCompile(`(?m)^ *"(state|reason|revision)": .*\n`)
	// fingerprint is the part of a release id that differs between two worlds.
	fingerprint = regexp.MustCompile(`(20261121T\d{6}Z)-[0-9a-f]{7}`)
)

// state is everything that a deployment may change, as text: the tree with modes
// and contents, and what runs. Left out is what remembers the attempt itself: the
// journals, the lock, and what is known of a bad release that is gone.
func (w *world) state() string {
	w.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(w.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, w.root)
		if name == "/var" || name == "/var/lib" {
			return nil
		}
		if d.IsDir() && slices.Contains([]string{"/var/lib/landfast/web/deployments", "/var/lib/landfast/web/work"}, name) {
			return fs.SkipDir
		}
		if name == "/var/lib/landfast/web/lock" || w.forgotten(name) || d.IsDir() && strings.HasPrefix(name+"/", "/var/lib/landfast/") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", info.Mode(), name)
		switch info.Mode().Type() {
		case 0:
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n%s", judgement.ReplaceAllString(strings.ReplaceAll(string(text), w.sources, "/sources"), ""))
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " → %s", target)
		}
		b.WriteString("\n")
		return nil
	})
	w.must(err)
	instances, err := filepath.Glob(filepath.Join(w.root, "etc/systemd/system/web*@2*.service"))
	w.must(err)
	units := []string{"web.socket", "web.service", "web-rehearsal.socket", "web-rehearsal.service"}
	for _, i := range instances {
		units = append(units, filepath.Base(i))
	}
	for _, unit := range units {
		st, err := w.units.Status(w.t.Context(), unit)
		w.must(err)
		fmt.Fprintf(&b, "%s is %s %s, needs reload: %v", unit, st.Load, st.Active, st.NeedReload)
		if st.Sub == "running" && strings.HasSuffix(unit, ".service") {
			w.mu.Lock()
			fmt.Fprintf(&b, ", runs %s", w.running[unit])
			w.mu.Unlock()
		}
		b.WriteString("\n")
	}
	return fingerprint.ReplaceAllString(b.String(), "$1")
}

// forgotten reports whether a file is the metadata of a bad release whose files are gone.
func (w *world) forgotten(name string) bool {
	id, ok := strings.CutSuffix(strings.TrimPrefix(name, "/var/lib/landfast/web/releases/"), ".json")
	if !ok || strings.Contains(id, "/") {
		return false
	}
	_, err := os.Stat(filepath.Join(w.root, "srv/web/releases", id))
	text, _ := os.ReadFile(filepath.Join(w.root, name))
	return errors.Is(err, fs.ErrNotExist) && strings.Contains(strings.ReplaceAll(string(text), " ", ""), `"state":"bad"`)
}
