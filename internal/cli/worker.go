package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/queue"
	"github.com/landfast/landfast/internal/rootsvc"
	"github.com/landfast/landfast/internal/worker"
)

// workerPatience is how long a worker waits for the next attempt of an event.
const workerPatience = 2 * time.Minute

// worker is `landfast worker`.
func (c *command) worker() *cobra.Command {
	return &cobra.Command{
		Use:   "worker APP",
		Short: "Work off the events of an app; units of setup run it",
		Long: `Worker takes the events of APP out of its spool, one after the other, fetches just
the commit or artifact that each names, and has the root service build and deploy it.
It ends when there is nothing to do. A fault of the release ends an event; a fault of
the world (a forge that does not answer) has it tried again. Told to stop, it
finishes what it is at. landfast-worker@APP.service runs it, when there is an event.`,
		Example: "  landfast worker web   # as landfast-worker@web.service does",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			app := args[0]
			if !setupNames.MatchString(app) {
				return usage(cmd, fmt.Sprintf("%q cannot be the name of an app", app))
			}
			incoming := filepath.Join("/var/lib/landfast", app, "incoming")
			if _, err := os.Stat(incoming); errors.Is(err, fs.ErrNotExist) {
				return &landfast.Error{
					Kind: landfast.NotFound, Msg: fmt.Sprintf("app %s takes no deliveries on this host", app),
					Hint: "`landfast setup " + app + "` makes it ready",
				}
			}
			q, err := queue.Open(queue.Spool, app)
			if err != nil {
				return err
			}
			defer func() { _ = q.Close() }() // everything is on the disk
			w := &worker.Worker{
				App: app, Queue: workerQueue{q}, Root: workerRoot{&rootsvc.Client{}}, Incoming: incoming, Work: os.TempDir(),
				Manifest: func() (*landfast.App, error) { return applied(c.host, app) },
				Log:      func(text string) { fmt.Fprintln(c.std.Err, text) },
				Now:      time.Now, Patience: workerPatience,
			}
			return w.Run(cmd.Context())
		},
	}
}

// workerQueue is a queue as the worker knows it.
type workerQueue struct{ *queue.Queue }

func (q workerQueue) Claim(ctx context.Context) (worker.Claim, error) {
	c, err := q.Queue.Claim(ctx)
	if c == nil || err != nil {
		return nil, err
	}
	return workerClaim{c}, nil
}

type workerClaim struct{ *queue.Claim }

func (c workerClaim) Event() landfast.Event { return c.Claim.Event }

func (c workerClaim) Done(ctx context.Context, o worker.Outcome) error {
	return c.Claim.Done(ctx, queue.Outcome{Deployment: o.Deployment, Release: o.Release, Text: o.Text})
}

func (c workerClaim) Retry(ctx context.Context, reason string) (bool, error) {
	state, err := c.Claim.Retry(ctx, reason)
	return state == queue.Failed, err
}

// workerRoot is the root service as the worker knows it.
type workerRoot struct{ rootsvc.Deployer }

func requestOf(o worker.Order) rootsvc.Request {
	return rootsvc.Request{
		App: o.App, Incoming: o.Incoming, Actor: o.Actor, Force: o.Force, Release: o.Release,
		Origin: rootsvc.Origin{Repository: o.Repository, Commit: o.Commit, Digest: o.Digest},
	}
}

func watchOf(tell func(string)) rootsvc.Watch {
	return rootsvc.Watch{Log: tell, Event: func(e deploy.Event) {
		switch s := e.Step; {
		case e.Note != "":
			tell(e.Note)
		case s.Status == landfast.StepDone:
			tell("✓ " + s.Name + ": " + s.Summary)
		case s.Status == landfast.StepFailed:
			tell("✗ " + s.Name + ": " + s.Error)
		case s.Status == landfast.StepUndone:
			tell("↩ " + s.Name + ": " + s.Summary)
		}
	}}
}

func (r workerRoot) Build(ctx context.Context, o worker.Order, tell func(string)) error {
	return r.Deployer.Build(ctx, requestOf(o), watchOf(tell))
}

func (r workerRoot) Deploy(ctx context.Context, o worker.Order, tell func(string)) (landfast.Deployment, error) {
	return r.Deployer.Deploy(ctx, requestOf(o), watchOf(tell))
}

func (r workerRoot) Rollback(ctx context.Context, o worker.Order, tell func(string)) (landfast.Deployment, error) {
	return r.Deployer.Rollback(ctx, requestOf(o), watchOf(tell))
}

func (r workerRoot) Discard(ctx context.Context, o worker.Order) error {
	return r.Deployer.Discard(ctx, requestOf(o))
}
