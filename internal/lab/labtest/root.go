package labtest

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"testing"

	"github.com/landfast/landfast/internal/lab"
)

// Root is the root file system of a suite, without a machine that runs on it.
type Root struct {
	Systemd int // the version of systemd in it
	dir     string
}

// Roots runs a test for each systemd there is a suite of. Those of Suites are
// built when absent; the others take more than a minute each to build, and are
// skipped unless that has been done.
func Roots(t *testing.T, f func(t *testing.T, r Root)) {
	t.Helper()
	Require(t)
	for _, s := range lab.Suites() {
		t.Run(s.Name, func(t *testing.T) {
			dir, ok := lab.Cached(s.Name)
			if !ok {
				if !slices.Contains(Suites(), s.Name) {
					t.Skipf("there is no image of %s (systemd %d): name it in LANDFAST_LAB_SUITES to have it built", s.Name, s.Systemd)
				}
				var err error
				if dir, err = lab.Image(t.Context(), s.Name); err != nil {
					t.Fatal(err)
				}
			}
			f(t, Root{Systemd: s.Systemd, dir: dir})
		})
	}
}

// inside runs a program on a root file system ($1) that it cannot change, with a
// directory ($2) at /mnt. The mounts end with the process.
const inside = `set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
for d in proc sys; do mount --rbind "/$d" "$1/$d"; done
for d in tmp run; do mount -t tmpfs none "$1/$d"; done
mount -o ro --bind "$2" "$1/mnt"
root=$1
shift 2
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 SYSTEMD_COLORS=0 "$@"`

// Run runs a program of the suite as a chroot, with dir, read-only, at /mnt. A
// program that ran and failed is no error of the test.
func (r Root) Run(t testing.TB, dir string, argv ...string) lab.Result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "sh", "-c", inside, "sh", r.dir, dir}, argv...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	return lab.Result{Stdout: out.String(), Stderr: errs.String(), Code: cmd.ProcessState.ExitCode()}
}
