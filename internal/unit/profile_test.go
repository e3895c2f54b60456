package unit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/unit"
)

// TestAllowGivesBackWhatItNames asks of every name that it changes the default
// profile, and of nothing else than it says.
func TestAllowGivesBackWhatItNames(t *testing.T) {
	strict, err := unit.Profile("strict")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range unit.Allowances() {
		if a.Reason == "" {
			t.Errorf("%s has no reason", a.Name)
		}
		lines, err := unit.Allow(strict, a.Name)
		if err != nil {
			t.Fatal(err)
		}
		if lineText(lines) == lineText(strict) {
			t.Errorf("%s changes nothing", a.Name)
		}
		for _, l := range strict {
			kept := slices.ContainsFunc(lines, func(n unit.Line) bool { return n.Directive == l.Directive })
			if dropped := slices.Contains(a.Drops, l.Directive); dropped == kept {
				t.Errorf("%s: %s= is kept: %t", a.Name, l.Directive, kept)
			}
		}
		for _, d := range a.Drops {
			if !slices.ContainsFunc(strict, func(l unit.Line) bool { return l.Directive == d }) {
				t.Errorf("%s gives back %s=, which nothing takes away", a.Name, d)
			}
		}
		// Nothing to give back is no error.
		for _, profile := range []string{"none", "baseline"} {
			lines, err := unit.Profile(profile)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := unit.Allow(lines, a.Name); err != nil {
				t.Errorf("%s with %s: %v", a.Name, profile, err)
			}
		}
	}
}

func TestAllowSystemCalls(t *testing.T) {
	strict, err := unit.Profile("strict")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := unit.Allow(strict, "resources", "clock", "realtime")
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[int][]string{
		0:   {"@system-service", "~@privileged", "prlimit64", "@clock @resources"},
		238: {"~@cpu-emulation @debug @module @mount @obsolete @raw-io"},
	} {
		var got []string
		for _, l := range lines {
			if now, ok := l.For(version); ok && now.Directive == "SystemCallFilter" {
				got = append(got, now.Value)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("systemd %d: %q, want %q", version, got, want)
		}
	}
	if again, _ := unit.Profile("strict"); lineText(again) != lineText(strict) {
		t.Error("Allow changed the profile it was given")
	}
}

func TestAllowUnknownNames(t *testing.T) {
	for name, want := range map[string]string{
		"jti": `"jit"`, "network": `"network-families"`, "MemoryDenyWriteExecute": `"jit"`, "user_namespaces": `"user-namespaces"`,
		"ProtectProc": `"proc"`, "x": "there are capabilities, clock",
	} {
		if _, err := unit.Allow(nil, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Allow(%s): %v, want %s", name, err, want)
		}
	}
}

func lineText(lines []unit.Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Directive + "=" + l.Value + "\n")
	}
	return b.String()
}
