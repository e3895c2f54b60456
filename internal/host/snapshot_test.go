package host_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRestore puts back what an apply changed, from every state in between.
func TestRestore(t *testing.T) {
	for _, first := range []bool{false, true} {
		w := newWorld(t)
		w.write(t, "etc/systemd/system/keep.service", "[Service]\n") // of somebody else
		p := webPlan()
		if !first {
			w.apply(t, p)
			p = otherPlan()
		}
		before := tree(t, w.root)
		c := w.diff(t, p)
		c.Users = nil
		recorded, err := w.host.Snapshot(c)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(recorded) {
			t.Fatalf("the snapshot is no JSON: %s", recorded)
		}
		if err := w.host.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(before, tree(t, w.root)) {
			t.Fatal("the apply changed nothing")
		}
		for range 2 {
			if err := w.host.Restore(t.Context(), recorded); err != nil {
				t.Fatal(err)
			}
			// Parents that every system has are made on the way, and stay.
			after := slices.DeleteFunc(tree(t, w.root), func(line string) bool {
				return first && slices.Contains([]string{
					"/etc/sysusers.d drwxr-xr-x 0:0 ", "/srv drwxr-xr-x 0:0 ", "/var drwxr-xr-x 0:0 ", "/var/lib drwxr-xr-x 0:0 ",
				}, line)
			})
			if d := cmp.Diff(before, after); d != "" {
				t.Errorf("first=%v: before and after (-before +after):\n%s", first, d)
			}
			if got := w.units.Calls(); got[len(got)-1] != "reload" {
				t.Errorf("the last call is %q, want a reload", got[len(got)-1])
			}
		}
	}
}

// TestRestoreKinds puts back links, and files in the place of directories.
func TestRestoreKinds(t *testing.T) {
	w := newWorld(t)
	p := webPlan()
	p.Files, p.Units = nil, nil
	p.Dirs = p.Dirs[4:5] // /srv/web
	c := w.diff(t, p)
	if err := os.MkdirAll(w.root+"/srv", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", w.root+"/srv/web"); err != nil {
		t.Fatal(err)
	}
	before := tree(t, w.root)
	recorded, err := w.host.Snapshot(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, replace := range []func() error{
		func() error { return nil },
		func() error { return os.Mkdir(w.root+"/srv/web", 0o700) },
		func() error { return os.WriteFile(w.root+"/srv/web", []byte("x"), 0o600) },
	} {
		if err := os.RemoveAll(w.root + "/srv/web"); err != nil {
			t.Fatal(err)
		}
		if err := replace(); err != nil {
			t.Fatal(err)
		}
		if err := w.host.Restore(t.Context(), recorded); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, tree(t, w.root)); d != "" {
			t.Error(d)
		}
	}
}

func TestSnapshotRefusesPurge(t *testing.T) {
	w := newWorld(t)
	w.apply(t, webPlan())
	c, err := uninstall(t.Context(), w.host, webPlan(), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.host.Snapshot(c); err == nil {
		t.Error("a purge was recorded as if it could be undone")
	}
}
