package cli

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/queue"
)

// queue is `landfast queue`, which only has verbs below it.
func (c *command) queue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "Show and change what waits to be deployed",
		Long: `Queue is about the events that came from outside (/var/spool/landfast): what waits,
what runs, and what became of the others.`,
		Example: "  sudo landfast queue list web\n  sudo landfast queue replay web 20261121T013000.000000Z",
		Args:    unknownVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(c.queueList(), c.queueShow(), c.queueReplay(), c.queueDrop())
	return cmd
}

// openQueue opens the queue of an app.
func openQueue(root, app string) (*queue.Queue, error) {
	if !setupNames.MatchString(app) {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "\"" + app + "\" cannot be the name of an app"}
	}
	return queue.Open(filepath.Join(root, queue.Spool), app)
}

// queued are the apps of a host that have a queue.
func queued(root string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, queue.Spool))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: "this host takes no events", Hint: "`sudo landfast setup APP` makes it ready"}
	}
	if err != nil {
		return nil, unreadable("read "+queue.Spool, err)
	}
	var apps []string
	for _, e := range entries {
		if e.IsDir() && setupNames.MatchString(e.Name()) {
			apps = append(apps, e.Name())
		}
	}
	return apps, nil
}

// queueList is `landfast queue list`.
func (c *command) queueList() *cobra.Command {
	return &cobra.Command{
		Use:     "list [APP]",
		Short:   "List the events of an app, or of all",
		Long:    "List shows the events that are known, oldest first: what waits, what runs, and what\nended as long as it is kept.",
		Example: "  sudo landfast queue list\n  sudo landfast queue list web --json",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(_ *cobra.Command, args []string) error {
			apps := args
			if len(apps) == 0 {
				var err error
				if apps, err = queued(c.host); err != nil {
					return err
				}
			}
			all := []queue.Entry{}
			for _, app := range apps {
				q, err := openQueue(c.host, app)
				if err != nil {
					return err
				}
				entries, err := q.List()
				if err = errors.Join(err, q.Close()); err != nil {
					return err
				}
				all = append(all, entries...)
			}
			if c.json {
				c.printJSON(all)
				return nil
			}
			c.printEvents(all)
			return nil
		},
	}
}

func (c *command) printEvents(all []queue.Entry) {
	if len(all) == 0 {
		c.printf("no events\n")
		return
	}
	rows := [][]string{{"ID", "APP", "STATE", "ACTION", "WHAT", "FROM", "REASON"}}
	for _, e := range all {
		rows = append(rows, []string{e.Event.ID, e.Event.App, string(e.State), string(e.Event.Action), what(e.Event), e.Event.Provider, cmp.Or(e.Reason, "-")})
	}
	c.table(rows)
}

// what an event is about, in few words.
func what(ev landfast.Event) string {
	ref := strings.TrimPrefix(strings.TrimPrefix(ev.Ref, "refs/heads/"), "refs/tags/")
	commit := ev.Commit[:min(7, len(ev.Commit))]
	return cmp.Or(strings.TrimSpace(ref+" "+commit), ev.Location, ev.Release, ev.Of, "-")
}

// queueShow is `landfast queue show`.
func (c *command) queueShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show APP ID",
		Short:   "Show one event with everything that happened to it",
		Long:    "Show prints an event and the lines of its journal, the progress of its deployment\namong them.",
		Example: "  sudo landfast queue show web 20261121T013000.000000Z",
		Args:    cobra.ExactArgs(2),

		ValidArgsFunction: c.completeApp,
		RunE: func(_ *cobra.Command, args []string) error {
			q, err := openQueue(c.host, args[0])
			if err != nil {
				return err
			}
			defer func() { _ = q.Close() }() // it was only read
			e, err := q.Show(args[1])
			if err != nil {
				return err
			}
			if c.json {
				c.printJSON(e)
				return nil
			}
			c.printf("%s of %s is %s\n", e.Event.ID, e.Event.App, e.State)
			row := func(name, text string) {
				if text != "" {
					c.printf("  %-10s %s\n", name, text)
				}
			}
			row("action", string(e.Event.Action)+" "+what(e.Event))
			row("from", strings.TrimSpace(e.Event.Provider+" "+e.Event.Trigger+" "+e.Event.Repository))
			row("by", e.Event.Actor)
			row("reason", e.Reason)
			for _, l := range e.Lines {
				c.printf("  %s  %s\n", l.Time.Local().Format(time.TimeOnly), strings.TrimSpace(string(l.State)+" "+cmp.Or(l.Text, l.Reason)))
			}
			return nil
		},
	}
}

// changedEvent is the JSON of queue replay and drop.
type changedEvent struct {
	App string `json:"app"`
	ID  string `json:"id"`
	New string `json:"new,omitempty"`
}

// queueReplay is `landfast queue replay`.
func (c *command) queueReplay() *cobra.Command {
	return c.queueChange("replay", "Queue an event again that has ended",
		"Replay makes a new event of one that has ended. It takes effect although it was sent\nbefore, and is the newest.",
		func(cmd *cobra.Command, q *queue.Queue, r *changedEvent) (err error) {
			r.New, err = q.Replay(cmd.Context(), r.ID, actor())
			return err
		}, "queued again as %s\n")
}

// queueDrop is `landfast queue drop`.
func (c *command) queueDrop() *cobra.Command {
	return c.queueChange("drop", "Take an event out that waits",
		"Drop ends an event that waits; one that runs or has ended is left alone.",
		func(cmd *cobra.Command, q *queue.Queue, r *changedEvent) error {
			return q.Drop(cmd.Context(), r.ID, actor())
		}, "dropped\n")
}

func (c *command) queueChange(verb, short, long string, do func(*cobra.Command, *queue.Queue, *changedEvent) error, said string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " APP ID", Short: short, Long: long,
		Example: "  sudo landfast queue " + verb + " web 20261121T013000.000000Z",
		Args:    cobra.ExactArgs(2),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := openQueue(c.host, args[0])
			if err != nil {
				return err
			}
			r := changedEvent{App: args[0], ID: args[1]}
			if err := errors.Join(do(cmd, q, &r), q.Close()); err != nil {
				return err
			}
			switch {
			case c.json:
				c.printJSON(r)
			case r.New != "":
				c.printf(said, r.New)
			default:
				c.printf("%s", said)
			}
			return nil
		},
	}
}
