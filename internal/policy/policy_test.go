package policy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/policy"
	"github.com/landfast/landfast/internal/stack"
)

// judge says what a policy refuses of a manifest.
func judge(t *testing.T, policyText, app, manifestText string) error {
	t.Helper()
	p, err := policy.Parse("policy.toml", []byte(policyText))
	if err != nil {
		t.Fatal(err)
	}
	a, err := manifest.Parse("landfast.toml", []byte(manifestText))
	if err != nil {
		t.Fatal(err)
	}
	rules := p.For(app)
	if err := rules.CheckApp(a); err != nil {
		return err
	}
	built, err := plan.Build(a, plan.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	return rules.CheckPlan(built)
}

const plain = "name = \"web\"\n[service]\ncommand = \"bin/web\"\n"

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, policy, manifest, says string }{
		{"another app", "", "name = \"api\"\n[service]\ncommand = \"bin/x\"\n", `of app "api"`},
		{"user", "", "name = \"web\"\nuser = \"postgres\"\n[service]\ncommand = \"bin/web\"\n", `user: "postgres"`},
		{"root", "[default]\nsandbox = \"none\"", "name = \"web\"\nuser = \"root\"\n[service]\ncommand = \"bin/web\"\n[sandbox]\nprofile = \"none\"\n", `user: "root"`},
		{"deploy user", "", "name = \"web\"\ndeploy_user = \"ann\"\n[service]\ncommand = \"bin/web\"\n", "deploy_user"},
		{"base", "", plain + "[paths]\nbase = \"/opt\"\n", "/opt/web"},
		{"shared elsewhere", "", plain + "[paths]\nshared = \"/data/web\"\n", "/data/web"},
		{"another's directory", "", plain + "[dirs]\nstate = \"api\"\n", "/var/lib/api"},
		{"floor", "", plain + "[sandbox]\nprofile = \"baseline\"\n", "sandbox.profile"},
		{"line", "", plain + "[sandbox]\nallow = [\"write-system\"]\n", "write-system"},
		{"prefix", "", plain + "before_start = [\"+bin/evil\"]\n", "root's rights"},
		{"prefix !", "", plain + "before_start = [\"!/bin/chown -R web /etc\"]\n", "root's rights"},
		{"ExecStartPre", "", plain + "[systemd.Service]\nExecStartPre = \"+/bin/sh -c id\"\n", "ExecStartPre"},
		{"ExecStart in quotes", "", plain + "[systemd.Service]\nExecStopPost = '\"+/bin/sh\" -c id'\n", "ExecStopPost"},
		{"binds", "", plain + "[systemd.Service]\nBindPaths = \"/etc\"\n", "BindPaths"},
		{"credentials", "", plain + "[systemd.Service]\nLoadCredential = \"x:/etc/shadow\"\n", "LoadCredential"},
		{"capabilities", "", plain + "[systemd.Service]\nAmbientCapabilities = \"CAP_SYS_ADMIN\"\n", "AmbientCapabilities"},
		{"protect", "", plain + "[systemd.Service]\nProtectSystem = \"no\"\n", "ProtectSystem"},
		{"output", "", plain + "[systemd.Service]\nStandardOutput = \"file:/etc/cron.d/x\"\n", "StandardOutput"},
		{"env file", "", plain + "[env]\nfiles = [\"/etc/landfast/secrets/x\"]\n", "/etc/landfast/secrets/x"},
		{"needs", "", plain + "requires = [\"poweroff.target\"]\n", "poweroff.target"},
		{"on failure", "", plain + "[systemd.Unit]\nOnFailure = \"reboot.target\"\n", "OnFailure"},
		{"alias", "", plain + "[systemd.Install]\nAlias = \"ssh.service\"\n", "Alias"},
		{"port", "", plain + "[socket]\nlisten = [\"80\"]\n", `"80"`},
		{"socket of somebody", "", plain + "[socket]\nlisten = [\"/run/docker.sock\"]\n", "/run/docker.sock"},
		{"grants", "", "name = \"web\"\ngrants = [\"sudoers\"]\n[service]\ncommand = \"bin/web\"\n", "grants"},
		{"chroot", "", plain + "[chroot]\n", "chroot"},
		{"probe", "", plain + "[health]\nhttp = \"http://169.254.169.254/latest\"\n", "169.254.169.254"},
		{"secret file", "[app.web]\nsecrets = [\"file:/etc/landfast/secrets/web/\"]", plain + "[secrets]\nKEY = { file = \"/etc/shadow\" }\n", "file:/etc/shadow"},
		{"steer", "", plain + "[cutover]\nstrategy = \"steer\"\nlisten = [\"8080\"]\n", "web-steer.service"},
		{"flag", "", plain + "restart_flag = true\n", "restart flag"},
		{"unit", "", plain + "name = \"shop\"\n", "shop.service"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := judge(t, test.policy, "web", test.manifest)
			if landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), test.says) {
				t.Errorf("want a refusal that says %q, got: %v", test.says, err)
			}
		})
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, policy, manifest string }{
		{"plain", "", plain},
		{"socket and health", "", plain + "[socket]\nlisten = [\"8080\"]\n[health]\nhttp = \"/healthz\"\n"},
		{"handoff", "", plain + "[socket]\nlisten = [\"8080\"]\n[cutover]\nstrategy = \"handoff\"\n"},
		{"relay", "", plain + "[cutover]\nstrategy = \"relay\"\nlisten = [\"8080\"]\n"},
		{"limits", "", plain + "[systemd.Service]\nMemoryMax = \"1G\"\nOOMScoreAdjust = 100\n"},
		{"directories", "", plain + "[dirs]\nstate = true\nruntime = true\ncache = true\nlogs = true\ntmp = true\nconfiguration = true\n"},
		{"services and timers", "", plain + "[services.worker]\ncommand = \"bin/w\"\ninstances = [\"a\", \"b\"]\n[timers.report]\ncommand = \"bin/r\"\ncalendar = [\"daily\"]\n"},
		{"jit", "", plain + "[sandbox]\nallow = [\"jit\"]\n"},
		{"dynamic user", "", "name = \"web\"\ndynamic_user = true\ngroup = \"web-data\"\n[service]\ncommand = \"bin/web\"\n[dirs]\nstate = true\n"},
		{"environment", "", plain + "[environment]\ncommand = \"bin/data\"\n"},
		{"port by policy", "[app.web]\nports = [80]", plain + "[socket]\nlisten = [\"80\"]\n"},
		{"capability by policy", "[app.web]\ncapabilities = [\"CAP_NET_BIND_SERVICE\"]", plain + "[systemd.Service]\nAmbientCapabilities = \"CAP_NET_BIND_SERVICE\"\n"},
		{"chroot by policy", "[app.web]\nchroot = true", plain + "[chroot]\n"},
		{"flag by policy", "[app.web]\nrestart_flag = true", plain + "restart_flag = true\n"},
		{"grants by policy", "[app.web]\ngrants = true", "name = \"web\"\ngrants = [\"sudoers\", \"polkit\"]\n[service]\ncommand = \"bin/web\"\n"},
		{"baseline by policy", "[app.web]\nsandbox = \"baseline\"", plain + "[sandbox]\nprofile = \"baseline\"\n"},
		{"base by policy", "[default]\nbase = [\"/opt\"]", plain + "[paths]\nbase = \"/opt\"\n"},
		{"secret by policy", "[app.web]\nsecrets = [\"file:/etc/landfast/secrets/web/\"]", plain + "[secrets]\nKEY = { file = \"/etc/landfast/secrets/web/k\" }\n"},
		{"unit by policy", "[app.web]\nunits = [\"postgresql.service\"]", plain + "requires = [\"postgresql.service\"]\n"},
		{"directive by policy", "[app.web]\ndirectives = [\"Slice\"]", plain + "[systemd.Service]\nSlice = \"apps.slice\"\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.name == "dynamic user" {
				test.policy = "[default]\ngroups = [\"${app}\", \"${app}-data\"]"
			}
			if err := judge(t, test.policy, "web", test.manifest); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEveryStackPasses holds the presets of the stacks against the default policy.
func TestEveryStackPasses(t *testing.T) {
	t.Parallel()
	for _, name := range stack.Names() {
		if err := judge(t, "", "web", "name = \"web\"\nstack = \""+name+"\"\n[service]\ncommand = \"bin/web\"\n"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMistakesHaveTheirPlace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, says string }{
		{"[default]\nuser = [\"a\"]\n", "policy.toml:2:1: default.user: unknown key"},
		{"[default]\nusers = \"a\"\n", "policy.toml:2:"},
		{"[default\n", "policy.toml:1:"},
		{"[default]\nsandbox = \"loose\"\n", "policy.toml:2:1: default.sandbox"},
		{"[app.web]\n\n  users = [\"root\"]\n", `policy.toml:3:3: app.web.users: "root" cannot be allowed`},
		{"[app.web]\nusers = [\"landfast\"]\n", "cannot be allowed"},
		{"[app.web]\ndirectives = [\"ExecStartPre\"]\n", "run anything as root"},
		{"[app.web]\ndirectives = [\"Nonsense\"]\n", "systemd knows no directive"},
		{"[app.web]\nallow = [\"everything\"]\n", "no line of the sandbox"},
		{"[app.web]\nports = [70000]\n", "70000 is not a port"},
		{"[app.web]\nbase = [\"/\"]\n", "not a directory for apps"},
		{"[reload.nginx]\nunit = \"nginx.service\"\napps = [\"web\"]\n", "policy.toml:1:2: reload.nginx"},
	} {
		_, err := policy.Parse("policy.toml", []byte(test.text))
		if landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: want %q, got %v", test.text, test.says, err)
		}
	}
}

func TestTheDefaultFileIsTheDefault(t *testing.T) {
	t.Parallel()
	file, err := policy.Parse("policy.toml", []byte(policy.DefaultText))
	if err != nil {
		t.Fatal(err)
	}
	none, err := policy.Parse("policy.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := file.For("web"), none.For("web"); !equal(got, want) {
		t.Errorf("the text that setup writes means\n%+v\nand the default is\n%+v", got, want)
	}
}

// TestThePageHasEveryKey compares the keys with those of the page about them.
func TestThePageHasEveryKey(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/reference/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := policy.Keys()
	for _, k := range keys {
		if !strings.Contains(string(page), "\n| `"+k+"` | ") {
			t.Errorf("docs/reference/policy.md has no line about %s", k)
		}
		if !strings.Contains(policy.DefaultText, "\n"+k+" = ") && k != "names" {
			t.Errorf("the policy that setup writes does not say what %s is", k)
		}
	}
	if len(keys) < 15 {
		t.Errorf("only %d keys", len(keys))
	}
}
