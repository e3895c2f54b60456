package release_test

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
	"github.com/landfast/landfast/internal/atomicfile/crashtest"
	"github.com/landfast/landfast/internal/release"
	"github.com/landfast/landfast/internal/release/tree"
)

func storeIn(dir string) *release.Store {
	return release.New(release.Options{App: "web", Deploy: dir + "/web", State: dir + "/state", UID: os.Getuid(), GID: os.Getgid()})
}

// stageFiles stages a release of a few files and gives what it was sealed with.
func stageFiles(s *release.Store, id string) (landfast.Release, error) {
	part, err := s.Stage(id)
	if err != nil {
		return landfast.Release{}, err
	}
	defer part.Close()
	w := tree.NewWriter(part, tree.Limits{}, nil)
	defer w.Close()
	err = errors.Join(
		w.File(context.Background(), "bin/web", true, 0, strings.NewReader("program of "+id)),
		w.File(context.Background(), "README", false, 0, strings.NewReader("text")),
		w.Symlink("web", "bin/web"),
	)
	if err != nil {
		return landfast.Release{}, err
	}
	summary, err := w.Finish()
	return landfast.Release{Content: summary.Content, Digest: "digest of " + id}, err
}

// sealed is the release n, complete.
func sealed(s *release.Store, n int) error {
	meta, err := stageFiles(s, id(n))
	if err != nil {
		return err
	}
	return s.Seal(context.Background(), id(n), meta)
}

// host has 1 and 2 that were live, 2 current, 3 bad, 4 sealed and 5 staged.
func host(t *testing.T, dir string) {
	t.Helper()
	s := storeIn(dir)
	for n := 1; n <= 4; n++ {
		must(t, sealed(s, n))
	}
	_, err := stageFiles(s, id(5))
	must(t, err)
	for n := 1; n <= 2; n++ {
		_, err := s.Activate(id(n))
		must(t, err)
		must(t, s.MarkLive(id(n), at(n)))
	}
	must(t, s.SetState(id(3), landfast.ReleaseBad, "it did not answer"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// act is one change that is killed everywhere.
type act struct {
	do func(s *release.Store, dir string) error
	// what there may be afterwards, killed or not, and what there is in the end
	lists   [][]int
	current []string
}

func acts() map[string]act {
	one := []string{id(2)}
	return map[string]act{
		"stage": {
			do:    func(s *release.Store, _ string) error { return errors.Join(s.Discard(id(6)), sealed(s, 6)) },
			lists: [][]int{{4, 3, 2, 1}, {6, 4, 3, 2, 1}}, current: one,
		},
		"seal": {
			do: func(s *release.Store, dir string) error {
				part, err := os.OpenRoot(filepath.Join(dir, "web", "releases", id(5)+".part"))
				meta := landfast.Release{Digest: "digest of " + id(5)}
				if err == nil { // the second time it is sealed already
					defer part.Close()
					summary, err := tree.Digest(context.Background(), part, tree.Limits{}, nil)
					if err != nil {
						return err
					}
					meta.Content = summary.Content
				}
				return s.Seal(context.Background(), id(5), meta)
			},
			lists: [][]int{{4, 3, 2, 1}, {5, 4, 3, 2, 1}}, current: one,
		},
		"activate": {
			do:    func(s *release.Store, _ string) error { _, err := s.Activate(id(4)); return err },
			lists: [][]int{{4, 3, 2, 1}}, current: []string{id(2), id(4)},
		},
		"deactivate": {
			do:    func(s *release.Store, _ string) error { return s.Deactivate() },
			lists: [][]int{{4, 3, 2, 1}}, current: []string{id(2), ""},
		},
		"live": {
			do:    func(s *release.Store, _ string) error { return s.MarkLive(id(4), at(4)) },
			lists: [][]int{{4, 3, 2, 1}}, current: one,
		},
		"discard": {
			do:    func(s *release.Store, _ string) error { return s.Discard(id(4)) },
			lists: [][]int{{4, 3, 2, 1}, {3, 2, 1}}, current: one,
		},
		"discard-staged": {
			do:    func(s *release.Store, _ string) error { return s.Discard(id(5)) },
			lists: [][]int{{4, 3, 2, 1}}, current: one,
		},
		"prune": {
			do:    func(s *release.Store, _ string) error { _, err := s.Prune(context.Background(), 1); return err },
			lists: [][]int{{4, 3, 2, 1}, {3, 2, 1}, {2, 1}}, current: one,
		},
	}
}

func TestMain(m *testing.M) {
	doing := map[string]func(string) error{}
	for name, a := range acts() {
		doing[name] = func(dir string) error { return a.do(storeIn(dir), dir) }
	}
	crashtest.Main(m, doing)
}

// Killed before any change to the disk, only complete releases are there and
// current names one of them; the same act again ends where it would have ended.
func TestKilledAnywhere(t *testing.T) {
	for name, a := range acts() {
		t.Run(name, func(t *testing.T) {
			undisturbed := t.TempDir()
			host(t, undisturbed)
			must(t, a.do(storeIn(undisturbed), undisturbed))
			want := snapshot(t, undisturbed)
			if got := listed(t, storeIn(undisturbed)); !slices.Equal(got, a.lists[len(a.lists)-1]) {
				t.Fatalf("in the end there are %v", got)
			}
			crashtest.Everywhere(t, name, host, func(t *testing.T, dir string) {
				s := storeIn(dir)
				if got := listed(t, s); !slices.ContainsFunc(a.lists, func(l []int) bool { return slices.Equal(l, got) }) {
					t.Errorf("there are %v", got)
				}
				if current, err := s.Current(); err != nil || !slices.Contains(a.current, current) {
					t.Errorf("current is %q, %v", current, err)
				}
				if _, known, err := s.KnownBad("digest of " + id(3)); !known || err != nil {
					t.Errorf("the bad release is forgotten: %v", err)
				}
				must(t, a.do(s, dir))
				must(t, a.do(s, dir))
				if diff := cmp.Diff(want, snapshot(t, dir)); diff != "" {
					t.Errorf("done again, it differs: %s", diff)
				}
			})
		})
	}
}

// listed are the numbers of the releases that are there, each verified.
func listed(t *testing.T, s *release.Store) []int {
	t.Helper()
	list, err := s.List()
	must(t, err)
	var numbers []int
	for _, r := range list {
		must(t, s.Verify(t.Context(), r.ID))
		for n := range 10 {
			if r.ID == id(n) {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers
}

// snapshot is every name below dir with what it holds; only when a release was
// made is left out.
func snapshot(t *testing.T, dir string) []string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	var all []string
	must(t, tree.Walk(t.Context(), root, func(e *tree.Entry) error {
		line := e.Name
		switch {
		case e.IsLink():
			target, err := root.Readlink(e.Name)
			must(t, err)
			line += " -> " + target
		case !e.IsDir():
			data, err := root.ReadFile(e.Name)
			must(t, err)
			for text := range strings.Lines(string(data)) {
				if !strings.Contains(text, `"created"`) {
					line += " " + text
				}
			}
		}
		all = append(all, line)
		return nil
	}))
	return all
}
