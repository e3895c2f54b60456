package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
)

// How a release that is watched goes bad.
const (
	watchEvery    = time.Second
	watchFailures = 3 // checks in a row
	watchRestarts = 3 // by systemd, since the window was opened
)

// watch is `landfast watch`.
func (c *command) watch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch APP",
		Short: "Watch a new release for a while, and roll it back if it goes bad; its unit runs it",
		Long: `Watch looks after a release for as long as [health] watch says, behind the commit of
its deployment: when its service dies or is restarted again and again, or its health
check fails several times in a row, the release before it is made live again, and this
one counts as bad. APP-watch.service runs it, also after a reboot within that time.`,
		Example: "  landfast watch web   # as web-watch.service does",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := c.locateApplied(args[0])
			if err != nil {
				return err
			}
			m, err := c.openMachine(cmd.Context(), c.host)
			if err != nil {
				return err
			}
			defer m.Close()
			w := &watcher{command: c, machine: m, app: l.app, began: time.Now()}
			return w.run(cmd.Context())
		},
	}
}

// watcher watches one app.
type watcher struct {
	*command
	*machine
	app    *landfast.App
	began  time.Time // with the monotonic clock
	failed int       // checks in a row
	last   string    // deployment whose window it is
}

func (w *watcher) run(ctx context.Context) error {
	for {
		window, err := w.window()
		if err != nil || window == nil {
			return err
		}
		if window.Deployment != w.last {
			w.last, w.failed, w.began = window.Deployment, 0, time.Now()
		}
		if why := w.goneBad(ctx, window); why != "" {
			return w.back(ctx, window, why)
		}
		// A clock that steps back must not keep the window open.
		if !time.Now().Before(window.Until()) || time.Since(w.began) > window.Length {
			fmt.Fprintf(w.std.Err, "%s has been well for %s\n", window.Release, window.Length)
			return w.close(window)
		}
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return nil // the window stays open
		}
	}
}

// window is the open one, if the release that it is for is current.
func (w *watcher) window() (*deploy.Window, error) {
	state, err := w.State(w.app.Name)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	window, err := deploy.ReadWindow(state)
	if err != nil || window == nil {
		return nil, err
	}
	store, err := w.store(w.app)
	if err != nil {
		return nil, err
	}
	current, err := store.Current()
	if err != nil || current != window.Release {
		return nil, err
	}
	return window, nil
}

func (w *watcher) close(window *deploy.Window) error {
	state, err := w.State(w.app.Name)
	if err != nil {
		return err
	}
	defer state.Close()
	return deploy.CloseWindow(state, window.Deployment)
}

// goneBad says why the release is bad, or "".
func (w *watcher) goneBad(ctx context.Context, window *deploy.Window) string {
	st, err := w.units.Status(ctx, w.app.Main().InstanceUnit(window.Release))
	if err != nil {
		return "" // systemd does not answer: that says nothing of the release
	}
	if n := st.Restarts - window.Restarts; n >= watchRestarts {
		return fmt.Sprintf("systemd has restarted it %d times", n)
	}
	healthy, answer := w.healthNow(ctx, w.app, window.Release)
	if healthy || ctx.Err() != nil {
		w.failed = 0
		return ""
	}
	if w.failed++; w.failed < watchFailures {
		return ""
	}
	return answer
}

// back rolls the release back. When somebody else is changing the app, they decide.
func (w *watcher) back(ctx context.Context, window *deploy.Window, why string) error {
	fmt.Fprintf(w.std.Err, "%s has gone bad: %s\n", window.Release, why)
	p := w.progress()
	d, err := w.engine(p.event).Rollback(ctx, deploy.Target{App: w.app, Release: window.From, Actor: "watch", Reason: why})
	if landfast.KindOf(err) == landfast.Conflict && d.ID == "" {
		fmt.Fprintln(w.std.Err, err)
		return w.close(window)
	}
	return w.outcome(p, d, err)
}
