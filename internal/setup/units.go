package setup

import (
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

// line is one line of a section. Since is the version of systemd that brought it.
type line struct {
	name, value string
	since       int
}

// units adds all unit files.
func (m *maker) units() {
	m.unit("landfast-root.socket", "Socket", "Requests of the workers to the root service", []line{
		{"ListenStream", m.o.RootSocket, 0},
		{"SocketMode", "0660", 0},
		{"SocketGroup", worker, 0},
		{"Accept", "yes", 0},
		{"MaxConnections", "64", 0},
		{"RemoveOnStop", "yes", 0},
	}, "sockets.target")
	m.unit("landfast-root@.service", "Service", "One request to the root service", slices.Concat([]line{
		{"ExecStart", m.command("root-service"), 0},
		{"StandardInput", "socket", 0},
		{"StandardOutput", "journal", 0},
		{"StandardError", "journal", 0},
		{"SyslogIdentifier", "landfast-root", 0},
	}, m.rootSandbox()), "")
	m.unit("landfast-probe.socket", "Socket", "Health checks for the root service, which has no network", []line{
		{"ListenStream", m.o.ProbeSocket, 0},
		{"SocketMode", "0600", 0},
		{"Accept", "yes", 0},
		{"MaxConnections", "64", 0},
		{"RemoveOnStop", "yes", 0},
	}, "sockets.target")
	m.unit("landfast-probe@.service", "Service", "One connection of a health check", slices.Concat([]line{
		{"ExecStart", m.command("probe"), 0},
		{"StandardInput", "socket", 0},
		{"StandardOutput", "journal", 0},
		{"StandardError", "journal", 0},
		{"DynamicUser", "yes", 0},
		{"RuntimeMaxSec", "120s", 0},
		{"LogLevelMax", "warning", 236},
	}, sandbox("AF_UNIX AF_INET AF_INET6")), "")
	m.worker()
	m.listener()
	// What the end of the power interrupted is settled before anybody asks.
	m.unit("landfast-resume.service", "Service", "Settle deployments that were interrupted", []line{
		{"Type", "oneshot", 0},
		{"ExecStart", m.command("resume", "--all"), 0},
		{"TimeoutStartSec", "15min", 0},
	}, "multi-user.target", line{"After", "multi-user.target", 0}, line{"ConditionDirectoryNotEmpty", "/etc/landfast/apps", 0})
}

func (m *maker) command(args ...string) string {
	return m.keep(unit.Command("", append([]string{m.o.Program}, args...)))
}

// unit adds one unit with the section that it is named after.
func (m *maker) unit(name, section, description string, lines []line, wanted string, unitLines ...line) {
	f := &unit.File{Comments: []string{mark}}
	add := func(s *unit.Section, l line) {
		if m.o.Systemd == 0 || m.o.Systemd >= l.since {
			s.Add(l.name, l.value)
		}
	}
	f.Section("Unit").Add("Description", description)
	if section == "Service" {
		f.Section("Unit").Add("CollectMode", "inactive-or-failed")
	}
	for _, l := range unitLines {
		add(f.Section("Unit"), l)
	}
	f.Section(section)
	for _, l := range lines {
		add(f.Section(section), l)
	}
	if wanted != "" {
		f.Section("Install").Add("WantedBy", wanted)
	}
	m.file(unitDir+"/"+name, m.keep(f.Render()))
}

// sandbox takes everything from a service but the families of addresses it is given.
func sandbox(families string) []line {
	return []line{
		{"NoNewPrivileges", "yes", 0},
		{"CapabilityBoundingSet", "", 0},
		{"AmbientCapabilities", "", 0},
		{"ProtectSystem", "strict", 0},
		{"ProtectHome", "yes", 0},
		{"PrivateTmp", "yes", 0},
		{"PrivateDevices", "yes", 0},
		{"DevicePolicy", "closed", 0},
		{"PrivateUsers", "yes", 0},
		{"PrivateMounts", "yes", 0},
		{"PrivateIPC", "yes", 248},
		{"ProtectKernelTunables", "yes", 0},
		{"ProtectKernelModules", "yes", 0},
		{"ProtectKernelLogs", "yes", 0},
		{"ProtectControlGroups", "yes", 0},
		{"ProtectClock", "yes", 0},
		{"ProtectHostname", "yes", 0},
		{"ProtectProc", "invisible", 0},
		{"ProcSubset", "pid", 0},
		{"RestrictRealtime", "yes", 0},
		{"RestrictSUIDSGID", "yes", 0},
		{"RestrictNamespaces", "yes", 0},
		{"RestrictAddressFamilies", families, 0},
		{"LockPersonality", "yes", 0},
		{"MemoryDenyWriteExecute", "yes", 0},
		{"RemoveIPC", "yes", 0},
		{"KeyringMode", "private", 0},
		{"UMask", "0077", 0},
		{"SystemCallArchitectures", "native", 0},
		{"SystemCallFilter", "@system-service", 0},
		{"SystemCallFilter", "~@privileged @resources", 0},
		{"SystemCallFilter", "prlimit64", 0},
		{"SystemCallErrorNumber", "EPERM", 0},
	}
}

// rootSandbox leaves the root service what a deployment changes: units and accounts
// below /etc, the directories of apps, owners and modes. It has no network.
func (m *maker) rootSandbox() []line {
	var lines []line
	for _, l := range sandbox("AF_UNIX") {
		switch {
		case l.name == "PrivateUsers", l.name == "RemoveIPC":
			continue // it gives files to accounts of the host
		case l.name == "RestrictSUIDSGID":
			continue // some directories of apps keep their group, 2750
		case l.name == "CapabilityBoundingSet":
			l.value = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID"
		case l.value == "prlimit64":
			l.value = "@chown prlimit64"
		}
		lines = append(lines, l)
	}
	write := []string{"/etc", "/run", "/var"}
	for _, b := range m.o.Bases {
		if !slices.ContainsFunc(write, func(w string) bool { return b == w || strings.HasPrefix(b, w+"/") }) {
			write = append(write, b)
		}
	}
	return append(
		lines,
		line{"PrivateNetwork", "yes", 0},
		line{"IPAddressDeny", "any", 0},
		line{"ReadWritePaths", m.keep(unit.PathList("-", write...)), 0},
	)
}

// worker adds the units that work off the events of one app. The worker sees the
// deliveries and the spool of its app, and no other; root has the rest done.
func (m *maker) worker() {
	incoming, own := state+"/%i/incoming", spool+"/%i"
	m.unit("landfast-worker@.path", "Path", "Events of app %i", []line{
		{"DirectoryNotEmpty", own + "/new", 0},
	}, "multi-user.target")
	m.unit("landfast-worker@.timer", "Timer", "Look for events of app %i", []line{
		{"OnBootSec", "30s", 0},
		{"OnActiveSec", "5min", 0},
		{"OnUnitInactiveSec", "5min", 0},
		{"AccuracySec", "30s", 0},
	}, "timers.target")
	lines := slices.Concat([]line{
		{"ExecStart", strings.ReplaceAll(m.command("worker", "INSTANCE"), "INSTANCE", "%i"), 0},
		{"User", worker, 0},
		{"Group", worker, 0},
		{"Environment", "HOME=/tmp", 0},
		{"WorkingDirectory", incoming, 0},
		{"TimeoutStopSec", "15min", 0},
		{"KillMode", "mixed", 0},
		{"Nice", "5", 0},
		{"TemporaryFileSystem", state + ":ro " + spool + ":ro", 0},
		{"BindPaths", incoming + " " + own, 0},
		{"InaccessiblePaths", "-/srv -/etc/landfast/secrets -/run/dbus", 0},
		// systemd 247 makes the directories above a bind under it.
		{"UMask", "0022", 0},
	}, slices.DeleteFunc(sandbox("AF_UNIX AF_INET AF_INET6"), func(l line) bool {
		return l.name == "PrivateUsers" || l.name == "UMask" // it has to see whose an event in the spool is
	}))
	m.unit("landfast-worker@.service", "Service", "Deliveries of app %i", lines, "",
		// Whoever looks and finds nothing starts no process.
		line{"ConditionPathExistsGlob", "|" + own + "/new/*", 0},
		line{"ConditionPathExistsGlob", "|" + own + "/cur/*", 0},
		line{"StartLimitIntervalSec", "10s", 0},
		line{"StartLimitBurst", "20", 0},
		line{"After", "landfast-root.socket network-online.target", 0},
		line{"Wants", "landfast-root.socket", 0})
}
