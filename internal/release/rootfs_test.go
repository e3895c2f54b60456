package release_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release"
	"github.com/landfast/landfast/internal/release/tree"
)

// rootFSWorld is a Store whose releases are root file systems.
func rootFSWorld(t *testing.T) *world {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give files to others")
	}
	w := newWorld(t)
	w.Store = release.New(release.Options{App: "web", Deploy: w.deploy, State: w.state, UID: 1234, GID: 1234, RootFS: true})
	return w
}

// system stages a root file system, lets spoil change it, and seals it.
func (w *world) system(n int, spoil func(dir string) error) error {
	w.t.Helper()
	part, err := w.Stage(id(n))
	w.must(err)
	defer part.Close()
	into := tree.NewRootFS(part, tree.Limits{}, nil)
	defer into.Close()
	w.must(into.FileAs(w.t.Context(), "usr/bin/su", tree.Attr{Mode: 0o4755}, 2, strings.NewReader("su")))
	w.must(into.Hardlink(w.t.Context(), "usr/bin/sudo", "usr/bin/su"))
	w.must(into.DirAs("closed", tree.Attr{UID: 7, GID: 7}))
	w.must(into.FileAs(w.t.Context(), "closed/f", tree.Attr{UID: 7, GID: 7}, 2, strings.NewReader("su")))
	s, err := into.Finish()
	w.must(err)
	if spoil != nil {
		w.must(spoil(filepath.Join(w.deploy, "releases", id(n)+".part")))
	}
	return w.Seal(w.t.Context(), id(n), landfast.Release{Content: s.Content, Digest: id(n)})
}

func TestARootFileSystemIsClosedToTheHost(t *testing.T) {
	w := rootFSWorld(t)
	w.must(w.system(1, nil))
	for name, want := range map[string]struct {
		mode     uint32
		uid, gid uint32
	}{
		"":                   {0o40700, 0, 0},
		"/rootfs":            {0o40755, 0, 0},
		"/rootfs/usr/bin/su": {0o104755, 0, 0},
		"/rootfs/closed":     {0o40000, 7, 7},
	} {
		info, err := os.Lstat(filepath.Join(w.deploy, "releases", id(1)) + name)
		w.must(err)
		if st := info.Sys().(*syscall.Stat_t); st.Mode != want.mode || st.Uid != want.uid || st.Gid != want.gid {
			t.Errorf("%q is %o of %d:%d, want %+v", name, st.Mode, st.Uid, st.Gid, want)
		}
	}
	w.must(w.Verify(t.Context(), id(1)))
	w.must(os.Chmod(filepath.Join(w.deploy, "releases", id(1), "rootfs/closed/f"), 0o600))
	if err := w.Verify(t.Context(), id(1)); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("a changed mode: %v", err)
	}
}

func TestSealRefusesInARootFileSystem(t *testing.T) {
	w := rootFSWorld(t)
	for i, c := range []struct {
		says  string
		spoil func(dir string) error
	}{
		{"device", func(dir string) error { return syscall.Mknod(dir+"/rootfs/null", syscall.S_IFCHR|0o666, 1<<8|3) }},
		{"named pipe", func(dir string) error { return syscall.Mkfifo(dir+"/rootfs/pipe", 0o600) }},
		{"another name outside", func(dir string) error { return os.Link(dir+"/rootfs/usr/bin/su", dir+"/../su") }},
	} {
		err := w.system(i, c.spoil)
		if landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.says, err)
		}
		w.must(w.Discard(id(i)))
	}
	if left, err := filepath.Glob(filepath.Join(w.deploy, "releases", "2*")); len(left) > 0 || err != nil {
		t.Errorf("there is still %v, %v", left, err)
	}
}

func TestRootFileSystemsArePruned(t *testing.T) {
	w := rootFSWorld(t)
	for n := range 4 {
		w.must(w.system(n, nil))
		w.must(w.SetState(id(n), landfast.ReleaseGood, ""))
		_, err := w.Activate(id(n))
		w.must(err)
		w.must(w.MarkLive(id(n), at(n)))
	}
	removed, err := w.Prune(t.Context(), 1)
	w.must(err)
	if len(removed) != 2 || len(w.ids()) != 2 {
		t.Errorf("removed %v, kept %v", removed, w.ids())
	}
}
