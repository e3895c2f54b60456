package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// TestBuildRefusesWhatDoesNotGoTogether breaks apps with more than one unit.
func TestBuildRefusesWhatDoesNotGoTogether(t *testing.T) {
	more := func(s landfast.Service) func(*landfast.App) {
		if s.Type == "" {
			s.Type = "simple"
		}
		if s.Command.Argv == nil {
			s.Command.Argv = []string{"/bin/x"}
		}
		return func(a *landfast.App) { a.Services = append(a.Services, s) }
	}
	dynamic := func(change func(*landfast.App)) func(*landfast.App) {
		return func(a *landfast.App) { a.DynamicUser, a.Group = true, "web-code"; change(a) }
	}
	cage := func(change func(*landfast.App)) func(*landfast.App) {
		return func(a *landfast.App) { a.Chroot = &landfast.Chroot{Root: "/srv/web/root"}; change(a) }
	}
	machine := func(change func(*landfast.App)) func(*landfast.App) {
		return func(a *landfast.App) {
			a.Main().Kind, a.Main().Machine = landfast.KindNspawn, &landfast.Machine{Boot: true}
			change(a)
		}
	}
	for _, c := range []struct {
		name    string
		version int
		change  func(*landfast.App)
		want    string
	}{
		{"two of one name", 0, func(a *landfast.App) {
			a.Main().RestartFlag = "/srv/web/flags/x"
			more(landfast.Service{Unit: "web-restart.service"})(a)
		}, "two units are called web-restart.service"},
		{"template without instances", 0, more(landfast.Service{Unit: "web-w@.service"}), "services.w.instances:"},
		{"instances without a template", 0, more(landfast.Service{Unit: "web-w.service", Instances: []string{"1"}}), "services.w.instances:"},
		{"instance's name", 0, more(landfast.Service{Unit: "web-w@.service", Instances: []string{"a b"}}), "services.w.instances:"},
		{"instance twice", 0, more(landfast.Service{Unit: "web-w@.service", Instances: []string{"1", "1"}}), "services.w.instances: \"1\" is there twice"},
		{"socket of instances", 0, more(landfast.Service{Unit: "web-w@.service", Instances: []string{"1"}, Socket: &landfast.Socket{Unit: "web-w.socket", Listen: []string{"1"}}}), "services.w.socket:"},
		{"main of a timer", 0, func(a *landfast.App) {
			a.Main().Type, a.Main().Restart = "oneshot", "no"
			a.Main().Timer = &landfast.Timer{Unit: "web.timer", Every: time.Hour}
		}, "service: a timer starts it"},
		{"timer without a time", 0, more(landfast.Service{Unit: "web-t.service", Type: "oneshot", Timer: &landfast.Timer{Unit: "web-t.timer"}}), "timers.t.calendar:"},
		{"pass-through of a timer that is not", 0, more(landfast.Service{Unit: "web-w.service", Systemd: []landfast.Directive{{Section: "Timer", Name: "OnBootSec", Value: "1"}}}), "services.w.systemd.Timer.OnBootSec:"},
		{"flag the app can touch", 0, func(a *landfast.App) { a.Main().RestartFlag = "/srv/web/shared/flag" }, "service.restart_flag:"},
		{"environment in the app's directory", 0, func(a *landfast.App) {
			a.Dirs = []landfast.Dir{{Kind: "runtime", Base: "/run", Name: "web", Path: "/run/web", Mode: "0750"}}
			a.Before = &landfast.EnvironmentCommand{Unit: "web-e.service", File: "/run/web/environment", Command: landfast.Command{Argv: []string{"/bin/x"}}}
		}, "environment: /run/web is a directory of the app"},
		{"grant", 0, func(a *landfast.App) { a.Grants = []string{"su"} }, "grants:"},
		{"alias", 0, func(a *landfast.App) { a.Grants, a.DeployUser = []string{"sudoers"}, "ALL" }, "deploy_user: sudo takes ALL for an alias"},
		{"allow", 0, func(a *landfast.App) { a.Sandbox.Allow = []string{"jti"} }, `sandbox.allow: "jti"`},
		{"dynamic group", 0, dynamic(func(a *landfast.App) { a.Group = "web" }), "group: a group called like the account"},
		{"dynamic directory elsewhere", 0, dynamic(func(a *landfast.App) {
			a.Dirs = []landfast.Dir{{Kind: "state", Base: "/data", Name: "web", Path: "/data/web", Mode: "0750"}}
		}), "dirs.state:"},
		{"dynamic writing", 0, dynamic(pass("Service", "ReadWritePaths", "/data")), "systemd.Service.ReadWritePaths:"},
		{"dynamic tmp", 0, dynamic(pass("Service", "PrivateTmp", "no")), "systemd.Service.PrivateTmp:"},
		{"dynamic and old", 232, dynamic(func(*landfast.App) {}), "dynamic_user:"},
		{"chroot of everything", 0, cage(func(a *landfast.App) { a.Chroot.Root = "/" }), "chroot.root:"},
		{"chroot among releases", 0, cage(func(a *landfast.App) { a.Chroot.Root = "/srv/web/releases/x" }), "chroot.root:"},
		{"chroot and old", 229, cage(func(*landfast.App) {}), "chroot: systemd 229"},
		{"chroot and +", 0, cage(func(a *landfast.App) {
			a.Main().BeforeStart = []landfast.Command{{Prefix: "+", Argv: []string{"/bin/x"}}}
		}), "service.before_start:"},
		{"machine and old", 247, machine(func(*landfast.App) {}), "service.kind:"},
		{"machine and chroot", 0, machine(cage(func(*landfast.App) {})), "service.kind: a machine has a root directory"},
		{"machine and hooks", 0, machine(func(a *landfast.App) { a.Hooks.Migrate = []landfast.Command{{Argv: []string{"/bin/x"}}} }), "service.kind: hooks"},
		{"machine's bind", 0, machine(func(a *landfast.App) { a.Main().Machine.Binds = []string{"/a:/b:rw"} }), "machine.binds:"},
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

// TestTransientErrors of what cannot be run.
func TestTransientErrors(t *testing.T) {
	app := smallest("web")
	c := landfast.Command{Argv: []string{"/bin/x"}}
	if _, err := plan.Transient(app, plan.Facts{}, plan.TransientOptions{Command: c, Unit: "other.service"}); landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("a service that is not there: %v", err)
	}
	app.Main().Kind, app.Main().Machine = landfast.KindNspawn, &landfast.Machine{Boot: true}
	if _, err := plan.Transient(app, plan.Facts{}, plan.TransientOptions{Command: c}); landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("a command in a machine: %v", err)
	}
}
