package suite_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/lab/load"
)

// steerBoot loads the program before any app starts. In a container nobody has mounted
// the BPF file system, which takes the last capability.
const steerBoot = `[Unit]
Description=Steering of public ports
DefaultDependencies=no
Conflicts=shutdown.target
Before=sysinit.target shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/landfast steer load
CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN CAP_SYS_ADMIN
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service @mount bpf
SystemCallErrorNumber=EPERM
LimitMEMLOCK=infinity
UMask=0077

[Install]
WantedBy=sysinit.target
`

// steerWeb is one release of an app that is steered, as another user, in a sandbox.
const steerWeb = `[Unit]
Wants=landfast-steer.service
After=landfast-steer.service
StartLimitIntervalSec=0

[Service]
Type=notify
DynamicUser=yes
StateDirectory=web-%i
Environment=STATE_DIR=/var/lib/web-%i GODEBUG=multipathtcp=0
EnvironmentFile=/srv/web/port-%i
WorkingDirectory=/srv/web/releases/%i
ExecStart=/srv/web/releases/%i/bin/web
ExecStartPost=+/usr/local/bin/landfast steer register web %i --public 8080 --private ${PORT}
ExecStop=+-/usr/local/bin/landfast steer settle --public 8080 --private ${PORT}
Restart=always
RestartSec=10ms
CapabilityBoundingSet=
ProtectSystem=strict
ProtectProc=invisible
SystemCallFilter=@system-service
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX

[Install]
WantedBy=multi-user.target
`

// steered is a machine with two releases of a steered app.
type steered struct{ *host }

func eachSteered(t *testing.T, f func(s *steered)) {
	t.Helper()
	labtest.Require(t)
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			path, err := probe()
			if err != nil {
				t.Fatal(err)
			}
			m := labtest.Boot(t, lab.Options{
				Suite: suite, SystemCalls: []string{"pidfd_getfd"},
				Binds: []lab.Bind{labtest.Landfast(t), {Host: path, Inside: "/usr/local/bin/probe"}},
			})
			s := &steered{&host{Machine: m, t: t}}
			s.write("/etc/systemd/system/landfast-steer.service", steerBoot)
			s.write("/etc/systemd/system/web@.service", steerWeb)
			for name, text := range goWeb(t) {
				version := strings.TrimSuffix(strings.TrimPrefix(name, "web-"), ".tar.gz")
				s.write("/tmp/"+name, string(text))
				s.write("/srv/web/port-"+version, "PORT=2000"+version+"\n")
				s.sh(fmt.Sprintf("mkdir -p /srv/web/releases/%s; tar -xzf /tmp/%s -C /srv/web/releases/%[1]s; chmod 755 /srv/web/releases/%[1]s", version, name))
			}
			s.sh("systemctl daemon-reload; systemctl enable --now landfast-steer.service")
			f(s)
		})
	}
}

// current makes a release the current one.
func (s *steered) current(version string) {
	s.t.Helper()
	s.sh("ln -sfn releases/" + version + " /srv/web/current")
}

func (s *steered) pid(unit string) string {
	s.t.Helper()
	return s.unit(unit, "MainPID")
}

// turn goes to a release as a deployment does: started, current, steered to.
func (s *steered) turn(version string) {
	s.t.Helper()
	s.sh("systemctl start web@" + version)
	s.current(version)
	s.run("/", "landfast", "steer", "register", "web", version, "--public", "8080", "--private", "2000"+version, "--pid", s.pid("web@"+version)).
		code0().says("port 8080 is steered to " + version + " of web, which listens on port 2000" + version)
}

// answers checks which release answers at an address.
func (s *steered) answers(address, version string) {
	s.t.Helper()
	status, body, err := s.get("http://" + address + "/")
	if err != nil || status != 200 || !strings.Contains(body, "version "+version+",") {
		s.t.Errorf("%s: status %d, %v, want version %s:\n%s", address, status, err, version, body)
	}
}

// becomes waits until it does.
func (s *steered) becomes(address, version string) {
	s.t.Helper()
	s.eventually("version "+version+" at "+address, func() (bool, string) {
		status, body, err := s.get("http://" + address + "/")
		return err == nil && status == 200 && strings.Contains(body, "version "+version+","), fmt.Sprint(body, err)
	})
}

// TestSteered is an app that binds a port of its own and is served at the public one,
// through everything that happens to its processes and to the machine.
func TestSteered(t *testing.T) {
	eachSteered(t, func(s *steered) {
		s.current("1")
		s.run("/", "landfast", "steer", "show").code0().says("nothing is steered")
		s.run("/", "landfast", "doctor").says("the kernel can steer public ports")
		s.sh("systemctl start web@1")
		for _, address := range []string{"127.0.0.1:8080", "127.5.5.5:8080", "[::1]:8080"} {
			s.answers(address, "1")
		}
		s.run("/", "landfast", "steer", "show").code0().says("8080    ipv4", "[::]:20001", s.pid("web@1")+" web", "web@1.service")

		// A release that is not current takes nothing, when it starts or starts again.
		s.sh("systemctl start web@2")
		s.answers("127.0.0.1:8080", "1")
		s.answers("127.0.0.1:20002", "2")
		s.crash("web@2")
		s.answers("127.0.0.1:8080", "1")
		if text, err := s.Journal(s.t.Context(), "web@2.service"); err != nil || !strings.Contains(text, "1 is the current release of web, so nothing is steered to 2") {
			s.t.Errorf("%v\n%s", err, text)
		} else if strings.Contains(text, "which process") {
			s.t.Errorf("stopping what has ended is an error:\n%s", text)
		}

		// The current one is steered to again.
		s.crash("web@1")
		s.becomes("127.0.0.1:8080", "1")

		s.underLoad()
		s.queued()

		// The table is empty after a boot, and the current release fills it.
		s.turn("2")
		s.sh("systemctl enable web@1 web@2; sync")
		if err := s.Restart(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		s.becomes("127.0.0.1:8080", "2")
		s.eventually("both run", func() (bool, string) {
			out := s.run("/", "systemctl", "is-active", "web@1", "web@2").out
			return out == "active\nactive\n", out
		})
		s.answers("127.0.0.1:8080", "2")
		if got := s.unit("landfast-steer.service", "ActiveState"); got != "active" {
			s.t.Errorf("landfast-steer.service is %s after the boot", got)
		}

		// Without that service, an app says so: what a command of its unit mounts would
		// end with it.
		s.sh("systemctl stop web@1 web@2; systemctl disable --now landfast-steer; rm /etc/systemd/system/landfast-steer.service; systemctl daemon-reload; umount /run/landfast/bpf")
		s.run("/", "landfast", "steer", "show").code0().says("nothing is steered")
		s.sh("systemctl start --no-block web@2")
		s.eventually("web@2 says why", func() (bool, string) {
			text, err := s.Journal(s.t.Context(), "web@2.service")
			return err == nil && strings.Contains(text, "this process cannot mount it for the host; run `landfast steer load` first"), text
		})
		s.run("/", "landfast", "steer", "load").code0().says("loaded; pinned in /run/landfast/bpf/landfast")
		s.becomes("127.0.0.1:8080", "2")
		s.run("/", "landfast", "steer", "show").code0().says("web@2.service")
	})
}

// crash kills the main process of a unit and waits for the next one.
func (s *steered) crash(unit string) {
	s.t.Helper()
	before := s.pid(unit)
	s.sh("kill -9 " + before)
	s.eventually(unit+" runs again", func() (bool, string) {
		now := s.pid(unit)
		return now != before && now != "0" && s.unit(unit, "ActiveState") == "active", now
	})
}

// underLoad goes from one release to the other and back while clients ask.
func (s *steered) underLoad() {
	s.t.Helper()
	clients, err := load.Start(s.t.Context(), load.Options{URL: "http://localhost:8080/", Dial: s.Dial, Workers: 2})
	if err != nil {
		s.t.Fatal(err)
	}
	defer clients.Stop()
	at := "1"
	for range 6 {
		next := other(at)
		s.turn(next)
		s.sh("systemctl stop web@" + at)
		s.answers("127.0.0.1:8080", next)
		at = next
	}
	got := clients.Stop()
	s.t.Logf("6 switches: %s", got)
	if got.Failed > 0 || got.Versions["1"] == 0 || got.Versions["2"] == 0 {
		s.t.Errorf("under load: %s; the first: %s", got, got.Example)
	}
}

// queued switches while connections wait for a release that does not accept: they stay
// its own, and it is waited for before it stops.
func (s *steered) queued() {
	s.t.Helper()
	s.turn("1")
	s.sh("systemctl kill --signal=STOP web@1")
	var waiting []net.Conn
	for range 5 {
		c, err := s.Dial(s.t.Context(), "tcp", "127.0.0.1:8080")
		if err != nil {
			s.t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"); err != nil {
			s.t.Fatal(err)
		}
		waiting = append(waiting, c)
	}
	s.turn("2")
	s.answers("127.0.0.1:8080", "2")
	settle := []string{"landfast", "steer", "settle", "--public", "8080", "--private", "20001", "--pid", s.pid("web@1")}
	s.run("/", append(settle, "--wait", "100ms")...).exits(7).says("has not accepted 5 connections in time")
	s.sh("systemctl kill --signal=CONT web@1")
	s.run("/", settle...).code0()
	s.sh("systemctl stop web@1")
	for _, c := range waiting {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			s.t.Errorf("a client that waited: %v", err)
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(body), "version 1,") {
			s.t.Errorf("a client that waited: %v\n%s", err, body)
		}
	}
}

// TestSteeringRefuses is about units that cannot be steered to: they fail with one
// sentence, and nothing is changed.
func TestSteeringRefuses(t *testing.T) {
	eachSteered(t, func(s *steered) {
		s.write("/srv/probe/release.json", `{"Version": "1"}`)
		s.sh("mkdir -p /srv/probe/releases/1; ln -sfn releases/1 /srv/probe/current")
		// start starts a unit that is steered to, which must fail, and gives its journal.
		start := func(name string, port int, properties ...string) string {
			s.t.Helper()
			private := port
			if name == "elsewhere" {
				private++
			}
			argv := []string{
				"systemd-run", "--unit=" + name, "--property=Type=notify", "--property=NotifyAccess=all", "--property=WorkingDirectory=/srv/probe", "--setenv=PORT=" + fmt.Sprint(port),
				fmt.Sprintf("--property=ExecStartPost=+/usr/local/bin/landfast steer register probe 1 --public 8090 --private %d --wait 500ms", private),
			}
			for _, p := range properties {
				argv = append(argv, "--property="+p)
			}
			if r := s.run("/", append(argv, "/usr/local/bin/probe")...); r.code == 0 {
				s.t.Errorf("%s started", name)
			}
			text, err := s.Journal(s.t.Context(), name+".service")
			if err != nil {
				s.t.Fatal(err)
			}
			return text
		}
		said := func(journal string, parts ...string) {
			s.t.Helper()
			for _, part := range parts {
				if !strings.Contains(journal, part) {
					s.t.Errorf("the journal does not say %q:\n%s", part, journal)
				}
			}
		}
		plain := "Environment=GODEBUG=multipathtcp=0"
		said(start("mptcp", 21001), "probe (process ", ", mptcp.service) listens on port 21001 with MPTCP, and the kernel steers to plain TCP only", "GODEBUG=multipathtcp=0")
		said(start("alone", 21002, plain, "PrivateNetwork=yes"), "steers in another network than that of this process; leave out PrivateNetwork=")
		said(start("elsewhere", 21007, plain), "elsewhere.service) does not listen on port 21008, but on 127.0.0.1:21007; it should take its port from $PORT")

		s.sh("systemd-run --unit=ordinary --property=Type=notify --property=WorkingDirectory=/srv/probe --setenv=PORT=8090 /usr/local/bin/probe")
		said(start("late", 21004, plain), "port 8090 is taken: probe (process "+s.pid("ordinary")+", ordinary.service) listens there; stop it, or choose another public port")
		s.run("/", "landfast", "steer", "show").code0().says("nothing is steered")

		// With the listener known, or ignored, it works, and comes back by itself.
		s.sh("systemd-run --unit=over --property=Type=notify --property=WorkingDirectory=/srv/probe --setenv=PORT=21005 --property=" + plain + " '--property=ExecStartPost=+/usr/local/bin/landfast steer register probe 1 --public 8090 --private 21005 --over ordinary.service' /usr/local/bin/probe")
		s.run("/", "landfast", "steer", "show").code0().says("over.service", "ordinary.service) listens on port 8090, too, and gets no connections meanwhile")
		// Both listen on 127.0.0.1 alone; this is answered by what is steered to.
		answers := func() {
			s.t.Helper()
			if status, body, err := s.get("http://127.7.7.7:8090/healthz"); err != nil || status != 200 {
				s.t.Errorf("status %d, %v\n%s", status, err, body)
			}
		}
		answers()

		// A worker that a shell started is found, too.
		s.sh("systemctl stop over; systemd-run --unit=forked --property=Type=notify --property=NotifyAccess=all --property=WorkingDirectory=/srv/probe --setenv=PORT=21006 --property=" + plain + " '--property=ExecStartPost=+/usr/local/bin/landfast steer register probe 1 --public 8090 --private 21006 --anyway' sh -c '/usr/local/bin/probe; true'")
		var entries []struct {
			Public, Private string
			Processes       []struct{ Name, Unit string }
		}
		s.run("/", "landfast", "steer", "show", "--json").code0().decode(&entries)
		if len(entries) != 1 || entries[0].Private != "127.0.0.1:21006" || len(entries[0].Processes) != 1 || entries[0].Processes[0].Name != "probe" || entries[0].Processes[0].Unit != "forked.service" {
			s.t.Errorf("entries: %+v", entries)
		}
		answers()
		s.sh("systemctl stop forked")
		if status, _, err := s.get("http://127.7.7.7:8090/healthz"); err == nil {
			s.t.Errorf("status %d when nobody is steered to", status)
		}
		if status, _, err := s.get("http://127.0.0.1:8090/healthz"); err != nil || status != 200 {
			s.t.Errorf("the ordinary listener: status %d, %v", status, err)
		}
	})
}

// steerSandbox is a service of root that does nothing but switch.
var steerSandbox = []string{
	"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes",
	"ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectControlGroups=yes", "ProtectClock=yes", "ProtectHostname=yes",
	"RestrictAddressFamilies=AF_NETLINK AF_UNIX", "RestrictNamespaces=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
	"SystemCallArchitectures=native", "SystemCallErrorNumber=EPERM", "UMask=0077",
}

// TestSwitchingTakesFewRights finds what a service of root must be allowed to switch
// through the pins, to an app of another user.
func TestSwitchingTakesFewRights(t *testing.T) {
	eachSteered(t, func(s *steered) {
		s.current("1")
		s.sh("systemctl start web@1 web@2")
		s.current("2")
		register := func(capabilities, calls string) result {
			s.t.Helper()
			argv := []string{"systemd-run", "--wait", "--pipe", "--quiet", "--property=CapabilityBoundingSet=" + capabilities, "--property=SystemCallFilter=" + calls}
			for _, p := range steerSandbox {
				argv = append(argv, "--property="+p)
			}
			return s.run("/", append(argv, "/usr/local/bin/landfast", "steer", "register", "web", "2", "--public", "8080", "--private", "20002", "--pid", s.pid("web@2"))...)
		}
		const calls = "@system-service bpf pidfd_open pidfd_getfd"
		for _, less := range []string{"", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"} {
			register(less, calls).exits(7).says("cannot take the socket of the process", "CAP_SYS_PTRACE with CAP_DAC_READ_SEARCH")
		}
		register("CAP_SYS_PTRACE CAP_DAC_READ_SEARCH", "@system-service").exits(7).says("a container, a sandbox or a lockdown refuses it", "bpf and pidfd_getfd")
		s.answers("127.0.0.1:8080", "1")
		register("CAP_SYS_PTRACE CAP_DAC_READ_SEARCH", calls).code0().says("port 8080 is steered to 2 of web")
		s.answers("127.0.0.1:8080", "2")
	})
}
