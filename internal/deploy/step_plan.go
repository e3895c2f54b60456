package deploy

import (
	"context"
	"hash/fnv"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// doPlan works out what the release changes, now that it has an id, and writes
// down how everything that it touches was.
func doPlan(ctx context.Context, r *run) error {
	p := planned{Instance: landfast.Instance{Release: r.Deployment.To}, Former: landfast.Instance{Release: r.Deployment.From}}
	if r.Deployment.From != "" {
		former, err := r.releases.Get(r.Deployment.From)
		if err != nil && landfast.KindOf(err) != landfast.NotFound {
			return err
		}
		p.Former.Port = former.Port
	}
	if err := r.choosePort(&p); err != nil {
		return err
	}
	seen, err := r.replan(ctx, p.Instance)
	if err != nil {
		return err
	}
	p.Sockets = reopensSocket(r.changes)
	if p.Snapshot, err = r.engine.Host.Snapshot(r.changes); err != nil {
		return err
	}
	for _, u := range plan.Superseded(r.plan, seen).Units {
		p.Replaced = append(p.Replaced, u.Unit)
	}
	r.Before.Planned = p
	return r.journal.append(entry{At: r.engine.Now(), Kind: entryPlan, Plan: &p})
}

// replan makes the plan with the units of a release, and the changes it needs.
func (r *run) replan(ctx context.Context, i landfast.Instance) (plan.Observed, error) {
	p, seen, err := r.engine.look(ctx, r.app, i)
	if err != nil {
		return seen, err
	}
	c, err := plan.Diff(p, seen)
	if err != nil {
		return seen, err
	}
	r.plan, r.changes = p, c
	return seen, nil
}

// Private ports lie below those that the kernel gives away by itself
// (ip_local_port_range, 32768 and above), so that nobody gets one by chance.
const (
	firstPort = 20000
	portCount = 10000
)

// choosePort gives the release a private port where it needs one: not the one of
// the release that serves, and the same ones again and again.
func (r *run) choosePort(p *planned) error {
	if !r.app.Cutover.Strategy.Ported() {
		return nil
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.app.Name))
	start := int(h.Sum32()%(portCount/2)) * 2
	for i := range portCount {
		port := firstPort + (start+i)%portCount
		if port != p.Former.Port && (r.engine.Staged || r.engine.PortFree(port)) {
			p.Instance.Port = port
			return r.releases.SetPort(r.Deployment.To, port)
		}
	}
	return &landfast.Error{Kind: landfast.Unavailable, Msg: "no private port between 20000 and 29999 is free", Hint: "see who has them: ss -ltn"}
}

// mainUnit is the unit whose health decides, of the release that is to be live.
func (r *run) mainUnit() string { return r.app.Main().InstanceUnit(r.Deployment.To) }
