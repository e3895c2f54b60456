package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/health"
	"github.com/landfast/landfast/internal/plan"
)

func isRehearsed(r *run) bool {
	return isRunning(r) && r.app.Cutover.Rehearse && r.app.Main().Socket != nil
}

// doRehearse runs the release as it will run, but on private sockets, asks it what
// the health check and the smoke tests ask, and stops it again.
func doRehearse(ctx context.Context, r *run) error {
	if err := undoRehearse(ctx, r); err != nil {
		return err
	}
	public := r.app.Main().Socket.Listen
	private, err := r.privateAddresses(public)
	if err != nil {
		return err
	}
	facts, err := r.engine.Host.Facts(ctx)
	if err != nil {
		return err
	}
	facts.Instance = r.Before.Planned.Instance
	socketText, serviceText, err := plan.Rehearsal(r.app, facts, private)
	if err != nil {
		return err
	}
	socket, service := plan.RehearsalSocket(r.app), plan.RehearsalService(r.app)
	if err := r.engine.Host.Put(ctx, socket, socketText); err != nil {
		return err
	}
	if err := r.engine.Host.Put(ctx, service, serviceText); err != nil {
		return err
	}
	for _, u := range []string{socket, service} {
		if err := r.engine.Units.Start(ctx, u); err != nil {
			return err
		}
	}
	h := privately(r.app.Health, public, private)
	if _, err := health.Wait(ctx, h, service, r.engine.Units, r.probe(h)); err != nil {
		return err
	}
	if err := r.smoke(ctx, r.app.Cutover.Smoke, origin(private[0])); err != nil {
		return err
	}
	// Nothing is left to learn from it, and its log stays.
	return undoRehearse(ctx, r)
}

func undoRehearse(ctx context.Context, r *run) error {
	return errors.Join(
		r.engine.Host.Forget(ctx, plan.RehearsalService(r.app)),
		r.engine.Host.Forget(ctx, plan.RehearsalSocket(r.app)),
	)
}

// privateAddresses are addresses of the same kind as the public ones, which no
// client knows.
func (r *run) privateAddresses(public []string) ([]string, error) {
	var out []string
	for i, l := range public {
		switch {
		case strings.HasPrefix(l, "/"):
			out = append(out, fmt.Sprintf("/run/landfast/%s/rehearsal-%d.sock", r.app.Name, i))
			continue
		case strings.HasPrefix(l, "@"):
			out = append(out, fmt.Sprintf("@landfast/%s/rehearsal-%d", r.app.Name, i))
			continue
		}
		port, err := r.engine.FreePort()
		if err != nil {
			return nil, fmt.Errorf("find a private port: %w", err)
		}
		host := "127.0.0.1"
		if strings.HasPrefix(l, "[") {
			host = "::1"
		}
		out = append(out, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return out, nil
}

// privately is a health check of a release on private addresses. A check of
// something else than its socket cannot be made there: the release only has to
// stay up then.
func privately(h landfast.Health, public, private []string) landfast.Health {
	var target string
	switch h.Kind {
	case landfast.HealthHTTP:
		target = h.Socket
		if u, err := url.Parse(h.Target); err == nil && target == "" {
			target = u.Host
		}
	case landfast.HealthTCP:
		target = h.Target
	default:
		return onlyUp(h)
	}
	i := slices.IndexFunc(public, func(l string) bool { return l == target || portOf(l) != "" && portOf(l) == portOf(target) })
	if i < 0 {
		return onlyUp(h)
	}
	if h.Kind == landfast.HealthTCP {
		h.Target = private[i]
		return h
	}
	u, _ := url.Parse(h.Target) // it was parsed above, or names no host that counts
	at := origin(private[i])
	if h.Socket = at.Socket; h.Socket == "" {
		u.Host = strings.TrimPrefix(at.Target, "http://")
		h.Target = u.String()
	}
	return h
}

// onlyUp is the check that a unit is up and stays up.
func onlyUp(h landfast.Health) landfast.Health {
	h.Kind, h.Grace = landfast.HealthUnit, max(h.Grace, h.Interval)
	return h
}

// origin is where a listening address is asked by HTTP.
func origin(listen string) landfast.Health {
	if strings.HasPrefix(listen, "/") || strings.HasPrefix(listen, "@") {
		return landfast.Health{Kind: landfast.HealthHTTP, Target: "http://localhost", Socket: listen}
	}
	return landfast.Health{Kind: landfast.HealthHTTP, Target: "http://" + listen}
}

// portOf is the port of an address, or "".
func portOf(address string) string {
	if _, port, err := net.SplitHostPort(address); err == nil {
		return port
	}
	if _, err := strconv.ParseUint(address, 10, 16); err == nil {
		return address
	}
	return ""
}

// smoke asks for each path once.
func (r *run) smoke(ctx context.Context, tests []landfast.Smoke, at landfast.Health) error {
	for _, t := range tests {
		one := at
		one.Target, one.Status = at.Target+t.Path, t.Status
		if answer, err := health.HTTP(r.engine.Dialer, one)(ctx); err != nil {
			return fmt.Errorf("smoke test %s: %w (%s)", t.Path, err, answer)
		}
	}
	return nil
}
