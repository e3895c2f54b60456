package source_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/source/hostile"
)

// asRoot skips a test that gives files away.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give files to others")
	}
}

// unpackRootFS unpacks an archive as a root file system.
func unpackRootFS(t *testing.T, c *cage, archive []byte, strip int) (tree.Summary, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := source.Open(t.Context(), landfast.Source{Kind: landfast.SourceArchive, Location: path, Strip: strip},
		source.Options{Work: t.TempDir(), RootFS: true, Limits: tree.Limits{Bytes: hostile.MaxBytes, Files: hostile.MaxFiles}})
	if err != nil {
		return tree.Summary{}, err
	}
	defer a.Close()
	return a.Unpack(t.Context(), c.root)
}

func TestHostileRootFileSystems(t *testing.T) {
	asRoot(t)
	for _, h := range hostile.RootFSCases() {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			before := outside(t, c)
			s, err := unpackRootFS(t, c, h.Archive, 0)
			c.check(t)
			if after := outside(t, c); after != before {
				t.Errorf("the canary was %s and is %s", before, after)
			}
			switch {
			case h.Allowed && err != nil:
				t.Errorf("refused: %v", err)
			case h.Allowed:
				if again, err := tree.DigestRootFS(t.Context(), c.root, tree.Limits{}); again != s || err != nil {
					t.Errorf("it is written as %+v and read as %+v, %v", s, again, err)
				}
			case landfast.KindOf(err) != landfast.Invalid:
				t.Errorf("not refused as invalid: %v", err)
			case !strings.Contains(err.Error(), h.Entry):
				t.Errorf("the refusal does not say %q: %v", h.Entry, err)
			}
		})
	}
}

// outside describes the canary: mode, owner and names.
func outside(t *testing.T, c *cage) string {
	t.Helper()
	info, err := os.Lstat(filepath.Join(c.outer, hostile.Canary))
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%v %d:%d %d names", info.Mode(), st.Uid, st.Gid, st.Nlink)
}

// capability is CAP_NET_RAW, permitted and effective, in the layout of revision 2.
const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestARootFileSystemKeepsWhatTarPacked(t *testing.T) {
	asRoot(t)
	archive := hostile.Tar(
		hostile.Entry{Name: "box/", Type: '5', Mode: 0o711, UID: 1, GID: 2},
		hostile.Entry{Name: "box/closed/", Type: '5', Mode: 0o001, UID: 7, GID: 8},
		hostile.Entry{Name: "box/closed/file", Mode: 0o640, UID: 33, GID: 65535, Body: "text"},
		hostile.Entry{Name: "box/tmp/", Type: '5', Mode: 0o1777},
		hostile.Entry{Name: "box/mail/", Type: '5', Mode: 0o2775, GID: 8},
		hostile.Entry{Name: "box/mail/box", Mode: 0o600, UID: 5},
		hostile.Entry{Name: "box/implied/su", Mode: 0o6755, UID: 9, Body: "program"},
		hostile.Entry{Name: "box/su2", Type: '1', Link: "box/implied/su"},
		hostile.Entry{Name: "box/link", Type: '2', Link: "/etc/alternatives/x", UID: 3, GID: 4},
		hostile.Entry{Name: "box/ping", Mode: 0o755, Body: "ping", PAX: map[string]string{"SCHILY.xattr.security.capability": capability}},
	)
	c := newCage(t)
	s, err := unpackRootFS(t, c, archive, 1)
	if err != nil || s.Files != 5 || s.Bytes != 15 {
		t.Fatalf("Unpack() = %+v, %v", s, err)
	}
	var got strings.Builder
	err = filepath.WalkDir(c.inner(), func(path string, d fs.DirEntry, _ error) error {
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		names := uint64(1)
		if !d.IsDir() {
			names = uint64(st.Nlink)
		}
		fmt.Fprintf(&got, "%s %o %d:%d %d\n", strings.TrimPrefix(path, c.inner()), st.Mode, st.Uid, st.Gid, names)
		return nil
	})
	want := ` 40711 1:2 1
/closed 40001 7:8 1
/closed/file 100640 33:65535 1
/implied 40755 0:0 1
/implied/su 106755 9:0 2
/link 120777 3:4 1
/mail 42775 0:8 1
/mail/box 100600 5:0 1
/ping 100755 0:0 1
/su2 106755 9:0 2
/tmp 41777 0:0 1
`
	if got.String() != want || err != nil {
		t.Errorf("the tree is\n%s%v, want\n%s", got.String(), err, want)
	}
	buf := make([]byte, 64)
	if n, err := unix.Getxattr(filepath.Join(c.inner(), "ping"), "security.capability", buf); string(buf[:max(n, 0)]) != capability {
		t.Errorf("the capabilities of ping are %x, %v", buf[:max(n, 0)], err)
	}
	again, err := tree.DigestRootFS(t.Context(), c.root, tree.Limits{})
	if again != s || err != nil {
		t.Errorf("DigestRootFS() = %+v, %v, want %+v", again, err, s)
	}
}

// GNU tar packs and says what is there; both ways must come to the same.
func TestARootFileSystemIsWhatTarUnpacks(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	script := `set -e; cd "$1"; mkdir -p a/usr/bin a/var/tmp a/etc b; echo x >a/usr/bin/su; chmod 4755 a/usr/bin/su
chmod 1777 a/var/tmp; ln -s /usr/bin/su a/etc/su; ln a/usr/bin/su a/usr/bin/sudo; echo y >a/etc/shadow; chown 0:42 a/etc/shadow; chmod 640 a/etc/shadow
tar --numeric-owner -C a -cf a.tar .; tar --numeric-owner -C b -pxf a.tar`
	if out, err := exec.Command("sh", "-c", script, "sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	archive, err := os.ReadFile(dir + "/a.tar")
	if err != nil {
		t.Fatal(err)
	}
	c := newCage(t)
	s, err := unpackRootFS(t, c, archive, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.OpenRoot(dir + "/b")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if want, err := tree.DigestRootFS(t.Context(), b, tree.Limits{}); want != s || err != nil {
		t.Errorf("unpacked to %+v, tar to %+v, %v", s, want, err)
	}
}

func TestOnlyTarIsARootFileSystem(t *testing.T) {
	for _, kind := range []landfast.SourceKind{landfast.SourceDir, landfast.SourceGit, landfast.SourcePackage} {
		_, err := source.Open(t.Context(), landfast.Source{Kind: kind, Location: t.TempDir()}, source.Options{RootFS: true})
		if landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "does not keep owners") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// The digest of a root file system must not change either, nor ever be that of
// an ordinary release.
func TestTheDigestOfARootFileSystemSeesEveryDifference(t *testing.T) {
	asRoot(t)
	base := hostile.Entry{Name: "f", Mode: 0o755, Body: "text"}
	seen := map[string]string{}
	for name, change := range map[string]func(*hostile.Entry) []hostile.Entry{
		"nothing": func(*hostile.Entry) []hostile.Entry { return nil },
		"owner":   func(e *hostile.Entry) []hostile.Entry { e.UID = 1; return nil },
		"group":   func(e *hostile.Entry) []hostile.Entry { e.GID = 1; return nil },
		"mode":    func(e *hostile.Entry) []hostile.Entry { e.Mode = 0o754; return nil },
		"setuid":  func(e *hostile.Entry) []hostile.Entry { e.Mode |= 0o4000; return nil },
		"capability": func(e *hostile.Entry) []hostile.Entry {
			e.PAX = map[string]string{"SCHILY.xattr.security.capability": capability}
			return nil
		},
		"top":  func(*hostile.Entry) []hostile.Entry { return []hostile.Entry{{Name: "./", Type: '5', Mode: 0o700}} },
		"link": func(*hostile.Entry) []hostile.Entry { return []hostile.Entry{{Name: "l", Type: '2', Link: "f"}} },
		"link's owner": func(*hostile.Entry) []hostile.Entry {
			return []hostile.Entry{{Name: "l", Type: '2', Link: "f", UID: 1}}
		},
	} {
		e := base
		more := change(&e)
		s, err := unpackRootFS(t, newCage(t), hostile.Tar(append(more, e)...), 0)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, ok := seen[s.Content]; ok {
			t.Errorf("%q and %q have the same digest", name, other)
		}
		seen[s.Content] = name
	}
	c := newCage(t)
	path := filepath.Join(t.TempDir(), "ordinary.tar")
	if err := os.WriteFile(path, bytes.Clone(hostile.Tar(base)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := unpack(t, c, path, 0)
	if _, ok := seen[s.Content]; ok || err != nil {
		t.Errorf("an ordinary release has the digest of a root file system, %v", err)
	}
}
