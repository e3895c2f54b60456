package plan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// TestBuildGoldens reads testdata/build_*.txtar: app.json (what differs from
// the smallest app), a comment that may hold "systemd: N N ..." for the
// versions to build for, and everything the plan is made of, for each version.
// A new case is a file with app.json, and -update.
func TestBuildGoldens(t *testing.T) {
	for _, name := range goldens(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			app := readApp(t, ar)
			var got []txtar.File
			for _, v := range versions(ar) {
				p, err := plan.Build(app, plan.Facts{Systemd: v, Instance: plan.Example()})
				prefix := ""
				if len(versions(ar)) > 1 {
					prefix = strconv.Itoa(v)
				}
				if err != nil {
					got = append(got, txtar.File{Name: prefix + "error", Data: []byte(err.Error() + "\n")})
					continue
				}
				got = append(got, txtar.File{Name: prefix + "/plan", Data: summary(p)})
				for _, f := range p.Files {
					got = append(got, txtar.File{Name: prefix + f.Path, Data: []byte(f.Content)})
				}
			}
			got = append([]txtar.File{ar.Files[0]}, got...)
			if updating() {
				if err := os.WriteFile(name, txtar.Format(&txtar.Archive{Comment: ar.Comment, Files: got}), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(ar.Files, got, cmp.Transformer("lines", func(b []byte) []string { return strings.Split(string(b), "\n") })); diff != "" {
				t.Errorf("the plan differs from %s (-golden +built; -update writes it anew):\n%s", name, diff)
			}
		})
	}
}

// updating tells whether the tests of this package run with -update.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func goldens(t *testing.T) []string {
	names, err := filepath.Glob("testdata/build_*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	return names
}

// versions are those named in the golden's comment; 0 when it names none.
func versions(ar *txtar.Archive) []int {
	for line := range strings.Lines(string(ar.Comment)) {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), "systemd:"); ok {
			var out []int
			for _, w := range strings.Fields(list) {
				v, _ := strconv.Atoi(w)
				out = append(out, v)
			}
			return out
		}
	}
	return []int{0}
}

// readApp is the app of a golden.
func readApp(t *testing.T, ar *txtar.Archive) *landfast.App {
	t.Helper()
	if len(ar.Files) == 0 || ar.Files[0].Name != "app.json" {
		t.Fatal("the first file of a golden is app.json")
	}
	var named struct{ Name string }
	if err := json.Unmarshal(ar.Files[0].Data, &named); err != nil {
		t.Fatal(err)
	}
	app := smallest(named.Name)
	dec := json.NewDecoder(bytes.NewReader(ar.Files[0].Data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(app); err != nil {
		t.Fatal(err)
	}
	return app
}

// smallest is an app with nothing but a name and a command, as package manifest
// fills it in.
func smallest(name string) *landfast.App {
	deploy := "/srv/" + name
	return &landfast.App{
		Name: name, User: name, Group: name, DeployUser: "landfast",
		Paths: landfast.Paths{
			Base: "/srv", Deploy: deploy, Releases: deploy + "/releases", Current: deploy + "/current",
			Bin: deploy + "/bin", Flags: deploy + "/flags", Shared: deploy + "/shared", Working: deploy + "/current",
		},
		Services: []landfast.Service{{
			Unit: name + ".service", Type: "simple", Restart: "always", LimitNOFILE: 65535, Umask: "0027", Identifier: name,
			Command: landfast.Command{Argv: []string{deploy + "/current/bin/" + name}},
		}},
		Sandbox: landfast.Sandbox{Profile: "strict"},
	}
}

// kinds are the rarer properties of a unit.
func kinds(u plan.Unit) string {
	text := ""
	for name, is := range map[string]bool{" prepare": u.Prepare, " trigger": u.Trigger, " manual": u.Manual} {
		if is {
			text += name
		}
	}
	return text
}

// summary is all of a plan but its files' contents.
func summary(p *plan.Plan) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "app %s, current %s\n", p.App, p.Current)
	for _, u := range p.Users {
		fmt.Fprintf(&b, "user %s:%s %q home %s\n", u.Name, u.Group, u.Description, u.Home)
	}
	for _, d := range p.Dirs {
		data := ""
		if d.Data {
			data = " data"
		}
		mode := fmt.Sprintf("%04o", d.Mode.Perm())
		if d.Mode&fs.ModeSetgid != 0 {
			mode = "2" + mode[1:]
		}
		fmt.Fprintf(&b, "dir  %s %s:%s %s%s\n", mode, d.Owner, d.Group, d.Path, data)
	}
	for _, f := range p.Files {
		fmt.Fprintf(&b, "file %04o %s:%s %s\n", f.Mode, f.Owner, f.Group, f.Path)
	}
	for _, u := range p.Units {
		fmt.Fprintf(&b, "unit %s enable=%t socket=%t main=%t%s\n", u.Name, u.Enable, u.Socket, u.Main, kinds(u))
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note %s\n", n)
	}
	return b.Bytes()
}
