package cli

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/systemd"
)

// rootFlag adds --root to a verb that can work on a directory tree.
func (c *command) rootFlag(cmd *cobra.Command, root *string) {
	cmd.Flags().StringVar(root, "root", c.host, "work on the system below this `directory` instead of the running one")
	_ = cmd.MarkFlagDirname("root") // it is there
}

// targetFlags adds --root and --systemd to a verb that makes units there.
func (c *command) targetFlags(cmd *cobra.Command, root *string) {
	c.rootFlag(cmd, root)
	cmd.Flags().IntVar(&c.systemd, "systemd", 0, "with --root: for this `version` of systemd (default: the one installed there, else the newest)")
}

// absRoot makes --root absolute.
func absRoot(root string) (string, error) { return filepath.Abs(root) }

// difference is the plan of an app and what the machine lacks of it.
func (m *machine) difference(ctx context.Context, app *landfast.App) (*plan.Plan, plan.Observed, plan.Changes, error) {
	facts, err := m.facts(ctx, app)
	if err != nil {
		return nil, plan.Observed{}, plan.Changes{}, err
	}
	p, err := plan.Build(app, facts)
	if err != nil {
		return nil, plan.Observed{}, plan.Changes{}, err
	}
	seen, err := m.Observe(ctx, p)
	if err != nil {
		return nil, plan.Observed{}, plan.Changes{}, err
	}
	// Nothing in a tree runs, and nothing of it can be started.
	seen.Live = seen.Live && !m.staged
	changes, err := plan.Diff(p, seen)
	return p, seen, changes, err
}

// plan is `landfast plan`.
func (c *command) plan() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "plan [APP]",
		Short: "Print what apply would change on this host",
		Long: `Plan prints the exact difference between the manifest and this host: files as
unified diffs, users, directories with owner and mode, and what happens to units.
It changes nothing, and exits 3 when there is a difference.

` + appArg,
		Example: "  sudo landfast plan\n  landfast plan --root build/image web",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.onMachine(cmd.Context(), root, args, func(m *machine, l located) error {
				p, _, changes, err := m.difference(cmd.Context(), l.app)
				if err != nil {
					return err
				}
				c.printChanges(p, &changes)
				if changes.Empty() {
					return nil
				}
				return silent{&landfast.Error{Kind: landfast.Pending, Msg: "there are changes to apply"}}
			})
		},
	}
	c.targetFlags(cmd, &root)
	return cmd
}

func (c *command) printChanges(p *plan.Plan, changes *plan.Changes) {
	if c.json {
		c.printJSON(newChangesResult(p, changes))
		return
	}
	for _, n := range p.Notes {
		c.printf("note: %s\n", n)
	}
	if changes.Empty() {
		c.printf("%s: nothing to change\n", p.App)
		return
	}
	c.printf("%s", c.paintDiff(changes.Text()))
}

// onMachine finds the app, opens the machine and runs f.
func (c *command) onMachine(ctx context.Context, root string, args []string, f func(*machine, located) error) error {
	root, err := absRoot(root)
	if err != nil {
		return err
	}
	l, err := c.locate(root, args)
	if err != nil {
		return err
	}
	m, err := c.openMachine(ctx, root)
	if err != nil {
		return err
	}
	defer m.Close()
	return f(m, l)
}

// onFiles is onMachine for what only reads files: it needs no systemd.
func (c *command) onFiles(root string, args []string, f func(*machine, located) error) error {
	root, err := absRoot(root)
	if err != nil {
		return err
	}
	l, err := c.locate(root, args)
	if err != nil {
		return err
	}
	m, err := newMachine(root, systemd.Offline(root))
	if err != nil {
		return err
	}
	defer m.Close()
	return f(m, l)
}

// apply is `landfast apply`.
func (c *command) apply() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "apply [APP]",
		Short: "Make this host what the manifest says, and print what changed",
		Long: `Apply does just what plan prints: users, directories, files, one daemon-reload and
the units that need it. A second apply changes nothing. Only files that carry our
mark are changed or removed; a foreign file in the way is an error that names it.

` + appArg,
		Example: "  sudo landfast apply\n  sudo landfast apply --root build/image landfast.toml",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.onMachine(ctx, root, args, func(m *machine, l located) error {
				p, changes, err := m.apply(ctx, l.app)
				if err != nil {
					return err
				}
				c.printChanges(p, &changes)
				return nil
			})
		},
	}
	c.targetFlags(cmd, &root)
	return cmd
}

// apply makes the difference, and tells what it was.
func (m *machine) apply(ctx context.Context, app *landfast.App) (*plan.Plan, plan.Changes, error) {
	// The lock lies in a directory of the app, which is made for it.
	_, _, planned, err := m.difference(ctx, app)
	if err != nil {
		return nil, plan.Changes{}, err
	}
	unlock, err := m.Lock(ctx, app.Name, "apply")
	if err != nil {
		return nil, plan.Changes{}, err
	}
	defer unlock()
	p, seen, changes, err := m.difference(ctx, app)
	if err != nil {
		return nil, plan.Changes{}, err
	}
	if err := m.needsSettings(app, seen.Live); err != nil {
		return nil, plan.Changes{}, err
	}
	if err := m.Apply(ctx, changes); err != nil {
		return nil, plan.Changes{}, err
	}
	for _, d := range changes.Dirs {
		if !slices.ContainsFunc(planned.Dirs, func(o plan.DirChange) bool { return o.Path == d.Path }) {
			planned.Dirs = append(planned.Dirs, d)
		}
	}
	changes.Dirs = planned.Dirs
	return p, changes, nil
}

// uninstall is `landfast uninstall`.
func (c *command) uninstall() *cobra.Command {
	var root string
	var purge, dry bool
	cmd := &cobra.Command{
		Use:   "uninstall APP",
		Short: "Remove from this host what apply made for an app",
		Long: `Uninstall stops and removes the units and files of an app, and the directories
that are empty then. Releases, data, history and accounts stay unless --purge is
given. Files that Landfast did not make are left alone.

APP is the name of an app on this host, or the path of its manifest (it has a slash
or ends in .toml); an app that is uninstalled already needs the path.`,
		Example: "  sudo landfast uninstall web --plan\n  sudo landfast uninstall web --purge",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.onMachine(ctx, root, args, func(m *machine, l located) error {
				p, changes, err := m.uninstall(ctx, l.app, purge, dry)
				if err != nil {
					return err
				}
				c.printChanges(p, &changes)
				return nil
			})
		},
	}
	c.targetFlags(cmd, &root)
	cmd.Flags().BoolVar(&purge, "purge", false, "remove releases, data, history and accounts too; this cannot be undone")
	cmd.Flags().BoolVar(&dry, "plan", false, "print what would be removed, and remove nothing")
	return cmd
}

// uninstall takes an app off the machine, unless dry, and tells what that changes.
func (m *machine) uninstall(ctx context.Context, app *landfast.App, purge, dry bool) (*plan.Plan, plan.Changes, error) {
	p, changes, err := m.removal(ctx, app, purge)
	// Taking the lock would make a directory where nothing is.
	if err != nil || dry || changes.Empty() {
		return p, changes, err
	}
	unlock, err := m.Lock(ctx, app.Name, "uninstall")
	if err != nil {
		return nil, plan.Changes{}, err
	}
	defer unlock()
	if p, changes, err = m.removal(ctx, app, purge); err != nil {
		return nil, plan.Changes{}, err
	}
	return p, changes, m.Apply(ctx, changes)
}

// removal is what there is of an app to remove. What is of somebody else stays,
// and is no conflict.
func (m *machine) removal(ctx context.Context, app *landfast.App, purge bool) (*plan.Plan, plan.Changes, error) {
	p, seen, _, err := m.difference(ctx, app)
	if err != nil && (p == nil || landfast.KindOf(err) != landfast.Conflict) {
		return nil, plan.Changes{}, err
	}
	return p, plan.Uninstall(p, seen, purge), nil
}
