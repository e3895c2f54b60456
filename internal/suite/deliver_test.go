package suite_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/rootsvc"
)

// asking sends its first argument to the root service and prints the answer.
const asking = `import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("/run/landfast/root.sock")
s.sendall(sys.argv[1].encode() + b"\n")
try:
    while b := s.recv(65536):
        sys.stdout.buffer.write(b)
except ConnectionResetError: # it answered without reading
    pass
`

// deliveries is an app that takes deliveries.
type deliveries struct{ *app }

// deliveries sets an app up, whose worker is replaced by what a test has it do: the
// unit keeps its account, its sandbox and what it sees.
func (h *host) deliveries(name string, port int) deliveries {
	h.t.Helper()
	d := deliveries{h.app(name, port)}
	h.run("/", "landfast", "setup", name).code0()
	h.write("/usr/local/lib/ask.py", asking)
	// Nobody else starts it.
	h.sh("systemctl stop landfast-worker@" + name + ".path landfast-worker@" + name + ".timer")
	return d
}

// inWorker runs a command as the worker of the app would, and gives what it wrote.
func (d deliveries) inWorker(argv ...string) string {
	d.t.Helper()
	dropIn := "/run/systemd/system/landfast-worker@" + d.name + ".service.d"
	var quoted []string
	for _, w := range argv {
		quoted = append(quoted, "'"+strings.NewReplacer(`\`, `\\`, "'", `\'`, "%", "%%", "$", "$$", "\n", `\n`).Replace(w)+"'")
	}
	d.sh("mkdir -p " + dropIn)
	d.write(dropIn+"/test.conf", "[Unit]\nConditionPathExistsGlob=\n[Service]\nType=oneshot\nExecStart=\nExecStart=-"+strings.Join(quoted, " ")+
		"\nStandardOutput=file:/run/worker.out\nStandardError=inherit\n")
	d.sh("rm -f /run/worker.out; systemctl daemon-reload; systemctl start landfast-worker@" + d.name + ".service")
	return d.read("/run/worker.out")
}

// answer is what the root service answered in the end.
type answer struct {
	Deployment *struct{ ID, Status, To, Actor string }
	Error      *struct{ Kind, Message string }
}

func (d deliveries) ask(r rootsvc.Request) (answer, string) {
	d.t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.decode(d.inWorker("/usr/bin/python3", "/usr/local/lib/ask.py", string(text)))
}

func (h *host) decode(out string) (answer, string) {
	h.t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var last struct{ Result *answer }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Result == nil {
		h.t.Fatalf("no result: %v\n%s\n%s", err, out, h.sh("journalctl -n 40 --no-pager"))
	}
	return *last.Result, out
}

// deliver puts a release with the app's manifest where the worker would.
func (d deliveries) deliver(version, behave string) rootsvc.Request {
	d.t.Helper()
	d.release(version, behave)
	d.sh(fmt.Sprintf("cd /var/lib/landfast/%s/incoming; cp -r %s/%s %s; cp %s/landfast.toml %s; chown -R landfast:landfast %s", d.name, d.dir, version, version, d.dir, version, version))
	return rootsvc.Request{Verb: rootsvc.VerbDeploy, App: d.name, Incoming: version, Actor: "ann (github)", Origin: rootsvc.Origin{Repository: "shop/web", Commit: strings.Repeat("4be1c9a0", 5)}}
}

func TestRootDeploysWhatTheWorkerDelivers(t *testing.T) {
	eachHost(t, func(h *host) {
		d := h.deliveries("web", 8080)
		d.manifest("[socket]\nlisten = [\"8080\"]", "[dirs]\nstate = true")
		got, out := d.ask(d.deliver("1", ""))
		if got.Error != nil || got.Deployment == nil || got.Deployment.Status != "succeeded" {
			t.Fatalf("%s\n%s", out, h.sh("journalctl -n 60 --no-pager"))
		}
		d.answers("1")
		d.isWell()
		if l := d.deployments()[0]; l.Actor != "ann (github)" || !strings.HasSuffix(l.To, "-4be1c9a") {
			t.Errorf("the history says %+v", l)
		}
		h.sh("test -z \"$(ls /var/lib/landfast/web/incoming)\"")
		if got, out = d.ask(d.deliver("2", "exit")); got.Error == nil || got.Error.Kind != "rolled-back" {
			t.Errorf("a bad release: %s", out)
		}
		d.answers("1")
		if got, out = d.ask(d.deliver("3", "")); got.Error != nil {
			t.Errorf("a good one: %s", out)
		}
		d.answers("3")
		if got, out = d.ask(rootsvc.Request{Verb: rootsvc.VerbRollback, App: "web"}); got.Error != nil {
			t.Errorf("rollback: %s", out)
		}
		d.answers("1")
		if got, out = d.ask(rootsvc.Request{Verb: rootsvc.VerbRestart, App: "web"}); got.Error != nil {
			t.Errorf("restart: %s", out)
		}
		d.isWell()
		// Every request is one line of the journal.
		log := h.sh("journalctl --no-pager -o cat -t landfast-root")
		for _, want := range []string{
			"verb=deploy app=web actor=\"ann (github)\"", "outcome=succeeded", "outcome=rolled-back", "verb=rollback", "verb=restart",
		} {
			if !strings.Contains(log, want) {
				t.Errorf("the journal lacks %q:\n%s", want, log)
			}
		}
		if got := h.sh("ps -eo args | grep '[l]andfast' || true"); got != "" {
			t.Errorf("an idle host runs:\n%s", got)
		}
	})
}

func TestRootRefuses(t *testing.T) {
	eachHost(t, func(h *host) {
		d := h.deliveries("web", 8080)
		h.run("/", "landfast", "setup", "api").code0()
		d.inWorker("/bin/true")
		before := d.state()
		refused := func(what string, got answer, out, says string) {
			t.Helper()
			if got.Error == nil || !strings.Contains(got.Error.Message, says) {
				t.Errorf("%s, want %q: %s", what, says, out)
			}
		}
		for section, says := range map[string]string{
			"[service]\ncommand = \"" + wellKnown + "\"\nbefore_start = [\"+/bin/touch /etc/pwned\"]": "root's rights",
			"[systemd.Service]\nExecStartPre = \"+/bin/touch /etc/pwned\"":                            "ExecStartPre",
			"[systemd.Service]\nBindPaths = \"/etc\"":                                                 "BindPaths",
			"[sandbox]\nprofile = \"none\"":                                                           "sandbox.profile",
			"[socket]\nlisten = [\"80\"]":                                                             "\"80\"",
		} {
			d.manifest(section)
			got, out := d.ask(d.deliver("1", ""))
			refused(section, got, out, says)
			h.sh("rm -rf /var/lib/landfast/web/incoming/1")
		}
		d.manifest()
		r := d.deliver("1", "")
		other := r
		other.App = "api"
		got, out := d.ask(other)
		refused("a foreign app", got, out, "may ask for nothing of app api")
		// The account of the worker, out of a worker.
		text, _ := json.Marshal(r)
		as := func(user, group string) result {
			return h.run("/", "setpriv", "--reuid="+user, "--regid="+group, "--clear-groups", "python3", "/usr/local/lib/ask.py", string(text))
		}
		got, out = h.decode(as("landfast", "landfast").code0().out)
		refused("not a worker", got, out, "the root service refuses")
		got, out = h.decode(as("nobody", "landfast").code0().out)
		refused("another account", got, out, "may ask for nothing")
		if r := as("nobody", "nogroup"); r.code == 0 || !strings.Contains(r.all, "Permission") {
			t.Errorf("anybody can connect: %s", r.all)
		}
		// Garbage.
		for _, garbage := range []string{"", "{}", `{"verb":"exec","app":"web"}`, strings.Repeat("x", 100<<10), `{"verb":"deploy","app":"web","incoming":"../../../etc"}`} {
			got, out := h.decode(h.run("/", "python3", "/usr/local/lib/ask.py", garbage).code0().out)
			refused("garbage", got, out, "")
			if got.Error.Kind != "invalid" {
				t.Errorf("%.40q: %s", garbage, out)
			}
		}
		h.sh("test ! -e /etc/pwned; rm -rf /var/lib/landfast/web/incoming/1")
		h.same("a refusal changed something", without(before, "/run/worker.out", "/run/systemd/system/landfast-worker@"), without(d.state(), "/run/worker.out", "/run/systemd/system/landfast-worker@"))
	})
}

// TestTheWorkerCanDoNothingElse tries things from inside of its unit.
func TestTheWorkerCanDoNothingElse(t *testing.T) {
	eachHost(t, func(h *host) {
		d := h.deliveries("web", 8080)
		d.manifest()
		h.run("/", "landfast", "setup", "api").code0()
		if got, out := d.ask(d.deliver("1", "")); got.Error != nil {
			t.Fatal(out)
		}
		h.sh("echo secret >/etc/landfast/secrets/x; install -o landfast -d /var/lib/landfast/api/incoming/y; install -o landfast /dev/null /var/spool/landfast/api/cur/z")
		for _, act := range []string{
			"cat /etc/shadow", "cat /etc/landfast/secrets/x", "touch /etc/systemd/system/x.service", "touch /run/systemd/system/x.service",
			"touch /etc/x", "ls /srv/web/releases", "touch /srv/web/releases/*/x", "touch /var/lib/landfast/web/deployments/x", "ls /var/lib/landfast/api/incoming/y",
			"cat /var/spool/landfast/api/cur/z", "systemctl restart web.service", "systemd-run true", "kill -9 1", "mount -t tmpfs x /mnt", "unshare -r true",
			"su -c id root", "cp /bin/sh /var/lib/landfast/web/incoming/s && chmod u+s /var/lib/landfast/web/incoming/s", "chown root /var/lib/landfast/web/incoming",
		} {
			out := d.inWorker("/bin/sh", "-c", "if ("+act+") >/dev/null 2>&1; then echo could; else echo refused; fi")
			if strings.TrimSpace(out) != "refused" {
				t.Errorf("the worker: %s: %s", act, out)
			}
		}
		if out := d.inWorker("/bin/sh", "-c", "id -un; touch /var/lib/landfast/web/incoming/ok && echo writes"); strings.TrimSpace(out) != "landfast\nwrites" {
			t.Errorf("the worker cannot do its work: %s", out)
		}
		for what, err := range d.report().Written {
			if err == "" {
				t.Errorf("the app could write %s", what)
			}
		}
	})
}

// TestRootHandsOver: the root service has no network, and still tries a release on a
// private port before it takes over, under load.
func TestRootHandsOver(t *testing.T) {
	eachHost(t, func(h *host) {
		d := h.deliveries("web", 8080)
		a := h.handoff("")
		deliver := func(version string) (answer, string) {
			h.sh(fmt.Sprintf("cd /var/lib/landfast/web/incoming; mkdir %[1]s; tar -xzf /root/web/web-%[1]s.tar.gz -C %[1]s; cp /root/web/landfast.toml %[1]s; chown -R landfast: %[1]s", version))
			return d.ask(rootsvc.Request{Verb: rootsvc.VerbDeploy, App: "web", Incoming: version})
		}
		if got, out := deliver("1"); got.Error != nil {
			t.Fatal(out)
		}
		a.isWell()
		clients := a.load()
		a.unhurt(clients, "next", "2", func() {
			if got, out := deliver("2"); got.Error != nil || !strings.Contains(out, `"name":"rehearse"`) {
				t.Error(out)
			}
		})
		a.unhurt(clients, "cannot start", "2", func() {
			if got, out := deliver("3"); got.Error == nil || !strings.Contains(out, "rehearse") {
				t.Error(out)
			}
		})
		a.isWell()
	})
}

// TestRootMovesARelay: the same for an app that binds a port of its own.
func TestRootMovesARelay(t *testing.T) {
	eachHost(t, func(h *host) {
		d := h.deliveries("web", 8080)
		d.manifest("[env]\nCOLOUR = \"red\"", "[health]\nhttp = \"http://localhost:8080/healthz\"\ninterval = \"20ms\"\ntimeout = \"5s\"",
			"[cutover]\nstrategy = \"relay\"\nlisten = [\"8080\"]")
		for _, version := range []string{"1", "2"} {
			if got, out := d.ask(d.deliver(version, "")); got.Error != nil {
				t.Fatalf("%s\n%s", out, h.sh("journalctl -n 60 --no-pager"))
			}
			if r := d.report(); r.Version != version {
				t.Errorf("version %s answers, want %s", r.Version, version)
			}
		}
		if got, out := d.ask(d.deliver("3", "exit")); got.Error == nil {
			t.Error(out)
		}
		if r := d.report(); r.Version != "2" {
			t.Errorf("version %s answers, want 2", r.Version)
		}
	})
}

// TestARootServiceThatIsKilled leaves a deployment, which the next request settles; a
// caller that goes away leaves nothing undone.
func TestARootServiceThatIsKilled(t *testing.T) {
	eachHost(t, func(h *host) {
		d := h.deliveries("web", 8080)
		d.manifest()
		if got, out := d.ask(d.deliver("1", "")); got.Error != nil {
			t.Fatal(out)
		}
		d.manifest("[health]\nhttp = \"/healthz\"\ninterval = \"200ms\"\ntimeout = \"5min\"")
		text, err := json.Marshal(d.deliver("2", "sick"))
		if err != nil {
			t.Fatal(err)
		}
		p, out := d.start("python3", "/usr/local/lib/ask.py", string(text))
		h.eventually("the deployment waits for its health check", func() (bool, string) {
			all := d.deployments()
			last := all[0].Steps[len(all[0].Steps)-1]
			return last.Name == "health" && last.Status == landfast.StepDoing, last.Name
		})
		// First the caller, which changes nothing, then the service.
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		d.ended(p, out)
		if got := d.deployments()[0]; got.Status != landfast.StatusRunning {
			t.Errorf("the caller has gone, and the deployment is %s", got.Status)
		}
		h.sh("systemctl kill -s KILL 'landfast-root@*.service'")
		d.manifest()
		if got, out := d.ask(d.deliver("3", "")); got.Error != nil || !strings.Contains(out, "was interrupted: undoing it") {
			t.Errorf("the next request: %s", out)
		}
		d.answers("3")
		d.isWell()
		h.sh("test -z \"$(systemctl list-units --plain --no-legend --state=failed 'landfast*')\"")
	})
}

func TestABuildRunsInASandboxOfItsOwn(t *testing.T) {
	eachHost(t, func(h *host) {
		d := h.deliveries("web", 8080)
		d.manifest(`[build]
steps = [["scripts/build", "one two"], ["/bin/sh", "-c", "echo $0 $FLAVOUR; id -un; pwd", "last"]]
output = "out"
memory = "256MiB"
timeout = "20s"
[build.env]
FLAVOUR = "sweet"`)
		r := d.deliver("1", "")
		h.sh(`cd /var/lib/landfast/web/incoming/1; mkdir scripts; cat >scripts/build <<-'END'
			#!/bin/sh
			mkdir out && mv release.json out/ || exit 1
			for act in "cat /etc/shadow" "touch /etc/x" "ls /var/lib/landfast/web/incoming" "ls /srv/web" "cat /etc/landfast/policy.toml" "ls /run/landfast/root.sock" "ip link set lo up" "touch /var/lib/landfast/web/x"; do
				if ($act) >/dev/null 2>&1; then echo "could: $act"; fi
			done
			grep -c : /proc/net/dev
			echo "args: $1"
			END
			chmod +x scripts/build; chown -R landfast: scripts`)
		b := rootsvc.Request{Verb: rootsvc.VerbBuild, App: "web", Incoming: "1"}
		got, out := d.ask(b)
		if got.Error != nil {
			t.Fatalf("%s\n%s", out, h.sh("journalctl -n 40 --no-pager"))
		}
		for _, want := range []string{"args: one two", "last sweet", `"log":"landfast-build"`} {
			if !strings.Contains(out, want) {
				t.Errorf("the build does not say %q:\n%s", want, out)
			}
		}
		if strings.Contains(out, "could: ") {
			t.Errorf("the build could do too much:\n%s", out)
		}
		if got, out = d.ask(r); got.Error != nil {
			t.Fatal(out)
		}
		d.answers("1")
		h.sh("test ! -e /srv/web/current/scripts; test -z \"$(ls /var/lib/landfast/web/incoming /var/lib/landfast/web/built | grep -v :)\"")

		d.manifest("[build]\nsteps = [[\"/bin/sh\", \"-c\", \"echo no; exit 7\"]]")
		d.deliver("2", "")
		b.Incoming = "2"
		if got, out = d.ask(b); got.Error == nil || !strings.Contains(out, `"log":"no"`) || !strings.Contains(got.Error.Message, "status 7") {
			t.Errorf("a build that fails: %s", out)
		}
		d.manifest("[build]\nsteps = [[\"/bin/sleep\", \"60\"]]\ntimeout = \"1s\"")
		d.deliver("3", "")
		b.Incoming = "3"
		if got, out = d.ask(b); got.Error == nil || !strings.Contains(got.Error.Message, "longer than 1s") {
			t.Errorf("a build that takes too long: %s", out)
		}
	})
}
