package source_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/source/hostile"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files writes files below a new directory: content by name, a name with a
// slash at its end is a directory.
func files(t testing.TB, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o755))
			continue
		}
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

// fetch opens and unpacks any source.
func fetch(t testing.TB, c *cage, src landfast.Source, o source.Options) (*source.Artifact, tree.Summary, error) {
	t.Helper()
	if o.Work == "" {
		o.Work = t.TempDir()
	}
	a, err := source.Open(t.Context(), src, o)
	if err != nil {
		checkEmpty(t, o.Work)
		return nil, tree.Summary{}, err
	}
	s, err := a.Unpack(t.Context(), c.root)
	must(t, a.Close())
	must(t, a.Close())
	checkEmpty(t, o.Work)
	return a, s, err
}

// checkEmpty fails when something was left in the work directory.
func checkEmpty(t testing.TB, work string) {
	t.Helper()
	if left, err := os.ReadDir(work); err != nil || len(left) != 0 {
		t.Errorf("left in the work directory: %v, %v", left, err)
	}
}

func TestDir(t *testing.T) {
	dir := files(t, map[string]string{"bin/web": "program", "a/.git/config": "secret", ".git/HEAD": "ref", "empty/": "", "f": "text"})
	must(t, os.Chmod(dir+"/bin/web", 0o711))
	must(t, os.Chmod(dir+"/empty", 0o2755))
	must(t, os.Link(dir+"/f", dir+"/again"))
	must(t, os.Symlink("../f", dir+"/bin/l"))
	c := newCage(t)
	a, s, err := fetch(t, c, landfast.Source{Kind: landfast.SourceDir, Location: dir}, source.Options{})
	must(t, err)
	if s.Files != 3 || s.Bytes != 15 || len(a.Revision) != 64 {
		t.Errorf("Unpack() = %+v of revision %s", s, a.Revision)
	}
	for _, name := range []string{".git", "a/.git"} {
		if _, err := os.Lstat(filepath.Join(c.inner(), name)); !os.IsNotExist(err) {
			t.Errorf("%s is in the release: %v", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(c.inner(), "f"))
	must(t, err)
	if info.Sys().(*syscall.Stat_t).Nlink != 1 {
		t.Error("a hard link was kept")
	}
	if got, err := os.Readlink(filepath.Join(c.inner(), "bin/l")); got != "../f" || err != nil {
		t.Errorf("the link leads to %q, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(c.inner(), "bin/web")); err != nil || info.Mode() != 0o750 {
		t.Errorf("the program is %v, %v", info, err)
	}
}

func TestDirRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		kind  landfast.Kind
		says  string
	}{
		"pipe":    {func(d string) error { return syscall.Mkfifo(d+"/a/pipe", 0o600) }, landfast.Invalid, "a/pipe"},
		"setuid":  {func(d string) error { return os.Chmod(d+"/a/f", 0o755|os.ModeSetuid) }, landfast.Invalid, "a/f"},
		"link":    {func(d string) error { return os.Symlink("../../x", d+"/a/l") }, landfast.Invalid, "a/l"},
		"socket":  {func(d string) error { _, err := net.Listen("unix", d+"/s"); return err }, landfast.Invalid, `"s"`},
		"newline": {func(d string) error { return os.WriteFile(d+"/a\nb", nil, 0o600) }, landfast.Invalid, `a\nb`},
		"empty":   {func(d string) error { return os.RemoveAll(d + "/a") }, landfast.Invalid, "no file"},
		"gone":    {os.RemoveAll, landfast.NotFound, "no directory"},
		"file":    {func(d string) error { return errors.Join(os.RemoveAll(d), os.WriteFile(d, nil, 0o600)) }, landfast.Invalid, "not a directory"},
		"large":   {func(d string) error { return os.Truncate(d+"/a/f", hostile.MaxBytes+1) }, landfast.Invalid, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := files(t, map[string]string{"a/f": "text"})
			must(t, c.spoil(dir))
			_, _, err := fetch(t, newCage(t), landfast.Source{Kind: landfast.SourceDir, Location: dir},
				source.Options{Limits: tree.Limits{Bytes: hostile.MaxBytes}})
			if landfast.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %s: ...%s...", err, c.kind, c.says)
			}
		})
	}
}

func TestADirThatHoldsTheReleaseIsRefused(t *testing.T) {
	c := newCage(t)
	_, _, err := fetch(t, c, landfast.Source{Kind: landfast.SourceDir, Location: c.outer}, source.Options{})
	if landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "release") {
		t.Errorf("got %v", err)
	}
	c.check(t)
}

func TestADirThatChangesIsNoticed(t *testing.T) {
	dir := files(t, map[string]string{"f": "text"})
	a, err := source.Open(t.Context(), landfast.Source{Kind: landfast.SourceDir, Location: dir}, source.Options{})
	must(t, err)
	defer a.Close()
	must(t, os.WriteFile(dir+"/f", []byte("next"), 0o644))
	if _, err := a.Unpack(t.Context(), newCage(t).root); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("Unpack() = %v", err)
	}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestArchiveDigest(t *testing.T) {
	data := hostile.Gzip(hostile.Tar(hostile.Entry{Name: "f", Body: "text"}))
	path := filepath.Join(t.TempDir(), "web.tar.gz")
	must(t, os.WriteFile(path, data, 0o644))
	for digest, kind := range map[string]landfast.Kind{
		"": "", digestOf(data): "", strings.Replace(strings.ToUpper(digestOf(data)), "SHA", "sha", 1): "",
		digestOf(nil): landfast.Invalid, "md5:abc": landfast.Invalid, "sha256:abc": landfast.Invalid,
	} {
		c := newCage(t)
		a, _, err := fetch(t, c, landfast.Source{Kind: landfast.SourceArchive, Location: path, Digest: digest}, source.Options{})
		if kind == "" {
			if err != nil || a.Digest != digestOf(data) || "sha256:"+a.Revision != a.Digest {
				t.Errorf("%q: %+v, %v", digest, a, err)
			}
			continue
		}
		if landfast.KindOf(err) != kind {
			t.Errorf("%q: %v", digest, err)
		}
		if unpacked, err := os.ReadDir(c.inner()); len(unpacked) != 0 || err != nil {
			t.Errorf("%q: unpacked all the same: %v, %v", digest, unpacked, err)
		}
	}
}

func TestArchiveThatIsNone(t *testing.T) {
	dir := files(t, map[string]string{"d/": ""})
	must(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	for name, kind := range map[string]landfast.Kind{"d": landfast.Invalid, "pipe": landfast.Invalid, "gone": landfast.NotFound} {
		_, _, err := fetch(t, newCage(t), landfast.Source{Kind: landfast.SourceArchive, Location: filepath.Join(dir, name)}, source.Options{})
		if landfast.KindOf(err) != kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnArchiveThatChangesIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.tar")
	must(t, os.WriteFile(path, hostile.Tar(hostile.Entry{Name: "f", Body: "good"}), 0o644))
	a, err := source.Open(t.Context(), landfast.Source{Kind: landfast.SourceArchive, Location: path}, source.Options{})
	must(t, err)
	defer a.Close()
	must(t, os.WriteFile(path, hostile.Tar(hostile.Entry{Name: "f", Body: "evil"}, hostile.Entry{Name: "g"}), 0o644))
	if _, err := a.Unpack(t.Context(), newCage(t).root); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("Unpack() = %v", err)
	}
}

func TestUnpackEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	paths, err := hostile.Write(dir)
	must(t, err)
	for kind, location := range map[landfast.SourceKind]string{
		landfast.SourceArchive: paths["plain.zip"],
		landfast.SourceDir:     files(t, map[string]string{"f": "text", "g": "text"}),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		a, err := source.Open(ctx, landfast.Source{Kind: kind, Location: location}, source.Options{})
		must(t, err)
		cancel()
		if _, err := a.Unpack(ctx, newCage(t).root); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", kind, err)
		}
		must(t, a.Close())
		if _, err := source.Open(ctx, landfast.Source{Kind: kind, Location: location}, source.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestNoSource(t *testing.T) {
	for _, src := range []landfast.Source{{}, {Kind: "oci", Location: "x"}, {Kind: landfast.SourceDir}} {
		if _, err := source.Open(t.Context(), src, source.Options{}); landfast.KindOf(err) != landfast.Invalid {
			t.Errorf("%+v: %v", src, err)
		}
	}
}

func TestClean(t *testing.T) {
	work := files(t, map[string]string{"landfast-fetch-1/tree/f": "", "landfast-fetch-2": "", "mine": ""})
	must(t, source.Clean(work))
	left, err := os.ReadDir(work)
	must(t, err)
	if len(left) != 1 || left[0].Name() != "mine" {
		t.Errorf("left: %v", left)
	}
}
