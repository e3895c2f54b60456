package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
)

// Tree is the Manager of a directory tree that is not running: units in it can
// be enabled and disabled, with `systemctl --root`, and nothing else happens.
type Tree struct {
	root    string
	version int // 0: as the tree tells
}

var _ Manager = (*Tree)(nil)

// Offline is the Manager for staging below the directory root.
func Offline(root string) *Tree { return &Tree{root: root} }

// For is the same tree, where systemd of that version will run.
func (t *Tree) For(version int) *Tree { return &Tree{root: t.root, version: version} }

// Version is the one that was given to For, or else that of the systemd which is
// installed in the tree. It is 0 where there is none: nobody knows what will run
// there.
func (t *Tree) Version(context.Context) (int, error) {
	if t.version != 0 {
		return t.version, nil
	}
	// Every systemd has a library of its own, with its version in the name.
	files := os.DirFS(t.root)
	for _, dir := range []string{"usr/lib/systemd", "usr/lib/*/systemd", "usr/lib64/systemd", "lib/systemd"} {
		found, err := fs.Glob(files, dir+"/libsystemd-shared-*.so")
		if err != nil {
			return 0, fmt.Errorf("look for systemd below %s: %w", t.root, err)
		}
		for _, name := range found {
			if v := libraryVersion.FindStringSubmatch(path.Base(name)); v != nil {
				return strconv.Atoi(v[1])
			}
		}
	}
	return 0, nil
}

// libraryVersion finds the version in libsystemd-shared-252.so and
// libsystemd-shared-255.4-1.fc40.so.
var libraryVersion = regexp.MustCompile(`^libsystemd-shared-([0-9]{1,5})[.~-]`)

// Reload does nothing: nothing has read the files yet.
func (*Tree) Reload(context.Context) error { return nil }

// Start does nothing.
func (*Tree) Start(context.Context, string) error { return nil }

// Stop does nothing.
func (*Tree) Stop(context.Context, string) error { return nil }

// Restart does nothing.
func (*Tree) Restart(context.Context, string) error { return nil }

// ResetFailed does nothing.
func (*Tree) ResetFailed(context.Context, string) error { return nil }

// Close does nothing.
func (*Tree) Close() error { return nil }

// Enable makes the links that start the units at boot.
func (t *Tree) Enable(ctx context.Context, units ...string) error {
	if len(units) == 0 {
		return nil
	}
	_, err := t.systemctl(ctx, append([]string{"enable"}, units...)...)
	return err
}

// Disable removes the links.
func (t *Tree) Disable(ctx context.Context, units ...string) error {
	for _, u := range units {
		st, err := t.Status(ctx, u)
		if err != nil {
			return err
		}
		if st.FileState == "" {
			continue
		}
		if _, err := t.systemctl(ctx, "disable", u); err != nil {
			return err
		}
	}
	return nil
}

// Status tells whether there is a unit file and whether it is enabled.
func (t *Tree) Status(ctx context.Context, unit string) (landfast.UnitStatus, error) {
	st := landfast.UnitStatus{Name: unit, Load: "not-found", Active: "inactive", Sub: "dead"}
	file := unit
	if name, instance, ok := strings.Cut(unit, "@"); ok && !strings.HasPrefix(instance, ".") {
		file = name + "@" + filepath.Ext(unit) // an instance has the file of its template
	}
	for _, dir := range []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		if _, err := os.Lstat(filepath.Join(t.root, dir, file)); err != nil {
			continue
		}
		st.Load, st.FragmentPath = "loaded", "/"+dir+"/"+file
		out, err := t.systemctl(ctx, "is-enabled", unit)
		if out = strings.TrimSpace(out); out == "" && err != nil {
			return landfast.UnitStatus{}, err
		}
		st.FileState = out // it exits 1 for states like disabled
		break
	}
	return st, nil
}

func (t *Tree) systemctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--root=" + t.root, "--quiet"}, args...)...)
	if args[0] == "is-enabled" {
		cmd.Args = append([]string{"systemctl", "--root=" + t.root}, args...)
	}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_LOG_LEVEL=notice")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", &landfast.Error{
			Kind: landfast.Unavailable,
			Msg:  "systemctl is not installed here",
			Hint: "units below another root are enabled with it: install systemd",
		}
	}
	if err != nil {
		return out.String(), fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}
