package plan

import (
	"path"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// rescan is how often a flag is looked for that systemd was not told of.
const rescan = 5 * time.Minute

// restartFlag adds the units that restart a service when somebody touches its
// flag. It is the file that counts, not the event: the path unit looks whether
// it is there, at first and whenever the restart has ended, and the restart
// takes it away before anything else. So a flag that is touched while the
// restart goes on leads to another one, and none leads to two. A timer looks as
// well, since systemd's watch can lose sight of a directory.
//
// A flag that is older than the machine's start is taken away at boot, and the
// unit that restarts has no [Install]: no boot restarts anything. What does not
// run is not started by a flag.
func (b *builder) restartFlag(s *landfast.Service) {
	if s.RestartFlag == "" {
		return
	}
	key := b.key(s, "restart_flag")
	flag := b.ok(key)(unit.Path(s.RestartFlag))
	base := strings.TrimRight(strings.TrimSuffix(s.Unit, ".service"), "@")
	name := base + "-restart"

	f := &unit.File{}
	f.Section("Unit").Add("Description", b.ok(key)(unit.Literal("Flag that restarts "+base)))
	// By default a path unit comes before paths.target, and so before every service:
	// with the order that is wanted here that is a circle, out of which systemd takes
	// one unit at boot, be it the service itself.
	f.Section("Unit").Add("DefaultDependencies", "no")
	f.Section("Unit").Add("Conflicts", "shutdown.target")
	f.Section("Unit").Add("Before", "shutdown.target")
	f.Section("Unit").Add("After", strings.Join(unitsOf(s), " "))
	f.Section("Path").Add("PathExists", flag)
	f.Section("Install").Add("WantedBy", "multi-user.target")
	b.unitFile(name+".path", f)

	f = &unit.File{}
	f.Section("Unit").Add("Description", b.ok(key)(unit.Literal("Look for the flag that restarts "+base)))
	sec := f.Section("Timer")
	sec.Add("OnActiveSec", span(rescan))
	sec.Add("OnUnitInactiveSec", span(rescan))
	f.Section("Install").Add("WantedBy", "timers.target")
	b.unitFile(name+".timer", f)

	b.restartService(s, name+".service", flag)
	b.tmpfile(b.ok(key)(unit.TmpfilesRemoveAtBoot(s.RestartFlag)))
	b.plan.Units = append(b.plan.Units,
		Unit{Name: name + ".service", Manual: true},
		Unit{Name: name + ".path", Enable: true, Trigger: true},
		Unit{Name: name + ".timer", Enable: true, Trigger: true})
}

// restartService adds the unit that restarts. It is root's, as only root may ask
// systemd for that, and has no other power than to remove the flag.
func (b *builder) restartService(s *landfast.Service, name, flag string) {
	key := b.key(s, "restart_flag")
	f := &unit.File{}
	sec := f.Section("Unit")
	sec.Add("Description", "Restart for a flag")
	sec.Add("ConditionPathExists", flag)
	// A flag that cannot be removed must not restart the service for ever.
	b.add(f, "Unit", "StartLimitIntervalSec", "60s")
	b.add(f, "Unit", "StartLimitBurst", "20")
	sec = f.Section("Service")
	sec.Add("Type", "oneshot")
	sec.Add("ExecStartPre", b.ok(key)(unit.Command("", []string{"/bin/rm", "-f", "--", s.RestartFlag})))
	argv := append([]string{"/bin/systemctl", "--no-pager", "try-restart"}, unitsOf(s)...)
	sec.Add("ExecStart", b.ok(key)(unit.Command("", argv)))
	// The timer's visits are not worth a line each.
	b.addSince(f, 236, "Service", "LogLevelMax", "notice")
	b.systemctlOnly(f, key, s.RestartFlag, "CAP_DAC_OVERRIDE")
	b.add(f, "Service", "ReadWritePaths", b.ok(key)(unit.PathList("", path.Dir(s.RestartFlag))))
	b.unitFile(name, f)
}
