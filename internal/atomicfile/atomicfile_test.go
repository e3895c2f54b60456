package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/atomicfile/crashtest"
)

var (
	oldContent = strings.Repeat("old ", 5000)
	newContent = strings.Repeat("new!", 9000)
)

func TestMain(m *testing.M) {
	in := func(f func(*os.Root) error) func(string) error {
		return func(dir string) error {
			root, err := os.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer root.Close()
			return f(root)
		}
	}
	crashtest.Main(m, map[string]func(string) error{
		"write":   in(write),
		"symlink": in(func(r *os.Root) error { return atomicfile.Symlink(r, "new", "sub/link", atomicfile.Mode(0)) }),
		"mkdir":   in(func(r *os.Root) error { return atomicfile.Mkdir(r, "sub/dir", atomicfile.Mode(0o750)) }),
		"rename":  in(func(r *os.Root) error { return atomicfile.Rename(r, "sub/file", "file") }),
		"remove":  in(func(r *os.Root) error { return atomicfile.Remove(r, "sub/file") }),
	})
}

func write(r *os.Root) error {
	return atomicfile.WriteFile(r, "sub/file", []byte(newContent), atomicfile.Mode(0o640))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// prepare makes a directory with an old file and an old link.
func prepare(t *testing.T, dir string) {
	t.Helper()
	must(t, os.Mkdir(dir+"/sub", 0o755))
	must(t, os.WriteFile(dir+"/sub/file", []byte(oldContent), 0o604))
	must(t, os.Symlink("old", dir+"/sub/link"))
}

func open(t *testing.T) *os.Root {
	t.Helper()
	dir := t.TempDir()
	prepare(t, dir)
	root, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root
}

// Killed anywhere, a file is old or new and never half of it, and never new
// with the old mode; and doing it again ends well and leaves nothing beside it.
func TestWriteFileKilledAnywhere(t *testing.T) {
	crashtest.Everywhere(t, "write", prepare, func(t *testing.T, dir string) {
		data, err := os.ReadFile(dir + "/sub/file")
		must(t, err)
		info, err := os.Stat(dir + "/sub/file")
		must(t, err)
		switch {
		case string(data) == oldContent && info.Mode() == 0o604:
		case string(data) == newContent && info.Mode() == 0o640:
		default:
			t.Errorf("the file is torn: %d bytes, %v", len(data), info.Mode())
		}
		root, err := os.OpenRoot(dir)
		must(t, err)
		defer root.Close()
		must(t, write(root))
		if data, err := os.ReadFile(dir + "/sub/file"); string(data) != newContent || err != nil {
			t.Errorf("written again it is %d bytes, %v", len(data), err)
		}
		names(t, dir+"/sub", "file", "link")
	})
}

func TestSymlinkKilledAnywhere(t *testing.T) {
	crashtest.Everywhere(t, "symlink", prepare, func(t *testing.T, dir string) {
		if target, err := os.Readlink(dir + "/sub/link"); target != "old" && target != "new" || err != nil {
			t.Errorf("the link leads to %q, %v", target, err)
		}
		root, err := os.OpenRoot(dir)
		must(t, err)
		defer root.Close()
		must(t, atomicfile.Symlink(root, "new", "sub/link", atomicfile.Mode(0)))
		names(t, dir+"/sub", "file", "link")
	})
}

func names(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// What a disk without power forgets cannot be seen by killing a process. It is
// the order of flushes that decides: the content before the name, the name
// before success.
func TestTheOrderOfFlushes(t *testing.T) {
	for act, want := range map[string]string{
		"write":   "openat:.file.landfast-tmp write fchmod fsync:.file.landfast-tmp renameat fsync:sub",
		"symlink": "symlinkat renameat fsync:sub",
		"mkdir":   "mkdirat fchmod fsync:dir fsync:sub",
		"rename":  "renameat fsync:top fsync:sub",
		"remove":  "unlinkat fsync:sub",
	} {
		t.Run(act, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "top")
			must(t, os.Mkdir(dir, 0o755))
			prepare(t, dir)
			var got []string
			for _, call := range crashtest.Calls(t, act, dir) {
				got = append(got, shorten(call))
			}
			if diff := cmp.Diff(strings.Fields(want), strings.Fields(strings.Join(got, " "))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var (
	flushed = regexp.MustCompile(`^fsync\(\d+<.*/([^/]+)>\)`)
	created = regexp.MustCompile(`^openat\(\d+<[^>]*>, "([^"]+)"`)
)

// shorten is the name of a call, and the file where that matters. A call that
// found nothing to change is left out.
func shorten(call crashtest.Call) string {
	if strings.Contains(call.Text, "= -1 ENOENT") {
		return ""
	}
	for _, name := range []*regexp.Regexp{flushed, created} {
		if m := name.FindStringSubmatch(call.Text); m != nil {
			return call.Name + ":" + m[1]
		}
	}
	return call.Name
}

func TestWriteFile(t *testing.T) {
	root := open(t)
	must(t, atomicfile.WriteFile(root, "fresh", []byte("x"), atomicfile.Mode(0o600)))
	must(t, atomicfile.WriteFile(root, "sub/link", []byte("x"), atomicfile.Mode(0o666))) // replaces the link
	for name, mode := range map[string]fs.FileMode{"fresh": 0o600, "sub/link": 0o666} {
		if info, err := root.Lstat(name); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for _, name := range []string{"no/such/dir", "../out", "sub"} {
		if err := atomicfile.WriteFile(root, name, nil, atomicfile.Mode(0o600)); err == nil {
			t.Errorf("WriteFile(%q) succeeded", name)
		}
	}
	names(t, root.Name(), "fresh", "sub")
	names(t, root.Name()+"/sub", "file", "link")
}

func TestNothingLeadsOut(t *testing.T) {
	root := open(t)
	outside := t.TempDir()
	must(t, os.Symlink(outside, root.Name()+"/out"))
	// A leftover that is a trap: it is removed, not written through.
	must(t, os.Symlink(outside+"/trap", root.Name()+"/sub/.file.landfast-tmp"))
	must(t, write(root))
	for what, err := range map[string]error{
		"WriteFile": atomicfile.WriteFile(root, "out/f", nil, atomicfile.Mode(0o600)),
		"Symlink":   atomicfile.Symlink(root, "x", "out/l", atomicfile.Mode(0)),
		"Mkdir":     atomicfile.Mkdir(root, "out/d", atomicfile.Mode(0o700)),
		"Mkdir on":  atomicfile.Mkdir(root, "out", atomicfile.Mode(0o700)),
		"Rename":    atomicfile.Rename(root, "sub/file", "out/file"),
	} {
		if err == nil {
			t.Errorf("%s goes through a link that leads out", what)
		}
	}
	names(t, outside)
}

func TestLikeKeepsOwnerAndMode(t *testing.T) {
	root := open(t)
	want := atomicfile.Attr{Mode: 0o640, UID: -1, GID: -1}
	if got, err := atomicfile.Like(root, "none", want); got != want || err != nil {
		t.Errorf("Like() = %+v, %v", got, err)
	}
	if os.Getuid() == 0 {
		must(t, root.Chown("sub/file", 4711, 4712))
	}
	attr, err := atomicfile.Like(root, "sub/file", want)
	must(t, err)
	must(t, atomicfile.WriteFile(root, "sub/file", []byte("x"), attr))
	info, err := root.Stat("sub/file")
	must(t, err)
	st := info.Sys().(*syscall.Stat_t)
	if info.Mode() != 0o604 || os.Getuid() == 0 && (st.Uid != 4711 || st.Gid != 4712) {
		t.Errorf("the file is %v of %d:%d", info.Mode(), st.Uid, st.Gid)
	}
}

func TestMkdirMends(t *testing.T) {
	root := open(t)
	for _, mode := range []fs.FileMode{0o750, 0o700} {
		must(t, atomicfile.Mkdir(root, "sub/dir", atomicfile.Mode(mode)))
		if info, err := root.Stat("sub/dir"); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%v, %v", info, err)
		}
	}
	if err := atomicfile.Mkdir(root, "sub/file", atomicfile.Mode(0o700)); err == nil {
		t.Error("a file passes for a directory")
	}
}

func TestRemove(t *testing.T) {
	root := open(t)
	must(t, root.WriteFile("sub/.file.landfast-tmp", nil, 0o600))
	for range 2 {
		must(t, atomicfile.Remove(root, "sub/file"))
	}
	names(t, root.Name()+"/sub", "link")
	must(t, atomicfile.Remove(root, "no/such"))
	if err := atomicfile.Remove(root, "sub"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory with files in it: %v", err)
	}
}

func TestTempOf(t *testing.T) {
	for _, name := range []string{"file", "sub/file", ".hidden", "a.json"} {
		if got, ok := atomicfile.TempOf(atomicfile.TempName(name)); got != name || !ok {
			t.Errorf("TempOf(TempName(%q)) = %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"file", ".file", "file.landfast-tmp", "..landfast-tmp"[1:], ""} {
		if got, ok := atomicfile.TempOf(name); ok {
			t.Errorf("TempOf(%q) = %q", name, got)
		}
	}
}
