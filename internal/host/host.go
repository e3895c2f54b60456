// Package host changes the machine: it is the only package that writes files,
// makes directories and accounts, and sees to it that systemd learns of them.
// It decides nothing: package plan says what is to be done, as a value, and the
// same value is printed before it is done here.
//
// Everything happens below one root directory, "/" or the one given with
// --root, through an os.Root: symbolic links that lead out of it, and absolute
// ones, are not followed. Every change is durable when a method returns, and
// every method may be called again after it was killed anywhere.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// Units is what a host asks of systemd; see systemd.Manager for the contract.
type Units interface {
	Version(ctx context.Context) (int, error)
	Reload(ctx context.Context) error
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	Restart(ctx context.Context, unit string) error
	Enable(ctx context.Context, units ...string) error
	Disable(ctx context.Context, units ...string) error
	ResetFailed(ctx context.Context, unit string) error
	Status(ctx context.Context, unit string) (landfast.UnitStatus, error)
}

// Host is one machine, or a directory tree that is to become one.
type Host struct {
	dir   string
	root  *os.Root
	units Units
}

// Open opens the machine whose root directory is dir, and whose units are
// asked for through units. The directory must be there.
func Open(dir string, units Units) (*Host, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open root %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "cannot open the root directory " + dir, Err: err, Hint: "it must be a directory that is there"}
	}
	return &Host{dir: dir, root: root, units: units}, nil
}

// Close lets go of the root directory.
func (h *Host) Close() error { return h.root.Close() }

// Facts are the properties of the machine that a plan depends on.
func (h *Host) Facts(ctx context.Context) (plan.Facts, error) {
	version, err := h.units.Version(ctx)
	if err != nil {
		return plan.Facts{}, err
	}
	facts := plan.Facts{Systemd: version}
	if !h.staged() {
		// Without a name of its own the plan has the usual one.
		facts.Program, _ = os.Executable()
	}
	return facts, nil
}

// staged reports whether the root is a tree that is not running.
func (h *Host) staged() bool { return h.dir != "/" }

// rel is name, which is absolute, below the root.
func rel(name string) string {
	if name = strings.Trim(filepath.Clean(name), "/"); name != "" {
		return name
	}
	return "."
}

// failed says what could not be done to what, and why when it is one of the
// usual reasons.
func failed(verb, name string, err error) error {
	if err == nil {
		return nil
	}
	what := "cannot " + verb + " " + name
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
			return &landfast.Error{Msg: what, Err: p.Err, Hint: "run as root"}
		}
		// os keeps the error value to itself.
		if p.Err.Error() == "path escapes from parent" {
			return &landfast.Error{
				Kind: landfast.Conflict,
				Msg:  what + ": a directory on the way is a symbolic link that is absolute or leads out of the root",
				Hint: "name the real directory in the manifest ([paths], [dirs]), or make the link relative",
			}
		}
	}
	return fmt.Errorf("%s %s: %w", verb, name, err)
}
