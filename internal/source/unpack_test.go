package source_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/source/hostile"
)

// cage is a directory to unpack into, with a canary beside it.
type cage struct {
	outer string
	root  *os.Root
}

func newCage(t testing.TB) *cage {
	t.Helper()
	c := &cage{outer: t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.outer, hostile.Canary), []byte("alive"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.inner(), 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(c.inner())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	c.root = root
	return c
}

func (c *cage) inner() string { return filepath.Join(c.outer, "release") }

// check fails when anything was changed outside of the release, or when a link
// or a special file in it could lead there.
func (c *cage) check(t testing.TB) {
	t.Helper()
	entries, err := os.ReadDir(c.outer)
	if err != nil || len(entries) != 2 {
		t.Errorf("beside the release there is now %v, %v", entries, err)
	}
	if got, err := os.ReadFile(filepath.Join(c.outer, hostile.Canary)); string(got) != "alive" {
		t.Errorf("the canary says %q, %v", got, err)
	}
	err = filepath.WalkDir(c.inner(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
			t.Errorf("%s is a %v", path, d.Type())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// checkLinks fails when a link of a release that was accepted leads out.
func (c *cage) checkLinks(t testing.TB) {
	t.Helper()
	err := filepath.WalkDir(c.inner(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink == 0 {
			return err
		}
		real, err := filepath.EvalSymlinks(path)
		if err == nil && real != c.inner() && !strings.HasPrefix(real, c.inner()+"/") {
			t.Errorf("%s leads to %s", path, real)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// unpack opens and unpacks an archive that is a file.
func unpack(t testing.TB, c *cage, path string, strip int) (tree.Summary, error) {
	t.Helper()
	a, err := source.Open(t.Context(), landfast.Source{Kind: landfast.SourceArchive, Location: path, Strip: strip},
		source.Options{Work: t.TempDir(), Limits: tree.Limits{Bytes: hostile.MaxBytes, Files: hostile.MaxFiles}})
	if err != nil {
		return tree.Summary{}, err
	}
	defer a.Close()
	return a.Unpack(t.Context(), c.root)
}

func TestHostileArchives(t *testing.T) {
	paths, err := hostile.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hostile.Cases() {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			_, err := unpack(t, c, paths[h.Name], 0)
			c.check(t)
			switch {
			case h.Allowed && err != nil:
				t.Errorf("refused: %v", err)
			case h.Allowed:
				c.checkLinks(t)
			case landfast.KindOf(err) != landfast.Invalid:
				t.Errorf("not refused as invalid: %v", err)
			case !strings.Contains(err.Error(), h.Entry):
				t.Errorf("the refusal does not say %q: %v", h.Entry, err)
			}
		})
	}
}

func TestStrip(t *testing.T) {
	data := hostile.Tar(
		hostile.Entry{Name: "./web-1.2/"[2:], Type: '5'},
		hostile.Entry{Name: "./web-1.2/bin/web", Mode: 0o755, Body: "program"},
		hostile.Entry{Name: "./web-1.2/again", Type: '1', Link: "web-1.2/bin/web"},
		hostile.Entry{Name: "README", Body: "left out"},
	)
	path := filepath.Join(t.TempDir(), "web.tar")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	c := newCage(t)
	s, err := unpack(t, c, path, 1)
	if err != nil || s.Files != 2 || s.Bytes != 14 {
		t.Fatalf("Unpack() = %+v, %v", s, err)
	}
	for _, name := range []string{"bin/web", "again"} {
		info, err := os.Lstat(filepath.Join(c.inner(), name))
		if err != nil || info.Mode() != 0o750 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if _, err := unpack(t, newCage(t), path, 3); landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("stripping everything = %v", err)
	}
}
