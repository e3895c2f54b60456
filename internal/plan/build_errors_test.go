package plan_test

import (
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

func pass(section, name, value string) func(*landfast.App) {
	return func(a *landfast.App) {
		a.Systemd = append(a.Systemd, landfast.Directive{Section: section, Name: name, Value: value})
	}
}

// TestBuildErrorsNameTheKey breaks the smallest app in one place each.
func TestBuildErrorsNameTheKey(t *testing.T) {
	for _, c := range []struct {
		name    string
		version int
		change  func(*landfast.App)
		want    string
	}{
		{"newline in a variable", 0, func(a *landfast.App) { a.Env = []landfast.Var{{Name: "A", Value: "x\nExecStartPre=+/bin/sh"}} }, "env.A: systemd cannot carry a newline"},
		{"newline in an argument", 0, func(a *landfast.App) { a.Main().Command.Argv = []string{"/bin/x", "a\nb"} }, "service.command: argument \"a\\nb\": systemd cannot carry a newline"},
		{"newline in the description", 0, func(a *landfast.App) { a.Description = "a\n[Service]" }, "description: systemd cannot carry a newline"},
		{"newline passed through", 0, pass("Service", "Nice", "5\nUser=root"), "systemd.Service.Nice: systemd cannot carry a newline"},
		{"line joined", 0, pass("Service", "Nice", `5\`), "systemd.Service.Nice: it ends with a backslash"},
		{"section smuggled", 0, pass("Service", "X]\n[Unit", "1"), "this cannot be the name of an option"},
		{"not UTF-8", 0, func(a *landfast.App) { a.Env = []landfast.Var{{Name: "A", Value: "\xff"}} }, "env.A: it is not valid UTF-8"},
		{"variable's name", 0, func(a *landfast.App) { a.Env = []landfast.Var{{Name: "A B", Value: "1"}} }, "env.A B: a variable's name"},
		{"app name", 0, func(a *landfast.App) { a.Name = "../x" }, `name: "../x" cannot be`},
		{"user", 0, func(a *landfast.App) { a.User = "a:b" }, `user: "a:b" is not a name`},
		{"one user for all", 0, func(a *landfast.App) { a.DeployUser = "web" }, "deploy_user: web is also the user"},
		{"relative path", 0, func(a *landfast.App) { a.Paths.Shared = "shared" }, `paths.shared: "shared": a path must be absolute`},
		{"long way round", 0, func(a *landfast.App) { a.Paths.Deploy = "/srv/../etc" }, "paths.deploy: \"/srv/../etc\": a path must be in its shortest form: /etc"},
		{"no service", 0, func(a *landfast.App) { a.Services = nil }, "service: an app needs a service"},
		{"unit name", 0, func(a *landfast.App) { a.Main().Unit = "a/b.service" }, "service.unit:"},
		{"unit to wait for", 0, func(a *landfast.App) { a.Main().After = []string{"a b.service"} }, "service.after:"},
		{"type", 0, func(a *landfast.App) { a.Main().Type = "daemon" }, `service.type: "daemon"`},
		{"restart", 0, func(a *landfast.App) { a.Main().Restart = "sometimes" }, "service.restart:"},
		{"oneshot that restarts", 0, func(a *landfast.App) { a.Main().Type = "oneshot" }, "service.restart: systemd refuses"},
		{"umask", 0, func(a *landfast.App) { a.Main().Umask = "0089" }, "service.umask:"},
		{"no program", 0, func(a *landfast.App) { a.Main().Command.Argv = nil }, "service.command: a command needs a program"},
		{"relative program", 0, func(a *landfast.App) { a.Main().Command.Argv = []string{"bin/web"} }, "service.command: bin/web is neither absolute nor a bare name"},
		{"prefix", 0, func(a *landfast.App) { a.Main().Command.Prefix = "@" }, "service.command: the prefix"},
		{"listen", 0, func(a *landfast.App) {
			a.Main().Socket = &landfast.Socket{Unit: "web.socket", Listen: []string{"example.org:80"}}
		}, "socket.listen:"},
		{"no address", 0, func(a *landfast.App) { a.Main().Socket = &landfast.Socket{Unit: "web.socket"} }, "socket.listen: a socket needs an address"},
		{"directory name", 0, func(a *landfast.App) {
			a.Dirs = []landfast.Dir{{Kind: "state", Base: "/var/lib", Name: "a:b", Path: "/var/lib/a:b", Mode: "0750"}}
		}, "dirs.state.name:"},
		{"directory mode", 0, func(a *landfast.App) {
			a.Dirs = []landfast.Dir{{Kind: "state", Base: "/var/lib", Name: "web", Path: "/var/lib/web", Mode: "rwx"}}
		}, "dirs.state.mode:"},
		{"profile", 0, func(a *landfast.App) { a.Sandbox.Profile = "paranoid" }, "sandbox.profile:"},
		{"socket directive without a socket", 0, pass("Socket", "NoDelay", "yes"), "systemd.Socket.NoDelay: the app has no socket"},
		{"section", 0, pass("Timer", "OnBootSec", "1"), "systemd.Timer.OnBootSec: there is no such section"},
		{"user by the back door", 0, pass("Service", "User", "root"), "systemd.Service.User:"},
		{"root by taking the user back", 0, pass("Service", "User", ""), "systemd.Service.User:"},
		{"another group by taking ours back", 0, func(a *landfast.App) { a.Group = "shops"; pass("Service", "Group", "")(a) }, "systemd.Service.Group:"},
		{"argument that an old systemd loses", 219, func(a *landfast.App) { a.Main().Command.Argv = []string{"/bin/x", "$HOME"} }, "service.command: systemd 219 loses the argument \"$HOME\""},
		{"root here and there on an old systemd", 229, func(a *landfast.App) {
			a.Main().BeforeStart = []landfast.Command{{Prefix: "+", Argv: []string{"/bin/x"}}, {Argv: []string{"/bin/y"}}}
		}, "service.before_start: systemd 229"},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := smallest("web")
			c.change(app)
			p, err := plan.Build(app, plan.Facts{Systemd: c.version})
			if err == nil || p != nil {
				t.Fatalf("Build = %v, want an error", p)
			}
			if kind := landfast.KindOf(err); kind != landfast.Invalid {
				t.Errorf("the error is of kind %s", kind)
			}
			if !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("got one error too many or another:\n%v\nwant one with\n%s", err, c.want)
			}
		})
	}
}

// TestBuildTellsAllThatIsWrong at once.
func TestBuildTellsAllThatIsWrong(t *testing.T) {
	app := smallest("web")
	app.Description = "a\nb"
	app.Env = []landfast.Var{{Name: "A", Value: "\x00"}, {Name: "B", Value: "fine"}, {Name: "C", Value: "\n"}}
	_, err := plan.Build(app, plan.Facts{})
	if err == nil || landfast.KindOf(err) != landfast.Invalid {
		t.Fatalf("Build: %v", err)
	}
	for _, key := range []string{"description", "env.A", "env.C"} {
		if !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s is not named in\n%v", key, err)
		}
	}
}

// TestAccountTakenBack leaves the lines out where that changes no account: root
// without User= has no HOME of its own, and Group= follows the user.
func TestAccountTakenBack(t *testing.T) {
	app := smallest("web")
	app.User, app.Group = "root", "root"
	pass("Service", "User", "")(app)
	pass("Service", "Group", "")(app)
	p, err := plan.Build(app, plan.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Files {
		if strings.HasSuffix(f.Path, "/web.service") && strings.Contains(f.Content, "\nUser=\nGroup=\n") {
			return
		}
	}
	t.Errorf("no unit with User= and Group= taken back in %+v", p.Files)
}
