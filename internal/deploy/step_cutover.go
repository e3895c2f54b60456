package deploy

import (
	"context"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/landfast/landfast/internal/cutover"
	"github.com/landfast/landfast/internal/health"
	"github.com/landfast/landfast/internal/plan"
)

// order is what the units of a plan are to a cutover.
type order struct {
	sockets, before, services, triggers []string
	anchors, instances, relays          []string
}

func orderOf(p *plan.Plan) order {
	var o order
	for _, u := range p.Units {
		list := &o.services
		switch {
		case u.Socket:
			list = &o.sockets
		case u.Prepare:
			list = &o.before
		case u.Anchor:
			list = &o.anchors
		case u.Instance:
			list = &o.instances
		case u.Relay:
			list = &o.relays
		case u.Trigger:
			list = &o.triggers
		case u.Manual:
			continue
		}
		*list = append(*list, u.Name)
	}
	return o
}

// doCutover lets the new release take over. Sockets stay open meanwhile, so
// clients wait instead of being refused, unless a socket itself has changed or is
// new. Services of which each release has a unit of its own are started beside
// those of the old one, which are stopped behind that: where both take from one
// socket now, since only then the health check sees the new one alone; where the
// traffic was moved, behind the commit. Every other service is stopped and started
// once. What runs before the services runs again, and timers and path units wait
// anew behind them; what these start is left alone.
func doCutover(ctx context.Context, r *run) error {
	o := orderOf(r.plan)
	if err := r.freeAnchors(ctx, o.anchors); err != nil {
		return err
	}
	holders := slices.Concat(o.instances, r.Before.Planned.Replaced, o.anchors, o.services)
	if err := r.openSockets(ctx, o.sockets, holders); err != nil {
		return err
	}
	for _, u := range o.before {
		if err := r.again(ctx, u); err != nil {
			return err
		}
	}
	if err := r.handOver(ctx, o); err != nil {
		return err
	}
	return r.restart(ctx, slices.Concat(o.services, o.triggers))
}

// handOver starts the new instances, and ends the old ones where both would go on
// taking requests.
func (r *run) handOver(ctx context.Context, o order) error {
	for _, u := range o.instances {
		if err := r.start(ctx, u); err != nil {
			return err
		}
	}
	if traffic := r.traffic(); traffic != nil {
		if err := r.moveTraffic(ctx, traffic, o); err != nil {
			return err
		}
	} else if err := r.drain(ctx, r.Before.Planned.Replaced); err != nil {
		return err
	}
	for _, u := range o.anchors {
		if err := r.start(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// traffic moves the public addresses of the app, if its strategy does that.
func (r *run) traffic() cutover.Traffic { return r.engine.Traffic(r.app.Cutover.Strategy) }

// moveTraffic asks the new release on its private port, as nobody else can yet, and
// then lets the public address lead to it. The old one goes on until the commit.
func (r *run) moveTraffic(ctx context.Context, traffic cutover.Traffic, o order) error {
	i := r.Before.Planned.Instance
	private := slices.Repeat([]string{net.JoinHostPort("127.0.0.1", strconv.Itoa(i.Port))}, len(r.app.Cutover.Listen))
	h := privately(r.app.Health, r.app.Cutover.Listen, private)
	if _, err := health.Wait(ctx, h, r.mainUnit(), r.engine.Units, r.probe(h)); err != nil {
		return err
	}
	if err := r.smoke(ctx, r.app.Cutover.Smoke, origin(private[0])); err != nil {
		return err
	}
	if err := traffic.Move(ctx, r.app, i); err != nil {
		return err
	}
	for _, u := range o.relays {
		if err := r.relay(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// relay starts a relay, and once more when its text has changed.
func (r *run) relay(ctx context.Context, unit string) error {
	changed := slices.ContainsFunc(r.changes.Files, func(f plan.FileChange) bool {
		return path.Base(f.Path) == unit && f.Old != nil && f.New != nil && f.Old.Content != f.New.Content
	})
	if changed {
		return r.restart(ctx, []string{unit})
	}
	return r.start(ctx, unit)
}

// moveBack lets the public address lead to the release before, if that still runs.
func (r *run) moveBack(ctx context.Context) error {
	traffic, former := r.traffic(), r.Before.Planned.Former
	if traffic == nil {
		return nil
	}
	if former.Port == 0 {
		return traffic.Leave(ctx, r.app)
	}
	st, err := r.engine.Units.Status(ctx, r.app.Main().InstanceUnit(former.Release))
	if err != nil || !st.Running() {
		return err // it is brought back later, and has its place when it starts
	}
	return traffic.Move(ctx, r.app, former)
}

// start starts a unit; earlier starts must not count against this one.
func (r *run) start(ctx context.Context, unit string) error {
	if err := r.engine.Units.ResetFailed(ctx, unit); err != nil {
		return err
	}
	return r.engine.Units.Start(ctx, unit)
}

func (r *run) restart(ctx context.Context, units []string) error {
	for _, u := range units {
		if err := r.engine.Units.ResetFailed(ctx, u); err != nil {
			return err
		}
		if err := r.engine.Units.Restart(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// drain stops units of former releases and says which of them had to be killed.
func (r *run) drain(ctx context.Context, units []string) error {
	for _, u := range units {
		st, err := r.engine.Units.Status(ctx, u)
		if err != nil {
			return err
		}
		if st.Dead() {
			continue
		}
		if err := r.engine.Units.Stop(ctx, u); err != nil {
			return err
		}
		if st, err = r.engine.Units.Status(ctx, u); err != nil {
			return err
		}
		if st.Result == "timeout" {
			r.note(fmt.Sprintf("%s had not finished when its time to drain was over, and was killed", u))
		}
	}
	return nil
}

// freeAnchors stops a service that ran as one unit and is an anchor from now on:
// its process holds what the instances need.
func (r *run) freeAnchors(ctx context.Context, anchors []string) error {
	for _, a := range anchors {
		st, err := r.engine.Units.Status(ctx, a)
		if err != nil {
			return err
		}
		if st.Running() && st.Sub != "exited" {
			if err := r.engine.Units.Stop(ctx, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// undoCutover stops what did not run before, ahead of everything else: it must not
// be started again while its files and directories are taken away.
func undoCutover(ctx context.Context, r *run) error {
	if err := r.moveBack(ctx); err != nil {
		return err
	}
	sockets, services := splitUnits(r.Before.Units)
	for _, was := range slices.Concat(sockets, services) {
		if was.Running() {
			continue
		}
		if err := r.engine.Units.Stop(ctx, was.Name); err != nil {
			return err
		}
	}
	return nil
}

// settled waits until the release that the traffic has left has let in what had come
// to it before. What has not been let in by the end of its time never will be.
func (r *run) settled(ctx context.Context) error {
	traffic, former := r.traffic(), r.Before.Planned.Former
	if traffic == nil || former.Port == 0 || former.Release == r.Deployment.To {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, max(r.app.Cutover.Drain, time.Second))
	defer cancel()
	if err := traffic.Settled(limit, r.app, former); err != nil {
		r.note(fmt.Sprintf("%s had not accepted all of its connections when its time was over: %v", former.Release, err))
	}
	return ctx.Err()
}

// doRetire stops what is left of former releases and removes their units.
func doRetire(ctx context.Context, r *run) error {
	p, seen, err := r.engine.look(ctx, r.app, r.Before.Planned.Instance)
	if err != nil {
		return err
	}
	c := plan.Superseded(p, seen)
	var units []string
	for _, u := range c.Units {
		units = append(units, u.Unit)
	}
	if !r.engine.Staged {
		if err := r.settled(ctx); err != nil {
			return err
		}
		if err := r.drain(ctx, units); err != nil {
			return err
		}
	}
	if c.Empty() {
		return nil
	}
	return r.engine.Host.Apply(ctx, c)
}
