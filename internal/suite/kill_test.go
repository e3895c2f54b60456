package suite_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killed runs a command, kills its process after a time, and waits for the end.
func (a *app) killed(after time.Duration, argv ...string) result {
	a.t.Helper()
	p, out := a.start(argv...)
	ended := make(chan result, 1)
	go func() {
		code, _ := p.Wait()
		ended <- result{t: a.t, command: strings.Join(argv, " "), code: code, all: out.String()}
	}()
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case r := <-ended:
		return r
	case <-timer.C:
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		a.t.Logf("it had just ended: %v", err)
	}
	return <-ended
}

// uniform is a random time in [0, longest).
func uniform(d *rand.Rand, longest time.Duration) time.Duration {
	return time.Duration(d.Int64N(int64(longest)))
}

// TestKilledAtAnyInstant kills deployments of good and of bad releases, with and
// without other units and sockets.
func TestKilledAtAnyInstant(t *testing.T) {
	const each = 7 // of five kinds on each machine
	eachHost(t, func(h *host) {
		d := dice(h.t)
		for i, kind := range []string{"plain", "units", "socket", "new-socket"} {
			h.t.Run(kind, func(t *testing.T) {
				s := h.in(t).swing(kind, 9000+i)
				outcomes := tally{}
				old := "2"
				for n := range each {
					target := other(old)
					if n%3 == 2 {
						target = "bad"
					}
					s.use(target)
					// A bad release takes its time to be undone.
					longest := s.took * 11 / 10
					if target == "bad" {
						longest *= 2
					}
					after := uniform(d, longest)
					argv := []string{"landfast", "deploy", "--force", "--from", target}
					r := s.killed(after, argv...)
					if n%2 == 1 { // and so is the one that cleans up
						s.killed(uniform(d, s.took), "landfast", "resume", kind)
					}
					now := s.settled(r, old, target)
					outcomes[fmt.Sprintf("%s to %s: %s", old, target, now)]++
					old = now
				}
				s.tidy()
				t.Logf("killed %d times within %s: %s", each, s.took, outcomes)
			})
		}
		h.t.Run("first", func(t *testing.T) { h.in(t).firstKilled(d, each) })
	})
}

// firstKilled kills first deployments: they are there, or there is nothing but
// accounts and the memory of it.
func (h *host) firstKilled(d *rand.Rand, times int) {
	h.t.Helper()
	a := h.app("first", 9100)
	a.manifest(fmt.Sprintf("[socket]\nlisten = [\"%d\"]", a.port))
	a.release("1", "")
	here := func() string { return without(a.state(), "/var/lib/landfast") }
	nothing := here()
	began := time.Now()
	a.deploy("1").code0()
	took := time.Since(began)
	a.answers("1")
	live := here()
	outcomes := tally{}
	for range times {
		a.landfast("uninstall", "first", "--purge").code0()
		h.same("uninstall --purge", nothing, here())
		r := a.killed(uniform(d, took*11/10), "landfast", "deploy", "--from", "1")
		resumed := a.landfast("resume", "./landfast.toml").code0()
		switch here() {
		case live:
			outcomes["live"]++
			a.answers("1")
			a.isWell()
		case nothing:
			outcomes["nothing"]++
			if s := h.sh("systemctl list-units --all --plain --no-legend 'first.*'"); s != "" {
				h.t.Errorf("left: %s", s)
			}
			a.deploy("1").code0()
			a.answers("1")
		default:
			h.same("a first deployment that was killed is half there (before: nothing)", nothing, here())
			h.same("a first deployment that was killed is half there (before: live)", live, here())
			h.t.Fatalf("after\n%s%s", r.all, resumed.all)
		}
	}
	h.t.Logf("killed %d times within %s: %s", times, took, outcomes)
}

// TestThePowerIsCutInTheMiddle ends the whole machine in the middle of a deployment.
func TestThePowerIsCutInTheMiddle(t *testing.T) {
	eachHost(t, func(h *host) {
		d := dice(h.t)
		s := h.swing("socket", 9000)
		old, outcomes := "2", tally{}
		for n := range 5 {
			target := other(old)
			if n == 3 {
				target = "bad"
			}
			s.use(target)
			p, out := s.start("landfast", "deploy", "--force", "--from", target)
			timer := time.NewTimer(uniform(d, s.took))
			<-timer.C
			if err := h.Kill(); err != nil {
				h.t.Fatal(err)
			}
			code, _ := p.Wait()
			if err := h.Restart(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
			r := result{t: h.t, command: "the deployment", code: code, all: out.String()}
			now := s.settled(r, old, target)
			outcomes[fmt.Sprintf("%s to %s: %s", old, target, now)]++
			old = now
		}
		s.tidy()
		h.t.Logf("cut 5 times: %s", outcomes)
	})
}

// TestTheMachineComesBackWithItsApps is about an ordinary reboot.
func TestTheMachineComesBackWithItsApps(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.whole("web", 9000)
		b := h.app("plain", 9001).manifest()
		a.deploy(a.release("1", "")).code0()
		b.deploy(b.release("1", "")).code0()
		if err := h.Restart(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		for _, x := range []*app{a, b} {
			x.eventually(x.name+" answers", func() (bool, string) {
				status, body, err := x.get(fmt.Sprintf("http://localhost:%d/healthz", x.port))
				return status == 200 && err == nil, fmt.Sprint(body, err)
			})
			x.answers("1")
			x.isWell()
			x.landfast("plan").code0()
		}
	})
}
