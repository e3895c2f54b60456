// Package cutover moves the public addresses of an app from one release to
// another, for the strategies in which each release listens on a private port of
// its own: steer lets the kernel hand new connections to the chosen one, relay
// has a process in between that looks at a link.
//
// A move is for new connections alone, and is one step that is done or not: one
// change of a table, one rename. Those that are established, or wait to be
// accepted, stay with the release they came to; Settled tells when the last of
// these has been accepted, so that their release can be told to finish.
//
// The other strategies need nothing of this: with handoff both releases have the
// same socket, and with restart there is one at a time.
package cutover

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/landfast/landfast"
)

// Traffic moves the public addresses of apps. Every method may be called again
// after it was interrupted anywhere.
type Traffic interface {
	// Move makes new connections go to a release of app: it is up and listens on its
	// private port. What is in the way is an error, and nothing has moved then.
	Move(ctx context.Context, app *landfast.App, to landfast.Instance) error
	// Settled blocks until a release that was left has accepted every connection
	// that had come to it, or is gone, or ctx ends.
	Settled(ctx context.Context, app *landfast.App, left landfast.Instance) error
	// Leave ends what Move did, when there is no release to go to.
	Leave(ctx context.Context, app *landfast.App) error
}

// On gives the Traffic of a strategy on the machine whose root directory is root,
// or nil when the strategy moves nothing there: the kernel of a tree that is not
// running cannot be told, and a release that starts in it registers itself.
func On(root string) func(landfast.Strategy) Traffic {
	return func(s landfast.Strategy) Traffic {
		switch {
		case s == landfast.StrategySteer && root == "/":
			return kernel{}
		case s == landfast.StrategyRelay:
			return Link{Root: root}
		}
		return nil
	}
}

// private is where a release listens.
func private(i landfast.Instance) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(i.Port))
}

// noPort is an instance that cannot be moved to.
func noPort(app *landfast.App, i landfast.Instance) error {
	return fmt.Errorf("move the traffic of %s to %s: it has no private port", app.Name, i.Release)
}
