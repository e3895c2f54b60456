package systemd_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/systemd"
)

func TestExplain(t *testing.T) {
	exited := func(status int) landfast.UnitStatus {
		return landfast.UnitStatus{Load: "loaded", Active: "failed", Result: "exit-code", ExitCode: 1, ExitStatus: status}
	}
	result := func(r string) landfast.UnitStatus {
		return landfast.UnitStatus{Load: "loaded", Active: "failed", Sub: "failed", Result: r}
	}
	for name, test := range map[string]struct {
		job  string
		unit landfast.UnitStatus
		want string
	}{
		"job result wins":    {"dependency", result("success"), "a unit that it requires did not start"},
		"unit result":        {"failed", exited(3), "the process exited with status 3"},
		"status of systemd":  {"failed", exited(203), "could not be executed"},
		"last of them":       {"", exited(243), "credentials"},
		"beyond them":        {"", exited(250), "exited with status 250"},
		"out of memory":      {"failed", result("oom-kill"), "memory ran out"},
		"watchdog":           {"", result("watchdog"), "WatchdogSec="},
		"start limit":        {"failed", result("start-limit-hit"), "started too often"},
		"real-time signal":   {"", landfast.UnitStatus{Result: "signal", ExitCode: 2, ExitStatus: 40}, "signal 40"},
		"nothing went wrong": {"", landfast.UnitStatus{Active: "active", Sub: "running", Result: "success"}, "it is active (running)"},
		"new in systemd":     {"", result("brand-new"), `systemd says "brand-new"`},
		"new job result":     {"brand-new", result("success"), `"brand-new"`},
		"unknown unit":       {"failed", landfast.UnitStatus{Load: "not-found"}, "knows no such unit"},
	} {
		t.Run(name, func(t *testing.T) {
			got := systemd.Explain(test.job, test.unit)
			if !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
			if strings.HasSuffix(got, ".") {
				t.Errorf("%q ends in a full stop", got)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]int{`"252.39-1~deb12u2"`: 252, `"257"`: 257, "v255-3": 255, "262~rc1": 262, `"none"`: 0} {
		got, err := systemd.ParseVersion(text)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("ParseVersion(%s) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestConnectWithoutSystemd(t *testing.T) {
	if _, err := os.Lstat("/run/systemd/system"); !errors.Is(err, fs.ErrNotExist) {
		t.Skip("systemd runs here")
	}
	_, err := systemd.Connect(t.Context())
	if landfast.KindOf(err) != landfast.Unavailable || !strings.Contains(err.Error(), "--root") {
		t.Errorf("got %v", err)
	}
}

func TestConnectNowhere(t *testing.T) {
	_, err := systemd.ConnectAddress(t.Context(), "unix:path="+t.TempDir()+"/socket")
	if landfast.KindOf(err) != landfast.Unavailable {
		t.Errorf("got %v, want the kind unavailable", err)
	}
}

func TestOffline(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(root+"/etc/systemd/system", 0o755); err != nil {
		t.Fatal(err)
	}
	tree, ctx := systemd.Offline(root), t.Context()
	state := func() landfast.UnitStatus {
		t.Helper()
		st, err := tree.Status(ctx, "web.service")
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if st := state(); st.Load != "not-found" || st.Active != "inactive" || st.FileState != "" {
		t.Errorf("without a file: %+v", st)
	}
	if err := tree.Disable(ctx, "web.service"); err != nil {
		t.Error(err)
	}
	text := "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
	if err := os.WriteFile(root+"/etc/systemd/system/web.service", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		change func(context.Context, ...string) error
		want   string
	}{{tree.Disable, "disabled"}, {tree.Enable, "enabled"}, {tree.Enable, "enabled"}, {tree.Disable, "disabled"}} {
		if err := step.change(ctx, "web.service"); err != nil {
			t.Fatal(err)
		}
		if got := state().FileState; got != step.want {
			t.Fatalf("it is %q, want %q", got, step.want)
		}
	}
}
