package suite_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/landfast/landfast"
)

// ill is a release that does not get through its deployment.
type ill struct {
	name     string // of the app, too
	behave   string
	sections []string
	step     string
	says     []string // on the one screen
}

func ills(port int) []ill {
	http := "[health]\nhttp = \"/healthz\"\ninterval = \"20ms\"\ntimeout = \"2s\""
	return []ill{
		{
			"exits", "exit", nil, "cutover",
			[]string{"the process exited with status 3", "cannot open the database: no such table"},
		},
		{
			"never-ready", "mute",
			[]string{"[service]\ncommand = \"" + wellKnown + "\"\ntype = \"notify\"\nstart_timeout = \"1s\""},
			"cutover",
			[]string{"did not become ready", "warming up, for ever"},
		},
		{
			"dies", "die",
			[]string{"[health]\nunit = true\ngrace = \"2s\""},
			"health",
			[]string{"dies.service died", "the process exited with status 3", "out of ideas"},
		},
		{
			"unhealthy", "sick",
			[]string{http},
			"health",
			[]string{"not healthy after 2s", "answered 503 Service Unavailable", "no guests", "unhealthy.service is active (running)", "the disk of the guests is gone"},
		},
		{
			"hangs", "hang",
			[]string{http},
			"health",
			[]string{"not healthy after 2s", "/healthz"},
		},
		{
			"deaf", "deaf",
			[]string{fmt.Sprintf("[health]\ntcp = \"127.0.0.1:%d\"\ninterval = \"20ms\"\ntimeout = \"2s\"", port)},
			"health",
			[]string{"not healthy after 2s", "connection refused", "this is version"},
		},
		{
			"checked", "fail check",
			[]string{"[health]\nexec = [\"" + wellKnown + "\", \"check\"]\ninterval = \"20ms\"\ntimeout = \"2s\""},
			"health",
			[]string{"not healthy after 2s", "exited with status 3"},
		},
		{
			"migrates", "fail migrate",
			[]string{"[hooks]\nmigrate = [[\"" + wellKnown + "\", \"migrate\"]]"},
			"migrate",
			[]string{"exited with status 3", "migrate: the table guests has no column size"},
		},
		{
			"no-user", "",
			[]string{"[systemd.Service]\nSupplementaryGroups = \"nobody-has-it\""},
			"cutover",
			[]string{"status 216"},
		},
	}
}

func TestAFailedDeploymentExplainsItselfAndIsUndone(t *testing.T) {
	eachHost(t, func(h *host) {
		for i, tt := range ills(9000) {
			h.t.Run(tt.name, func(t *testing.T) {
				h := h.in(t)
				a := h.app(tt.name, 9000+i)
				sections := ills(a.port)[i].sections
				a.manifest(sections...)
				a.firstFails(tt)
				if tt.behave == "" { // it is the manifest's fault
					a.manifest()
				}
				a.deploy(a.release("1", "")).code0()
				a.manifest(sections...)
				a.laterFails(tt)
			})
		}
	})
}

// firstFails deploys the ill release where there is no other: nothing is left of it
// but what is remembered.
func (a *app) firstFails(tt ill) {
	a.t.Helper()
	here := func() string { return without(a.tree(system()...), "/var/lib/landfast") }
	before := here()
	a.release("2", tt.behave)
	a.deploy("2").exits(4).says("failed at the step "+tt.step, "no release is live, as before").says(tt.says...)
	a.same("a first deployment that failed left something", before, here())
	if left := a.sh("systemctl list-units --all --plain --no-legend '" + a.name + "*' 'landfast-" + a.name + "*'; systemctl --failed --no-legend"); left != "" {
		a.t.Errorf("units left by a first deployment that failed:\n%s", left)
	}
	a.deploy("2").exits(6).says("known to be bad", "--force", "nothing live was touched")
	a.same("a refused deployment left something", before, here())
}

// laterFails deploys the ill release where version 1 runs.
func (a *app) laterFails(tt ill) {
	a.t.Helper()
	old, before := a.current(), a.state()
	pid := a.answers("1").PID
	r := a.deploy("2", "--force").exits(4).says(tt.says...).says(
		"deploy of "+a.name+" failed at the step "+tt.step, "\n  error ", "\n  undone ", tt.step, old+" is live again",
		"\n  next ", "`landfast logs "+a.name+"`", "rolled back, "+old+" is live").silentOn("%!", "goroutine")
	if tt.name != "migrates" && tt.name != "checked" { // there it is another process that says why
		r.says("\n  systemd  "+a.name+".service is ", "\n  log ")
	}
	if lines := strings.Count(r.all[strings.Index(r.all, "deploy of "+a.name):], "\n"); lines > 40 {
		a.t.Errorf("the explanation has %d lines, more than one screen:\n%s", lines, r.all)
	}
	now := a.answers("1")
	if tt.step == "migrate" && now.PID != pid {
		a.t.Error("a hook that failed before the cutover restarted the app")
	}
	a.same("a failed deployment was not undone", before, a.state())
	last := a.deployments()[0]
	if last.Status != landfast.StatusRolledBack || last.Failure == nil || last.Failure.Step != tt.step || !slices.Contains(last.Failure.Undone, tt.step) && tt.step != "cutover" {
		a.t.Errorf("what is remembered: %+v %+v", last, last.Failure)
	}
	a.landfast("show", a.name, "last").code0().says("failed at the step "+tt.step, old+" is live again").says(tt.says...)
	a.deploy("2").exits(6).says("known to be bad", "--force")
	a.same("a refused deployment changed something", before, a.state())
}

func TestWhatCannotStartIsFoundBeforeAnythingLiveIsTouched(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest(inRelease)
		a.deploy(a.project("1")).code0()
		pid, before := a.answers("1").PID, a.state()
		for _, tt := range []struct{ name, do, says string }{
			{"no program", "rm bin/probe", "no file bin/probe"},
			{"not executable", "chmod 0644 bin/probe", "not executable"},
			{"a directory", "rm bin/probe; mkdir bin/probe; touch bin/probe/x", "not executable"},
		} {
			h.sh("cd /root/web; rm -rf 2; cp -a 1 2; cd 2; " + tt.do)
			a.deploy("2").exits(2).says("preflight", "bin/probe", tt.says, "nothing live was touched")
			h.same(tt.name+": something changed", before, a.state())
		}
		if now := a.answers("1").PID; now != pid {
			h.t.Errorf("the app was restarted")
		}
		a.isWell()
	})
}
