package manifest_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/manifest"
)

// TestCalendar compares what we take for a calendar event with what systemd does.
func TestCalendar(t *testing.T) {
	t.Parallel()
	analyze, _ := exec.LookPath("systemd-analyze")
	for _, test := range []struct {
		event string
		good  bool
	}{
		{"daily", true},
		{"minutely", true},
		{"semiannually", true},
		{"Mon", true},
		{"mon..fri", true},
		{"Mon,Wed,Fri 12:00", true},
		{"Mon..Wed,Sat 2026-*-* 03:30:00", true},
		{"Monday *-*-1..7 18:00", true},
		{"*-*-01", true},
		{"2026-12-24", true},
		{"*-02~01", true},
		{"12-24", true},
		{"*-*-* 04:00:00", true},
		{"*-*-* 04:00:00 Europe/Berlin", true},
		{"*-*-* 04:00:00 UTC", true},
		{"*:0/15", true},
		{"04:05:06.7", true},
		{"10..12,14:20", true},
		{"*:*:0/30", true},
		{"0/2:00", true},
		{"*/2:00", false},
		{"dayly", false},
		{"every day", false},
		{"", false},
		{"25 o'clock", false},
		{"Mo 12:00", false},
		{"4am", false},
		{"* * * * *", false},
		{"0 3 * * *", false},
		{"@daily", false},
		{"12:00 Mon", false},
		{"*-*-* ", false},
		{"Mon 2026", false},
	} {
		_, err := manifest.Parse("landfast.toml", []byte("name = 'web'\n[service]\ncommand = 'x'\n[timers.a]\ncommand = 'x'\ncalendar = '"+strings.ReplaceAll(test.event, "'", "_")+"'\n"))
		if (err == nil) != test.good {
			t.Errorf("%q: %v, want good = %t", test.event, err, test.good)
		}
		if analyze == "" {
			continue
		}
		// What we take, systemd must take. It also takes some that we do not: a
		// white space behind, numbers of seconds.
		if out, err := exec.CommandContext(t.Context(), analyze, "calendar", "--", test.event).CombinedOutput(); err != nil && test.good {
			t.Errorf("%q: systemd says %s", test.event, out)
		} else if err == nil && !test.good {
			t.Logf("systemd takes %q", test.event)
		}
	}
}
