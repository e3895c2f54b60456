package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/logs"
	"github.com/landfast/landfast/internal/plan"
)

// logs is `landfast logs`.
func (c *command) logs() *cobra.Command {
	q := logs.Query{Lines: 50}
	cmd := &cobra.Command{
		Use:     "logs [APP]",
		Short:   "Show what an app wrote to the journal",
		Long:    "Logs prints the last lines of all units of an app, and goes on with -f. With --json\neach line is a JSON object as journalctl(1) gives it.\n\n" + appArg,
		Example: "  landfast logs web -f\n  landfast logs web -n 500 --since '10 min ago'",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := c.locate(c.host, args)
			if err != nil {
				return err
			}
			p, err := plan.Build(l.app, plan.Facts{})
			if err != nil {
				return err
			}
			for _, u := range p.Units {
				q.Units = append(q.Units, u.Name)
			}
			q.Units = append(q.Units, deploy.HookUnits(l.app.Name)...)
			for _, s := range l.app.Overlapping() {
				q.Units = append(q.Units, s.InstancePrefix()+"*.service")
			}
			if c.json {
				q.Output = "json"
			}
			return logs.Stream(cmd.Context(), c.std.Out, q)
		},
	}
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on until interrupted")
	cmd.Flags().IntVarP(&q.Lines, "lines", "n", 50, "how many `lines`")
	cmd.Flags().StringVar(&q.Since, "since", "", "from this `time` on, as journalctl(1) reads it")
	return cmd
}

// power is `landfast start`, `stop` and `restart`.
func (c *command) power(verb string) *cobra.Command {
	short := map[string]string{
		"start":   "Start an app",
		"stop":    "Stop an app and close its sockets",
		"restart": "Restart an app; its sockets stay open",
	}[verb]
	return &cobra.Command{
		Use:     verb + " [APP]",
		Short:   short,
		Long:    short + ".\nThe release stays the same. It waits until systemd is done.\n\n" + appArg,
		Example: "  sudo landfast " + verb + " web",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.onMachine(ctx, c.host, args, func(m *machine, l located) error {
				unlock, err := m.Lock(ctx, l.app.Name, verb)
				if err != nil {
					return err
				}
				defer unlock()
				return c.doPower(ctx, m, l.app, verb)
			})
		},
	}
}

// powerResult is the JSON of start, stop and restart.
type powerResult struct {
	App   string                `json:"app"`
	Verb  string                `json:"verb"`
	Units []landfast.UnitStatus `json:"units"`
}

func (c *command) doPower(ctx context.Context, m *machine, app *landfast.App, verb string) error {
	done := powerResult{App: app.Name, Verb: verb, Units: []landfast.UnitStatus{}}
	err := m.power(ctx, app, verb, func(st landfast.UnitStatus) {
		done.Units = append(done.Units, st)
		if !c.json {
			c.printf("%s is %s (%s)\n", st.Name, st.Active, st.Sub)
		}
	})
	if err == nil && c.json {
		c.printJSON(done)
	}
	return err
}

// power starts, stops or restarts the units of an app, and tells how each is then.
func (m *machine) power(ctx context.Context, app *landfast.App, verb string, tell func(landfast.UnitStatus)) error {
	if err := needsRelease(m, app, verb); err != nil {
		return err
	}
	facts, err := m.facts(ctx, app)
	if err != nil {
		return err
	}
	p, err := plan.Build(app, facts)
	if err != nil {
		return err
	}
	do := map[string]func(context.Context, string) error{
		"start": m.units.Start, "stop": m.units.Stop, "restart": m.units.Restart,
	}[verb]
	for _, u := range powerOrder(p.Units, verb) {
		if verb != "stop" {
			if err := m.units.ResetFailed(ctx, u); err != nil {
				return err
			}
		}
		if err := do(ctx, u); err != nil {
			return err
		}
		st, err := m.units.Status(ctx, u)
		if err != nil {
			return err
		}
		tell(st)
	}
	return nil
}

// powerOrder are the units that a verb is for, in its order. What a timer or another
// unit starts is left to these.
func powerOrder(units []plan.Unit, verb string) []string {
	var sockets, before, services, triggers []string
	for _, u := range units {
		switch {
		case u.Manual:
		case (u.Anchor || u.Relay) && verb == "restart": // its instance is restarted; it holds the address meanwhile
		case u.Socket:
			sockets = append(sockets, u.Name)
		case u.Prepare:
			before = append(before, u.Name)
		case u.Trigger:
			triggers = append(triggers, u.Name)
		default:
			services = append(services, u.Name)
		}
	}
	switch verb {
	case "stop":
		slices.Reverse(services)
		// What stayed open or waiting would start the services again.
		return slices.Concat(triggers, sockets, services, before)
	case "restart":
		return services
	}
	return slices.Concat(sockets, before, services, triggers)
}

// needsRelease refuses to start what has nothing to run.
func needsRelease(m *machine, app *landfast.App, verb string) error {
	if verb == "stop" {
		return nil
	}
	store, err := m.store(app)
	if err != nil {
		return err
	}
	current, err := store.Current()
	if err == nil && current == "" {
		return &landfast.Error{
			Kind: landfast.NotFound, Msg: fmt.Sprintf("%s has no release on this host", app.Name),
			Hint: fmt.Sprintf("`landfast deploy %s` makes one live", app.Name),
		}
	}
	return err
}

// deployments is `landfast deployments`.
func (c *command) deployments() *cobra.Command {
	var root string
	n := 20
	cmd := &cobra.Command{
		Use:     "deployments [APP]",
		Short:   "List what was deployed, by whom and how it ended",
		Long:    "Deployments lists the deployments and rollbacks of an app on this host, newest first.\n\n" + appArg,
		Example: "  sudo landfast deployments web -n 5",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.onFiles(root, args, func(m *machine, l located) error {
				all, err := m.history(l.app.Name, n)
				if err != nil {
					return err
				}
				c.printDeployments(l.app.Name, all)
				return nil
			})
		},
	}
	cmd.Flags().IntVarP(&n, "lines", "n", n, "how `many`; 0 means all")
	c.rootFlag(cmd, &root)
	return cmd
}

// show is `landfast show`.
func (c *command) show() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "show [APP] DEPLOYMENT",
		Short: "Show one deployment: its steps, times and why it failed",
		Long: `Show prints one deployment with every step and the time it took and, when it
failed, what was seen and what was undone. DEPLOYMENT may be "last".

` + appArg,
		Example: "  sudo landfast show web 20261121T013000Z-deploy\n  sudo landfast show last",
		Args:    cobra.RangeArgs(1, 2),

		ValidArgsFunction: c.completeWith(deploymentIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			args, id := args[:len(args)-1], args[len(args)-1]
			return c.onFiles(root, args, func(m *machine, l located) error {
				d, err := m.deployment(l.app.Name, id)
				if err != nil {
					return err
				}
				c.printDeployment(&d)
				return nil
			})
		},
	}
	c.rootFlag(cmd, &root)
	return cmd
}

// deployment reads one deployment of an app.
func (m *machine) deployment(app, id string) (landfast.Deployment, error) {
	if id == "last" {
		all, err := m.history(app, 1)
		if err != nil || len(all) > 0 {
			return append(all, landfast.Deployment{})[0], err
		}
		return landfast.Deployment{}, &landfast.Error{Kind: landfast.NotFound, Msg: app + " was never deployed on this host"}
	}
	if err := landfast.CheckReleaseID(id); err != nil {
		return landfast.Deployment{}, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is not the id of a deployment", id), Hint: "`landfast deployments` lists them",
		}
	}
	state, err := m.OpenState(app)
	if err != nil {
		return landfast.Deployment{}, err
	}
	defer state.Close()
	return deploy.Show(state, id)
}
