package steer_test

import (
	"testing"

	"github.com/landfast/landfast/internal/steer"
)

func TestUnitOfAProcess(t *testing.T) {
	for _, c := range []struct{ text, group, unit string }{
		{"0::/system.slice/web.service\n", "/system.slice/web.service", "web.service"},
		{"0::/system.slice/system-web.slice/web@1.service/worker\n", "/system.slice/system-web.slice/web@1.service", "web@1.service"},
		{"4:memory:/a.service\n1:name=systemd:/system.slice/web.service\n0::/system.slice/web.service\n", "/system.slice/web.service", "web.service"},
		{"1:name=systemd:/system.slice/web.service\n0::/\n", "/system.slice/web.service", "web.service"},
		// A container: its own systemd is below, in one of the hierarchies.
		{"1:name=systemd:/lab/x.scope\n0::/lab/x.scope/payload/system.slice/web.service\n", "/lab/x.scope/payload/system.slice/web.service", "web.service"},
		{"1:name=systemd:/lab/x.scope/system.slice/web.service\n0::/lab/x.scope\n", "/lab/x.scope/system.slice/web.service", "web.service"},
		{"0::/user.slice/user-1.slice/user@1.service/app.slice/web.service\n", "/user.slice/user-1.slice/user@1.service/app.slice/web.service", "web.service"},
		{"0::/user.slice/user-1.slice/session-2.scope\n", "/user.slice/user-1.slice/session-2.scope", "session-2.scope"},
		{"0::/\n", "", ""},
		{"0::/lab\n1:name=systemd:/\nnonsense\n", "", ""},
		{"", "", ""},
	} {
		if group, unit := steer.ParseGroup(c.text); group != c.group || unit != c.unit {
			t.Errorf("ParseGroup(%q) = %q, %q, want %q, %q", c.text, group, unit, c.group, c.unit)
		}
	}
}

func TestParsePublic(t *testing.T) {
	for in, want := range map[string]string{
		"8080": "8080", "127.0.0.1:80": "127.0.0.1:80", "[::1]:80": "[::1]:80", "[::]:80": "80",
		"0.0.0.0:80": "0.0.0.0:80", "[::ffff:10.0.0.1]:80": "10.0.0.1:80",
	} {
		p, err := steer.ParsePublic(in)
		if err != nil || p.String() != want {
			t.Errorf("ParsePublic(%q) = %v, %v, want %s", in, p, err, want)
		}
	}
	for _, in := range []string{"", "0", "-1", "65536", "http", "127.0.0.1", "127.0.0.1:0", ":80", "web:80", "/run/web.sock", "@web", "[fe80::1%lo]:80", "+80", " 80", "80 "} {
		if p, err := steer.ParsePublic(in); err == nil {
			t.Errorf("ParsePublic(%q) = %v", in, p)
		}
	}
}
