package deploy

import (
	"context"
	"fmt"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/health"
)

// doHealth waits for the main service to be healthy.
func doHealth(ctx context.Context, r *run) error {
	h := r.app.Health
	answer, err := health.Wait(ctx, h, r.mainUnit(), r.engine.Units, r.probe(h))
	if err == nil && answer != "" {
		r.note(answer)
	}
	return err
}

// undoHealth removes what a probe that was killed may have left.
func undoHealth(ctx context.Context, r *run) error {
	if r.app.Health.Kind != landfast.HealthExec {
		return nil
	}
	return r.engine.Host.Forget(ctx, hookUnit(r.app.Name, "health"))
}

func (r *run) probe(h landfast.Health) health.Probe {
	switch h.Kind {
	case landfast.HealthTCP:
		return health.TCP(r.engine.Dialer, h.Target)
	case landfast.HealthHTTP:
		return health.HTTP(r.engine.Dialer, h)
	case landfast.HealthExec:
		return func(ctx context.Context) (string, error) {
			if err := r.runCommand(ctx, "health", h.Command, r.app.Paths.Current); err != nil {
				return "", err
			}
			return fmt.Sprintf("%q succeeded", h.Command.Argv), nil
		}
	}
	return nil
}
