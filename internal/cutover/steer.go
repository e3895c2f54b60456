package cutover

import (
	"context"
	"errors"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/steer"
)

// listenLimit is how long a release that is up may take until it listens.
const listenLimit = 10 * time.Second

// kernel steers new connections by the table of package steer.
type kernel struct{}

// Move changes the table once for each public address.
func (kernel) Move(ctx context.Context, app *landfast.App, to landfast.Instance) error {
	if to.Port == 0 {
		return noPort(app, to)
	}
	table, err := steer.Open(ctx, steer.Dir())
	if err != nil {
		return err
	}
	defer table.Close()
	for _, l := range app.Cutover.Listen {
		public, err := steer.ParsePublic(l)
		if err != nil {
			return err
		}
		_, err = table.Set(ctx, steer.Switch{
			Public: public, Owner: steer.Owner{Unit: app.Main().InstanceUnit(to.Release)},
			Private: uint16(to.Port), Wait: listenLimit, Over: []string{app.Main().Unit}, //nolint:gosec // a port
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Settled also waits for handshakes that were under way.
func (kernel) Settled(ctx context.Context, app *landfast.App, left landfast.Instance) error {
	if left.Port == 0 {
		return nil
	}
	var failed error
	for _, l := range app.Cutover.Listen {
		public, err := steer.ParsePublic(l)
		if err != nil {
			return err
		}
		owner := steer.Owner{Unit: app.Main().InstanceUnit(left.Release)}
		failed = errors.Join(failed, steer.Accepted(ctx, owner, uint16(left.Port), public)) //nolint:gosec // a port
	}
	return failed
}

// Leave ends the steering of each public address.
func (kernel) Leave(ctx context.Context, app *landfast.App) error {
	table, err := steer.Look(steer.Dir())
	if err != nil || table == nil {
		return err
	}
	defer table.Close()
	for _, l := range app.Cutover.Listen {
		public, err := steer.ParsePublic(l)
		if err != nil {
			return err
		}
		if _, err := table.Unset(ctx, public); err != nil {
			return err
		}
	}
	return nil
}
