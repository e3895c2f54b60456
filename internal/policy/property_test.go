package policy_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/policy"
)

func equal(a, b policy.Rules) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }

// hostile are pieces of manifests: some harmless, most not.
var hostile = map[string][]string{
	"": {
		`user = "root"`, `user = "web"`, `user = "postgres"`, `group = "root"`, `group = "shadow"`, `deploy_user = "root"`,
		`dynamic_user = true`, `grants = ["sudoers"]`, `grants = ["polkit"]`, `external_name = "ssh"`, `external_name = "web-x"`,
	},
	"paths": {
		`base = "/etc"`, `base = "/opt"`, `deploy = "/srv/web"`, `deploy = "/srv/api"`, `shared = "/data"`, `current = "/srv/web/live"`,
		`releases = "/srv/web/r"`, `working = "/etc"`, `flags = "/run/flags"`,
	},
	"service": {
		`name = "sshd"`, `name = "web-x"`, `before_start = ["+/bin/x"]`, `before_start = ["!/bin/x", "-bin/y"]`, `restart_flag = true`,
		`stop = "/bin/kill 1"`, `wants = ["poweroff.target"]`, `after = ["ssh.service"]`, `umask = "0000"`, `wrapper = "/usr/bin/env"`,
		`identifier = "sshd"`, `environment_files = ["/etc/shadow"]`,
	},
	"socket":  {`listen = ["80"]`, `listen = ["8080", "/run/web/x.sock"]`, `listen = ["/etc/cron.d/x"]`, `user = "root"`, `group = "shadow"`, `mode = "0777"`},
	"dirs":    {`state = true`, `state = "api"`, `runtime = { mode = "4777" }`, `configuration = "landfast"`, `cache = { base = "/srv/web/shared", name = "a" }`, `tmp = true`, `logs = { base = "/etc", name = "cron.d" }`},
	"env":     {`X = "1"`, `files = ["/etc/shadow"]`, `files = ["-/etc/web/env"]`},
	"health":  {`http = "http://10.0.0.1/"`, `tcp = "8080"`, `exec = "bin/ok"`, `tcp = "/run/docker.sock"`},
	"sandbox": {`profile = "none"`, `profile = "baseline"`, `allow = ["jit"]`, `allow = ["write-system", "new-privileges"]`, `allow = ["system-calls"]`},
	"hooks":   {`migrate = [["+bin/m"]]`, `after = [["bin/a"]]`},
	"chroot":  {`root = "/srv/web/root"`, `read_only = ["/etc"]`, `read_write = ["/etc"]`},
	"systemd.Service": {
		`User = "root"`, `User = ""`, `ExecStart = "+/bin/x"`, `ExecStartPre = "/bin/x"`, `BindPaths = "/etc:/x"`, `ReadWritePaths = "/"`,
		`AmbientCapabilities = "CAP_SYS_ADMIN"`, `NoNewPrivileges = "no"`, `ProtectSystem = "no"`, `StandardOutput = "file:/etc/x"`,
		`PermissionsStartOnly = true`, `RootDirectory = "/"`, `LoadCredential = "a:/etc/shadow"`, `SupplementaryGroups = "shadow"`,
		`CapabilityBoundingSet = "~"`, `MemoryMax = "1G"`, `StateDirectory = "../etc"`, `RuntimeDirectory = "systemd"`, `PAMName = "su"`,
		`EnvironmentFile = "/etc/shadow"`, `TTYPath = "/dev/sda"`, `Sockets = "ssh.socket"`, `ExecStart = ""`, `PIDFile = "/run/x"`,
		`SystemCallFilter = "@privileged"`, `Delegate = true`, `Slice = "system.slice"`, `FailureAction = "reboot"`,
	},
	"systemd.Unit":    {`OnFailure = "x.service"`, `Conflicts = "ssh.service"`, `After = "x.service"`, `JoinsNamespaceOf = "api.service"`, `FailureAction = "reboot"`, `Requires = "x.service"`},
	"systemd.Install": {`Alias = "ssh.service"`, `WantedBy = "sysinit.target"`, `Also = "ssh.service"`, `WantedBy = "multi-user.target"`},
	"services.worker": {`command = "bin/w"`, `name = "cron"`},
	"timers.tick":     {`command = "bin/t"`, `calendar = ["daily"]`, `name = "apt-daily"`},
	"environment":     {`command = "bin/e"`, `command = "+bin/e"`},
}

func draw(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("name = \"web\"\n")
	sections := []string{}
	for s := range hostile {
		sections = append(sections, s)
	}
	slices.Sort(sections)
	few := rapid.IntRange(0, 4).Draw(t, "lines")
	chosen := map[string][]string{}
	for range few {
		s := rapid.SampledFrom(sections).Draw(t, "section")
		chosen[s] = append(chosen[s], rapid.SampledFrom(hostile[s]).Draw(t, "line"))
	}
	for _, l := range chosen[""] {
		b.WriteString(l + "\n")
	}
	chosen["service"] = append(chosen["service"], `command = "bin/web"`)
	for _, s := range sections {
		if s == "" || len(chosen[s]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "[%s]\n%s\n", s, strings.Join(chosen[s], "\n"))
	}
	return b.String()
}

// TestWhatPassesHarmsNothing: no manifest that passes the default policy yields a unit
// that runs anything as root, or reaches out of the places of the app.
func TestWhatPassesHarmsNothing(t *testing.T) {
	t.Parallel()
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		text := draw(t)
		if harm := harmOf(text); harm == nil {
			return
		} else if len(harm) == 0 {
			passed++
		} else {
			t.Fatalf("it passed:\n%s\nand does: %s", text, strings.Join(harm, "\n"))
		}
	})
	if passed == 0 {
		t.Error("nothing passed: the test says nothing")
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(plain)
	for section, lines := range hostile {
		for _, l := range lines {
			if section == "" {
				f.Add(l + "\n" + plain)
			} else {
				f.Add(plain + "[" + section + "]\n" + l + "\n")
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if harm := harmOf(text); len(harm) > 0 {
			t.Errorf("it passed:\n%s\nand does: %s", text, strings.Join(harm, "\n"))
		}
	})
}

// harmOf is what a manifest that passes could do, looked at in another way than the
// policy does: by the words of the rendered files. Nil: it does not pass.
func harmOf(text string) []string {
	a, err := manifest.Parse("landfast.toml", []byte(text))
	if err != nil {
		return nil
	}
	p, err := policy.Parse("policy.toml", nil)
	if err != nil {
		panic(err)
	}
	rules := p.For("web")
	if rules.CheckApp(a) != nil {
		return nil
	}
	built, err := plan.Build(a, plan.Facts{})
	if err != nil {
		return nil
	}
	if rules.CheckPlan(built) != nil {
		return nil
	}
	harm := []string{}
	add := func(format string, args ...any) { harm = append(harm, fmt.Sprintf(format, args...)) }
	for _, d := range built.Dirs {
		if !inPlaces(d.Path) && !strings.HasPrefix(d.Path, "/var/lib/landfast") && !strings.HasPrefix(d.Path, "/etc/landfast") {
			add("directory %s", d.Path)
		}
	}
	for _, f := range built.Files {
		name := path.Base(f.Path)
		if !strings.HasPrefix(name, "web.") && !strings.HasPrefix(name, "web-") && name != "landfast-web.conf" {
			add("file %s", f.Path)
		}
		if path.Dir(f.Path) == "/etc/systemd/system" {
			harm = append(harm, harmOfUnit(name, f.Content)...)
		}
	}
	return harm
}

func inPlaces(p string) bool {
	for _, place := range []string{"/srv/web", "/run/web", "/run/web-environment", "/etc/web", "/var/lib/web", "/var/log/web", "/var/cache/web", "/var/tmp/web"} {
		if p == place || strings.HasPrefix(p, place+"/") {
			return true
		}
	}
	return false
}

func harmOfUnit(name, text string) []string {
	var harm []string
	user := ""
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		bare := strings.Trim(value, `"`)
		switch {
		case key == "User":
			user = value
		case key == "Group" && value != "web", key == "SupplementaryGroups", key == "AmbientCapabilities" && value != "", key == "OnFailure",
			key == "LoadCredential", key == "FailureAction", key == "Alias", key == "RootDirectory", key == "PAMName", key == "Conflicts":
			harm = append(harm, name+": "+line)
		case strings.HasPrefix(key, "Exec") && strings.ContainsAny(bare[:min(2, len(bare))], "+!|"):
			harm = append(harm, name+": "+line)
		case key == "ReadWritePaths" || key == "BindPaths" || key == "EnvironmentFile":
			for _, w := range strings.Fields(strings.ReplaceAll(value, ":", " ")) {
				if !inPlaces(strings.TrimLeft(w, "-+\"")) {
					harm = append(harm, name+": "+line)
				}
			}
		case key == "ProtectSystem" && value != "strict", key == "NoNewPrivileges" && value != "yes":
			harm = append(harm, name+": "+line)
		}
	}
	if strings.HasSuffix(name, ".service") && user != "web" {
		harm = append(harm, name+" runs as "+user)
	}
	return harm
}
