package host

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/plan"
)

// staleDir holds a file for each unit that is to be restarted, with the
// invocation that is to end. Once the new text is written and read by systemd,
// or the unit is stopped to let go of its socket, nothing else would tell the
// next apply that a restart is due, when this one was killed before it. It is on
// a file system that a reboot empties, as a reboot restarts everything.
const staleDir = "/run/landfast/stale"

// noteStale writes down which units are to be restarted.
func (h *Host) noteStale(ctx context.Context, units []plan.UnitChange) error {
	for _, unit := range of(units, plan.ActionRestart) {
		st, err := h.units.Status(ctx, unit)
		if err != nil {
			return err
		}
		name := staleDir + "/" + unit
		if err := h.parents(name); err != nil {
			return err
		}
		if err := atomicfile.WriteFile(h.root, rel(name), []byte(st.Invocation+"\n"), atomicfile.Mode(0o644)); err != nil {
			return failed("write", name, err)
		}
	}
	return nil
}

// stale reports whether the restart of a unit is still due: it has not been
// started since.
func (h *Host) stale(unit string, st landfast.UnitStatus) (bool, error) {
	name := staleDir + "/" + unit
	data, err := h.root.ReadFile(rel(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, failed("read", name, err)
	}
	// A stopped unit keeps its invocation as long as systemd remembers it.
	return st.Invocation == strings.TrimSpace(string(data)) || st.Invocation == "" && !st.Running(), nil
}

// clearStale forgets a unit that has been restarted.
func (h *Host) clearStale(unit string) error {
	name := staleDir + "/" + unit
	if _, err := h.root.Lstat(rel(name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := atomicfile.Remove(h.root, rel(name)); err != nil {
		return failed("remove", name, err)
	}
	// Others may still have theirs; an empty directory would be litter.
	for _, dir := range []string{staleDir, "/run/landfast"} {
		if err := h.removeDir(plan.DirChange{Path: dir}); err != nil {
			return failed("remove directory", dir, err)
		}
	}
	return nil
}
