package rootsvc_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/cutover"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/host"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/policy"
	"github.com/landfast/landfast/internal/release"
	"github.com/landfast/landfast/internal/rootsvc"
	"github.com/landfast/landfast/internal/systemd/systemdtest"
)

// world is a machine in a directory with a fake systemd, and a deployer for it.
type world struct {
	t      *testing.T
	root   string
	direct *rootsvc.Direct
	units  *systemdtest.Fake
	policy string
	log    *lockedBuffer
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

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, root: t.TempDir(), log: &lockedBuffer{}}
	uid, gid := os.Getuid(), os.Getgid()
	var passwd, group strings.Builder
	for _, name := range []string{"root", "web", "landfast"} {
		fmt.Fprintf(&passwd, "%s:x:%d:%d::/:/usr/sbin/nologin\n", name, uid, gid)
		fmt.Fprintf(&group, "%s:x:%d:\n", name, gid)
	}
	w.write("etc/passwd", passwd.String())
	w.write("etc/group", group.String())
	for _, dir := range []string{"etc/systemd/system", "etc/sysusers.d", "etc/tmpfiles.d", "run/systemd/system", "srv", "var/lib/landfast/web/incoming"} {
		if err := os.MkdirAll(filepath.Join(w.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.units = systemdtest.New(w.root)
	w.units.Behave = w.behave
	h, err := host.Open(w.root, w.units)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	parse := func(text string) (*landfast.App, error) { return manifest.Parse("landfast.toml", []byte(text)) }
	w.direct = &rootsvc.Direct{
		Engine: deploy.Engine{
			Host: h, Units: w.units, Parse: parse, State: h.State, Now: time.Now,
			Traffic: func(landfast.Strategy) cutover.Traffic { return nil },
			Releases: func(app *landfast.App) (deploy.Releases, error) {
				return release.New(release.Options{
					App: app.Name, UID: uid, GID: gid,
					Deploy: filepath.Join(w.root, "srv", app.Name), State: filepath.Join(w.root, "var/lib/landfast", app.Name),
				}), nil
			},
			Log: func(context.Context, string, string) []string { return []string{"a line of the log"} },
		},
		Policy: func() (*policy.Policy, error) { return policy.Parse(policy.File, []byte(w.policy)) },
		Applied: func(app string) (*landfast.App, error) {
			text, err := os.ReadFile(filepath.Join(w.root, "etc/landfast/apps", app+".toml"))
			if err != nil {
				return nil, &landfast.Error{Kind: landfast.NotFound, Msg: "no manifest"}
			}
			return parse(plan.Unmarked(string(text)))
		},
		Load: func(read func(string) ([]byte, error)) (*landfast.App, error) {
			text, err := read("landfast.toml")
			if err != nil {
				return nil, err
			}
			return parse(string(text))
		},
		Units: func(_ context.Context, app *landfast.App, verb string) ([]landfast.UnitStatus, error) {
			return []landfast.UnitStatus{{Name: app.Main().Unit, Active: verb}}, nil
		},
		Attach: func(out io.Writer) ([]landfast.Directive, func(), error) {
			_, err := io.WriteString(out, "a line of the build\nand the rest")
			return nil, func() {}, err
		},
		Builder:  func() (int, int, error) { return uid, gid, nil },
		StateDir: filepath.Join(w.root, "var/lib/landfast"),
		Systemd:  w.units.Version,
	}
	return w
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

// incoming makes a delivery.
func (w *world) incoming(id, manifest, behaviour string) {
	w.t.Helper()
	for name, text := range map[string]string{"bin/web": "#!/bin/sh\n", "behaviour": behaviour, "version": id, "landfast.toml": manifest} {
		if text != "" {
			w.write("var/lib/landfast/web/incoming/"+id+"/"+name, text)
		}
	}
}

// behave reads from the current release what the service does; transient units succeed.
func (w *world) behave(unit, text string) systemdtest.Behaviour {
	if unit != "web.service" {
		failing := strings.Contains(text, "ExecStart=/bin/false")
		return systemdtest.Behaviour{Oneshot: true, Exit: map[bool]int{true: 1}[failing]}
	}
	behaviour, err := os.ReadFile(filepath.Join(w.root, "srv/web/current/behaviour"))
	if err != nil {
		return systemdtest.Behaviour{Exit: 203}
	}
	if string(behaviour) == "exits" {
		return systemdtest.Behaviour{Exit: 1}
	}
	return systemdtest.Behaviour{}
}

// current is the version that is live.
func (w *world) current() string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.root, "srv/web/current/version"))
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// serve answers connections at a socket until the test ends, and gives how to reach it.
func (w *world) serve(worker int, unit string) func(context.Context) (net.Conn, error) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		w.t.Fatal(err)
	}
	s := &rootsvc.Server{
		Deployer: w.direct, WorkerUID: worker, Now: time.Now, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		UnitOf: func(context.Context, int) (string, error) { return unit, nil },
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			all.Go(func() {
				if err := s.Serve(context.Background(), c); err != nil {
					w.t.Error(err)
				}
			})
		}
	})
	w.t.Cleanup(func() { l.Close(); all.Wait() })
	return func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "unix", path) }
}

// tree lists what there is below a directory of the world.
func (w *world) tree(dir string) string {
	w.t.Helper()
	var names []string
	err := filepath.WalkDir(filepath.Join(w.root, dir), func(path string, _ fs.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, w.root))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(names, "\n")
}
