package deploy

import (
	"context"
	"fmt"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/systemd"
)

// doMigrate runs the migrate hooks of the new release, before it is current.
func doMigrate(ctx context.Context, r *run) error {
	release := r.app.Paths.Releases + "/" + r.Deployment.To
	if r.app.Hooks.Irreversible {
		if err := r.releases.SetIrreversible(r.Deployment.To); err != nil {
			return err
		}
	}
	for _, c := range r.app.Hooks.Migrate {
		if err := r.runCommand(ctx, "migrate", c, release); err != nil {
			return err
		}
	}
	return nil
}

func undoMigrate(ctx context.Context, r *run) error {
	if r.app.Hooks.Irreversible {
		r.note("what the migrate hooks have done stays: the manifest says that it cannot be taken back")
	}
	return r.engine.Host.Forget(ctx, hookUnit(r.app.Name, "migrate"))
}

// doAnnounce runs the after hooks. That one fails is said and changes nothing: the
// release is live.
func doAnnounce(ctx context.Context, r *run) error {
	for _, c := range r.app.Hooks.After {
		if err := r.runCommand(ctx, "after", c, r.app.Paths.Current); err != nil {
			r.note(fmt.Sprintf("after hook: %v", err))
		}
	}
	return nil
}

// HookUnits are the transient units that commands of an app's deployments run in.
func HookUnits(app string) []string {
	return []string{hookUnit(app, "migrate"), hookUnit(app, "after"), hookUnit(app, "health")}
}

// hookUnit names the transient unit of a hook. An app has one of each at a time.
func hookUnit(app, hook string) string { return "landfast-" + app + "-" + hook + ".service" }

// runCommand runs one command as the app's user, in the environment, directories
// and sandbox of its main unit, with the files of the given release directory.
func (r *run) runCommand(ctx context.Context, hook string, c landfast.Command, release string) error {
	facts, err := r.engine.Host.Facts(ctx)
	if err != nil {
		return err
	}
	facts.Instance.Port = r.Before.Planned.Instance.Port
	app := r.app.At(release)
	if r.set != "" { // it may not count yet
		app = app.WithSettings(r.set)
	}
	text, err := plan.Oneshot(app, facts, c.At(r.app.Paths.Current, release))
	if err != nil {
		return err
	}
	unit := hookUnit(r.app.Name, hook)
	st, err := r.engine.Host.RunOnce(ctx, unit, text)
	if err != nil {
		return fmt.Errorf("run %q: %w", c.Argv, err)
	}
	if st.Result != "success" {
		return &commandError{argv: c.Argv, status: st, log: r.engine.Log(ctx, unit, st.Invocation)}
	}
	return nil
}

// commandError is a hook that did not succeed, with what it wrote.
type commandError struct {
	argv   []string
	status landfast.UnitStatus
	log    []string
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: %s", strings.Join(e.argv, " "), systemd.Explain("failed", e.status))
}
