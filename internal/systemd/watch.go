package systemd

import (
	"context"
	"reflect"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/landfast/landfast"
)

// Watcher is a Manager that tells of changes by itself.
type Watcher interface {
	// Watch sends the state of a unit, now and whenever it changes, until ctx
	// ends or the manager goes away; then the channel is closed. A slow reader
	// misses states in between, never the last one.
	Watch(ctx context.Context, unit string) (<-chan landfast.UnitStatus, error)
}

// Observer tells how a unit is; see Manager.
type Observer interface {
	Status(ctx context.Context, unit string) (landfast.UnitStatus, error)
}

// pollEvery is how often a unit is looked at besides the signals.
const pollEvery = 500 * time.Millisecond

// Watch watches a unit through m: by m's own signals when it is a Watcher, and
// by looking again and again otherwise.
func Watch(ctx context.Context, m Observer, unit string) (<-chan landfast.UnitStatus, error) {
	if w, ok := m.(Watcher); ok {
		return w.Watch(ctx, unit)
	}
	return follow(ctx, m, unit, nil, func() {})
}

// Watch sends the state of a unit whenever systemd signals a change of it.
func (b *Bus) Watch(ctx context.Context, unit string) (<-chan landfast.UnitStatus, error) {
	signals, done := b.changes(ctx, unit)
	return follow(ctx, b, unit, signals, done)
}

// changes gives the signals of a unit, on a connection of their own. They only
// make follow look earlier, so failing to get them is no error.
func (b *Bus) changes(ctx context.Context, unit string) (<-chan *dbus.Signal, func()) {
	conn, err := dial(ctx, b.address)
	if err != nil {
		return nil, func() {}
	}
	done := func() { _ = conn.Close() }
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	err = conn.AddMatchSignalContext(ctx, dbus.WithMatchObjectPath(unitPath(unit)),
		dbus.WithMatchInterface("org.freedesktop.DBus.Properties"), dbus.WithMatchMember("PropertiesChanged"))
	if err == nil {
		err = conn.Object(busName, busPath).CallWithContext(ctx, managerFace+".Subscribe", 0).Err
	}
	if err != nil {
		done()
		return nil, func() {}
	}
	return signals, done
}

// follow looks at a unit at each signal and every pollEvery, and sends what changed.
func follow(ctx context.Context, m Observer, unit string, signals <-chan *dbus.Signal, done func()) (<-chan landfast.UnitStatus, error) {
	last, err := m.Status(ctx, unit)
	if err != nil {
		done()
		return nil, err
	}
	out := make(chan landfast.UnitStatus, 1)
	out <- last
	go func() {
		defer close(out)
		defer done()
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-signals:
				if !ok {
					signals = nil // poll on
				}
			case <-tick.C:
			}
			st, err := m.Status(ctx, unit)
			if err != nil {
				return
			}
			if same(st, last) {
				continue
			}
			last = st
			// The newest state takes the place of one nobody has read.
			select {
			case <-out:
			default:
			}
			out <- st
		}
	}()
	return out, nil
}

// same reports whether nothing a watcher cares for differs.
func same(a, b landfast.UnitStatus) bool {
	a.MemoryBytes, b.MemoryBytes = 0, 0
	return reflect.DeepEqual(a, b)
}
