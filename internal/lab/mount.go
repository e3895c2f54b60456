package lab

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mountOverlay puts at root the file system of lower, with everything written
// going to upper.
func mountOverlay(lower, upper, work, root string) error {
	for _, p := range []string{lower, upper, work} {
		// The kernel's option syntax has no quoting that all versions share.
		if strings.ContainsAny(p, `,:\`) {
			return fmt.Errorf("mount an overlay with %q: the path has a comma, colon or backslash", p)
		}
	}
	data := "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", root, "overlay", 0, data); err != nil {
		return fmt.Errorf("mount overlay on %s: %w", root, err)
	}
	return nil
}

// unmountBelow unmounts dir and everything mounted below it, deepest first.
func unmountBelow(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("read the mounts: %w", err)
	}
	points := mountPoints(string(table), dir)
	for _, p := range slices.Backward(points) {
		err := unix.Unmount(p, 0)
		if errors.Is(err, unix.EBUSY) {
			err = unix.Unmount(p, unix.MNT_DETACH)
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", p, err)
		}
	}
	return nil
}

// mountPoints lists, in the order they were mounted, the mount points at or
// below dir in a mountinfo table (proc_pid_mountinfo(5)).
func mountPoints(table, dir string) []string {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		p := unescape.Replace(f[4])
		if p == dir || strings.HasPrefix(p, dir+"/") {
			points = append(points, p)
		}
	}
	return points
}

// freeBytes is what an ordinary user could still write below dir.
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("ask %s for its free space: %w", dir, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}
