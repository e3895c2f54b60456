package cli

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/health"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/systemd"
)

// appStatus is everything status shows of one app.
type appStatus struct {
	App        string                `json:"app"`
	OK         bool                  `json:"ok"`
	Release    string                `json:"release,omitempty"`
	Since      time.Time             `json:"since,omitzero"`
	Source     string                `json:"source,omitempty"`
	Health     string                `json:"health"`
	Healthy    bool                  `json:"healthy"`
	Units      []landfast.UnitStatus `json:"units"`
	Drift      []string              `json:"drift"`
	Deployment *landfast.Deployment  `json:"deployment,omitempty"`
	Held       string                `json:"held,omitempty"`   // why nothing can be deployed
	Watched    time.Time             `json:"watched,omitzero"` // until when it is rolled back if it goes bad
}

// status is `landfast status`.
func (c *command) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status [APP]",
		Short: "Show the release, its health, its units, drift and the last deployment",
		Long: `Status shows what is live and since when, asks the health check once, and lists the
units, what differs from the manifest last applied, and how the last deployment
ended. Without APP and outside a project it shows every app of the host. It exits 1
when an app is not healthy, and 5 when one is stuck.

` + appArg,
		Example: "  sudo landfast status\n  sudo landfast status web --json",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			apps, err := c.statusApps(args)
			if err != nil {
				return err
			}
			m, err := c.openMachine(cmd.Context(), c.host)
			if err != nil {
				return err
			}
			defer m.Close()
			return c.printStatus(cmd.Context(), m, apps)
		},
	}
}

// statusApps are the apps to show.
func (c *command) statusApps(args []string) ([]*landfast.App, error) {
	if len(args) > 0 {
		l, err := c.locateApplied(args[0])
		return []*landfast.App{l.app}, err
	}
	l, err := c.locate(c.host, nil)
	if err == nil {
		if applied, aerr := readApplied(c.host, l.app.Name); aerr == nil {
			return []*landfast.App{applied.app}, nil
		}
		return []*landfast.App{l.app}, nil
	}
	names, lerr := appliedNames(c.host)
	if lerr != nil || len(names) == 0 {
		return nil, err
	}
	var apps []*landfast.App
	for _, n := range names {
		l, err := readApplied(c.host, n)
		if err != nil {
			return nil, err
		}
		apps = append(apps, l.app)
	}
	return apps, nil
}

// locateApplied prefers the manifest last applied to the one in the project: status
// is about the host.
func (c *command) locateApplied(arg string) (located, error) {
	l, err := c.locate(c.host, []string{arg})
	if err != nil {
		return l, err
	}
	if applied, err := readApplied(c.host, l.app.Name); err == nil {
		return applied, nil
	}
	return l, nil
}

func (c *command) printStatus(ctx context.Context, m *machine, apps []*landfast.App) error {
	all := []appStatus{}
	for _, app := range apps {
		s, err := m.appStatus(ctx, app)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	if c.json {
		c.printJSON(all)
	} else {
		for i, s := range all {
			if i > 0 {
				c.printf("\n")
			}
			c.statusText(&s)
		}
	}
	return verdict(all)
}

// verdict turns what was shown into the exit code.
func verdict(all []appStatus) error {
	var err error
	for _, s := range all {
		switch {
		case s.Held != "":
			return silent{&landfast.Error{Kind: landfast.Stuck, Msg: s.Held}}
		case !s.OK:
			err = silent{fmt.Errorf("%s is not healthy", s.App)}
		}
	}
	return err
}

// appStatus gathers the status of one app.
func (m *machine) appStatus(ctx context.Context, app *landfast.App) (appStatus, error) {
	s := appStatus{App: app.Name, Drift: []string{}, Units: []landfast.UnitStatus{}}
	if err := m.releaseStatus(app, &s); err != nil {
		return s, err
	}
	p, seen, changes, err := m.difference(ctx, app)
	switch {
	case landfast.KindOf(err) == landfast.Conflict:
		s.Drift = append(s.Drift, err.Error())
	case err != nil:
		return s, err
	}
	if !changes.Empty() {
		s.Drift = append(s.Drift, changes.Summary()...)
	}
	if p != nil {
		if err := m.unitStatus(ctx, p, seen, &s); err != nil {
			return s, err
		}
	}
	last, err := m.history(app.Name, 1)
	if err != nil {
		return s, err
	}
	if len(last) > 0 {
		s.Deployment = &last[0]
		s.Held = heldText(s.Deployment)
	}
	if window, err := m.openWindow(app.Name); err == nil && window != nil && window.Release == s.Release {
		s.Watched = window.Until()
	}
	s.Healthy, s.Health = m.healthNow(ctx, app, s.Release)
	s.OK = s.Healthy && s.Held == ""
	return s, nil
}

// unitStatus adds the units of the plan, and those of other releases that still run.
func (m *machine) unitStatus(ctx context.Context, p *plan.Plan, seen plan.Observed, s *appStatus) error {
	for _, u := range p.Units {
		st, err := m.units.Status(ctx, u.Name)
		if err != nil {
			return err
		}
		s.Units = append(s.Units, st)
	}
	for _, u := range plan.Superseded(p, seen).Units {
		if st := seen.Units[u.Unit]; st.Running() {
			s.Units = append(s.Units, st)
			s.Drift = append(s.Drift, u.Unit+" still runs, and is not the current release")
		}
	}
	return nil
}

// openWindow is the time in which a release of an app is watched, if there is one.
func (m *machine) openWindow(app string) (*deploy.Window, error) {
	state, err := m.OpenState(app)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	return deploy.ReadWindow(state)
}

func heldText(d *landfast.Deployment) string {
	if d.Status != landfast.StatusStuck {
		return ""
	}
	return fmt.Sprintf("deployment %s is stuck: remove the cause, then `landfast resume %s`", d.ID, d.App)
}

func (m *machine) releaseStatus(app *landfast.App, s *appStatus) error {
	store, err := m.store(app)
	if err != nil {
		return err
	}
	if s.Release, err = store.Current(); err != nil || s.Release == "" {
		return err
	}
	rel, err := store.Get(s.Release)
	if err != nil {
		return err
	}
	s.Since, s.Source = rel.Live, rel.Source
	return nil
}

// healthNow asks the health check once.
func (m *machine) healthNow(ctx context.Context, app *landfast.App, release string) (healthy bool, answer string) {
	if release == "" {
		return false, "no release yet"
	}
	st, err := m.units.Status(ctx, app.Main().InstanceUnit(release))
	if err != nil {
		return false, err.Error()
	}
	if st.Active != "active" {
		return false, fmt.Sprintf("%s is %s: %s", st.Name, st.Active, systemd.Explain("", st))
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	h := app.Health
	probe := health.Probe(func(context.Context) (string, error) { return st.Name + " is active", nil })
	switch h.Kind {
	case landfast.HealthTCP:
		probe = health.TCP(&net.Dialer{}, h.Target)
	case landfast.HealthHTTP:
		probe = health.HTTP(&net.Dialer{}, h)
	}
	answer, err = probe(ctx)
	if err != nil {
		return false, err.Error()
	}
	return true, answer
}

// statusText prints one app for people.
func (c *command) statusText(s *appStatus) {
	mark := c.paint(green, "●")
	if !s.OK {
		mark = c.paint(red, "✗")
	}
	c.printf("%s %s\n", mark, s.App)
	row := func(name, format string, args ...any) { c.printf("  %-11s %s\n", name, fmt.Sprintf(format, args...)) }
	if s.Release == "" {
		row("release", "none")
	} else {
		row("release", "%s, live since %s", s.Release, day(s.Since))
		row("source", "%s", s.Source)
	}
	row("health", "%s", s.Health)
	if !s.Watched.IsZero() {
		row("watched", "until %s: it is rolled back if it goes bad", day(s.Watched))
	}
	for i, u := range s.Units {
		name := ""
		if i == 0 {
			name = "units"
		}
		row(name, "%s", unitText(u))
	}
	for i, d := range s.Drift {
		name := ""
		if i == 0 {
			name = "drift"
		}
		row(name, "%s", d)
	}
	if len(s.Drift) == 0 {
		row("drift", "none")
	}
	if d := s.Deployment; d != nil {
		row("deployment", "%s: %s by %s %s", d.ID, d.Verb, d.Actor, status(*d))
	}
	if s.Held != "" {
		row("HELD", "%s", s.Held)
	}
}

func unitText(u landfast.UnitStatus) string {
	text := fmt.Sprintf("%s is %s (%s)", u.Name, u.Active, u.Sub)
	if u.MainPID > 0 {
		text += fmt.Sprintf(", pid %d", u.MainPID)
	}
	if u.MemoryBytes > 0 {
		text += ", " + size(int64(u.MemoryBytes))
	}
	if u.Restarts > 0 {
		text += fmt.Sprintf(", restarted %d times by systemd", u.Restarts)
	}
	if u.Active == "failed" {
		text += ": " + systemd.Explain("", u)
	}
	return text
}
