package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

// Suite is a Debian release that a machine can run.
type Suite struct {
	Name    string   // bookworm
	Systemd int      // the version of systemd in it
	Unified bool     // its systemd runs in the unified control group hierarchy only
	Extra   []string // packages on top of those every image has
}

// with is the suite with more packages, in an image of its own; with none it is
// the suite itself.
func (s Suite) with(more []string) Suite {
	more = slices.DeleteFunc(slices.Clone(more), func(p string) bool { return slices.Contains(s.packages(), p) })
	slices.Sort(more)
	s.Extra = slices.Concat(s.Extra, slices.Compact(more))
	return s
}

// packages is what every image has: a system that deploys and is looked into,
// and python3 as the run time of an app.
func packages() []string {
	return []string{
		"systemd", "systemd-sysv", "dbus", "libpam-systemd", "polkitd",
		"ca-certificates", "curl", "git", "iproute2", "nftables", "procps",
		"python3", "strace", "sudo", "unzip", "xz-utils", "zstd",
	}
}

// Suites lists the suites a machine can run, oldest systemd first.
func Suites() []Suite {
	return []Suite{
		{Name: "bullseye", Systemd: 247, Extra: []string{"policykit-1"}},
		{Name: "bookworm", Systemd: 252},
		{Name: "trixie", Systemd: 257},
		// mount is no longer essential there, and without it the machine
		// comes up degraded.
		{Name: "forky", Systemd: 262, Unified: true, Extra: []string{"mount"}},
	}
}

// SuiteNamed finds a suite; the error for an unknown one lists those there are.
func SuiteNamed(name string) (Suite, error) {
	var known []string
	for _, s := range Suites() {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return Suite{}, &landfast.Error{
		Kind: landfast.Invalid,
		Msg:  fmt.Sprintf("cannot boot a machine of suite %q", name),
		Hint: "use one of " + strings.Join(known, ", "),
	}
}

// packages is the list for this suite.
func (s Suite) packages() []string {
	var list []string
	for _, p := range packages() {
		// polkitd was split out of policykit-1 after bullseye.
		if p == "polkitd" && s.Name == "bullseye" {
			continue
		}
		list = append(list, p)
	}
	return append(list, s.Extra...)
}

// key names the image of a suite in the cache. It changes with everything that
// decides what is in the image, so an old image is never taken for a new one.
func (s Suite) key() string {
	recipe := strings.Join(append([]string{s.Name, customize}, s.packages()...), "\n")
	sum := sha256.Sum256([]byte(recipe))
	return s.Name + "-" + hex.EncodeToString(sum[:6])
}
