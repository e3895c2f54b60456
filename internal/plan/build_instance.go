package plan

import (
	"path"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// overlapping adds the units of a service each of whose releases runs as a unit
// of its own, web@ID.service, so that two of them can run at once.
//
// The unit called web.service is an anchor: it stands for whichever release is
// current, so that systemctl start, stop, restart and status mean what people
// expect, and it is what the socket triggers, so that systemd never starts a
// release by itself that is about to go. The instances are PartOf= it.
//
// The unit of an instance is a file of its own, and no template: the text that a
// release runs with stays what it is while the next one comes, and systemd reads a
// new file without a daemon-reload.
func (b *builder) overlapping(i int) {
	s := &b.app.Services[i]
	b.anchor(s)
	b.plan.Retained = append(b.plan.Retained, unitDir+"/"+s.InstancePrefix())
	if b.instance.Release == "" {
		return // its unit comes with the first release
	}
	if landfast.CheckReleaseID(b.instance.Release) != nil {
		b.failf("release", "%q is not the id of a release", b.instance.Release)
		return
	}
	one := *b
	one.app = b.app.Run(b.instance)
	s = &one.app.Services[i]
	f := one.instanceFile(s)
	one.passThrough(f, s, "Unit", "Service")
	name := s.InstanceUnit(b.instance.Release)
	one.unitFile(name, f)
	b.wrong, b.tmp = one.wrong, one.tmp
	b.plan.Units = append(b.plan.Units, Unit{Name: name, Main: i == 0, Instance: true})
}

// instanceFile is the unit of one release of a service.
func (b *builder) instanceFile(s *landfast.Service) *unit.File {
	f := &unit.File{}
	b.unitSection(f, s)
	f.Section("Unit").Add("PartOf", s.Unit)
	b.ported(f, s) // its stop command comes before the app's own
	b.serviceSection(f, s)
	if s.Socket != nil {
		f.Section("Service").Add("Sockets", s.Socket.Unit)
	}
	return f
}

// anchor adds the unit that stands for the current release.
func (b *builder) anchor(s *landfast.Service) {
	f := &unit.File{}
	sec := f.Section("Unit")
	sec.Add("Description", b.ok("description")(unit.Literal(b.description(s))))
	after := []string{"network.target"}
	if s.Socket != nil {
		sec.Add("Requires", s.Socket.Unit)
		after = append(after, s.Socket.Unit)
	}
	if b.app.Cutover.Strategy == landfast.StrategyRelay && s.Unit == b.app.Main().Unit {
		sec.Add("Wants", relaySocket(b.app))
		after = append(after, relaySocket(b.app))
	}
	sec.Add("After", strings.Join(after, " "))
	b.add(f, "Unit", "ConditionPathExists", b.ok("paths.current")(unit.Path(b.app.Paths.Current)))
	b.add(f, "Unit", "StartLimitIntervalSec", "0")
	sec = f.Section("Service")
	sec.Add("Type", "oneshot")
	sec.Add("RemainAfterExit", "yes")
	script := `exec /bin/systemctl --no-pager start "` + s.InstancePrefix() + `$(basename "$(readlink "$0")").service"`
	// It does not fail with the instance, which systemd starts again after its
	// RestartSec=: behind a socket it would be triggered again at once, and for ever.
	sec.Add("ExecStart", b.ok("service")(unit.Command("-", []string{"/bin/sh", "-c", script, b.app.Paths.Current})))
	if s.Socket != nil {
		// The socket is handed to the anchor as well, and systemd would take O_NONBLOCK
		// off it then, which whoever waits for connections on it relies on.
		sec.Add("NonBlocking", "yes")
	}
	// Whoever stops the app waits until the release has finished.
	sec.Add("ExecStop", b.ok("service")(unit.Command("-", []string{"/bin/systemctl", "--no-pager", "stop", s.InstancePrefix() + "*.service"})))
	// The release's own start and stop have a limit.
	sec.Add("TimeoutStartSec", "infinity")
	sec.Add("TimeoutStopSec", "infinity")
	b.systemctlOnly(f, "service", b.app.Paths.Current, "CAP_DAC_READ_SEARCH")
	f.Section("Install").Add("WantedBy", "multi-user.target")
	b.passThrough(f, s, "Install")
	b.unitFile(s.Unit, f)
	b.plan.Units = append(b.plan.Units, Unit{Name: s.Unit, Enable: true, Anchor: true})
}

// systemctlOnly takes everything from a unit of root's but to call systemctl and
// to see file.
func (b *builder) systemctlOnly(f *unit.File, key, file, capabilities string) {
	lines, err := unit.Profile("strict")
	if err != nil {
		b.fail(key, err)
		return
	}
	for _, l := range lines {
		now, ok := l.For(b.version)
		switch {
		case !ok || l.Directive == "PrivateUsers": // the file is another user's
			continue
		case l.Directive == "CapabilityBoundingSet":
			now.Value = capabilities
		case l.Directive == "RestrictAddressFamilies":
			now.Value = "AF_UNIX"
		case l.Directive == "ProtectHome" && below(file, "/home"):
			now.Value = "no"
		case l.Directive == "PrivateTmp" && (below(file, "/tmp") || below(file, "/var/tmp")):
			now.Value = "no"
		}
		f.Section("Service").Add(now.Directive, now.Value)
	}
}

// RehearsalSocket and RehearsalService are the units in which a release is tried
// before it sees traffic.
func RehearsalSocket(app *landfast.App) string {
	return strings.TrimSuffix(app.Main().Unit, ".service") + "-rehearsal.socket"
}

// RehearsalService is the unit beside RehearsalSocket.
func RehearsalService(app *landfast.App) string {
	return strings.TrimSuffix(RehearsalSocket(app), ".socket") + ".service"
}

// Rehearsal gives the texts of two units that run the main service of a release
// as it will run, but on private sockets: listen are their addresses, one for each
// of the service's own and in their order. The process cannot tell the difference
// by their names.
func Rehearsal(app *landfast.App, facts Facts, listen []string) (socket, service string, err error) {
	main := app.Main()
	if main.Socket == nil || len(listen) != len(main.Socket.Listen) {
		return "", "", &landfast.Error{Kind: landfast.Invalid, Msg: "a rehearsal needs a private address for each one of the socket"}
	}
	b := &builder{app: app.Run(facts.Instance), version: facts.Systemd, program: facts.Program, instance: facts.Instance, plan: &Plan{App: app.Name}}
	s := &b.app.Services[0]
	s.Overlap = true // the runtime directory is the running release's as well
	own := *s.Socket
	name := own.Unit
	own.Unit, own.Listen = RehearsalSocket(app), listen
	s.Socket = &own

	f := &unit.File{Comments: []string{"A rehearsal of app " + app.Name + ", removed when it has ended."}}
	f.Section("Unit").Add("Description", b.ok("description")(unit.Literal(app.Name+" rehearsal socket")))
	sec := f.Section("Socket")
	b.listens(f, &own)
	sec.Add("Service", RehearsalService(app))
	b.passThrough(f, s, "Socket")
	sec.Drop("FileDescriptorName")
	sec.Add("FileDescriptorName", fdName(app, name))
	socket, err = f.Render()
	if err != nil {
		b.fail("socket", err)
	}

	f = &unit.File{Comments: []string{"A rehearsal of app " + app.Name + ", removed when it has ended."}}
	b.unitSection(f, s)
	b.serviceSection(f, s)
	b.passThrough(f, s, "Unit", "Service")
	f.Section("Service").Drop("Restart")
	f.Section("Service").Add("Restart", "no")
	service, err = f.Render()
	if err != nil {
		b.fail("service", err)
	}
	return socket, service, b.err()
}

// fdName is the name under which the process finds its socket, systemd.socket(5).
func fdName(app *landfast.App, unitName string) string {
	for _, d := range app.Systemd {
		if d.Section == "Socket" && d.Name == "FileDescriptorName" && d.Value != "" {
			return d.Value
		}
	}
	return path.Base(unitName)
}
