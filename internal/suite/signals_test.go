package suite_test

import (
	"syscall"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/lab"
)

// waiting deploys version 2, which is never healthy, over version 1,
// with another unit file, and returns while the check waits.
func (a *app) waiting() (*lab.Process, *locked) {
	a.t.Helper()
	a.release("2", "sick")
	a.manifest("[health]\nhttp = \"/healthz\"\ninterval = \"200ms\"\ntimeout = \"5min\"", "[service]\ntype = \"notify\"\ncommand = \""+wellKnown+" two\"")
	p, out := a.start("landfast", "deploy", "--from", "2")
	a.eventually("the deployment waits for its health check", func() (bool, string) {
		r := a.landfast("deployments", a.name, "--json")
		if r.code != 0 {
			return false, r.all
		}
		var all []landfast.Deployment
		r.decode(&all)
		if len(all) == 0 || len(all[0].Steps) == 0 || all[0].Status != landfast.StatusRunning {
			return false, r.all
		}
		last := all[0].Steps[len(all[0].Steps)-1]
		return last.Name == "health" && last.Status == landfast.StepDoing, last.Name
	})
	return p, out
}

// ended waits for a process that was started.
func (a *app) ended(p *lab.Process, out *locked) result {
	a.t.Helper()
	code, err := p.Wait()
	if err != nil {
		a.t.Fatal(err)
	}
	return result{t: a.t, command: "the deployment", code: code, all: out.String()}
}

func TestASignalRollsBack(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest()
		a.deploy(a.release("1", "")).code0()
		before := a.state()
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			p, out := a.waiting()
			a.manifest()
			if err := p.Signal(sig); err != nil {
				h.t.Fatal(err)
			}
			// Nobody learnt anything about the release: it is not refused the next time.
			a.ended(p, out).exits(4).says("stopped by "+sig.String(), "is live again").silentOn("known to be bad")
			h.same(sig.String()+": not undone", before, a.state())
			a.answers("1")
			a.isWell()
		}
	})
}

func TestOneDeploymentAtATime(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest()
		a.deploy(a.release("1", "")).code0()
		other := h.app("other", 9001).manifest()
		p, out := a.waiting()
		for _, verb := range [][]string{
			{"deploy", "--from", "1"}, {"rollback"}, {"resume"}, {"apply"}, {"restart"}, {"stop"}, {"prune"}, {"uninstall", "web"},
		} {
			a.landfast(verb...).exits(6).says("web is being changed: deploy (process ")
		}
		other.deploy(other.release("1", "")).code0()
		other.isWell()
		a.landfast("status", "web")
		a.landfast("doctor").exits(1).says("running")
		if err := p.Kill(); err != nil {
			h.t.Fatal(err)
		}
		a.ended(p, out).exits(128 + 9)
		// A lock dies with its holder, and the next one settles what it left.
		a.manifest()
		a.deploy(a.release("3", "")).code0().says("was interrupted: undoing it")
		a.answers("3")
		a.isWell()

		var all []*lab.Process
		var outs []*locked
		for range 6 {
			p, out := a.start("landfast", "deploy", "--from", "3")
			all, outs = append(all, p), append(outs, out)
		}
		won := 0
		for i, p := range all {
			switch r := a.ended(p, outs[i]); r.code {
			case 0:
				won++
			case 6:
				r.says("is being changed")
			default:
				h.t.Errorf("exit code %d\n%s", r.code, r.all)
			}
		}
		if won == 0 {
			h.t.Error("of several deployments at once none was done")
		}
		a.answers("3")
		a.isWell()
	})
}
