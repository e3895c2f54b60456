package plan

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// usualProgram is where this program lies on a host that nobody has asked.
const usualProgram = "/usr/local/bin/landfast"

func (b *builder) programPath() string {
	if b.program == "" {
		return usualProgram
	}
	return b.program
}

// ported adds what an instance with a port of its own needs. The kernel steers to
// a socket, and forgets it with the process: whichever start it is, the instance is
// registered again if it is the current one, and before it is told to stop what has
// come to it is let in.
func (b *builder) ported(f *unit.File, s *landfast.Service) {
	if s.Unit != b.app.Main().Unit || b.app.Cutover.Strategy != landfast.StrategySteer {
		return
	}
	loader := steerUnit(b.app)
	f.Section("Unit").Add("Wants", loader)
	f.Section("Unit").Add("After", loader)
	sec := f.Section("Service")
	if !slices.ContainsFunc(b.app.Env, func(v landfast.Var) bool { return v.Name == "GODEBUG" }) {
		// Listeners of Go are of MPTCP since 1.24, which the kernel does not steer to.
		sec.Add("Environment", "GODEBUG=multipathtcp=0")
	}
	port := strconv.Itoa(b.instance.Port)
	for _, l := range b.app.Cutover.Listen {
		sec.Add("ExecStartPost", b.ok("cutover")(unit.Command("+", []string{
			b.programPath(), "steer", "register", b.app.Name, b.instance.Release, "--public", l, "--private", port, "--current", b.current, "--anyway",
		})))
		sec.Add("ExecStop", b.ok("cutover")(unit.Command("+-", []string{
			b.programPath(), "steer", "settle", "--public", l, "--private", port,
		})))
	}
}

// traffic adds the units that hold the public address of an app whose releases have
// ports of their own.
func (b *builder) traffic() {
	switch b.app.Cutover.Strategy {
	case landfast.StrategySteer:
		b.steering()
	case landfast.StrategyRelay:
		b.relay()
	}
}

// steerUnit is the unit that loads the program which steers.
func steerUnit(app *landfast.App) string {
	return strings.TrimSuffix(app.Main().Unit, ".service") + "-steer.service"
}

// steering adds the unit that loads the program at boot. There may be several on a
// host, of which the first does it.
func (b *builder) steering() {
	f := &unit.File{}
	sec := f.Section("Unit")
	sec.Add("Description", b.ok("description")(unit.Literal(b.app.Name+" steering of its public port")))
	sec.Add("DefaultDependencies", "no")
	sec.Add("Conflicts", "shutdown.target")
	sec.Add("After", "local-fs.target")
	sec.Add("Before", "sysinit.target shutdown.target")
	sec = f.Section("Service")
	sec.Add("Type", "oneshot")
	sec.Add("RemainAfterExit", "yes")
	sec.Add("ExecStart", b.ok("cutover")(unit.Command("", []string{b.programPath(), "steer", "load"})))
	// No directive that makes a mount namespace: where the BPF file system is not
	// mounted it has to be, for all to see, which takes CAP_SYS_ADMIN.
	for _, d := range []landfast.Directive{
		{Name: "CapabilityBoundingSet", Value: "CAP_BPF CAP_NET_ADMIN CAP_SYS_ADMIN"},
		{Name: "NoNewPrivileges", Value: "yes"},
		{Name: "RestrictAddressFamilies", Value: "AF_UNIX"},
		{Name: "RestrictNamespaces", Value: "yes"},
		{Name: "RestrictRealtime", Value: "yes"},
		{Name: "RestrictSUIDSGID", Value: "yes"},
		{Name: "LockPersonality", Value: "yes"},
		{Name: "MemoryDenyWriteExecute", Value: "yes"},
		{Name: "SystemCallArchitectures", Value: "native"},
		{Name: "SystemCallFilter", Value: "@system-service @mount bpf"},
		{Name: "SystemCallErrorNumber", Value: "EPERM"},
		{Name: "LimitMEMLOCK", Value: "infinity"},
		{Name: "UMask", Value: "0077"},
	} {
		b.add(f, "Service", d.Name, d.Value)
	}
	f.Section("Install").Add("WantedBy", "sysinit.target")
	b.unitFile(steerUnit(b.app), f)
	b.plan.Units = append(b.plan.Units, Unit{Name: steerUnit(b.app), Enable: true, Manual: true})
}

// relaySlack is what a relay gets beyond the time its connections may take.
const relaySlack = 5 * time.Second

// inRelay is where a relay finds the directory of its target.
const inRelay = "/run/landfast-target"

// relaySocket is the unit of the public sockets of a relay.
func relaySocket(app *landfast.App) string {
	return strings.TrimSuffix(app.Main().Unit, ".service") + "-relay.socket"
}

// relay adds the process that holds the public sockets, and these. It stays while
// releases come and go.
func (b *builder) relay() {
	base := strings.TrimSuffix(relaySocket(b.app), ".socket")
	dir := path.Dir(b.app.Target())
	b.dir(dir, 0o755, "root", "root", true)

	f := &unit.File{}
	f.Section("Unit").Add("Description", b.ok("description")(unit.Literal(b.app.Name+" public socket")))
	sec := f.Section("Socket")
	for _, l := range b.app.Cutover.Listen {
		sec.Add("ListenStream", b.ok("cutover.listen")(unit.Literal(l)))
	}
	sec.Add("Service", base+".service")
	b.add(f, "Socket", "TriggerLimitIntervalSec", "1s")
	b.add(f, "Socket", "TriggerLimitBurst", "100")
	f.Section("Install").Add("WantedBy", "sockets.target")
	b.unitFile(base+".socket", f)
	b.plan.Units = append(b.plan.Units, Unit{Name: base + ".socket", Enable: true, Socket: true})

	f = &unit.File{}
	sec = f.Section("Unit")
	sec.Add("Description", b.ok("description")(unit.Literal(b.app.Name+" relay")))
	sec.Add("Requires", base+".socket")
	sec.Add("After", "network.target "+base+".socket")
	b.add(f, "Unit", "StartLimitIntervalSec", "0")
	b.relayProcess(f, dir)
	f.Section("Install").Add("WantedBy", "multi-user.target")
	b.unitFile(base+".service", f)
	b.plan.Units = append(b.plan.Units, Unit{Name: base + ".service", Enable: true, Relay: true})
}

func (b *builder) relayProcess(f *unit.File, dir string) {
	argv := []string{b.programPath(), "relay", "--target", inRelay + "/" + path.Base(b.app.Target()), "--drain", span(b.app.Cutover.Drain)}
	if p := b.app.Cutover.Proxy; p != "" {
		argv = append(argv, "--proxy", p)
	}
	sec := f.Section("Service")
	sec.Add("Type", "notify")
	// A relay that is replaced tells systemd of the process that takes its place.
	sec.Add("NotifyAccess", "main")
	sec.Add("ExecStart", b.ok("cutover")(unit.Command("", argv)))
	sec.Add("ExecReload", b.programPath()+" relay --replace ${MAINPID}")
	sec.Add("Restart", "always")
	sec.Add("RestartSec", "100ms")
	sec.Add("TimeoutStopSec", span(b.app.Cutover.Drain+relaySlack))
	sec.Add("KillMode", "mixed")
	sec.Add("NonBlocking", "yes")
	sec.Add("LimitNOFILE", "65535")
	b.add(f, "Service", "DynamicUser", "yes")
	// The filter meets the sockets that it opens itself: it reaches nobody but this host.
	b.add(f, "Service", "IPAddressDeny", "any")
	b.add(f, "Service", "IPAddressAllow", "localhost")
	b.add(f, "Service", "ProcSubset", "pid")
	b.add(f, "Service", "UMask", "0077")
	b.add(f, "Service", "BindReadOnlyPaths", b.ok("cutover")(unit.Path(dir))+":"+inRelay)
	lines, err := unit.Profile("strict")
	if err != nil {
		b.fail("cutover", err)
		return
	}
	for _, l := range lines {
		now, ok := l.For(b.version)
		switch {
		case !ok:
			continue
		case l.Directive == "RestrictAddressFamilies":
			now.Value = "AF_UNIX AF_INET AF_INET6"
		}
		sec.Add(now.Directive, now.Value)
	}
}
