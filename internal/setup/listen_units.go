package setup

import "strings"

// Listener says what the units of the listener depend on.
type Listener struct {
	Addresses   []string // of its socket, as ListenStream= has them
	Credentials []Credential
}

// Credential is a secret that reaches a unit by LoadCredential=.
type Credential struct{ ID, Path string }

// unverified holds messages that cannot be verified before something was fetched,
// and cache what was.
const (
	unverified = spool + "/.unverified"
	cache      = "/var/cache/landfast"
)

// listener adds the units that take messages from the network. The listener is an
// account that exists while it runs, may write into the spool and nowhere else, and
// has no network but the connections of the socket that systemd hands it: it can
// make none of its own. What has to be fetched is fetched by another unit, which
// hears nobody.
func (m *maker) listener() {
	l := m.o.Listener
	if l == nil {
		return
	}
	var socket []line
	for _, a := range l.Addresses {
		// systemd.socket(5): a port alone is IPv6 and IPv4, and IPv4 where the kernel
		// has no IPv6; there the other form is refused.
		a = strings.TrimPrefix(a, "[::]:")
		socket = append(socket, line{"ListenStream", a, 0})
	}
	m.unit("landfast-listen.socket", "Socket", "Events from outside", append(socket, line{"NoDelay", "yes", 0}), "sockets.target")
	lines := []line{
		{"ExecStart", m.command("listen"), 0},
		{"DynamicUser", "yes", 0},
		{"User", "landfast-web", 0}, // a group has the name that it would have otherwise
		{"SupplementaryGroups", listen, 0},
		{"NonBlocking", "yes", 0},
		{"MemoryMax", "256M", 0},
		{"TasksMax", "64", 0},
		{"LimitNOFILE", "4096", 0},
		{"ReadWritePaths", spool, 0},
		{"InaccessiblePaths", "-/srv -/var/lib/landfast -/etc/landfast/secrets -/run/dbus -/root -/boot", 0},
		{"PrivateNetwork", "yes", 0},
		{"SocketBindDeny", "any", 249},
	}
	for _, c := range l.Credentials {
		// It is a secret that may come later: without it the listener says so itself.
		lines = append(lines, line{"LoadCredential", c.ID + ":" + c.Path, 247})
	}
	for _, s := range sandbox("AF_UNIX") {
		lines = append(lines, s)
		if s.name == "SystemCallFilter" && s.value == "prlimit64" {
			lines = append(lines, line{"SystemCallFilter", "~connect mkdir mkdirat symlink symlinkat link linkat mknod mknodat", 0})
		}
	}
	m.unit("landfast-listen.service", "Service", "Take events from outside", lines, "",
		line{"Requires", "landfast-listen.socket", 0},
		line{"After", "landfast-listen.socket", 0},
		line{"StartLimitIntervalSec", "0", 0})
	m.verifier()
}

// verifier adds the unit that fetches what is published, and verifies what waits for
// it.
func (m *maker) verifier() {
	m.unit("landfast-verify.path", "Path", "Messages that wait to be verified", []line{
		{"DirectoryNotEmpty", unverified, 0},
	}, "multi-user.target")
	m.unit("landfast-verify.timer", "Timer", "Fetch what messages are verified with", []line{
		{"OnBootSec", "1min", 0},
		{"OnUnitInactiveSec", "1h", 0},
		{"RandomizedDelaySec", "5min", 0},
	}, "timers.target")
	m.unit("landfast-verify.service", "Service", "Verify messages that wait", append([]line{
		{"Type", "oneshot", 0},
		{"ExecStart", m.command("trigger", "refresh", "--linger", "1m"), 0},
		{"User", worker, 0},
		{"Group", worker, 0},
		{"SupplementaryGroups", listen, 0},
		{"ReadWritePaths", spool + " " + cache, 0},
		{"InaccessiblePaths", "-/srv -/var/lib/landfast -/etc/landfast/secrets -/run/dbus -/root -/boot", 0},
		{"TimeoutStartSec", "5min", 0},
	}, drop(sandbox("AF_UNIX AF_INET AF_INET6"), "PrivateUsers", "ProcSubset")...), "",
		line{"After", "network-online.target", 0},
		line{"Wants", "network-online.target", 0},
		line{"StartLimitIntervalSec", "0", 0})
}

func drop(lines []line, names ...string) []line {
	var out []line
	for _, l := range lines {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+l.name+" ") {
			out = append(out, l)
		}
	}
	return out
}

// listenerUnits are those to enable.
func listenerUnits() []string {
	return []string{"landfast-listen.socket", "landfast-verify.path", "landfast-verify.timer"}
}
