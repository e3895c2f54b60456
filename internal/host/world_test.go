package host_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/landfast/landfast/internal/host"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/systemd/systemdtest"
)

// A world is a machine in a directory with a fake systemd.
type world struct {
	root  string
	units *systemdtest.Fake
	host  *host.Host
}

// newWorld needs root, as it gives files away.
func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("gives files to other users: run as root")
	}
	w := openWorld(t, t.TempDir())
	w.write(t, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:901:901:web:/:/usr/sbin/nologin\nlandfast:x:902:902:landfast deployments:/var/lib/landfast:/usr/sbin/nologin\n")
	w.write(t, "etc/group", "root:x:0:\nweb:x:901:landfast\nlandfast:x:902:\n")
	w.write(t, "etc/shadow", "root:*:20000::::::\nweb:!*:20000::::::\nlandfast:!*:20000::::::\n")
	return w
}

// openWorld opens a world that is there.
func openWorld(t *testing.T, root string) *world {
	t.Helper()
	w := &world{root: root, units: systemdtest.New(root)}
	var err error
	if w.host, err = host.Open(root, w.units); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.host.Close() })
	return w
}

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// diff is what is left to do.
func (w *world) diff(t *testing.T, p *plan.Plan) plan.Changes {
	t.Helper()
	c, err := diff(t.Context(), w.host, p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func diff(ctx context.Context, h *host.Host, p *plan.Plan) (plan.Changes, error) {
	o, err := h.Observe(ctx, p)
	if err != nil {
		return plan.Changes{}, err
	}
	return plan.Diff(p, o)
}

func uninstall(ctx context.Context, h *host.Host, p *plan.Plan, purge bool) (plan.Changes, error) {
	o, err := h.Observe(ctx, p)
	if err != nil {
		return plan.Changes{}, err
	}
	return plan.Uninstall(p, o, purge), nil
}

// apply applies p and fails the test unless nothing is left to do then.
func (w *world) apply(t *testing.T, p *plan.Plan) {
	t.Helper()
	if err := w.host.Apply(t.Context(), w.diff(t, p)); err != nil {
		t.Fatal(err)
	}
	if c := w.diff(t, p); !c.Empty() {
		t.Fatalf("a second apply would change:\n%s", c.Text())
	}
}

const (
	webText  = "\n[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n"
	sockText = "\n[Socket]\nListenStream=/run/web.sock\n\n[Install]\nWantedBy=sockets.target\n"
)

// webPlan is an app with a service, and a second one.
func webPlan() *plan.Plan {
	file := func(path, text string) plan.File {
		return plan.File{Path: path, Mode: 0o644, Owner: "root", Group: "root", Content: plan.Mark("web") + text}
	}
	return &plan.Plan{
		App: "web",
		Users: []plan.User{
			{Name: "web", Group: "web", Description: "web", Home: "/"},
			{Name: "landfast", Group: "landfast", Description: "landfast deployments", Home: "/var/lib/landfast"},
		},
		Dirs: []plan.Dir{
			{Path: "/etc/landfast", Mode: 0o755, Owner: "root", Group: "root"},
			{Path: "/etc/landfast/apps", Mode: 0o755, Owner: "root", Group: "root"},
			{Path: "/var/lib/landfast", Mode: 0o755, Owner: "root", Group: "root"},
			{Path: "/var/lib/landfast/web", Mode: 0o750, Owner: "root", Group: "root", Data: true},
			{Path: "/srv/web", Mode: 0o750, Owner: "landfast", Group: "web", Data: true},
			{Path: "/srv/web/bin", Mode: fs.ModeSetgid | 0o750, Owner: "landfast", Group: "web"},
			{Path: "/var/lib/web", Mode: 0o700, Owner: "web", Group: "web", Data: true},
		},
		Files: []plan.File{
			file("/etc/landfast/apps/web.toml", "name = \"web\"\n"),
			file("/etc/systemd/system/web.service", webText),
			file("/etc/systemd/system/web-more.service", webText),
			file("/etc/sysusers.d/landfast-web.conf", "u web - web /\nu landfast - \"landfast deployments\" /var/lib/landfast\n"),
		},
		Units:   []plan.Unit{{Name: "web.service", Enable: true, Main: true}, {Name: "web-more.service", Enable: true}},
		Current: "/srv/web/current",
	}
}

// otherPlan is the same app with a socket, another text, and without the second service.
func otherPlan() *plan.Plan {
	p := webPlan()
	p.Files[1].Content = strings.Replace(p.Files[1].Content, "[Service]", "[Service]\nNice=1", 1)
	p.Files[2] = plan.File{Path: "/etc/systemd/system/web.socket", Mode: 0o640, Owner: "root", Group: "web", Content: plan.Mark("web") + sockText}
	p.Units = []plan.Unit{{Name: "web.socket", Enable: true, Socket: true}, {Name: "web.service", Enable: true, Main: true}}
	p.Dirs[4].Mode = 0o755
	return p
}

// tree lists everything below dir: path, type and mode, owner, and content.
func tree(t *testing.T, dir string, skip ...string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		if slices.ContainsFunc(skip, func(s string) bool { return name == s || strings.HasPrefix(name, s+"/") }) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		what := ""
		switch info.Mode().Type() {
		case 0:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("%x", sha256.Sum256(data))[:16]
		case fs.ModeSymlink:
			if what, err = os.Readlink(path); err != nil {
				return err
			}
		}
		out = append(out, fmt.Sprintf("%s %s %d:%d %s", name, info.Mode(), st.Uid, st.Gid, what))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
