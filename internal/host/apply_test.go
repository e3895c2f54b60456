package host_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/host"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/systemd"
)

// golive makes the app have a current release, and starts what it has.
func (w *world) golive(t *testing.T, units ...string) {
	t.Helper()
	if err := os.MkdirAll(w.root+"/srv/web/releases/1", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("releases/1", w.root+"/srv/web/current"); err != nil {
		t.Fatal(err)
	}
	for _, u := range units {
		if err := w.units.Start(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
}

func TestApplyTwice(t *testing.T) {
	w := newWorld(t)
	w.write(t, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	w.write(t, "etc/group", "root:x:0:\n")
	w.write(t, "etc/shadow", "root:*:20000::::::\n")
	before := tree(t, w.root)
	accounts := "web:x:901:901:web:/:/usr/sbin/nologin\nlandfast:x:902:902:landfast deployments:/var/lib/landfast:/usr/sbin/nologin\n"
	w.write(t, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"+accounts)
	w.write(t, "etc/shadow", "root:*:20000::::::\nweb:!*:20000::::::\nlandfast:!*:20000::::::\n")
	w.write(t, "etc/group", "root:x:0:landfast\nweb:x:901:landfast\nlandfast:x:902:\n")
	w.apply(t, webPlan())
	if want := []string{"enable web.service web-more.service", "reload"}; !slices.Equal(w.units.Calls(), want) {
		t.Errorf("without a release it did %v, want %v", w.units.Calls(), want)
	}
	first := tree(t, w.root)
	for _, want := range []string{
		"/srv/web drwxr-x--- 902:901 ", "/srv/web/bin dgrwxr-x--- 902:901 ", "/var/lib/web drwx------ 901:901 ",
		"/etc/systemd/system/multi-user.target.wants/web.service Lrwxrwxrwx 0:0 /etc/systemd/system/web.service",
	} {
		if !slices.Contains(first, want) {
			t.Errorf("%q is not in\n%s", want, strings.Join(first, "\n"))
		}
	}
	w.golive(t, "web.service", "web-more.service")
	live := len(w.units.Calls())
	w.apply(t, otherPlan())
	want := []string{
		"stop web-more.service", "disable web-more.service", "reset-failed web-more.service",
		"enable web.socket", "reload", "stop web.service", "start web.socket", "restart web.service",
	}
	if got := w.units.Calls()[live:]; !slices.Equal(got, want) {
		t.Errorf("it did %v, want %v", got, want)
	}

	data := []string{"srv/web/releases/1", "var/lib/web/data", "var/lib/landfast/web/note"}
	for _, name := range data[1:] {
		if err := os.WriteFile(filepath.Join(w.root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := uninstall(t.Context(), w.host, otherPlan(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.host.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, name := range data {
		if _, err := os.Stat(filepath.Join(w.root, name)); err != nil {
			t.Errorf("uninstall took data: %v", err)
		}
	}
	w.apply(t, otherPlan()) // as if it had never been away
	purge, err := uninstall(t.Context(), w.host, otherPlan(), true)
	if err != nil {
		t.Fatal(err)
	}
	if len(purge.RemoveUsers) != 2 {
		t.Errorf("purge would remove the users %v", purge.RemoveUsers)
	}
	if err := w.host.Apply(t.Context(), purge); err != nil {
		t.Fatal(err)
	}
	// What belongs to every system stays: systemd's own directories and those of all daemons.
	common := []string{"/etc/systemd", "/etc/sysusers.d", "/srv", "/var", "/run"}
	after := slices.DeleteFunc(tree(t, w.root), func(line string) bool {
		name, _, _ := strings.Cut(line, " ")
		return slices.ContainsFunc(common, func(c string) bool {
			return name == "/etc/.pwd.lock" || name == c || name == c+"/lib" || name == c+"/system"
		})
	})
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("before and after (-before +after):\n%s", d)
	}
}

func TestApplyForeign(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, w *world){
		"file":      func(t *testing.T, w *world) { w.write(t, "etc/systemd/system/web.service", "[Service]\n") },
		"other app": func(t *testing.T, w *world) { w.write(t, "etc/systemd/system/web.service", plan.Mark("shop")) },
		"directory": func(t *testing.T, w *world) { w.write(t, "etc/systemd/system/web.service/x", "") },
		"link": func(t *testing.T, w *world) {
			w.write(t, "etc/systemd/system/real.service", plan.Mark("web"))
			if err := os.Symlink("real.service", w.root+"/etc/systemd/system/web.service"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.diff(t, webPlan())
			put(t, w)
			before := tree(t, w.root)
			if _, err := diff(t.Context(), w.host, webPlan()); landfast.KindOf(err) != landfast.Conflict || !strings.Contains(err.Error(), "/etc/systemd/system/web.service") {
				t.Fatalf("got %v", err)
			}
			if d := cmp.Diff(before, tree(t, w.root)); d != "" {
				t.Errorf("it changed the host:\n%s", d)
			}
			// Put there between the diff and the apply, it is still not touched.
			if err := w.host.Apply(t.Context(), c); landfast.KindOf(err) != landfast.Conflict {
				t.Errorf("apply: got %v", err)
			}
			for _, line := range before {
				if strings.HasPrefix(line, "/etc/systemd/system/") && !slices.Contains(tree(t, w.root), line) {
					t.Errorf("%s has changed", line)
				}
			}
		})
	}
}

// TestApplyInterrupted fails each call to systemd in turn, as a death there would,
// and lets another apply finish.
func TestApplyInterrupted(t *testing.T) {
	prepare := func(t *testing.T) *world {
		w := newWorld(t)
		w.apply(t, webPlan())
		w.golive(t, "web.service", "web-more.service")
		return w
	}
	outcome := func(t *testing.T, w *world) []string {
		out := tree(t, w.root)
		for _, unit := range []string{"web.service", "web.socket", "web-more.service"} {
			st, err := w.units.Status(t.Context(), unit)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, strings.Join([]string{unit, st.Load, st.Active, st.FileState}, " "))
		}
		return out
	}
	whole := prepare(t)
	calls := 0
	whole.units.Before = func(string, ...string) error { calls++; return nil }
	was, err := whole.units.Status(t.Context(), "web.service")
	if err != nil {
		t.Fatal(err)
	}
	whole.apply(t, otherPlan())
	want := outcome(t, whole)
	died := errors.New("died here")
	for n := range calls {
		w := prepare(t)
		left := n
		w.units.Before = func(string, ...string) error {
			if left == 0 {
				return died
			}
			left--
			return nil
		}
		if err := w.host.Apply(t.Context(), w.diff(t, otherPlan())); !errors.Is(err, died) {
			t.Fatalf("call %d: got %v", n, err)
		}
		w.units.Before = nil
		w.apply(t, otherPlan())
		if d := cmp.Diff(want, outcome(t, w)); d != "" {
			t.Errorf("interrupted at call %d (-want +got):\n%s", n, d)
		}
		st, err := w.units.Status(t.Context(), "web.service")
		if err != nil {
			t.Fatal(err)
		}
		if st.Invocation == was.Invocation {
			t.Errorf("interrupted at call %d: the service was never restarted", n)
		}
	}
}

func TestApplyEndsWithContext(t *testing.T) {
	w := newWorld(t)
	c := w.diff(t, webPlan())
	before := tree(t, w.root)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.host.Apply(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(before, tree(t, w.root)); d != "" {
		t.Error(d)
	}
}

// TestApplyStaged starts from an empty directory, with the real tools.
func TestApplyStaged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("makes users: run as root")
	}
	root := t.TempDir()
	h, err := host.Open(root, systemd.Offline(root))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for i := range 2 {
		c, err := diff(t.Context(), h, webPlan())
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 && !c.Empty() {
			t.Fatalf("a second apply would change:\n%s", c.Text())
		}
		if err := h.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	passwd, err := os.ReadFile(root + "/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(passwd), "landfast deployments:/var/lib/landfast:/usr/sbin/nologin") {
		t.Errorf("passwd is\n%s", passwd)
	}
	c, err := uninstall(t.Context(), h, webPlan(), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, line := range tree(t, root) {
		if strings.Contains(line, "landfast") || strings.Contains(line, "web") {
			t.Errorf("left behind: %s", line)
		}
	}
	for _, name := range []string{"passwd", "group"} {
		if data, err := os.ReadFile(root + "/etc/" + name); err != nil || len(data) > 0 {
			t.Errorf("%s holds %q, %v", name, data, err)
		}
	}
}

func TestOutsideOfTheRoot(t *testing.T) {
	w := newWorld(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, w.root+"/srv"); err != nil {
		t.Fatal(err)
	}
	_, err := diff(t.Context(), w.host, webPlan())
	if landfast.KindOf(err) != landfast.Conflict || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(w.root + "/srv"); err != nil {
		t.Fatal(err)
	}
	w.write(t, "data/keep", "")
	if err := os.Symlink("data", w.root+"/srv"); err != nil {
		t.Fatal(err)
	}
	w.apply(t, webPlan()) // a relative link that stays inside is followed
	if _, err := os.Stat(w.root + "/data/web/bin"); err != nil {
		t.Error(err)
	}
}

func TestOtherAppsUsersStay(t *testing.T) {
	w := newWorld(t)
	w.apply(t, webPlan())
	w.write(t, "etc/sysusers.d/landfast-shop.conf", plan.Mark("shop")+"u landfast - \"landfast deployments\" /var/lib/landfast\n")
	w.write(t, "etc/landfast/apps/shop.toml", plan.Mark("shop"))
	c, err := uninstall(t.Context(), w.host, webPlan(), true)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.RemoveUsers) != 1 || c.RemoveUsers[0].Name != "web" {
		t.Errorf("it would remove %v", c.RemoveUsers)
	}
	for _, d := range c.Dirs {
		if d.Path == "/etc/landfast/apps" || d.Path == "/etc/landfast" {
			t.Errorf("it would remove %s", d.Path)
		}
	}
}

// TestNamesOfOneNumber: an administrator's second name for uid 0 makes no drift.
func TestNamesOfOneNumber(t *testing.T) {
	w := newWorld(t)
	w.write(t, "etc/passwd", "admin:x:0:0:root:/root:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\na:x:901:901::/:/bin/sh\nweb:x:901:901:web:/:/usr/sbin/nologin\nlandfast:x:902:902:landfast deployments:/var/lib/landfast:/usr/sbin/nologin\n")
	w.write(t, "etc/group", "admin:x:0:\nroot:x:0:\na:x:901:\nweb:x:901:landfast\nlandfast:x:902:\n")
	w.apply(t, webPlan())
	if err := os.Chown(filepath.Join(w.root, "etc/systemd/system/web.service"), 902, 0); err != nil {
		t.Fatal(err)
	}
	if text := ptr(w.diff(t, webPlan())).Text(); !strings.Contains(text, "owner landfast:root → root:root") && !strings.Contains(text, "owner landfast:admin → root:root") {
		t.Errorf("a file of somebody else is no drift:\n%s", text)
	}
}

func ptr[T any](v T) *T { return &v }
