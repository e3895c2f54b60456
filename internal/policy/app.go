package policy

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
)

// CheckApp says everything that app asks for and may not have, as one error of kind
// Invalid, or nil. What it says is in the words of the manifest.
func (r *Rules) CheckApp(app *landfast.App) error {
	f := &refusals{app: r.App}
	if app.Name != r.App {
		f.add("name: the manifest is of app %q", app.Name)
	}
	r.accounts(f, app)
	r.paths(f, app)
	r.sandbox(f, app)
	for _, c := range commands(app) {
		if strings.ContainsAny(c.command.Prefix, "+!|") {
			f.add("%s: the prefix %q would run it with root's rights", c.key, c.command.Prefix)
		}
	}
	for i := range app.Services {
		r.service(f, &app.Services[i])
	}
	for _, l := range app.Cutover.Listen {
		r.listen(f, "cutover.listen", l)
	}
	r.health(f, app.Health)
	r.secrets(f, app)
	if len(app.Grants) > 0 && !r.Grants {
		f.add("grants: it is not allowed")
	}
	if app.Chroot != nil && !r.Chroot {
		f.add("chroot: it is not allowed")
	}
	return f.err()
}

// secrets are fetched by root with root's rights: a manifest must not choose freely.
func (r *Rules) secrets(f *refusals, app *landfast.App) {
	for _, s := range app.Secrets {
		ofRelease := s.Kind == landfast.SecretAge || s.Kind == landfast.SecretSOPS
		if !ofRelease && !r.secret(string(s.Kind), s.Location) {
			f.add("secrets.%s: %s:%s is not allowed (secrets)", s.Name, s.Kind, s.Location)
		}
		if s.Identity != "" && !r.secret("identity", s.Identity) {
			f.add("secrets.%s: identity:%s is not allowed (secrets)", s.Name, s.Identity)
		}
	}
	for _, p := range app.Parameters {
		if !r.secret("ssm", p) && !r.secret("ssm", p+"/") {
			f.add("env.ssm: ssm:%s is not allowed (secrets)", p)
		}
	}
	if app.Config != nil && !r.secret("config", app.Config.Location) {
		f.add("config: config:%s is not allowed (secrets)", app.Config.Location)
	}
	if app.Config != nil && !r.ownPath(app.Config.Dir) {
		f.add("config: %q is not a place of the app", app.Config.Dir)
	}
}

func (r *Rules) accounts(f *refusals, app *landfast.App) {
	if !slices.Contains(r.Users, app.User) || app.User == "root" {
		f.add("user: %q is not allowed (users)", app.User)
	}
	if !slices.Contains(r.Groups, app.Group) || app.Group == "root" {
		f.add("group: %q is not allowed (groups)", app.Group)
	}
	if app.DeployUser != deployUser {
		f.add("deploy_user: it must be %s", deployUser)
	}
}

func (r *Rules) paths(f *refusals, app *landfast.App) {
	p := app.Paths
	for _, x := range []struct{ key, path string }{
		{"deploy", p.Deploy},
		{"releases", p.Releases},
		{"current", p.Current},
		{"bin", p.Bin},
		{"flags", p.Flags},
		{"shared", p.Shared},
		{"working", p.Working},
	} {
		if !r.ownPath(x.path) {
			f.add("paths.%s: %q is not a place of the app (base, names)", x.key, x.path)
		}
	}
	for _, d := range app.Dirs {
		if !r.ownPath(d.Path) {
			f.add("dirs.%s: %q is not a place of the app (base, names)", d.Kind, d.Path)
		}
	}
	for _, e := range app.EnvFiles {
		if !r.ownPath(e.Path) {
			f.add("env.files: root would read %q for the app", e.Path)
		}
	}
}

func (r *Rules) sandbox(f *refusals, app *landfast.App) {
	if slices.Index(floors, app.Sandbox.Profile) < slices.Index(floors, r.Sandbox) {
		f.add("sandbox.profile: %q is less than %q (sandbox)", app.Sandbox.Profile, r.Sandbox)
	}
	for _, name := range app.Sandbox.Allow {
		if r.Sandbox != "none" && !slices.Contains(r.Allow, name) {
			f.add("sandbox.allow: %q is not allowed (allow)", name)
		}
	}
	r.passed(f, "systemd", app.Systemd)
}

// passed checks what is passed through.
func (r *Rules) passed(f *refusals, key string, all []landfast.Directive) {
	for _, d := range all {
		if never(d.Name) || !slices.Contains(r.Directives, d.Name) && !harmless(d.Section, d.Name) && !r.capability(d) {
			f.add("%s.%s.%s: it is not allowed (directives)", key, d.Section, d.Name)
		}
	}
}

// capability reports whether a directive gives the app capabilities that it may have.
func (r *Rules) capability(d landfast.Directive) bool {
	return d.Name == "AmbientCapabilities" && d.Value != "" && r.capabilities(d.Value)
}

func (r *Rules) capabilities(value string) bool {
	return !slices.ContainsFunc(strings.Fields(value), func(c string) bool { return !slices.Contains(r.Capabilities, c) })
}

func (r *Rules) service(f *refusals, s *landfast.Service) {
	if !r.ownUnit(s.Unit) {
		f.add("the unit %q is not called after the app (names)", s.Unit)
	}
	r.passed(f, strings.TrimSuffix(s.Unit, ".service")+" systemd", s.Systemd)
	r.needs(f, s)
	if s.Kind == landfast.KindNspawn && !r.Nspawn {
		f.add("%s: systemd-nspawn runs as root, and is not allowed (nspawn)", s.Unit)
	}
	if s.RestartFlag != "" && (!r.RestartFlag || !r.ownPath(s.RestartFlag)) {
		f.add("%s: a restart flag is not allowed there (restart_flag)", s.Unit)
	}
	if s.Working != "" && !r.ownPath(s.Working) {
		f.add("%s: the working directory %q is not a place of the app", s.Unit, s.Working)
	}
	if s.Socket != nil {
		r.socket(f, s)
	}
}

func (r *Rules) needs(f *refusals, s *landfast.Service) {
	for _, n := range slices.Concat(s.Wants, s.Requires) {
		if !r.ownUnit(n) && !slices.Contains(r.Units, n) {
			f.add("%s: it may not start %q (units)", s.Unit, n)
		}
	}
}

func (r *Rules) socket(f *refusals, s *landfast.Service) {
	for _, l := range s.Socket.Listen {
		r.listen(f, "socket.listen", l)
	}
	if s.Socket.User != "" && !slices.Contains(r.Users, s.Socket.User) && s.Socket.User != "root" {
		f.add("socket.user: %q is not allowed (users)", s.Socket.User)
	}
}

// lowPort is the first port that anybody may listen on.
const lowPort = 1024

// listen checks an address that root would open for the app.
func (r *Rules) listen(f *refusals, key, address string) {
	if !r.mayListen(address) {
		f.add("%s: %q is not allowed (ports, base)", key, address)
	}
}

func (r *Rules) mayListen(address string) bool {
	// Where a release is tried before it sees traffic.
	for _, rehearsal := range []string{"/run/landfast/" + r.App + "/rehearsal-", "@landfast/" + r.App + "/rehearsal-"} {
		if rest, ok := strings.CutPrefix(address, rehearsal); ok && !strings.Contains(rest, "/") {
			return true
		}
	}
	if strings.HasPrefix(address, "/") {
		return r.ownPath(address) || r.names(strings.TrimSuffix(strings.TrimPrefix(address, "/run/"), ".sock"))
	}
	if name, ok := strings.CutPrefix(address, "@"); ok {
		return r.names(name)
	}
	port, err := strconv.ParseUint(address, 10, 16)
	if err != nil {
		a, aerr := netip.ParseAddrPort(address)
		if aerr != nil {
			return false
		}
		port = uint64(a.Port())
	}
	return port >= lowPort || slices.Contains(r.Ports, int(port))
}

// health keeps the probe on this host: what it is answered is told to who wrote the
// manifest.
func (r *Rules) health(f *refusals, h landfast.Health) {
	host := ""
	switch {
	case h.Kind == landfast.HealthHTTP && h.Socket != "":
		host = h.Socket
	case h.Kind == landfast.HealthHTTP:
		u, err := url.Parse(h.Target)
		if err != nil {
			f.add("health.http: %q is no address", h.Target)
			return
		}
		host = u.Hostname()
	case h.Kind == landfast.HealthTCP && strings.HasPrefix(h.Target, "/"):
		host = h.Target
	case h.Kind == landfast.HealthTCP:
		host = strings.Trim(h.Target[:max(0, strings.LastIndexByte(h.Target, ':'))], "[]")
	default:
		return
	}
	if strings.HasPrefix(host, "/") {
		if !r.mayListen(host) {
			f.add("health: %q is not a socket of the app", host)
		}
		return
	}
	if !local(host) && !slices.Contains(r.ProbeHosts, host) {
		f.add("health: %q is not this host (probe_hosts)", host)
	}
}

func local(host string) bool {
	if host == "localhost" || host == "" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// named is a command and the key it stands under.
type named struct {
	key     string
	command landfast.Command
}

// commands are all that a manifest has run.
func commands(app *landfast.App) []named {
	var all []named
	add := func(key string, c *landfast.Command) {
		if c != nil {
			all = append(all, named{key, *c})
		}
	}
	for i := range app.Services {
		s := &app.Services[i]
		add(s.Unit+" command", &s.Command)
		add(s.Unit+" stop", s.Stop)
		add(s.Unit+" reload", s.Reload)
		for j := range s.BeforeStart {
			add(s.Unit+" before_start", &s.BeforeStart[j])
		}
	}
	for i := range app.Hooks.Migrate {
		add("hooks.migrate", &app.Hooks.Migrate[i])
	}
	for i := range app.Hooks.After {
		add("hooks.after", &app.Hooks.After[i])
	}
	for i := range app.Commands {
		add("commands."+app.Commands[i].Name, &app.Commands[i].Command)
	}
	if app.Health.Kind == landfast.HealthExec {
		add("health.exec", &app.Health.Command)
	}
	if app.Before != nil {
		add("environment.command", &app.Before.Command)
	}
	return all
}
