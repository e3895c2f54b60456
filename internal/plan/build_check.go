package plan

import (
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

var (
	appNames  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$`)
	unitNames = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|target|path|timer|mount|automount|device|swap|slice|scope)$`)
	dirNames  = regexp.MustCompile(`^[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*(/[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*)*$`)
	// credentialNames are those that systemd takes for a credential and that need no
	// escaping anywhere.
	credentialNames = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,99}$`)

	modes = regexp.MustCompile(`^0?[0-7]{3,4}$`)
)

// check finds what is wrong with names and paths.
func (b *builder) check() {
	a := b.app
	if !appNames.MatchString(a.Name) {
		b.failf("name", "%q cannot be the name of an app", a.Name)
	}
	b.checkAccount("user", a.User)
	b.checkAccount("group", a.Group)
	b.checkAccount("deploy_user", a.DeployUser)
	if a.User == a.DeployUser && !a.DynamicUser {
		b.failf("deploy_user", "%s is also the user the app runs as, which could then change its own code", a.User)
	}
	for _, p := range []struct{ key, path string }{
		{"base", a.Paths.Base},
		{"deploy", a.Paths.Deploy},
		{"releases", a.Paths.Releases},
		{"current", a.Paths.Current},
		{"bin", a.Paths.Bin},
		{"flags", a.Paths.Flags},
		{"shared", a.Paths.Shared},
		{"working", a.Paths.Working},
	} {
		if err := unit.CheckPath(p.path); err != nil {
			b.failf("paths."+p.key, "%q: %w", p.path, err)
		}
	}
	// A release becomes current by one rename, and everything that is written lies
	// below one directory.
	for _, p := range []struct{ key, path string }{{"paths.releases", a.Paths.Releases}, {"paths.current", a.Paths.Current}} {
		if unit.CheckPath(a.Paths.Deploy) == nil && !below(p.path, a.Paths.Deploy) {
			b.failf(p.key, "%q is not below paths.deploy, which is %s", p.path, a.Paths.Deploy)
		}
	}
	if len(a.Services) == 0 {
		b.failf("service", "an app needs a service")
	}
	for i := range a.Services {
		b.checkService(&a.Services[i])
		b.checkMachine(&a.Services[i])
		b.checkUnits(&a.Services[i])
	}
	b.checkDirs()
	b.checkSystemDirs()
	b.checkEnvironment()
	b.checkSettings()
	b.checkChroot()
	b.checkDynamic()
	b.checkPassThrough()
}

func (b *builder) checkAccount(key, name string) {
	if !unit.IsUserName(name) {
		b.failf(key, "%q is not a name for an account: letters, digits, - and _, not more than 31", name)
	}
}

func (b *builder) checkMode(key, mode string) {
	if !modes.MatchString(mode) {
		b.failf(key, "%q is not an octal mode such as 0750", mode)
	}
}

func (b *builder) checkUnitName(key, name, suffix string) {
	if !unitNames.MatchString(name) || !strings.HasSuffix(name, suffix) {
		b.failf(key, "%q is not the name of a unit", name)
	}
}

func (b *builder) checkService(s *landfast.Service) {
	b.checkUnitName(b.key(s, "unit"), s.Unit, ".service")
	for _, list := range []struct {
		key   string
		names []string
	}{{"after", s.After}, {"wants", s.Wants}, {"requires", s.Requires}} {
		for _, n := range list.names {
			b.checkUnitName(b.key(s, list.key), n, "")
		}
	}
	if !slices.Contains([]string{"simple", "exec", "notify", "forking", "oneshot"}, s.Type) {
		b.failf(b.key(s, "type"), "%q is not a type of service", s.Type)
	}
	restarts := []string{"", "no", "always", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort"}
	if !slices.Contains(restarts, s.Restart) {
		b.failf(b.key(s, "restart"), "%q is not one of systemd's ways to restart", s.Restart)
	}
	if s.Type == "oneshot" && (s.Restart == "always" || s.Restart == "on-success") {
		b.failf(b.key(s, "restart"), "systemd refuses %q for a service of type oneshot, which ends by itself", s.Restart)
	}
	if s.Umask != "" {
		b.checkMode(b.key(s, "umask"), s.Umask)
	}
	if s.Socket != nil {
		b.checkSocket(s.Socket)
	}
}

func (b *builder) checkSocket(s *landfast.Socket) {
	b.checkUnitName("socket", s.Unit, ".socket")
	if len(s.Listen) == 0 {
		b.failf("socket.listen", "a socket needs an address")
	}
	for _, l := range s.Listen {
		if !isListen(l) {
			b.failf("socket.listen", "%q is not a port, not an address with a port and not the absolute path of a socket", l)
		}
	}
	if s.Mode != "" {
		b.checkMode("socket.mode", s.Mode)
	}
	if s.User != "" {
		b.checkAccount("socket.user", s.User)
	}
	if s.Group != "" {
		b.checkAccount("socket.group", s.Group)
	}
}

// isListen accepts what systemd.socket(5) allows for ListenStream=, without
// AF_VSOCK.
func isListen(s string) bool {
	if strings.HasPrefix(s, "/") {
		return unit.CheckPath(s) == nil
	}
	if name, ok := strings.CutPrefix(s, "@"); ok {
		return name != ""
	}
	if port, err := strconv.ParseUint(s, 10, 16); err == nil {
		return port > 0
	}
	addr, err := netip.ParseAddrPort(s)
	return err == nil && addr.Port() > 0
}

func (b *builder) checkDirs() {
	for _, d := range b.app.Dirs {
		key := "dirs." + string(d.Kind)
		if directoryName(d.Kind) == "" && d.Kind != landfast.TmpDir {
			b.failf(key, "%q is not a kind of directory", d.Kind)
		}
		if !dirNames.MatchString(d.Name) || strings.Contains(d.Name, "..") {
			b.failf(key+".name", "%q is not a name for a directory: letters, digits, and ._@+-", d.Name)
		}
		if err := unit.CheckPath(d.Path); err != nil {
			b.failf(key, "%q: %w", d.Path, err)
		}
		b.checkMode(key+".mode", d.Mode)
		if !slices.Contains([]string{"", "yes", "no", "restart"}, d.Preserve) {
			b.failf(key+".preserve", "%q is none of no, yes and restart", d.Preserve)
		}
	}
}

// checkPassThrough refuses the directives that would contradict the rest of
// the plan.
func (b *builder) checkPassThrough() {
	if len(b.app.Services) == 0 {
		return
	}
	for i := range b.app.Services {
		s := &b.app.Services[i]
		prefix := ""
		if s != b.app.Main() {
			prefix = b.key(s, "")
		}
		for _, d := range b.passed(s) {
			b.checkPassed(s, prefix+"systemd."+d.Section+"."+d.Name, d)
		}
	}
}

func (b *builder) checkPassed(s *landfast.Service, key string, d landfast.Directive) {
	switch {
	case d.Section == "Socket" && s.Socket == nil:
		b.failf(key, "the app has no socket")
	case d.Section == "Timer" && s.Timer == nil && s != b.app.Main():
		b.failf(key, "the service has no timer")
	case !slices.Contains([]string{"Unit", "Service", "Socket", "Install"}, d.Section) && (d.Section != "Timer" || s.Timer == nil):
		b.failf(key, "there is no such section; there are Unit, Service, Socket and Install")
	case d.Section == "Service" && slices.Contains([]string{"User", "Group", "DynamicUser"}, d.Name) && !b.sameAccount(d):
		b.failf(key, "the directories belong to the account that the keys user, group and dynamic_user name")
	case d.Section == "Install" && !b.installs(d):
		b.failf(key, "%q: an app is started by units it names, and has no name but its own", d.Value)
	default:
		if err := (unit.Option{Name: d.Name, Value: d.Value}).Check(); err != nil {
			b.fail(strings.ReplaceAll(key, "\n", `\n`), err)
		}
	}
}

// sameAccount reports whether a setting that is taken back leaves the account as
// it is: without User= a service is root, which then gets no variables of its own
// (HOME, USER, ...), and without Group= it has the user's.
func (b *builder) sameAccount(d landfast.Directive) bool {
	switch {
	case d.Value != "" || b.app.DynamicUser:
		return false
	case d.Name == "User":
		return b.app.User == "root"
	}
	return d.Name == "Group" && b.app.Group == b.app.User
}

// key is the key of the manifest that holds a property of a service.
func (b *builder) key(s *landfast.Service, name string) string {
	main := strings.TrimSuffix(b.app.Main().Unit, ".service")
	part, ok := strings.CutPrefix(strings.TrimRight(strings.TrimSuffix(s.Unit, ".service"), "@"), main+"-")
	switch {
	case s.Unit == b.app.Main().Unit:
		return "service." + name
	case b.app.Before != nil && s.Unit == b.app.Before.Unit:
		return "environment." + name
	case !ok:
		return s.Unit + " " + name
	case s.Timer != nil:
		return "timers." + part + "." + name
	}
	return "services." + part + "." + name
}

// installs reports whether an [Install] directive names units, and no alias that is
// a unit of the system.
func (b *builder) installs(d landfast.Directive) bool {
	switch d.Name {
	case "Alias", "WantedBy", "RequiredBy", "UpheldBy", "Also":
	default:
		return true
	}
	for _, name := range strings.Fields(d.Value) {
		stem, _, _ := strings.Cut(strings.TrimSuffix(name, path.Ext(name)), "@")
		system := strings.HasPrefix(stem, "systemd-") || slices.Contains(strings.Fields("dbus dbus-broker init getty serial-getty console-getty polkit user"), stem)
		if !unitNames.MatchString(name) || d.Name == "Alias" && (system || path.Ext(name) == ".target") {
			return false
		}
	}
	return true
}
