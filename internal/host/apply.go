package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/plan"
)

// Apply makes the changes, and nothing else: units that go are stopped and
// disabled, then accounts, directories, files, removals, links, one
// daemon-reload, and the units that are to run. It stops at the first error.
//
// Killed anywhere, a Diff made anew gives what is left to do.
func (h *Host) Apply(ctx context.Context, c plan.Changes) error {
	early, late := split(c)
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return h.noteStale(ctx, c.Units) },
		func(ctx context.Context) error { return h.retire(ctx, c) },
		func(ctx context.Context) error { return h.addUsers(ctx, c) },
		func(ctx context.Context) error { return h.makeDirs(ctx, c.Dirs) },
		func(ctx context.Context) error { return h.writeFiles(ctx, c.Files) },
		func(ctx context.Context) error { return h.remove(ctx, early) },
		func(ctx context.Context) error { return h.enable(ctx, c) },
		func(ctx context.Context) error { return h.run(ctx, c.Units) },
		func(ctx context.Context) error { return h.removeUsers(ctx, c.RemoveUsers) },
		func(ctx context.Context) error { return h.remove(ctx, late) },
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// removals are files and directories to remove, files first.
type removals struct {
	files []plan.FileChange
	dirs  []plan.DirChange
}

// split puts the manifest that was applied, and the directories it is in, at
// the very end: without it nobody could take up an uninstall that was killed.
func split(c plan.Changes) (early, late removals) {
	for _, f := range c.Files {
		switch {
		case f.New != nil:
		case path.Dir(f.Path) == appsDir:
			late.files = append(late.files, f)
		default:
			early.files = append(early.files, f)
		}
	}
	for _, d := range c.Dirs {
		switch {
		case d.New != nil:
		case strings.HasPrefix(appsDir+"/", d.Path+"/"):
			late.dirs = append(late.dirs, d)
		default:
			early.dirs = append(early.dirs, d)
		}
	}
	return early, late
}

// retire stops and disables units while systemd still knows them.
func (h *Host) retire(ctx context.Context, c plan.Changes) error {
	for _, u := range c.Units {
		var err error
		switch u.Action {
		case plan.ActionStop:
			err = h.units.Stop(ctx, u.Unit)
		case plan.ActionDisable:
			err = h.units.Disable(ctx, u.Unit)
		}
		if err != nil {
			return err
		}
	}
	// A failed unit would be remembered even without its file.
	for _, f := range c.Files {
		if f.New == nil && path.Dir(f.Path) == unitDir && !strings.Contains(f.Path, "@.") {
			if err := h.units.ResetFailed(ctx, path.Base(f.Path)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Host) makeDirs(ctx context.Context, dirs []plan.DirChange) error {
	names, err := h.accounts()
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if d.New == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		uid, gid, err := names.ids(d.New.Owner, d.New.Group)
		if err != nil {
			return err
		}
		if err := h.parents(d.Path); err != nil {
			return err
		}
		attr := atomicfile.Attr{Mode: d.New.Mode, UID: uid, GID: gid}
		err = h.do(d.Path, func(dir *os.Root, base string) error { return atomicfile.Mkdir(dir, base, attr) })
		if err != nil {
			return failed("make directory", d.Path, err)
		}
	}
	return nil
}

// parents makes the directories above name that are missing, as in a tree that
// is about to become a system.
func (h *Host) parents(name string) error {
	dir := path.Dir(name)
	if dir == "/" || dir == "." {
		return nil
	}
	above, _, err := h.at(name)
	if err == nil {
		return above.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return failed("look at", dir, err)
	}
	if err := h.parents(dir); err != nil {
		return err
	}
	// It gets its name with its mode: nobody would mend it later, as no plan names it.
	return failed("make directory", dir, h.do(dir, func(above *os.Root, base string) error {
		temp := atomicfile.TempName(base)
		if err := atomicfile.Mkdir(above, temp, atomicfile.Mode(0o755)); err != nil {
			return err
		}
		return atomicfile.Rename(above, temp, base)
	}))
}

func (h *Host) writeFiles(ctx context.Context, files []plan.FileChange) error {
	names, err := h.accounts()
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.New == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		uid, gid, err := names.ids(f.New.Owner, f.New.Group)
		if err != nil {
			return err
		}
		if err := h.ours(f.Path, plan.MarkOf(f.New.Content), names); err != nil {
			return err
		}
		if err := h.parents(f.Path); err != nil {
			return err
		}
		attr := atomicfile.Attr{Mode: f.New.Mode, UID: uid, GID: gid}
		err = h.do(f.Path, func(dir *os.Root, base string) error {
			return atomicfile.WriteFile(dir, base, []byte(f.New.Content), attr)
		})
		if err != nil {
			return failed("write", f.Path, err)
		}
	}
	return nil
}

// ours refuses a file that has come into being, or changed hands, since the
// changes were worked out.
func (h *Host) ours(name, app string, names *accounts) error {
	n, ok, err := h.node(name, names)
	if err != nil || !ok || n.Mode.IsRegular() && n.Mark == app {
		return err
	}
	return &landfast.Error{
		Kind: landfast.Conflict,
		Msg:  fmt.Sprintf("%s is not a file of app %s any more", name, app),
		Hint: "somebody changed it just now: look at it, and at `landfast plan`",
	}
}

func (h *Host) remove(ctx context.Context, r removals) error {
	names, err := h.accounts()
	if err != nil {
		return err
	}
	for _, f := range r.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.ours(f.Path, f.Old.Mark, names); err != nil {
			return err
		}
		if err := h.do(f.Path, atomicfile.Remove); err != nil {
			return failed("remove", f.Path, err)
		}
	}
	for _, d := range r.dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.removeDir(d); err != nil {
			return failed("remove directory", d.Path, err)
		}
	}
	return nil
}

// removeDir leaves a directory alone that has got something in it since.
func (h *Host) removeDir(d plan.DirChange) error {
	err := h.do(d.Path, func(dir *os.Root, base string) error {
		remove := dir.Remove
		if d.Purge {
			remove = dir.RemoveAll
		}
		if err := remove(base); err != nil {
			return err
		}
		return atomicfile.SyncDir(dir, ".")
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// enable makes the links, and then has systemd read everything once.
func (h *Host) enable(ctx context.Context, c plan.Changes) error {
	if units := of(c.Units, plan.ActionEnable); len(units) > 0 {
		if err := h.units.Enable(ctx, units...); err != nil {
			return err
		}
	}
	if !c.Reload {
		return nil
	}
	return h.units.Reload(ctx)
}

// run starts and restarts units. A service that runs without its socket holds
// the socket back, so it is stopped first and comes back with its own restart.
func (h *Host) run(ctx context.Context, units []plan.UnitChange) error {
	start, restart := of(units, plan.ActionStart), of(units, plan.ActionRestart)
	restarting := map[string]bool{}
	for _, u := range restart {
		restarting[u] = true
	}
	for _, u := range append(append([]string{}, start...), restart...) {
		if name, ok := strings.CutSuffix(u, ".socket"); ok && restarting[name+".service"] {
			if err := h.units.Stop(ctx, name+".service"); err != nil {
				return err
			}
		}
	}
	for _, u := range start {
		if err := h.units.Start(ctx, u); err != nil {
			return err
		}
	}
	for _, u := range restart {
		if err := h.units.Restart(ctx, u); err != nil {
			return err
		}
		if err := h.clearStale(u); err != nil {
			return err
		}
	}
	return nil
}

// of are the units of one action.
func of(units []plan.UnitChange, a plan.Action) []string {
	var out []string
	for _, u := range units {
		if u.Action == a {
			out = append(out, u.Unit)
		}
	}
	return out
}

// isTemp reports whether name is what a killed write left; the next write of
// the same file takes it away.
func isTemp(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") && strings.HasSuffix(base, path.Base(atomicfile.TempName("x"))[2:])
}
