package plan

import (
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// afterBoot is when a timer that counts from the last run has its first one.
const afterBoot = 2 * time.Minute

// timer adds the unit that starts a service at certain times, if it has one.
func (b *builder) timer(s *landfast.Service) {
	t := s.Timer
	if t == nil {
		return
	}
	f := &unit.File{}
	f.Section("Unit").Add("Description", b.ok("description")(unit.Literal("Times of "+strings.TrimSuffix(s.Unit, ".service"))))
	sec := f.Section("Timer")
	for _, c := range t.Calendar {
		sec.Add("OnCalendar", b.ok(b.key(s, "calendar"))(unit.Literal(c)))
	}
	if t.Every > 0 {
		sec.Add("OnBootSec", span(min(afterBoot, t.Every)))
		sec.Add("OnUnitActiveSec", span(t.Every))
	}
	if t.Persistent {
		b.add(f, "Timer", "Persistent", "yes")
	}
	if t.RandomDelay > 0 {
		b.addSince(f, 229, "Timer", "RandomizedDelaySec", span(t.RandomDelay))
	}
	// systemd may be a minute late, to save power.
	sec = f.Section("Timer")
	sec.Add("AccuracySec", "1s")
	if u := strings.TrimSuffix(t.Unit, ".timer") + ".service"; u != s.Unit {
		sec.Add("Unit", s.Unit)
	}
	f.Section("Install").Add("WantedBy", "timers.target")
	b.passThrough(f, s, "Timer")
	b.unitFile(t.Unit, f)
	b.plan.Units = append(b.plan.Units, Unit{Name: t.Unit, Enable: true, Trigger: true})
}

// addSince is add for what came with a version.
func (b *builder) addSince(f *unit.File, since int, section, name, value string) {
	if b.has(since) {
		f.Section(section).Add(name, value)
		return
	}
	b.notef("systemd %d does not know %s= (since %d): left out", b.version, name, since)
}
