package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

const (
	manifestRelease = "release" // the landfast.toml in the release, within these bounds
	manifestHost    = "host"    // the one that was applied by an operator
	// appMark stands for the name of the app in a policy.
	appMark = "${app}"
	// deployUser owns the releases, and is whom the worker runs as.
	deployUser = "landfast"
)

// floors are the profiles of the sandbox, from none to the most.
var floors = []string{"none", "baseline", "strict"}

var unitNames = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|target|path|timer|mount)$`)

// Rules are what one app may have.
type Rules struct {
	App string
	// Deploy: the worker may deploy it at all.
	Deploy bool
	// OwnManifest: the manifest in the release counts, else the one applied by hand.
	OwnManifest  bool
	Users        []string // accounts that services run as
	Groups       []string
	Names        []string // what its units and directories may be called
	Base         []string // where its directory may lie
	Sandbox      string   // the least profile
	Allow        []string // lines of the sandbox that may be given back
	Directives   []string // directives that may be passed through, besides the harmless ones
	Capabilities []string // AmbientCapabilities=
	Ports        []int    // below 1024 that it may listen on
	Units        []string // of the system that it may want and require
	ProbeHosts   []string // that its health check may ask, besides this host
	// Secrets are where secrets and settings may come from: KIND:LOCATION, or the
	// beginning of one that ends in / or #.
	Secrets      []string
	Grants       bool // sudoers and polkit files
	Chroot       bool
	Nspawn       bool // systemd-nspawn runs as root
	RestartFlag  bool
	Build        bool // steps of [build]
	BuildNetwork bool // with a network
}

// base is the policy where nothing is said.
func base(app string) Rules {
	return Rules{
		App: app, Deploy: true, OwnManifest: true,
		Users: []string{app}, Groups: []string{app}, Names: []string{app, strings.ReplaceAll(app, "_", "-")},
		Base: []string{"/srv"}, Sandbox: "strict",
		Allow: []string{"jit", "proc", "resources", "personality", "host-users"},
		Units: []string{"network-online.target"},
		Build: true,
	}
}

// For gives the rules of an app.
func (p *Policy) For(app string) Rules {
	r := base(app)
	r.merge(p.defaults)
	if own, ok := p.apps[app]; ok {
		r.merge(own)
	}
	return r
}

func (r *Rules) merge(t table) {
	words := func(into *[]string, from *[]string) {
		if from == nil {
			return
		}
		*into = nil
		for _, w := range *from {
			*into = append(*into, strings.ReplaceAll(w, appMark, r.App))
		}
	}
	words(&r.Users, t.Users)
	words(&r.Groups, t.Groups)
	words(&r.Names, t.Names)
	words(&r.Base, t.Base)
	words(&r.Allow, t.Allow)
	words(&r.Directives, t.Directives)
	words(&r.Capabilities, t.Capabilities)
	words(&r.Units, t.Units)
	words(&r.ProbeHosts, t.ProbeHosts)
	words(&r.Secrets, t.Secrets)
	set(&r.Deploy, t.Deploy)
	set(&r.Sandbox, t.Sandbox)
	set(&r.Ports, t.Ports)
	set(&r.Grants, t.Grants)
	set(&r.Chroot, t.Chroot)
	set(&r.Nspawn, t.Nspawn)
	set(&r.RestartFlag, t.RestartFlag)
	set(&r.Build, t.Build)
	set(&r.BuildNetwork, t.BuildNetwork)
	if t.Manifest != nil {
		r.OwnManifest = *t.Manifest == manifestRelease
	}
}

func set[T any](into, from *T) {
	if from != nil {
		*into = *from
	}
}

// Reload gives a reload that the policy declares for an app.
func (p *Policy) Reload(app, name string) (Reload, error) {
	r, ok := p.reloads[name]
	if !ok || !slices.Contains(r.Apps, app) {
		return Reload{}, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("the policy of this host declares no reload %q for app %s", name, app),
			Hint: fmt.Sprintf("add [reload.%s] with apps = [%q] to %s", name, app, File),
		}
	}
	return r, nil
}

// refusals collects what a policy refuses.
type refusals struct {
	app string
	all []string
}

func (f *refusals) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(f.all, text) {
		f.all = append(f.all, text)
	}
}

// err is one error that names everything.
func (f *refusals) err() error {
	if len(f.all) == 0 {
		return nil
	}
	return &landfast.Error{
		Kind: landfast.Invalid,
		Msg:  fmt.Sprintf("the policy of this host refuses app %s: %s", f.app, strings.Join(f.all, "; ")),
		Hint: fmt.Sprintf("change the manifest, or allow it in %s below [app.%s]", File, f.app),
	}
}

// names reports whether a unit or account name is the app's own: one of its names, or
// one of them with something behind a dash.
func (r *Rules) names(stem string) bool {
	return slices.ContainsFunc(r.Names, func(n string) bool { return stem == n || strings.HasPrefix(stem, n+"-") })
}

// ownUnit reports whether a unit is the app's.
func (r *Rules) ownUnit(name string) bool {
	stem, _, _ := strings.Cut(name, "@")
	if i := strings.LastIndexByte(stem, '.'); i >= 0 && !strings.Contains(name, "@") {
		stem = stem[:i]
	}
	return unitNames.MatchString(name) && r.names(stem)
}

// secret reports whether a secret or a setting may come from there.
func (r *Rules) secret(kind, location string) bool {
	at := kind + ":" + location
	if strings.Contains(at+"/", "/../") {
		return false
	}
	return slices.ContainsFunc(r.Secrets, func(s string) bool {
		return at == s || (strings.HasSuffix(s, "/") || strings.HasSuffix(s, "#")) && strings.HasPrefix(at, s)
	})
}

// settings reports whether a file is one of the settings that root fetches for the app.
func (r *Rules) settings(path string) bool {
	rest, ok := strings.CutPrefix(path, "/var/lib/landfast/"+r.App+"/settings/")
	return ok && len(r.Secrets) > 0 && !strings.Contains(rest+"/", "../")
}

// ownPath reports whether a path is, or lies below, a directory of the app.
func (r *Rules) ownPath(path string) bool {
	if strings.Contains(path+"/", "/../") || strings.Contains(path, "//") {
		return false
	}
	places := append([]string{"/run", "/etc", "/var/lib", "/var/log", "/var/cache", "/var/tmp", "/tmp"}, r.Base...)
	for _, place := range places {
		rest, ok := strings.CutPrefix(path, place+"/")
		if !ok {
			continue
		}
		first, _, _ := strings.Cut(rest, "/")
		if slices.Contains(r.Names, first) || place == "/run" && r.names(first) {
			return true
		}
	}
	return false
}

// Bases are the directories that some app may lie in, of which the root service may
// write all.
func (p *Policy) Bases(apps []string) []string {
	all := slices.Clone(p.For("app").Base)
	for _, app := range apps {
		all = append(all, p.For(app).Base...)
	}
	for app := range p.apps {
		all = append(all, p.For(app).Base...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
