package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/systemd"
)

// In a tree that is not running a release is made current and nothing is started,
// asked or run: this one would fail at its first start and so would its hooks.
func TestStagedMakesCurrentAndRunsNothing(t *testing.T) {
	w := newWorld(t)
	w.engine.Staged = true
	w.engine.Units = systemd.Offline(w.root)
	w.must(w.deploy(withHooks, "1", "exits"))

	store := w.store("web")
	current, err := store.Current()
	w.must(err)
	rel, err := store.Get(current)
	w.must(err)
	if rel.State != landfast.ReleaseGood || rel.Live.IsZero() {
		t.Errorf("the release is %s, live at %v", rel.State, rel.Live)
	}
	if _, err := os.Stat(filepath.Join(w.root, "etc/systemd/system/web.service")); err != nil {
		t.Error(err)
	}
	var done []string
	for _, e := range w.events {
		if e.Step.Status == landfast.StepDone {
			done = append(done, e.Step.Name)
		}
	}
	for _, s := range []string{"migrate", "note-units", "restart", "health", "announce"} {
		if slices.Contains(done, s) {
			t.Errorf("the step %s was done", s)
		}
	}
	if st, err := w.units.Status(t.Context(), "web.service"); err != nil || st.Active != "inactive" {
		t.Errorf("web.service is %s, %v", st.Active, err)
	}

	// A second release replaces it, and one that cannot start for certain does not.
	w.must(w.deploy(withHooks, "2", "good"))
	second, err := store.Current()
	w.must(err)
	if second == current {
		t.Error("the second release is not current")
	}
	err = w.deploy("name = \"web\"\n[service]\ncommand = \"bin/other\"\n", "3", "good")
	if landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("a release without the program it starts: %v", err)
	}
	if now, err := store.Current(); err != nil || now != second {
		t.Errorf("current is %s, want %s (%v)", now, second, err)
	}
	if all, err := deploy.History(w.open("var/lib/landfast/web"), 0); err != nil || len(all) != 3 {
		t.Errorf("%d deployments are remembered, want 3 (%v)", len(all), err)
	}
}

func (w *world) open(dir string) *os.Root {
	w.t.Helper()
	root, err := os.OpenRoot(filepath.Join(w.root, dir))
	w.must(err)
	w.t.Cleanup(func() { root.Close() })
	return root
}
