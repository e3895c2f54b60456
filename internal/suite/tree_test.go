package suite_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/diff"
)

// tree lists what lies below directories of a machine: names, kinds, owners,
// modes and contents, one line each.
func (h *host) tree(dirs ...string) string {
	h.t.Helper()
	return h.list(dirs, false)
}

// exactTree also has the numbers and the times of the files, so that it tells
// whether a file was written anew.
func (h *host) exactTree(dirs ...string) string {
	h.t.Helper()
	return h.list(dirs, true)
}

func (h *host) list(dirs []string, exact bool) string {
	h.t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		top := h.Path("/") + strings.TrimPrefix(dir, "/")
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				if os.IsNotExist(err) {
					return nil
				}
				return err
			}
			line, err := describe(path, d, exact)
			fmt.Fprintf(&b, "%s%s %s\n", dir, strings.TrimPrefix(path, top), line)
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return b.String()
}

func describe(path string, d fs.DirEntry, exact bool) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	st := info.Sys().(*syscall.Stat_t)
	line := fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
	switch info.Mode().Type() {
	case 0:
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		line += fmt.Sprintf(" %x", sha256.Sum256(text))
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		line += " -> " + target
	}
	if exact {
		line += fmt.Sprintf(" #%d %s", st.Ino, info.ModTime())
	}
	return line, nil
}

// system are the places where an app may leave anything, but for its accounts.
// What systemd itself keeps below /run is not among them.
func system() []string {
	return []string{
		"/srv", "/etc/systemd/system", "/etc/sysusers.d", "/etc/tmpfiles.d", "/etc/landfast", "/var/lib/landfast",
		"/run/systemd/system", "/run/landfast",
	}
}

// mine are the places that decide what an app is: everything that a deployment
// changes but for its history.
func (a *app) mine() []string {
	return []string{
		"/srv/" + a.name, "/etc/systemd/system", "/etc/sysusers.d", "/etc/tmpfiles.d", "/etc/landfast",
		"/run/systemd/system", "/run/landfast",
	}
}

var releaseTime = regexp.MustCompile(`\d{8}T\d{6}Z-`)

// state is the tree of the app, with its releases named by what they are and not
// by when they were made.
func (a *app) state() string {
	a.t.Helper()
	return releaseTime.ReplaceAllString(a.tree(a.mine()...), "TIME-")
}

// same checks that two listings are equal, and shows where they differ.
func (h *host) same(what, before, after string) {
	h.t.Helper()
	if before != after {
		h.t.Errorf("%s:\n%s", what, diff.Diff("before", []byte(before), "after", []byte(after)))
	}
}
