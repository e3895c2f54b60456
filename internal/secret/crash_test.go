package secret_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile/crashtest"
	"github.com/landfast/landfast/internal/secret"
)

func TestMain(m *testing.M) {
	crashtest.Main(m, map[string]func(string) error{
		"refresh": func(dir string) error { return refresh(dir, "two") },
		"undo": func(dir string) error {
			return inStore(dir, func(s *secret.Store) error {
				return errors.Join(s.Use("set-one"), s.Forget("release-2"), s.Discard("set-two"))
			})
		},
	})
}

func inStore(dir string, f func(*secret.Store) error) error {
	state, err := os.OpenRoot(filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer state.Close()
	return f(secret.NewStore(secret.StoreOptions{
		State: state, Config: filepath.Join(dir, "etc/web/fetched"), GID: func() (int, error) { return os.Getgid(), nil },
	}))
}

// values are a set in which everything has the same text.
func values(text string) secret.Values {
	return secret.Values{
		Credentials: map[string][]byte{"A": []byte(text)}, Environment: []byte("A=\"" + text + "\"\n"),
		Files: map[string][]byte{"deep/er.conf": []byte(text)},
	}
}

// refresh puts a set in the place of every other one.
func refresh(dir, text string) error {
	return inStore(dir, func(s *secret.Store) error {
		used, err := s.Put("set-"+text, values(text))
		if err != nil {
			return err
		}
		return errors.Join(s.Use(used), s.Note("release-1", used), s.Prune(func(string) bool { return true }))
	})
}

// counts checks that what the app would be started with is whole, and gives it.
func counts(t *testing.T, dir string) (credentials, config string) {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	at := "state/settings/current/"
	credentials, env := read(at+"credentials/A"), read(at+"environment")
	if env != fmt.Sprintf("A=%q\n", credentials) {
		t.Fatalf("a set is mixed: %q %q", credentials, env)
	}
	return credentials, read("etc/web/fetched/deep/er.conf")
}

// left are the names in the directories of sets.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, d := range []string{"state/settings", "state/settings/sets", "state/settings/releases", "etc/web", "etc/web/.fetched", "etc/web/.fetched/sets", "etc/web/.fetched/releases"} {
		entries, err := os.ReadDir(filepath.Join(dir, d))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, d+"/"+e.Name())
		}
	}
	return names
}

func prepareOne(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "state"), 0o755), os.MkdirAll(filepath.Join(dir, "etc/web"), 0o755), refresh(dir, "one")); err != nil {
		t.Fatal(err)
	}
}

// A refresh that is killed anywhere leaves the old set or the new one, and the next
// one leaves nothing else.
func TestRefreshKilledEverywhere(t *testing.T) {
	clean := t.TempDir()
	prepareOne(t, clean)
	if err := refresh(clean, "two"); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(left(t, clean))
	crashtest.Everywhere(t, "refresh", prepareOne, func(t *testing.T, dir string) {
		for _, text := range func() []string { a, b := counts(t, dir); return []string{a, b} }() {
			if text != "one" && text != "two" {
				t.Errorf("%q counts", text)
			}
		}
		if err := refresh(dir, "two"); err != nil {
			t.Fatal(err)
		}
		if a, b := counts(t, dir); a != "two" || b != "two" {
			t.Errorf("%q and %q count in the end", a, b)
		}
		if got := fmt.Sprint(left(t, dir)); got != want {
			t.Errorf("left\n%s\nwant\n%s", got, want)
		}
	})
}

// Taking a set back that counts, killed anywhere, and once more.
func TestUndoKilledEverywhere(t *testing.T) {
	prepare := func(t *testing.T, dir string) {
		t.Helper()
		prepareOne(t, dir)
		if err := inStore(dir, func(s *secret.Store) error {
			_, err := s.Put("set-two", values("two"))
			return errors.Join(err, s.Note("release-2", "set-two"), s.Use("set-two"))
		}); err != nil {
			t.Fatal(err)
		}
	}
	clean := t.TempDir()
	prepareOne(t, clean)
	want := fmt.Sprint(left(t, clean))
	crashtest.Everywhere(t, "undo", prepare, func(t *testing.T, dir string) {
		counts(t, dir)
		if err := inStore(dir, func(s *secret.Store) error {
			return errors.Join(s.Use("set-one"), s.Forget("release-2"), s.Discard("set-two"))
		}); err != nil {
			t.Fatal(err)
		}
		if a, b := counts(t, dir); a != "one" || b != "one" {
			t.Errorf("%q and %q count in the end", a, b)
		}
		if got := fmt.Sprint(left(t, dir)); got != want {
			t.Errorf("left\n%s\nwant\n%s", got, want)
		}
	})
}

// Root writes nothing into a directory that is another's, or not one.
func TestConfigurationGoesNowhereElse(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "state"), 0o755), os.MkdirAll(filepath.Join(dir, "elsewhere"), 0o755), os.MkdirAll(filepath.Join(dir, "etc"), 0o755),
		os.Symlink("../elsewhere", filepath.Join(dir, "etc/web"))); err != nil {
		t.Fatal(err)
	}
	refused(t, refresh(dir, "one"), landfast.Conflict, "is not a directory of root's")
	if err := os.Remove(filepath.Join(dir, "etc/web")); err != nil {
		t.Fatal(err)
	}
	refused(t, refresh(dir, "one"), landfast.Conflict, "cannot put configuration into")
	if found, err := os.ReadDir(filepath.Join(dir, "elsewhere")); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}
