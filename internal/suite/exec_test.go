package suite_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
)

// processOwn are the variables that differ from start to start.
var processOwn = []string{"INVOCATION_ID=", "JOURNAL_STREAM=", "SYSTEMD_EXEC_PID=", "NOTIFY_SOCKET=", "LISTEN_", "TERM=", "MEMORY_PRESSURE_"}

// TestMIX10ACommandHasWhatTheUnitHas compares what a command of `landfast exec` sees with
// what the running service sees.
func TestMIX10ACommandHasWhatTheUnitHas(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080).manifest(
			"[socket]\nlisten = \"8080\"",
			"[env]\nPORT = 8080\nGREETING = \"hello  $HOME 100% \\\"world\\\"\"\nfiles = [\"/etc/web-environment\"]",
			"[dirs]\nstate = true\nruntime = true\ncache = { mode = \"0700\" }",
			"[commands]\nversion = [\"cat\", \"release.json\"]\nconsole = [\"echo\", \"the console\"]\nshow = \"/bin/echo\"",
			"[hooks]\nmigrate = [[\"/bin/echo\", \"migrated\"]]")
		a.write("/etc/web-environment", "SECRET=of a file\n")
		a.deploy(a.release("1", "")).code0()
		service := a.answers("1")

		a.landfast("exec", "web", "--", wellKnown, "dump", "command").code0()
		var command report
		if err := json.Unmarshal([]byte(a.read("/var/lib/web/command.json")), &command); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*report{&service, &command} {
			r.PID, r.Args, r.Written = 0, nil, nil
			r.Env = slices.DeleteFunc(r.Env, func(v string) bool {
				return slices.ContainsFunc(processOwn, func(p string) bool { return strings.HasPrefix(v, p) })
			})
			slices.Sort(r.Env)
		}
		if want, got := fmt.Sprintf("%+v", service), fmt.Sprintf("%+v", command); want != got {
			t.Errorf("the service has\n%s\nthe command has\n%s", want, got)
		}
		powers := `grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp|Cap...):' `
		inService := a.sh(powers + "/proc/$(systemctl show -P MainPID web.service)/status")
		inCommand := a.landfast("exec", "web", "--", "/bin/sh", "-c", powers+"/proc/self/status").code0().out
		if inService != strings.TrimSpace(inCommand) {
			t.Errorf("the service has\n%s\nthe command has\n%s", inService, inCommand)
		}
		a.commandsByName()
		a.exitCodes()
		a.streams()
		a.terminal()
		if left := a.sh("ls -A /run/systemd/system /run/landfast; systemctl list-units --all --plain --no-legend 'landfast-*'"); strings.Contains(left, "exec") || strings.Contains(left, "attach") {
			t.Errorf("left behind:\n%s", left)
		}
		if a.sh("ls -d /run/web") != "/run/web" {
			t.Error("the runtime directory of the service has gone with the command")
		}
		a.isWell()
	})
}

func (a *app) commandsByName() {
	a.t.Helper()
	a.landfast("run", "web", "version").code0().says(`"Version":"1"`)
	a.landfast("run", "web", "show", "--", "more", "and -- more").code0().says("more and -- more")
	a.landfast("run", "web", "migrate").code0().says("migrated")
	a.landfast("console", "web").code0().says("the console")
	a.landfast("run", "web", "missing").exits(2).says(`no command "missing"`, "version, console, show")
	a.landfast("exec", "web").exits(2).says("behind --")
}

func (a *app) exitCodes() {
	a.t.Helper()
	a.landfast("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7").exits(7).says("out", "err")
	a.landfast("exec", "web", "--", "sh", "-c", "kill -9 $$").exits(137).says("killed")
	a.landfast("exec", "web", "--", "bin/nothing").exits(203).says("could not be executed")
}

// streams checks that a megabyte of anything comes through as it is, and that the
// end of the input is the end.
func (a *app) streams() {
	a.t.Helper()
	got := a.sh(`head -c 1000000 /dev/urandom > /root/blob
landfast exec web -- cat < /root/blob | cmp - /root/blob && echo same
landfast exec web -- sh -c 'wc -c; echo to stderr >&2' < /root/blob 2> /root/err
cat /root/err
landfast exec web -- sh -c 'cat; echo end' < /dev/null`)
	if want := "same\n1000000\nto stderr\nend"; got != want {
		a.t.Errorf("got %q, want %q", got, want)
	}
}

// terminal checks that a command gets a terminal when there is one, of its size.
func (a *app) terminal() {
	a.t.Helper()
	r := a.exec(lab.Cmd{
		Argv: []string{"script", "-qec", "stty rows 33 cols 99; landfast exec web -- sh -c 'test -t 0 && test -t 1 && tty && stty size; exit 5'", "/dev/null"},
		Env:  []string{"TERM=xterm"},
	}).exits(5)
	r.says("/dev/pts/", "33 99")
}
