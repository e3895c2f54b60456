package suite_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/lab/load"
)

// TestRelay is about the process that holds the traffic: what it may do, how another
// program takes its place under load, and what is lost when it is killed.
func TestRelay(t *testing.T) {
	eachPortedHost(t, func(h *host) {
		a := h.ported("relay")
		a.deploy("web-1.tar.gz").code0()
		// A program that can be replaced: the usual one is the host's.
		h.write("/etc/systemd/system/web-relay.service.d/program.conf", `[Service]
ExecStart=
ExecStart=/opt/landfast/landfast relay --target /run/landfast-target/target --drain 30s
ExecReload=
ExecReload=/opt/landfast/landfast relay --replace ${MAINPID}
`)
		a.sh("mkdir -p /opt/landfast; cp /usr/local/bin/landfast /opt/landfast/landfast; systemctl daemon-reload; systemctl restart web-relay")
		a.relayCanDoLittle()
		clients := a.load()
		a.relayIsReplaced(clients)
		a.relayIsKilled(clients)
		clients.Stop()
	})
}

// relayCanDoLittle: it serves clients from anywhere and reaches this machine only.
func (a *app) relayCanDoLittle() {
	a.t.Helper()
	if got := a.exposure("web-relay.service"); got > 1 {
		a.t.Errorf("the exposure of the relay is %.1f", got)
	}
	a.sh("ip addr add 198.18.0.1/32 dev lo")
	const ask = "curl -sS --max-time 2 --interface 198.18.0.1 http://198.18.0.1:"
	a.sh(ask + "8080/ | grep 'version 1'")
	to := a.sh("readlink /var/lib/landfast/web/traffic/target")
	_, port, _ := strings.Cut(to, ":")
	a.sh(ask + port + "/ | grep 'version 1'") // the app is there
	a.sh("ln -sfn 198.18.0.1:" + port + " /var/lib/landfast/web/traffic/target")
	if r := a.run("/", "curl", "-sS", "--max-time", "2", "http://localhost:8080/"); r.code == 0 {
		a.t.Errorf("the relay reached another address than this machine's: %s", r.all)
	}
	a.sh("ln -sfn " + to + " /var/lib/landfast/web/traffic/target")
}

// relayIsReplaced puts a new program in its place, again and again: nobody notices,
// and a connection that was open before is open behind it.
func (a *app) relayIsReplaced(clients *load.Run) {
	a.t.Helper()
	kept, err := a.Dial(a.t.Context(), "tcp", "localhost:8080")
	if err != nil {
		a.t.Fatal(err)
	}
	defer kept.Close()
	a.asks(kept)
	const install = " /opt/landfast/new; mv /opt/landfast/new /opt/landfast/landfast"
	for round := range 3 {
		before := a.sh("systemctl show -P MainPID web-relay")
		a.unhurt(clients, fmt.Sprintf("replaced %d", round), "1", func() {
			a.sh("cp /usr/local/bin/landfast" + install + "; systemctl reload web-relay")
		})
		after := a.sh("systemctl show -P MainPID web-relay")
		if program := a.sh("readlink /proc/" + after + "/exe"); before == after || program != "/opt/landfast/landfast" {
			a.t.Errorf("process %s was there before; behind it %s runs %s", before, after, program)
		}
		a.asks(kept)
	}
	a.unhurt(clients, "not replaced", "1", func() {
		a.sh("cp /bin/false" + install)
		if r := a.run("/", "systemctl", "reload", "web-relay"); r.code == 0 {
			a.t.Error("a reload to a program that does nothing went well")
		}
		a.sh("cp /usr/local/bin/landfast" + install)
	})
	a.asks(kept)
}

// relayIsKilled: what is under way is lost, and no more; the socket is systemd's.
func (a *app) relayIsKilled(clients *load.Run) {
	a.t.Helper()
	clients.Lap()
	a.sh("systemctl kill -s KILL web-relay")
	a.eventually("it answers again", func() (bool, string) {
		status, body, err := a.get("http://localhost:8080/")
		return status == 200 && err == nil, body
	})
	lap := clients.Lap()
	a.t.Logf("killed: %s", lap)
	for f := range lap.Failures {
		if f.Kind != "reset" && f.Kind != "closed" {
			a.t.Errorf("killed: %s: %s", f.Kind, lap.Example)
		}
	}
	if most := int64(2 * len(load.Ways())); lap.Failed > most {
		a.t.Errorf("killed: %d requests failed, at most %d were under way", lap.Failed, most)
	}
}

// asks asks once over a connection that is kept.
func (a *app) asks(c net.Conn) {
	a.t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		a.t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	n, err := c.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 "+fmt.Sprint(http.StatusOK)) {
		a.t.Fatalf("over the kept connection: %q, %v", buf[:n], err)
	}
}
