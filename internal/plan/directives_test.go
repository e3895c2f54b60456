package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/unit"
)

// unitFiles are the units in a plan for the app of a golden and one version of
// systemd; none when that is an error.
func unitFiles(t *testing.T, golden string, version int) []plan.File {
	t.Helper()
	ar, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(readApp(t, ar), plan.Facts{Systemd: version})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(p.Files, func(f plan.File) bool { return filepath.Dir(f.Path) != "/etc/systemd/system" })
}

// TestNothingIsRenderedThatIsUnknown builds every golden for versions at which
// systemd learned what a unit may hold, and for the newest. What each of them
// knows is in a table, which package unit compares with systemd's parsers.
func TestNothingIsRenderedThatIsUnknown(t *testing.T) {
	checked := 0
	for _, version := range []int{0, 219, 229, 230, 231, 232, 234, 235, 237, 239, 241, 245, 247, 249, 252, 255, 257, 258, 262} {
		for _, golden := range goldens(t) {
			for _, f := range unitFiles(t, golden, version) {
				file, err := unit.Parse(f.Content)
				if err != nil {
					t.Fatalf("%s: %v", golden, err)
				}
				for _, s := range file.Sections {
					for _, o := range s.Options {
						checked++
						if d, ok := unit.Lookup(s.Name, o.Name); !ok || !d.Known(version) {
							t.Errorf("%s: %s for systemd %d: it does not know %s= in [%s]", golden, f.Path, version, o.Name, s.Name)
						}
					}
				}
			}
		}
	}
	if checked < 5000 {
		t.Errorf("only %d settings were rendered", checked)
	}
}

// TestPassThroughFitsTheVersion passes directives through to a systemd that does
// not know them yet, knows them, or ignores them again.
func TestPassThroughFitsTheVersion(t *testing.T) {
	for _, c := range []struct {
		version             int
		section, name, want string // what the unit has of it, "" for nothing
		note                string // "": nothing is said
	}{
		{247, "Service", "PrivateIPC", "", "systemd 247 does not know PrivateIPC= (since 248): left out"},
		{248, "Service", "PrivateIPC", "[Service] PrivateIPC", ""},
		{230, "Service", "MemoryMax", "[Service] MemoryLimit", "systemd 230 does not know MemoryMax= (since 231): MemoryLimit= in [Service] stands in"},
		{231, "Service", "MemoryMax", "[Service] MemoryMax", ""},
		{230, "Service", "MemoryLimit", "[Service] MemoryLimit", ""},
		{257, "Service", "MemoryLimit", "[Service] MemoryLimit", "MemoryLimit= in [Service] is deprecated: use MemoryMax="},
		{258, "Service", "MemoryLimit", "[Service] MemoryMax", "systemd 258 ignores MemoryLimit= (since 258): MemoryMax= stands in"},
		{0, "Service", "MemoryLimit", "[Service] MemoryMax", "the newest systemd ignores MemoryLimit= (since 258): MemoryMax= stands in"},
		{262, "Service", "CPUShares", "", "systemd 262 ignores CPUShares= (since 258): left out; CPUWeight= took its place, with other values"},
		{262, "Service", "CPUAccounting", "", "systemd 262 ignores CPUAccounting= (since 258): left out"},
		{228, "Unit", "StartLimitAction", "[Service] StartLimitAction", "systemd 228 does not know StartLimitAction= (since 229): StartLimitAction= in [Service] stands in"},
		{252, "Service", "StartLimitAction", "[Service] StartLimitAction", "StartLimitAction= in [Service] is deprecated: use StartLimitAction= in [Unit]"},
		{252, "Unit", "OnSuccess", "[Unit] OnSuccess", ""},
	} {
		app := smallest("web")
		app.Systemd = []landfast.Directive{{Section: c.section, Name: c.name, Value: "marked"}}
		without, err := plan.Build(smallest("web"), plan.Facts{Systemd: c.version})
		if err != nil {
			t.Fatal(err)
		}
		p, err := plan.Build(app, plan.Facts{Systemd: c.version})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, f := range p.Files {
			if filepath.Base(f.Path) != "web.service" {
				continue
			}
			file, err := unit.Parse(f.Content)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range file.Sections {
				for _, o := range s.Options {
					if o.Value == "marked" {
						got += "[" + s.Name + "] " + o.Name
					}
				}
			}
		}
		notes := strings.Join(slices.DeleteFunc(p.Notes, func(n string) bool { return slices.Contains(without.Notes, n) }), "; ")
		if got != c.want || notes != c.note {
			t.Errorf("%s.%s for systemd %d: %q, %q; want %q, %q", c.section, c.name, c.version, got, notes, c.want, c.note)
		}
	}
}

// complaint is a line of a parser: the file, the line and what is wrong there.
var complaint = regexp.MustCompile(`^/mnt/(\S+?):(\d+): (.*)`)

// ignored is what systemd says of lines that it heeds no more, or not at all.
var ignored = regexp.MustCompile(`(?i)unknown (key|lvalue|section|assignment)|has been removed|please use `)

// TestEverySystemdReadsWhatIsRenderedForIt builds every golden for the systemd of
// each suite and lets that systemd check the units.
func TestEverySystemdReadsWhatIsRenderedForIt(t *testing.T) {
	labtest.Roots(t, func(t *testing.T, r labtest.Root) {
		dir := t.TempDir()
		// So that nothing can pass because nothing was read.
		canary := filepath.Join(dir, "canary")
		mustMkdir(t, canary)
		write(t, filepath.Join(canary, "canary.service"), "[Service]\nExecStart=/bin/true\nSings=yes\n")
		units := 1
		for _, golden := range goldens(t) {
			into := filepath.Join(dir, strings.TrimSuffix(filepath.Base(golden), ".txtar"))
			mustMkdir(t, into)
			for _, f := range unitFiles(t, golden, r.Systemd) {
				write(t, filepath.Join(into, filepath.Base(f.Path)), f.Content)
				units++
			}
		}
		result := r.Run(t, dir, "sh", "-c", `for d in /mnt/*/; do
			set -- "$d"*; [ -e "$1" ] || continue
			echo "$#"
			SYSTEMD_LOG_LEVEL=info SYSTEMD_UNIT_PATH="$d:" systemd-analyze verify --man=no "$@" || true
		done`)
		read := 0
		for line := range strings.Lines(result.Stdout) {
			n := 0
			_, _ = fmt.Sscan(line, &n)
			read += n
		}
		if read != units {
			t.Errorf("%d units of %d were read:\n%s", read, units, result.Stderr)
		}
		heard := false
		for line := range strings.Lines(result.Stderr) {
			line = strings.TrimSpace(line)
			switch {
			case strings.Contains(line, "canary.service") && ignored.MatchString(line):
				heard = true
			case ignored.MatchString(line), complaint.MatchString(line):
				t.Errorf("systemd %d says: %s", r.Systemd, line)
			}
		}
		if !heard {
			t.Errorf("systemd %d says nothing of a setting that there is not:\n%s", r.Systemd, result.Stderr)
		}
	})
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}
