package adopt_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast/internal/adopt"
	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
)

// ignored are the properties of a unit that tell where it came from, when it did
// something, or what other units say of it, and nothing of its settings.
var ignored = strings.Fields(`Id Names Description FragmentPath SourcePath DropInPaths UnitFileState UnitFilePreset
	NeedDaemonReload LoadError InvocationID ExecMainStartTimestamp StateChangeTimestamp
	WantedBy RequiredBy RequisiteOf BoundBy UpheldBy ConsistsOf ConflictedBy TriggeredBy OnSuccessOf OnFailureOf
	PropagatesReloadTo PropagatesStopTo SliceOf`)

// TestMachine adopts every service that the packages ship, and those of testdata,
// loads what is rendered beside the original and asks systemd for all properties of
// both.
func TestMachine(t *testing.T) {
	labtest.Require(t)
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) {
			shipped := unitFiles(t, unpacked(t, suite))
			m := labtest.Boot(t, lab.Options{Suite: suite})
			var version int
			if _, err := fmt.Sscanf(labtest.Run(t, m, "systemctl", "--version"), "systemd %d", &version); err != nil {
				t.Fatal(err)
			}
			var names []string
			for name, text := range shipped {
				write(t, m, "/usr/lib/systemd/system/"+name, text)
				if strings.HasSuffix(name, ".service") {
					names = append(names, strings.Replace(name, "@.", "@15-main.", 1))
				}
			}
			slices.Sort(names)
			if len(names) < 10 {
				t.Fatalf("the packages ship only %q", names)
			}
			// A program without a path has to be there for the unit to load.
			if r, err := m.Exec(t.Context(), "test", "-e", "/usr/bin/ssh-keygen"); err == nil && r.Code != 0 {
				labtest.Run(t, m, "ln", "-s", "/bin/true", "/usr/bin/ssh-keygen")
			}
			for _, name := range names {
				// Nothing that Debian ships is beyond a manifest, and it may stay so.
				if r := check(t, m, name, version); r != nil && len(r.CannotExpress) > 0 {
					t.Errorf("%s has what a manifest cannot express: %+v", name, r.CannotExpress)
				}
			}
			everything(t, m, version)
			for _, name := range handMade(t, m) {
				check(t, m, name, version)
			}
		})
	}
}

// everything adopts all services of the machine, systemd's own among them, to see
// that a manifest comes of each that its own checks and those of a plan take.
func everything(t *testing.T, m *lab.Machine, version int) {
	t.Helper()
	tree := adopt.System(os.DirFS(m.Path("/")))
	n, told := 0, 0
	for _, name := range strings.Fields(labtest.Run(t, m, "sh", "-c", "cd /usr/lib/systemd/system && ls *.service")) {
		u, err := tree.Find(strings.Replace(name, "@.", "@a-b.", 1))
		if err != nil {
			if !strings.Contains(err.Error(), " is masked by ") {
				t.Error(err)
			}
			continue
		}
		triggers, err := tree.Triggers(u)
		if err != nil {
			t.Error(err)
			continue
		}
		r, err := adopt.Adopt(u, triggers, adopt.Options{Systemd: version})
		if err != nil {
			t.Errorf("adopt %s: %v", name, err)
			continue
		}
		n++
		told += min(1, len(r.CannotExpress))
	}
	t.Logf("%d services of the machine adopted, %d of them with something that a manifest cannot express", n, told)
}

// handMade puts the hosts of testdata into the machine and gives what to adopt.
func handMade(t *testing.T, m *lab.Machine) []string {
	t.Helper()
	var names []string
	for _, c := range []string{"alias", "dynamic", "instance", "socket", "timer"} {
		text, err := os.ReadFile("testdata/" + c + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		a := txtar.Parse(text)
		for _, f := range a.Files {
			target, link := strings.CutPrefix(string(f.Data), "link: ")
			switch {
			case !strings.Contains(f.Name, "/") || strings.Contains(f.Name, "ssh.service"):
			case link:
				labtest.Run(t, m, "mkdir", "-p", path.Dir("/"+f.Name))
				labtest.Run(t, m, "ln", "-sfn", strings.TrimSpace(target), "/"+f.Name)
			default:
				write(t, m, "/"+f.Name, string(f.Data))
			}
		}
		name, _, _ := strings.Cut(string(a.Comment), "\n")
		names = append(names, strings.Fields(name)[0])
	}
	return names
}

func write(t *testing.T, m *lab.Machine, file, text string) {
	t.Helper()
	labtest.Run(t, m, "mkdir", "-p", filepath.Dir(file))
	if err := m.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// check adopts one service and compares.
func check(t *testing.T, m *lab.Machine, name string, version int) *adopt.Result {
	t.Helper()
	tree := adopt.System(os.DirFS(m.Path("/")))
	u, err := tree.Find(name)
	if err != nil {
		t.Error(err)
		return nil
	}
	triggers, err := tree.Triggers(u)
	if err != nil {
		t.Error(err)
		return nil
	}
	r, err := adopt.Adopt(u, triggers, adopt.Options{Name: "adopted", Systemd: version})
	if err != nil {
		t.Errorf("adopt %s: %v", name, err)
		return nil
	}
	app, err := manifest.Parse(name, []byte(r.Manifest))
	if err != nil {
		t.Errorf("the manifest of %s: %v\n%s", name, err, r.Manifest)
		return r
	}
	p, err := plan.Build(app, plan.Facts{Systemd: version})
	if err != nil {
		t.Errorf("the plan of %s: %v\n%s", name, err, r.Manifest)
		return r
	}
	units := slices.DeleteFunc(slices.Clone(p.Files), func(f plan.File) bool { return !strings.HasPrefix(f.Path, "/etc/systemd/system/") })
	for _, f := range units {
		write(t, m, f.Path, f.Content)
	}
	labtest.Run(t, m, "systemctl", "daemon-reload")
	if u.Enabled {
		labtest.Run(t, m, "systemctl", "enable", r.Rendered)
	}
	pairs := [][2]string{{r.Rendered, u.Name}}
	if app.Main().Socket != nil {
		pairs = append(pairs, [2]string{app.Main().Socket.Unit, strings.TrimSuffix(u.Name, ".service") + ".socket"})
	}
	compare(t, m, r, pairs)
	labtest.Run(t, m, "systemctl", "disable", r.Rendered)
	for _, f := range units {
		labtest.Run(t, m, "rm", "-f", f.Path)
	}
	return r
}

// compare asks for all properties of each unit and its original. What differs must
// be among what adopt said that it cannot express.
func compare(t *testing.T, m *lab.Machine, r *adopt.Result, pairs [][2]string) {
	t.Helper()
	compared, equal, told := 0, 0, 0
	for _, pair := range pairs {
		want, got := properties(t, m, pair[1], pairs), properties(t, m, pair[0], pairs)
		if got["LoadState"] != "loaded" || len(want) < 100 {
			t.Errorf("%s is %s, of %d properties\n%s", pair[0], got["LoadState"], len(want), r.Manifest)
		}
		both := maps.Clone(want)
		maps.Copy(both, got) // a command that is not set is not printed
		for property := range both {
			compared++
			switch {
			case got[property] == want[property]:
				equal++
			case explained(r, property):
				told++
			default:
				t.Errorf("%s: %s\n was %s\n now %s\n%s", pair[1], property, want[property], got[property], r.Manifest)
			}
		}
	}
	t.Logf("%-32s %4d compared %4d equal %2d told, cannot express: %s", pairs[0][1], compared, equal, told, gaps(r))
}

// properties are what systemd knows of a unit, with the names that it shall have.
func properties(t *testing.T, m *lab.Machine, name string, renamed [][2]string) map[string]string {
	t.Helper()
	all := map[string]string{}
	last := ""
	for line := range strings.Lines(labtest.Run(t, m, "systemctl", "show", "--all", "--", name)) {
		property, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			all[last] += "\n" + line
			continue
		}
		last = property
		if slices.Contains(ignored, property) || strings.HasSuffix(property, "Timestamp") || strings.HasSuffix(property, "TimestampMonotonic") {
			continue
		}
		words := strings.Fields(value)
		for i, w := range words {
			for _, r := range renamed {
				if w == r[0] {
					words[i] = r[1]
				}
			}
		}
		switch property {
		case "After", "Before", "Wants", "Requires", "Conflicts", "RequiresMountsFor": // sets
			slices.Sort(words)
		}
		if all[property] != "" {
			all[property] += "\n"
		}
		all[property] += strings.Join(words, " ")
	}
	for iface, list := range map[string][]string{
		"Unit": {"Conditions", "Asserts"}, "Service": {"LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted"},
	} {
		if iface != "Unit" && !strings.HasSuffix(name, ".service") {
			continue
		}
		for i, value := range strings.Split(structures(t, m, name, iface, list...), "\n") {
			all[list[i]] = value
		}
	}
	return all
}

// structures are properties that systemctl does not print.
func structures(t *testing.T, m *lab.Machine, name, iface string, list ...string) string {
	t.Helper()
	const bus = "org.freedesktop.systemd1"
	answer := labtest.Run(t, m, "busctl", "call", bus, "/org/freedesktop/systemd1", bus+".Manager", "LoadUnit", "s", name)
	_, object, ok := strings.Cut(strings.TrimSuffix(answer, `"`), `"`)
	if !ok {
		t.Fatalf("the object of %s: %s", name, answer)
	}
	return labtest.Run(t, m, append([]string{"busctl", "get-property", bus, object, bus + "." + iface}, list...)...)
}

// explained reports whether adopt said that it cannot have a setting as it was, or
// a unit that systemd orders before the service.
func explained(r *adopt.Result, property string) bool {
	return slices.ContainsFunc(r.CannotExpress, func(g adopt.Gap) bool {
		id, _, isSetting := strings.Cut(g.Setting, "=")
		name := strings.TrimSuffix(id[strings.LastIndexByte(id, '.')+1:], "Sec")
		switch {
		case !isSetting: // a unit that systemd orders before the service
			return property == "After"
		case strings.HasPrefix(name, "Condition"):
			return property == "Conditions"
		case strings.HasPrefix(name, "Listen"):
			return property == "Listen"
		case strings.HasPrefix(name, "Assert"):
			return property == "Asserts"
		}
		return name != "" && strings.HasPrefix(property, name)
	})
}

func gaps(r *adopt.Result) string {
	var list []string
	for _, g := range r.CannotExpress {
		list = append(list, g.Setting)
	}
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}
