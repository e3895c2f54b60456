package release_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release"
	"github.com/landfast/landfast/internal/release/tree"
)

// world is a Store in a directory of its own.
type world struct {
	*release.Store
	t             *testing.T
	deploy, state string
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	w := &world{t: t, deploy: filepath.Join(dir, "srv", "web"), state: filepath.Join(dir, "lib", "web")}
	w.Store = release.New(release.Options{App: "web", Deploy: w.deploy, State: w.state, UID: -1, GID: -1})
	return w
}

// id is the release made in the n-th minute.
func id(n int) string {
	return landfast.ReleaseID(time.Date(2026, 11, 21, 0, n, 0, 0, time.UTC), "abc1234", "")
}

func at(n int) time.Time { return time.Date(2026, 11, 22, 0, n, 0, 0, time.UTC) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// stage leaves a release n staged with a few files.
func (w *world) stage(n int) {
	w.t.Helper()
	part, err := w.Stage(id(n))
	w.must(err)
	defer part.Close()
	w.must(part.Mkdir("bin", 0o777))
	w.must(part.WriteFile("bin/web", []byte("program"), 0o755))
	w.must(part.WriteFile("README", []byte("text"), 0o600))
	w.must(part.Symlink("bin/web", "web"))
}

// seal makes release n complete, with a digest of its own.
func (w *world) seal(n int) {
	w.t.Helper()
	w.stage(n)
	w.must(w.Seal(w.t.Context(), id(n), landfast.Release{Digest: "digest-" + id(n), Manifest: "name = \"web\"\n"}))
}

// live makes release n complete, current and good.
func (w *world) live(n int) {
	w.t.Helper()
	w.seal(n)
	_, err := w.Activate(id(n))
	w.must(err)
	w.must(w.MarkLive(id(n), at(n)))
}

func (w *world) ids() []string {
	w.t.Helper()
	list, err := w.List()
	w.must(err)
	ids := []string{}
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

// names are what lies in releases/ of the app's directory.
func (w *world) names() []string {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.deploy, "releases"))
	w.must(err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAnEmptyHostHasNoReleases(t *testing.T) {
	w := newWorld(t)
	if got := w.ids(); len(got) != 0 {
		t.Errorf("List() = %v", got)
	}
	current, err := w.Current()
	if current != "" || err != nil {
		t.Errorf("Current() = %q, %v", current, err)
	}
	w.must(w.Deactivate())
	w.must(w.Discard(id(1)))
	if _, err := w.Previous(""); landfast.KindOf(err) != landfast.NotFound {
		t.Errorf("Previous() = %v", err)
	}
	if removed, err := w.Prune(t.Context(), 5); err != nil || len(removed) != 0 {
		t.Errorf("Prune() = %v, %v", removed, err)
	}
}

func TestSealGivesEveryEntryItsMode(t *testing.T) {
	w := newWorld(t)
	w.seal(1)
	for name, want := range map[string]fs.FileMode{
		"":        fs.ModeDir | 0o750,
		"bin":     fs.ModeDir | 0o750,
		"bin/web": 0o750,
		"README":  0o640,
	} {
		info, err := os.Lstat(filepath.Join(w.deploy, "releases", id(1), name))
		w.must(err)
		if info.Mode() != want {
			t.Errorf("%q has mode %v, want %v", name, info.Mode(), want)
		}
	}
	got, err := w.Get(id(1))
	w.must(err)
	want := landfast.Release{
		ID: id(1), App: "web", Digest: "digest-" + id(1), State: landfast.ReleaseNew,
		Manifest: "name = \"web\"\n", Created: got.Created,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSealGivesEveryEntryItsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	w := newWorld(t)
	w.Store = release.New(release.Options{App: "web", Deploy: w.deploy, State: w.state, UID: 4711, GID: 4712})
	w.live(1)
	for _, name := range []string{
		w.deploy, filepath.Join(w.deploy, "releases"), filepath.Join(w.deploy, "current"),
		filepath.Join(w.deploy, "releases", id(1)), filepath.Join(w.deploy, "releases", id(1), "bin"),
		filepath.Join(w.deploy, "releases", id(1), "bin/web"), filepath.Join(w.deploy, "releases", id(1), "web"),
	} {
		info, err := os.Lstat(name)
		w.must(err)
		st := info.Sys().(*syscall.Stat_t)
		if st.Uid != 4711 || st.Gid != 4712 {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
		if info.Mode()&0o022 != 0 && info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is writable for the group or for all: %v", name, info.Mode())
		}
	}
}

func TestSealRefuses(t *testing.T) {
	for name, make := range map[string]func(dir string) error{
		"a hard link":   func(dir string) error { return os.Link(dir+"/README", dir+"/again") },
		"a named pipe":  func(dir string) error { return syscall.Mkfifo(dir+"/pipe", 0o600) },
		"a setuid file": func(dir string) error { return os.Chmod(dir+"/README", 0o755|fs.ModeSetuid) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.stage(1)
			w.must(make(filepath.Join(w.deploy, "releases", id(1)+".part")))
			err := w.Seal(t.Context(), id(1), landfast.Release{})
			if landfast.KindOf(err) != landfast.Invalid {
				t.Errorf("Seal() = %v", err)
			}
			if got := w.ids(); len(got) != 0 {
				t.Errorf("List() = %v", got)
			}
		})
	}
}

func TestStageRefusesWhatIsThere(t *testing.T) {
	w := newWorld(t)
	w.stage(1)
	w.seal(2)
	w.must(os.Mkdir(filepath.Join(w.deploy, "releases", id(3)+".gone"), 0o700))
	for _, n := range []int{1, 2, 3} {
		if _, err := w.Stage(id(n)); landfast.KindOf(err) != landfast.Conflict {
			t.Errorf("Stage(%d) = %v", n, err)
		}
		w.must(w.Discard(id(n)))
		part, err := w.Stage(id(n))
		w.must(err)
		w.must(part.Close())
	}
	if _, err := w.Stage("../../etc"); landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("Stage of a path = %v", err)
	}
}

func TestActivate(t *testing.T) {
	w := newWorld(t)
	w.seal(1)
	w.seal(2)
	for _, step := range []struct{ activate, previous string }{
		{id(1), ""}, {id(2), id(1)}, {id(2), id(2)}, {id(1), id(2)},
	} {
		previous, err := w.Activate(step.activate)
		if previous != step.previous || err != nil {
			t.Errorf("Activate(%s) = %q, %v, want %q", step.activate, previous, err, step.previous)
		}
		current, err := w.Current()
		if current != step.activate || err != nil {
			t.Errorf("Current() = %q, %v, want %q", current, err, step.activate)
		}
	}
	target, err := os.Readlink(filepath.Join(w.deploy, "current"))
	if target != "releases/"+id(1) || err != nil {
		t.Errorf("current leads to %q, %v", target, err)
	}
	w.stage(3)
	if _, err := w.Activate(id(3)); landfast.KindOf(err) != landfast.NotFound {
		t.Errorf("Activate of a staged release = %v", err)
	}
	if err := w.Discard(id(1)); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("Discard of the current release = %v", err)
	}
	w.must(w.Deactivate())
	w.must(w.Deactivate())
	if current, err := w.Current(); current != "" || err != nil {
		t.Errorf("Current() = %q, %v after Deactivate", current, err)
	}
}

func TestAForeignCurrentIsLeftAlone(t *testing.T) {
	for name, make := range map[string]func(w *world, current string) error{
		"directory":     func(_ *world, current string) error { return os.Mkdir(current, 0o755) },
		"file":          func(_ *world, current string) error { return os.WriteFile(current, nil, 0o644) },
		"absolute link": func(w *world, current string) error { return os.Symlink(w.deploy+"/releases/"+id(1), current) },
		"link out":      func(_ *world, current string) error { return os.Symlink("../../../etc", current) },
		"link to part":  func(_ *world, current string) error { return os.Symlink("releases/"+id(1)+".part", current) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.seal(1)
			current := filepath.Join(w.deploy, "current")
			w.must(make(w, current))
			before, err := os.Lstat(current)
			w.must(err)
			_, currentErr := w.Current()
			_, activateErr := w.Activate(id(1))
			_, pruneErr := w.Prune(t.Context(), 0)
			for what, err := range map[string]error{
				"Current": currentErr, "Activate": activateErr, "Prune": pruneErr, "Deactivate": w.Deactivate(),
			} {
				if landfast.KindOf(err) != landfast.Conflict {
					t.Errorf("%s = %v", what, err)
				}
			}
			after, err := os.Lstat(current)
			if err != nil || !os.SameFile(before, after) {
				t.Errorf("current was changed: %v", err)
			}
			if got := w.ids(); !slices.Equal(got, []string{id(1)}) {
				t.Errorf("List() = %v", got)
			}
		})
	}
}

func TestADanglingCurrentIsSaidAndCanBeReplaced(t *testing.T) {
	w := newWorld(t)
	w.live(1)
	w.seal(2)
	w.must(os.RemoveAll(filepath.Join(w.deploy, "releases", id(1))))
	if _, err := w.Current(); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("Current() = %v", err)
	}
	previous, err := w.Activate(id(2))
	if previous != "" || err != nil {
		t.Errorf("Activate() = %q, %v", previous, err)
	}
}

func TestAReleaseNeedsBothItsDirectoryAndItsMetadata(t *testing.T) {
	w := newWorld(t)
	w.seal(1)
	w.seal(2)
	w.must(os.RemoveAll(filepath.Join(w.deploy, "releases", id(1))))
	w.must(os.Remove(filepath.Join(w.state, "releases", id(2)+".json")))
	if got := w.ids(); len(got) != 0 {
		t.Errorf("List() = %v", got)
	}
	for _, n := range []int{1, 2} {
		if _, err := w.Get(id(n)); landfast.KindOf(err) != landfast.NotFound {
			t.Errorf("Get(%d) = %v", n, err)
		}
	}
}

func TestMetadataOfSomethingElseIsAnError(t *testing.T) {
	w := newWorld(t)
	w.seal(1)
	for _, content := range []string{"{", `{"id":"other","app":"web"}`, `{"id":"` + id(1) + `","app":"shop"}`} {
		w.must(os.WriteFile(filepath.Join(w.state, "releases", id(1)+".json"), []byte(content), 0o644))
		if _, err := w.List(); err == nil {
			t.Errorf("List() believes %s", content)
		}
	}
}

func TestNewIDSortsBehindEverything(t *testing.T) {
	for name, leave := range map[string]func(w *world){
		"a release": func(w *world) { w.seal(9) },
		"a part":    func(w *world) { w.stage(9) },
		"bad and gone": func(w *world) {
			w.seal(9)
			w.must(w.SetState(id(9), landfast.ReleaseBad, "x"))
			w.must(w.Discard(id(9)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			leave(w)
			got, err := w.NewID(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), "fff")
			if err != nil || got <= id(9) || landfast.CheckReleaseID(got) != nil {
				t.Errorf("NewID() = %q, %v, want one behind %q", got, err, id(9))
			}
		})
	}
}

func TestKnownBad(t *testing.T) {
	w := newWorld(t)
	w.live(1)
	w.seal(2)
	bad := "digest-" + id(2)
	if _, known, err := w.KnownBad(bad); known || err != nil {
		t.Errorf("KnownBad() = %v, %v before it is bad", known, err)
	}
	w.must(w.SetState(id(2), landfast.ReleaseBad, "health: refused"))
	w.must(w.Discard(id(2)))
	_, err := w.Prune(t.Context(), 1)
	w.must(err)
	r, known, err := w.KnownBad(bad)
	if !known || err != nil || r.ID != id(2) || r.Reason != "health: refused" {
		t.Errorf("KnownBad() = %+v, %v, %v", r, known, err)
	}
	// Forced, and good this time.
	w.stage(3)
	w.must(w.Seal(t.Context(), id(3), landfast.Release{Digest: bad}))
	w.must(w.MarkLive(id(3), at(3)))
	if _, known, err := w.KnownBad(bad); known || err != nil {
		t.Errorf("KnownBad() = %v, %v after it was good", known, err)
	}
	// Also when the one that was good is pruned.
	w.live(4)
	w.live(5)
	_, err = w.Prune(t.Context(), 0)
	w.must(err)
	if _, known, err := w.KnownBad(bad); known || err != nil {
		t.Errorf("KnownBad() = %v, %v after the good one was pruned", known, err)
	}
}

func TestPrevious(t *testing.T) {
	w := newWorld(t)
	w.live(1)
	w.live(2)
	w.live(3)
	w.seal(4)
	want := func(current, previous string) {
		t.Helper()
		got, err := w.Previous(current)
		if got.ID != previous || (err != nil) != (previous == "") {
			t.Errorf("Previous(%q) = %q, %v, want %q", current, got.ID, err, previous)
		}
	}
	want(id(3), id(2))
	want(id(1), "")
	want("", id(3))
	want(id(4), id(3))
	w.must(w.SetState(id(2), landfast.ReleaseBad, "x"))
	want(id(3), id(1))
	w.must(w.MarkLive(id(1), at(10))) // a rollback to 1
	want(id(1), id(3))
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	for n := 1; n <= 6; n++ {
		w.live(n)
	}
	w.seal(7)
	w.must(w.SetState(id(7), landfast.ReleaseBad, "x")) // bad
	w.seal(8)                                           // never live
	w.stage(9)                                          // of a dead deployment
	w.stage(10)                                         // of one under way
	for _, name := range []string{id(11) + ".gone", "20200101120000", "notes.part"} {
		w.must(os.MkdirAll(filepath.Join(w.deploy, "releases", name, "sub"), 0o755))
	}
	_, err := w.Activate(id(2)) // a rollback to 2
	w.must(err)
	w.must(w.MarkLive(id(2), at(20)))

	removed, err := w.Prune(t.Context(), 2, id(10))
	w.must(err)
	if want := []string{id(8), id(7), id(5), id(4), id(3), id(1)}; !slices.Equal(removed, want) {
		t.Errorf("Prune() = %v, want %v", removed, want)
	}
	// 2 is current and live last, 6 is the previous one and live before it.
	if want := []string{id(6), id(2)}; !slices.Equal(w.ids(), want) {
		t.Errorf("List() = %v, want %v", w.ids(), want)
	}
	if diff := cmp.Diff([]string{"20200101120000", id(2), id(6), id(10) + ".part", "notes.part"}, w.names()); diff != "" {
		t.Error(diff)
	}
	if _, known, err := w.KnownBad("digest-" + id(7)); !known || err != nil {
		t.Errorf("the bad release is forgotten: %v", err)
	}
	if removed, err := w.Prune(t.Context(), 2, id(10)); len(removed) != 0 || err != nil {
		t.Errorf("a second Prune() = %v, %v", removed, err)
	}
}

func TestPruneKeepsThePreviousOneEvenWhenOlderThanKeep(t *testing.T) {
	w := newWorld(t)
	w.live(1)
	w.live(2)
	_, err := w.Prune(t.Context(), 0)
	w.must(err)
	if want := []string{id(2), id(1)}; !slices.Equal(w.ids(), want) {
		t.Errorf("List() = %v, want %v", w.ids(), want)
	}
}

func TestBadReleasesAreRememberedUpToABound(t *testing.T) {
	w := newWorld(t)
	for n := range 59 {
		w.seal(n)
		w.must(w.SetState(id(n), landfast.ReleaseBad, "x"))
	}
	_, err := w.Prune(t.Context(), 5)
	w.must(err)
	for _, c := range []struct {
		n     int
		known bool
	}{{58, true}, {9, true}, {8, false}, {0, false}} {
		if _, known, err := w.KnownBad("digest-" + id(c.n)); known != c.known || err != nil {
			t.Errorf("KnownBad(%d) = %v, %v", c.n, known, err)
		}
	}
}

func TestSetStateOfNothing(t *testing.T) {
	w := newWorld(t)
	err := w.SetState(id(1), landfast.ReleaseBad, "x")
	if landfast.KindOf(err) != landfast.NotFound || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SetState() = %v", err)
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	w.stage(1)
	part, err := os.OpenRoot(filepath.Join(w.deploy, "releases", id(1)+".part"))
	w.must(err)
	defer part.Close()
	summary, err := tree.Digest(t.Context(), part, tree.Limits{}, nil)
	w.must(err)
	w.must(w.Seal(t.Context(), id(1), landfast.Release{Content: summary.Content}))
	w.must(w.Verify(t.Context(), id(1)))
	w.must(os.WriteFile(filepath.Join(w.deploy, "releases", id(1), "README"), []byte("Text"), 0o640))
	if err := w.Verify(t.Context(), id(1)); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("Verify() = %v", err)
	}
}

func TestReleasesAndCurrentElsewhere(t *testing.T) {
	w := newWorld(t)
	w.Store = release.New(release.Options{
		App: "web", Deploy: w.deploy, State: w.state, UID: -1, GID: -1,
		Releases: "data/versions", Current: "live/now",
	})
	w.must(os.MkdirAll(filepath.Join(w.deploy, "live"), 0o755))
	w.live(1)
	current, err := w.Current()
	if err != nil || current != id(1) {
		t.Errorf("current is %q, %v", current, err)
	}
	if info, err := os.Stat(filepath.Join(w.deploy, "live/now/.")); err != nil || !info.IsDir() {
		t.Errorf("the link leads nowhere: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.deploy, "data/versions", id(1))); err != nil {
		t.Error(err)
	}
}
