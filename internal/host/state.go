package host

import (
	"os"
	"path"
)

// State opens the directory that holds what is remembered of an app:
// /var/lib/landfast/APP. It is made when it is missing. The caller closes it.
func (h *Host) State(app string) (*os.Root, error) {
	if err := h.parents(stateDir + "/" + app + "/lock"); err != nil {
		return nil, err
	}
	return h.OpenState(app)
}

// OpenState is State for reading: a directory that is missing is an error that
// wraps fs.ErrNotExist.
func (h *Host) OpenState(app string) (*os.Root, error) {
	return h.root.OpenRoot(rel(path.Join(stateDir, app)))
}
