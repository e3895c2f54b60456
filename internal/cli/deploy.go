package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
)

// deploy is `landfast deploy`.
func (c *command) deploy() *cobra.Command {
	var from from
	var force bool
	var root string
	cmd := &cobra.Command{
		Use:   "deploy [APP]",
		Short: "Make a new release live, or come back to the old one",
		Long: `Deploy fetches a release, makes it complete beside the others, installs what the
manifest says, switches to it and waits until it is healthy. Whatever fails before
the commit is undone: units, files and the former release come back. Ctrl-C undoes
it too. What a killed deployment left behind is settled first.

With --root the release is put into a directory tree, for an image or a package.
Nothing in it is started, asked or run, hooks included: it starts with the machine.

` + appArg,
		Example: `  sudo landfast deploy --from build/web.tar.gz
  sudo landfast deploy web --from https://ci.example.org/web-1.2.tar.zst --digest sha256:9f86d0…
  sudo landfast deploy web --from https://git.example.org/shop/web.git --revision v1.2
  sudo landfast deploy --root build/image --from build/web.tar.gz`,
		Args: cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.onMachine(ctx, root, args, func(m *machine, l located) error {
				src, err := from.source(l)
				if err != nil {
					return err
				}
				p := c.progress()
				d, err := m.engine(p.event).Deploy(ctx, deploy.Request{App: l.app, Source: src, Actor: actor(), Force: force})
				if err == nil && m.staged && !c.json {
					p.end()
					c.printf("%s: %s is current below %s (%s)\n", d.App, d.To, root, took(d))
					return nil
				}
				return c.outcome(p, d, err)
			})
		},
	}
	from.flags(cmd)
	c.targetFlags(cmd, &root)
	cmd.Flags().BoolVar(&force, "force", false, "even a release that is known to be bad")
	return cmd
}

// rollback is `landfast rollback`.
func (c *command) rollback() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rollback [APP] [RELEASE]",
		Short: "Go back to the last good release, or to a named one",
		Long: `Rollback makes a release that is on this host live again, with the units and the
environment it was deployed with. Without a name it is the newest good release
before the current one. The release one leaves counts as bad from then on: it is
refused until --force.

` + appArg,
		Example: "  sudo landfast rollback\n  sudo landfast rollback web 20261121T013000Z-4be1c9a",
		Args:    cobra.MaximumNArgs(2),

		ValidArgsFunction: c.completeWith(releaseIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			args, release := splitRelease(args)
			return c.onMachine(ctx, c.host, args, func(m *machine, l located) error {
				p := c.progress()
				d, err := m.engine(p.event).Rollback(ctx, deploy.Target{App: l.app, Release: release, Actor: actor(), Force: force})
				return c.outcome(p, d, err)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "even a release that is known to be bad")
	return cmd
}

// splitRelease tells an app from a release: `rollback RELEASE` needs no app.
func splitRelease(args []string) (rest []string, release string) {
	if n := len(args); n > 0 && (n == 2 || landfast.CheckReleaseID(args[n-1]) == nil) {
		return args[:n-1], args[n-1]
	}
	return args, ""
}

// resume is `landfast resume`.
func (c *command) resume() *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "resume [APP]",
		Short: "End a deployment that was interrupted or is stuck",
		Long: `Resume settles what a killed deployment left behind: before its commit it is
undone, behind it it is finished. A stuck one, whose undo failed, is tried again.
Deploy and rollback do the same first, but for a stuck one: that needs a person.

` + appArg,
		Example: "  sudo landfast resume web\n  sudo landfast resume --all",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if all {
				if len(args) > 0 {
					return usage(cmd, "--all goes without the name of an app")
				}
				return c.resumeAll(ctx)
			}
			return c.onMachine(ctx, c.host, args, func(m *machine, l located) error {
				return c.resumeOne(ctx, m, l.app)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every app of this host, as landfast-resume.service does at boot")
	return cmd
}

// resumeOne settles one app.
func (c *command) resumeOne(ctx context.Context, m *machine, app *landfast.App) error {
	p := c.progress()
	d, err := m.engine(p.event).Resume(ctx, app.Name)
	switch {
	case d == nil && err == nil:
		return c.nothingToResume(app.Name)
	case d == nil:
		return err
	case err == nil:
		return c.settled(p, *d)
	}
	return c.outcome(p, *d, err)
}

// resumeAll settles every app, and fails with the first that could not be.
func (c *command) resumeAll(ctx context.Context) error {
	names, err := appliedNames(c.host)
	if err != nil {
		return err
	}
	m, err := c.openMachine(ctx, c.host)
	if err != nil {
		return err
	}
	defer m.Close()
	var failed error
	for _, name := range names {
		l, err := c.locateApplied(name)
		if err == nil {
			err = c.resumeOne(ctx, m, l.app)
		}
		if err != nil && failed == nil {
			failed = err
		} else if err != nil {
			c.printError(err)
		}
	}
	return failed
}

func (c *command) nothingToResume(app string) error {
	if c.json {
		c.printJSON(resumeResult{App: app})
		return nil
	}
	c.printf("%s: nothing was interrupted\n", app)
	return nil
}

// settled reports a deployment that was ended by resume.
func (c *command) settled(p *progress, d landfast.Deployment) error {
	p.end()
	if c.json {
		c.printJSON(d)
		return nil
	}
	c.printf("%s: deployment %s is %s\n", d.App, d.ID, d.Status)
	return nil
}

// outcome prints how a deployment ended and turns its error into the exit code.
func (c *command) outcome(p *progress, d landfast.Deployment, err error) error {
	p.end()
	if d.ID == "" { // refused before it was a deployment
		return err
	}
	if c.json {
		c.printJSON(d)
		if err != nil && d.Failure != nil {
			return silent{err} // the deployment says why
		}
		return err
	}
	if err == nil {
		c.printf("%s: %s is live (%s)\n", d.App, d.To, took(d))
		return nil
	}
	if d.Failure == nil {
		return err
	}
	c.printf("\n%s\n", failureText(&d))
	fmt.Fprintln(c.std.Err, "landfast:", headline(err))
	return silent{err}
}

// resumeResult is the JSON of resume when there was nothing to do.
type resumeResult struct {
	App     string `json:"app"`
	Resumed bool   `json:"resumed"`
}

// releases is `landfast releases`.
func (c *command) releases() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:     "releases [APP]",
		Short:   "List the releases on this host",
		Long:    "Releases lists what is on this host, newest first, with the current one marked, and\nthe bad ones that are remembered.\n\n" + appArg,
		Example: "  sudo landfast releases web\n  landfast releases web --root /mnt/image",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(_ *cobra.Command, args []string) error {
			return c.onFiles(root, args, func(m *machine, l located) error {
				return c.printReleases(m, l.app)
			})
		},
	}
	c.rootFlag(cmd, &root)
	return cmd
}

// prune is `landfast prune`.
func (c *command) prune() *cobra.Command {
	keep := -1
	cmd := &cobra.Command{
		Use:   "prune [APP]",
		Short: "Remove old releases",
		Long: `Prune keeps the newest good releases ([releases] keep), the current one and the one
before it, and removes the others with what dead deployments left. Every deployment
ends with it; by hand it is rarely needed.

` + appArg,
		Example: "  sudo landfast prune web --keep 2",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.onMachine(ctx, c.host, args, func(m *machine, l located) error {
				return c.doPrune(ctx, m, l.app, keep)
			})
		},
	}
	cmd.Flags().IntVar(&keep, "keep", -1, "how many good releases to keep (default: as the manifest says)")
	return cmd
}

// pruneResult is the JSON of prune.
type pruneResult struct {
	App     string   `json:"app"`
	Removed []string `json:"removed"`
}

func (c *command) doPrune(ctx context.Context, m *machine, app *landfast.App, keep int) error {
	if keep < 0 {
		keep = app.Releases.Keep
	}
	unlock, err := m.Lock(ctx, app.Name, "prune")
	if err != nil {
		return err
	}
	defer unlock()
	store, err := m.store(app)
	if err != nil {
		return err
	}
	removed, err := store.Prune(ctx, keep)
	if err != nil {
		return err
	}
	if c.json {
		c.printJSON(pruneResult{App: app.Name, Removed: append([]string{}, removed...)})
		return nil
	}
	if len(removed) == 0 {
		c.printf("%s: nothing to remove\n", app.Name)
	}
	for _, id := range removed {
		c.printf("removed %s\n", id)
	}
	return nil
}
