package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/landfast/landfast"
)

// Tree is the Manager of a directory tree that is not running: units in it can
// be enabled and disabled, with `systemctl --root`, and nothing else happens.
type Tree struct{ root string }

var _ Manager = (*Tree)(nil)

// Offline is the Manager for staging below the directory root.
func Offline(root string) *Tree { return &Tree{root: root} }

// Version is 0: nobody knows what will run there.
func (*Tree) Version(context.Context) (int, error) { return 0, nil }

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
	for _, dir := range []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		if _, err := os.Lstat(filepath.Join(t.root, dir, unit)); err != nil {
			continue
		}
		st.Load, st.FragmentPath = "loaded", "/"+dir+"/"+unit
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
