package deploy_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
)

func TestWhatAMachineStartsIsInItsRootFileSystem(t *testing.T) {
	const usual = "mkdir -p usr/bin etc; ln -s usr/bin bin; echo x >usr/bin/sh; chmod 755 usr/bin/sh; "
	for name, c := range map[string]struct {
		script string
		argv   []string // nil: boot
		says   string   // "": it starts
	}{
		"absolute":          {usual, []string{"/bin/sh"}, ""},
		"below the release": {usual, []string{"/srv/web/current/usr/bin/sh"}, ""},
		"bare":              {usual, []string{"sh"}, ""},
		"through absolute links": {
			usual + "mkdir etc/alternatives; ln -s /etc/alternatives/it usr/bin/it; ln -s ../../../../bin/sh etc/alternatives/it",
			[]string{"/bin/it"},
			"",
		},
		"the host's":      {usual + "ln -s /proc/self/exe bin/exe", []string{"/bin/exe"}, "/bin/exe"},
		"circle":          {usual + "ln -s b a; ln -s a b", []string{"/a"}, "/a"},
		"not executable":  {usual + "chmod 644 usr/bin/sh", []string{"sh"}, "no program sh"},
		"a directory":     {usual, []string{"/usr"}, "no program /usr"},
		"below a file":    {usual, []string{"/bin/sh/x"}, "no program"},
		"no usr":          {"echo x >x", []string{"/x"}, "no directory usr"},
		"boot":            {usual + "mkdir sbin; ln -s /bin/sh sbin/init; echo ID=x >etc/os-release", nil, ""},
		"boot, no init":   {usual + "echo ID=x >etc/os-release", nil, "no init"},
		"boot, no system": {usual + "mkdir sbin; ln -s /bin/sh sbin/init", nil, "os-release"},
		"boot, os-release away": {
			usual + "mkdir sbin; ln -s /bin/sh sbin/init; ln -s ../usr/lib/os-release etc/os-release",
			nil,
			"os-release",
		},
	} {
		dir := t.TempDir()
		cmd := exec.Command("sh", "-ec", c.script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", name, err, out)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		s := &landfast.Service{Machine: &landfast.Machine{Boot: c.argv == nil}, Command: landfast.Command{Argv: c.argv}}
		err = deploy.MachineStarts(root, "/srv/web/current", s)
		root.Close()
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v does not say %q", name, err, c.says)
		}
	}
}
