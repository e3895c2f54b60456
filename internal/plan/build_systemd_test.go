package plan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// TestGoldensPassVerify gives the units of every golden to systemd's own
// checker, which may say nothing but that the programs are not on this machine.
func TestGoldensPassVerify(t *testing.T) {
	host := analyzeVersion(t)
	for _, name := range goldens(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range versions(ar) {
				if v > host {
					continue // it may use what this machine's systemd does not know
				}
				p, err := plan.Build(readApp(t, ar), plan.Facts{Systemd: max(v, 0)})
				if err != nil {
					continue // the golden holds the error
				}
				verify(t, v, p)
			}
		})
	}
}

// missing are the complaints about programs, manuals and units that are no
// part of the plan and need not be on the machine that tests it.
var missing = regexp.MustCompile(`^\S+: Command \S.* is not executable: (No such file or directory|Permission denied)$`)

func verify(t *testing.T, version int, p *plan.Plan) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, f := range p.Files {
		if filepath.Dir(f.Path) == "/etc/systemd/system" {
			write(t, filepath.Join(dir, filepath.Base(f.Path)), f.Content)
			args = append(args, filepath.Join(dir, filepath.Base(f.Path)))
		}
	}
	for _, other := range []string{"postgresql.service", "redis.service"} {
		write(t, filepath.Join(dir, other), "[Service]\nExecStart=/bin/true\n")
	}
	cmd := exec.Command("systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":", "SYSTEMD_LOG_LEVEL=info")
	out, err := cmd.CombinedOutput()
	var said []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, dir) || strings.HasPrefix(line, "web") && !missing.MatchString(line) {
			said = append(said, line)
		}
	}
	if len(said) > 0 {
		t.Errorf("systemd %d: systemd-analyze says (%v):\n%s", version, err, strings.Join(said, "\n"))
	}
}

// TestExposureOfTheDefault prints what `systemd-analyze security` says of a
// plain app, on its scale from 0, not exposed, to 10.
func TestExposureOfTheDefault(t *testing.T) {
	if analyzeVersion(t) < 250 {
		t.Skip("systemd-analyze measures files since version 250")
	}
	const ceiling = 1.5
	p, err := plan.Build(smallest("web"), plan.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	got := exposure(t, p)
	t.Logf("exposure of the default profile: %.1f", got)
	if got > ceiling {
		t.Errorf("exposure of the default profile is %.1f, more than %.1f", got, ceiling)
	}
	for profile, most := range map[string]float64{"baseline": 6.5, "none": 10} {
		app := smallest("web")
		app.Sandbox = landfast.Sandbox{Profile: profile}
		if p, err = plan.Build(app, plan.Facts{}); err != nil {
			t.Fatal(err)
		}
		e := exposure(t, p)
		t.Logf("exposure of profile %s: %.1f", profile, e)
		if e > most || e <= got {
			t.Errorf("exposure of profile %s is %.1f, want at most %.1f, and more than strict's", profile, e, most)
		}
	}
}

func exposure(t *testing.T, p *plan.Plan) float64 {
	t.Helper()
	for _, f := range p.Files {
		if !strings.HasSuffix(f.Path, ".service") {
			continue
		}
		file := filepath.Join(t.TempDir(), filepath.Base(f.Path))
		write(t, file, f.Content)
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=100", file).Output()
		if err != nil {
			t.Fatalf("systemd-analyze security: %v\n%s", err, out)
		}
		m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("systemd-analyze security says no level:\n%s", out)
		}
		level, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return level
	}
	t.Fatal("the plan has no service")
	return 0
}

// analyzeVersion is the version of this machine's systemd-analyze.
func analyzeVersion(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "--version").Output()
	if err != nil {
		t.Skipf("this machine has no systemd-analyze: %v", err)
	}
	var v int
	if _, err := fmt.Sscanf(string(out), "systemd %d", &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBuildIsDeterministic builds the largest golden many times.
func TestBuildIsDeterministic(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/build_everything.txtar")
	if err != nil {
		t.Fatal(err)
	}
	text := func() string {
		p, err := plan.Build(readApp(t, ar), plan.Facts{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	first := text()
	for range 50 {
		if text() != first {
			t.Fatal("the same app gives different plans")
		}
	}
}
