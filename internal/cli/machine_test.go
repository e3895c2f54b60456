package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/landfast/landfast/internal/cli"
	"github.com/landfast/landfast/internal/systemd/systemdtest"
)

// stage makes the least tree that an app can be put into. All accounts of it are
// the one that runs the test, so that files can be given to them without being root.
func stage(root string, accounts ...string) error {
	uid, gid := os.Getuid(), os.Getgid()
	var passwd, group strings.Builder
	for _, name := range append([]string{"root"}, accounts...) {
		// As sysusers.d(5) makes the account of an app with this name.
		fmt.Fprintf(&passwd, "%s:x:%d:%d:%s:/:/usr/sbin/nologin\n", name, uid, gid, name)
		fmt.Fprintf(&group, "%s:x:%d:\n", name, gid)
	}
	for _, dir := range []string{"etc/systemd/system", "etc/sysusers.d", "etc/tmpfiles.d", "run/systemd/system", "var/lib", "var/log/journal", "srv"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd.String()), 0o644),
		os.WriteFile(filepath.Join(root, "etc/group"), []byte(group.String()), 0o644),
	)
}

// runningFile lists what runs on a machine between two commands.
const runningFile = "run/running"

// runOn runs a command line on a machine in a directory whose systemd is a fake.
// What runs there is kept from one command to the next.
func runOn(ctx context.Context, root string, args []string, std cli.Std) (int, error) {
	units := systemdtest.New(root)
	units.Behave = func(unit, text string) systemdtest.Behaviour { return behave(root, unit, text) }
	running, err := os.ReadFile(filepath.Join(root, runningFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for _, unit := range strings.Fields(string(running)) {
		// One that does not come up is one that has failed since.
		_ = units.Start(ctx, unit)
	}
	code := cli.RunOn(ctx, args, std, root, units)
	files, err := filepath.Glob(filepath.Join(root, "etc/systemd/system/*.*"))
	if err != nil {
		return code, err
	}
	var active strings.Builder
	for _, f := range files {
		st, err := units.Status(context.WithoutCancel(ctx), filepath.Base(f))
		if err != nil {
			return code, err
		}
		if st.Active == "active" {
			active.WriteString(st.Name + "\n")
		}
	}
	return code, os.WriteFile(filepath.Join(root, runningFile), []byte(active.String()), 0o644)
}

// behave reads from the release that is current what the service does: nothing but
// run, or what its file "behaviour" says.
func behave(root, unit, text string) systemdtest.Behaviour {
	for line := range strings.Lines(text) {
		dir, ok := strings.CutPrefix(strings.TrimSpace(line), "WorkingDirectory=")
		if !ok || strings.HasSuffix(unit, ".socket") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
			return systemdtest.Behaviour{Exit: 200} // CHDIR
		}
		word, err := os.ReadFile(filepath.Join(root, dir, "behaviour"))
		if err != nil {
			break
		}
		switch strings.TrimSpace(string(word)) {
		case "exits":
			return systemdtest.Behaviour{Exit: 1}
		case "dies":
			return systemdtest.Behaviour{DiesAfter: -1}
		}
	}
	return systemdtest.Behaviour{}
}
