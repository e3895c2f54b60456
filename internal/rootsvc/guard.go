package rootsvc

import (
	"context"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/policy"
)

// guarded is a host that holds every plan and every transient unit of a deployment
// against the policy. What puts a former state back is not asked: it was there.
type guarded struct {
	deploy.Host
	rules policy.Rules
}

func (g guarded) Observe(ctx context.Context, p *plan.Plan) (plan.Observed, error) {
	if err := g.rules.CheckPlan(p); err != nil {
		return plan.Observed{}, err
	}
	return g.Host.Observe(ctx, p)
}

func (g guarded) RunOnce(ctx context.Context, unit, text string) (landfast.UnitStatus, error) {
	if err := g.rules.CheckUnit(unit, text); err != nil {
		return landfast.UnitStatus{}, err
	}
	return g.Host.RunOnce(ctx, unit, text)
}

func (g guarded) Put(ctx context.Context, unit, text string) error {
	if err := g.rules.CheckUnit(unit, text); err != nil {
		return err
	}
	return g.Host.Put(ctx, unit, text)
}
