package host

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/landfast/landfast/internal/atomicfile"
)

// State opens the directory that holds what is remembered of an app:
// /var/lib/landfast/APP. It is made when it is missing. The caller closes it.
func (h *Host) State(app string) (*os.Root, error) {
	if err := h.appState(app); err != nil {
		return nil, err
	}
	return h.OpenState(app)
}

// appState makes the directory when it is missing, just as the plan wants it.
func (h *Host) appState(app string) error {
	name := stateDir + "/" + app
	if _, err := h.root.Lstat(rel(name)); !errors.Is(err, fs.ErrNotExist) {
		return failed("look at", name, err)
	}
	if err := h.parents(name); err != nil {
		return err
	}
	return failed("make directory", name, atomicfile.Mkdir(h.root, rel(name), atomicfile.Attr{Mode: 0o750, UID: -1, GID: -1}))
}

// OpenState is State for reading: a directory that is missing is an error that
// wraps fs.ErrNotExist.
func (h *Host) OpenState(app string) (*os.Root, error) {
	return h.root.OpenRoot(rel(path.Join(stateDir, app)))
}
