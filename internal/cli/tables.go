package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/landfast/landfast"
)

// table prints rows in columns.
func (c *command) table(rows [][]string) {
	w := tabwriter.NewWriter(c.std.Out, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		for i, cell := range r {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // as any other print
}

// day is a time for people, in the machine's zone.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, suffix := float64(n)/unit, 0
	for f >= unit && suffix < 3 {
		f, suffix = f/unit, suffix+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGT"[suffix])
}

// listedRelease is one release in the JSON of releases.
type listedRelease struct {
	landfast.Release
	Current bool `json:"current"`

	// Manifest hides the release's: it is long, and `render` shows what it becomes.
	Manifest string `json:"manifest,omitempty"`
}

func (c *command) printReleases(m *machine, app *landfast.App) error {
	store, err := m.store(app)
	if err != nil {
		return err
	}
	all, err := store.List()
	if err != nil {
		return err
	}
	current, err := store.Current()
	if err != nil {
		return err
	}
	list := make([]listedRelease, 0, len(all))
	for _, r := range all {
		list = append(list, listedRelease{Release: r, Current: r.ID == current})
	}
	if c.json {
		c.printJSON(list)
		return nil
	}
	if len(list) == 0 {
		c.printf("%s has no release on this host\n", app.Name)
		return nil
	}
	rows := [][]string{{"", "RELEASE", "STATE", "LIVE SINCE", "SIZE", "SOURCE"}}
	for _, r := range list {
		rows = append(rows, r.row())
	}
	c.table(rows)
	return nil
}

func (r listedRelease) row() []string {
	mark := " "
	if r.Current {
		mark = "*"
	}
	return []string{mark, r.ID, string(r.State), day(r.Live), size(r.Bytes), r.Source}
}

func (c *command) printDeployments(app string, all []landfast.Deployment) {
	if c.json {
		c.printJSON(append([]landfast.Deployment{}, all...))
		return
	}
	if len(all) == 0 {
		c.printf("%s was never deployed on this host\n", app)
		return
	}
	rows := [][]string{{"DEPLOYMENT", "STATUS", "TOOK", "BY", "FROM", "TO"}}
	for _, d := range all {
		rows = append(rows, []string{d.ID, status(d), took(d), d.Actor, dash(d.From), dash(d.To)})
	}
	c.table(rows)
}

// status is the state of a deployment as a list shows it: one whose process is
// gone says so.
func status(d landfast.Deployment) string {
	if d.Status == landfast.StatusRunning || d.Status == landfast.StatusUndoing || d.Status == landfast.StatusCommitted {
		return string(d.Status) + "…"
	}
	return string(d.Status)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (c *command) printDeployment(d *landfast.Deployment) {
	if c.json {
		c.printJSON(d)
		return
	}
	c.printf("%s  %s of %s by %s: %s\n", d.ID, d.Verb, d.App, d.Actor, d.Status)
	from := d.From
	if from == "" {
		from = "no release"
	}
	c.printf("from %s to %s, started %s\n\n", from, dash(d.To), day(d.Started))
	rows := [][]string{{"STEP", "STATUS", "TOOK", ""}}
	for _, s := range d.Steps {
		text := s.Summary
		if s.Error != "" {
			text = s.Error
		}
		rows = append(rows, []string{s.Name, string(s.Status), short(s.Took), text})
	}
	c.table(rows)
	if d.Failure != nil {
		c.printf("\n%s", failureText(d))
	}
}
