package suite_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// exposure is what systemd-analyze security says of a unit.
func (h *host) exposure(unit string) float64 {
	h.t.Helper()
	out := h.run("/", "systemd-analyze", "--no-pager", "security", unit)
	m := regexp.MustCompile(`Overall exposure level for .*: ([0-9.]+)`).FindStringSubmatch(out.all)
	if m == nil {
		h.t.Fatalf("no exposure of %s:\n%s", unit, out.all)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Logf("exposure of %s: %.1f", unit, v)
	return v
}

func TestSetupMakesAHostReadyAndTwiceChangesNothing(t *testing.T) {
	eachHost(t, func(h *host) {
		h.run("/", "landfast", "setup", "web", "--plan").exits(3).says("landfast-root.socket", "/var/spool/landfast/web/new", "policy.toml")
		h.sh("test ! -e /etc/landfast")
		h.run("/", "landfast", "setup", "web").code0()
		h.run("/", "landfast", "setup", "web").code0().says("nothing to change")
		h.run("/", "landfast", "setup", "--plan").code0().says("nothing to change")
		if got := h.sh("stat -c '%a %U:%G' /run/landfast/root.sock /run/landfast/probe.sock /var/lib/landfast/web/incoming /var/spool/landfast/web/new"); got !=
			"660 root:landfast\n600 root:root\n700 landfast:landfast\n3770 landfast:landfast-listen" {
			h.t.Errorf("owners and modes:\n%s", got)
		}
		// Nothing of Landfast runs on an idle host.
		if got := h.sh("ps -eo args | grep '[l]andfast' || true"); got != "" {
			h.t.Errorf("an idle host runs:\n%s", got)
		}
		if got := h.sh("systemctl list-units --plain --no-legend --state=failed 'landfast*'"); got != "" {
			h.t.Errorf("failed: %s", got)
		}
		for unit, most := range map[string]float64{"landfast-root@x.service": 1.4, "landfast-probe@x.service": 1.2, "landfast-worker@web.service": 1.5} {
			if got := h.exposure(unit); got > most {
				h.t.Errorf("exposure of %s is %.1f, want at most %.1f\n%s", unit, got, most, h.run("/", "systemd-analyze", "--no-pager", "security", unit).all)
			}
		}
		h.sh("echo '# mine' >>/etc/landfast/policy.toml")
		h.run("/", "landfast", "setup").code0().says("nothing to change")
		h.run("/", "landfast", "setup", "--remove").code0().says("landfast-root.socket")
		if got := h.sh("ls /etc/systemd/system | grep landfast || true; systemctl list-units --plain --no-legend --all 'landfast*'"); got != "" {
			h.t.Errorf("left:\n%s", got)
		}
		h.sh("grep -q mine /etc/landfast/policy.toml")
		if s := strings.TrimSpace(h.read("/etc/landfast/policy.toml")); !strings.HasSuffix(s, "# mine") {
			h.t.Error("the policy was changed")
		}
	})
}
