package plan_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

var update = flag.Bool("update", false, "write the goldens anew")

// file is a file of app web.
func file(path, content string) plan.File {
	return plan.File{Path: path, Mode: 0o644, Owner: "root", Group: "root", Content: plan.Mark("web") + content}
}

const (
	serviceText = "[Service]\nExecStart=/srv/web/current/web\n\n[Install]\nWantedBy=multi-user.target\n"
	socketText  = "[Socket]\nListenStream=8080\n\n[Install]\nWantedBy=sockets.target\n"
)

// webPlan is a plan with one of everything.
func webPlan() *plan.Plan {
	return &plan.Plan{
		App:   "web",
		Users: []plan.User{{Name: "web", Group: "web", Description: "app web", Home: "/srv/web"}, {Name: "landfast", Group: "landfast", Description: "deploys", Home: "/var/lib/landfast"}},
		Dirs: []plan.Dir{
			{Path: "/srv/web", Mode: 0o755, Owner: "landfast", Group: "web"},
			{Path: "/srv/web/bin", Mode: 0o750, Owner: "landfast", Group: "web"},
			{Path: "/srv/web/releases", Mode: 0o750, Owner: "landfast", Group: "web", Data: true},
		},
		Files: []plan.File{
			file("/etc/landfast/apps/web.toml", "name = \"web\"\n"),
			file("/etc/systemd/system/web.service", serviceText),
			file("/etc/systemd/system/web.socket", socketText),
			file("/etc/sysusers.d/landfast-web.conf", "u web - \"app web\" /srv/web\n"),
		},
		Units:   []plan.Unit{{Name: "web.socket", Enable: true, Socket: true}, {Name: "web.service", Enable: true, Main: true}},
		Current: "/srv/web/current",
	}
}

// node is what a host holds after f was written.
func node(f plan.File) plan.Node {
	return plan.Node{Mode: f.Mode, Owner: f.Owner, Group: f.Group, Content: f.Content, Mark: plan.MarkOf(f.Content)}
}

func dir(names ...string) plan.Node {
	return plan.Node{Mode: fs.ModeDir | 0o755, Owner: "root", Group: "root", Names: names}
}

func running(unit string) landfast.UnitStatus {
	return landfast.UnitStatus{Name: unit, Load: "loaded", Active: "active", Sub: "running", Result: "success", FileState: "enabled"}
}

// applied is a host on which the plan has been applied and a release is live.
func applied(p *plan.Plan) plan.Observed {
	o := plan.Observed{
		Users: map[string]bool{}, Made: map[string]bool{}, Stale: map[string]bool{},
		Dirs: map[string]plan.Node{}, Files: map[string]plan.Node{}, Units: map[string]landfast.UnitStatus{},
		Live: true,
	}
	for _, u := range p.Users {
		o.Users[u.Name], o.Made[u.Name] = true, true
	}
	for _, d := range p.Dirs {
		n := plan.Node{Mode: fs.ModeDir | d.Mode, Owner: d.Owner, Group: d.Group}
		for _, inner := range p.Dirs {
			if path.Dir(inner.Path) == d.Path {
				n.Names = append(n.Names, path.Base(inner.Path))
			}
		}
		o.Dirs[d.Path] = n
	}
	for _, f := range p.Files {
		o.Files[f.Path] = node(f)
	}
	for _, u := range p.Units {
		o.Units[u.Name] = running(u.Name)
	}
	return o
}

func stopped(o plan.Observed, unit string) {
	st := o.Units[unit]
	st.Active, st.Sub = "inactive", "dead"
	o.Units[unit] = st
}

// edit changes the content of one file on the host.
func edit(o plan.Observed, path, from, to string) {
	n := o.Files[path]
	n.Content = strings.Replace(n.Content, from, to, 1)
	o.Files[path] = n
}

const (
	service = "/etc/systemd/system/web.service"
	webSock = "/etc/systemd/system/web.socket"
)

// diffCases are differences; what they give is in testdata/diff.txtar.
var diffCases = []struct {
	name   string
	change func(p *plan.Plan, o *plan.Observed)
}{
	{"nothing", func(*plan.Plan, *plan.Observed) {}},
	{"empty host", func(_ *plan.Plan, o *plan.Observed) { *o = plan.Observed{} }},
	{"owner and mode", func(_ *plan.Plan, o *plan.Observed) {
		n := o.Files[service]
		n.Mode, n.Owner = 0o600, "web"
		o.Files[service] = n
		d := o.Dirs["/srv/web/bin"]
		d.Mode, d.Group = fs.ModeDir|0o777, "1234"
		o.Dirs["/srv/web/bin"] = d
		s := o.Dirs["/srv/web"]
		s.Mode |= fs.ModeSetgid
		o.Dirs["/srv/web"] = s
	}},
	{"service text", func(_ *plan.Plan, o *plan.Observed) { edit(*o, service, "current/web", "current/old") }},
	{"service text, stopped", func(_ *plan.Plan, o *plan.Observed) {
		edit(*o, service, "current/web", "current/old")
		stopped(*o, "web.service")
	}},
	{"service text, no release", func(_ *plan.Plan, o *plan.Observed) {
		edit(*o, service, "current/web", "current/old")
		o.Live = false
	}},
	{"socket text", func(_ *plan.Plan, o *plan.Observed) { edit(*o, webSock, "8080", "9090") }},
	{"socket added", func(_ *plan.Plan, o *plan.Observed) {
		delete(o.Files, webSock)
		delete(o.Units, "web.socket")
	}},
	{"socket dropped", func(p *plan.Plan, _ *plan.Observed) {
		p.Files = slices.DeleteFunc(p.Files, func(f plan.File) bool { return f.Path == webSock })
		p.Units = p.Units[1:]
	}},
	{"socket stopped", func(_ *plan.Plan, o *plan.Observed) { stopped(*o, "web.socket"); stopped(*o, "web.service") }},
	{"needs reload", func(_ *plan.Plan, o *plan.Observed) {
		st := o.Units["web.service"]
		st.NeedReload = true
		o.Units["web.service"] = st
	}},
	{"restart still due", func(_ *plan.Plan, o *plan.Observed) { o.Stale["web.service"] = true }},
	{"restart still due, stopped", func(_ *plan.Plan, o *plan.Observed) {
		o.Stale["web.service"] = true
		stopped(*o, "web.service")
	}},
	{"disabled by hand", func(_ *plan.Plan, o *plan.Observed) {
		st := o.Units["web.service"]
		st.FileState = "disabled"
		o.Units["web.service"] = st
	}},
	{"no longer at boot", func(p *plan.Plan, _ *plan.Observed) {
		p.Units[1].Enable = false
		p.Files[1].Content, _, _ = strings.Cut(p.Files[1].Content, "\n[Install]")
	}},
	{"other target", func(_ *plan.Plan, o *plan.Observed) { edit(*o, service, "multi-user", "graphical") }},
	{"failed unit dropped", func(_ *plan.Plan, o *plan.Observed) {
		o.Files["/etc/systemd/system/web-old.service"] = node(file("", "[Service]\n"))
		o.Units["web-old.service"] = landfast.UnitStatus{Load: "loaded", Active: "failed", FileState: "disabled"}
	}},
	{"user missing", func(_ *plan.Plan, o *plan.Observed) { o.Users["web"] = false }},
}

func TestDiff(t *testing.T) {
	golden(t, "testdata/diff.txtar", func(t *testing.T, name string) string {
		for _, c := range diffCases {
			if c.name != name {
				continue
			}
			p := webPlan()
			o := applied(p)
			c.change(p, &o)
			changes, err := plan.Diff(p, o)
			if err != nil {
				t.Fatal(err)
			}
			if changes.Empty() != (changes.Text() == "") {
				t.Errorf("Empty() = %v, and the text is %q", changes.Empty(), changes.Text())
			}
			return changes.Text()
		}
		t.Fatalf("no case %q", name)
		return ""
	}, names(diffCases))
}

// uninstallCases are hosts to take the app off.
var uninstallCases = []struct {
	name   string
	change func(p *plan.Plan, o *plan.Observed)
}{
	{"live", func(_ *plan.Plan, o *plan.Observed) {
		d := o.Dirs["/srv/web"]
		d.Names = append(d.Names, "current")
		o.Dirs["/srv/web"] = d
		o.Dirs["/etc/landfast/apps"] = dir("other.toml", "web.toml")
		o.Dirs["/etc/landfast"] = dir("apps")
		o.Made["landfast"] = false
	}},
	{"last app", func(_ *plan.Plan, o *plan.Observed) {
		o.Dirs["/etc/landfast/apps"] = dir("web.toml")
		o.Dirs["/etc/landfast"] = dir("apps")
	}},
	{"foreign file", func(_ *plan.Plan, o *plan.Observed) {
		n := o.Files[service]
		n.Mark, n.Content = "", "[Service]\n"
		o.Files[service] = n
	}},
	{"nothing there", func(_ *plan.Plan, o *plan.Observed) { *o = plan.Observed{} }},
}

func TestUninstall(t *testing.T) {
	golden(t, "testdata/uninstall.txtar", func(t *testing.T, name string) string {
		var b strings.Builder
		for _, c := range uninstallCases {
			if c.name != name {
				continue
			}
			for _, purge := range []bool{false, true} {
				p := webPlan()
				o := applied(p)
				c.change(p, &o)
				changes := plan.Uninstall(p, o, purge)
				if purge {
					b.WriteString("With --purge:\n")
				}
				b.WriteString(changes.Text())
			}
		}
		return b.String()
	}, names(uninstallCases))
}

func names[C any](cases []struct {
	name   string
	change C
},
) []string {
	var out []string
	for _, c := range cases {
		out = append(out, c.name)
	}
	return out
}

// golden compares what each case gives with its section of a txtar file.
func golden(t *testing.T, path string, give func(t *testing.T, name string) string, cases []string) {
	t.Helper()
	want := map[string]string{}
	if !*update {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			want[f.Name] = string(f.Data)
		}
		if len(want) != len(cases) {
			t.Errorf("%s has %d sections for %d cases", path, len(want), len(cases))
		}
	}
	archive := &txtar.Archive{}
	for _, name := range cases {
		t.Run(name, func(t *testing.T) {
			got := give(t, name)
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got)})
			if d := cmp.Diff(want[name], got); d != "" && !*update {
				t.Errorf("%s (-want +got):\n%s", path, d)
			}
		})
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDiffForeign(t *testing.T) {
	p := webPlan()
	o := applied(p)
	delete(o.Dirs, "/srv/web/bin")
	o.Files[service] = plan.Node{Mode: 0o644, Owner: "root", Group: "root", Content: "[Service]\n"}
	o.Files[webSock] = node(plan.File{Mode: 0o644, Content: plan.Mark("shop")})
	o.Files["/etc/sysusers.d/landfast-web.conf"] = plan.Node{Mode: fs.ModeSymlink | 0o777}
	o.Files["/etc/landfast/apps/web.toml"] = plan.Node{Mode: fs.ModeDir | 0o755}
	o.Dirs["/srv/web"] = plan.Node{Mode: 0o644}
	c, err := plan.Diff(p, o)
	if landfast.KindOf(err) != landfast.Conflict {
		t.Fatalf("got %v, want a conflict", err)
	}
	for _, want := range []string{
		"/etc/systemd/system/web.service is a file that landfast did not make",
		"/etc/systemd/system/web.socket belongs to app shop",
		"/etc/sysusers.d/landfast-web.conf is a symbolic link",
		"/etc/landfast/apps/web.toml is a directory",
		"/srv/web is a file, and the plan needs a directory",
		"move them away",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if !c.Empty() {
		t.Errorf("it gives changes all the same: %s", c.Text())
	}
	if _, ok := errors.AsType[*landfast.Error](err); !ok {
		t.Errorf("got a %T", err)
	}
}

func TestChangesJSON(t *testing.T) {
	p := webPlan()
	o := applied(p)
	edit(o, service, "current/web", "current/old")
	delete(o.Dirs, "/srv/web/bin")
	c, err := plan.Diff(p, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/json.txtar", func(*testing.T, string) string { return string(got) + "\n" }, []string{"changes"})
}

func TestMarkOf(t *testing.T) {
	for content, want := range map[string]string{
		plan.Mark("web") + "x":                          "web",
		"# Managed by landfast (app a-b). The manifest": "a-b",
		"# Managed by landfast (app web":                "",
		"# Managed by landfast (app w\neb).":            "",
		"\n" + plan.Mark("web"):                         "",
		" # Managed by landfast (app web).":             "",
		"":                                              "",
	} {
		if got := plan.MarkOf(content); got != want {
			t.Errorf("MarkOf(%q) = %q, want %q", content, got, want)
		}
	}
}
