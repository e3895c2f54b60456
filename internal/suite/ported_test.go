package suite_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// ported is the example as an app that opens the port it is told, with its releases.
func (h *host) ported(strategy string) *app {
	h.t.Helper()
	manifest, err := os.ReadFile("../../examples/go-web/landfast.toml")
	if err != nil {
		h.t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(manifest), "\n[cutover]")
	before, rest, _ := strings.Cut(text, "[socket]\n")
	_, after, _ := strings.Cut(rest, "\n\n")
	a := h.app("web", 8080)
	h.write(a.dir+"/landfast.toml", before+after+fmt.Sprintf("\n[cutover]\nstrategy = %q\nlisten = [\"8080\"]\n", strategy))
	for name, text := range goWeb(h.t) {
		h.write(a.dir+"/"+name, string(text))
	}
	return a
}

// TestPorted: apps that only bind a port go from release to release, and nobody
// notices; one that cannot start or is not healthy never sees a request.
func TestPorted(t *testing.T) {
	for _, strategy := range []string{"steer", "relay"} {
		t.Run(strategy, func(t *testing.T) {
			eachPortedHost(t, func(h *host) {
				a := h.ported(strategy)
				a.deploy("web-1.tar.gz").code0()
				a.isWell()
				clients := a.load()
				a.unhurt(clients, "next", "2", func() { a.deploy("web-2.tar.gz").code0() })
				a.isWell()
				a.unhurt(clients, "cannot start", "2", func() { a.deploy("web-3.tar.gz").exits(4) })
				a.isWell()
				a.unhurt(clients, "back", "1", func() { a.landfast("rollback").code0() })
				a.unhurt(clients, "forth", "2", func() { a.deploy("web-2.tar.gz", "--force").code0() })
				if strategy == "relay" {
					a.unhurt(clients, "the relay is replaced", "2", func() { a.sh("systemctl reload web-relay") })
				}
				clients.Stop()
				a.asPeopleExpect(map[string]string{"relay": "web-relay.socket"}[strategy])
				a.reboots()
				a.sh("systemctl kill -s KILL " + a.instance())
				a.answersNow("2")
				a.landfast("uninstall", "web", "--purge").code0()
				if left := a.sh("ls /etc/systemd/system | grep web || true; systemctl list-units --all --plain --no-legend 'web*'"); left != "" {
					a.t.Errorf("left behind: %s", left)
				}
			})
		})
	}
}

// eachPortedHost is eachHost where the kernel may be asked for sockets of others.
func eachPortedHost(t *testing.T, f func(h *host)) {
	t.Helper()
	labtest.Require(t)
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			f(&host{Machine: labtest.Boot(t, lab.Options{
				Suite: suite, Binds: []lab.Bind{labtest.Landfast(t)}, SystemCalls: []string{"pidfd_getfd"},
			}), t: t})
		})
	}
}
