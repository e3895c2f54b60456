package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	groupName  = "landfast-lab" // the group above those of the machines
)

// hierarchies lists the control group trees a machine takes part in. A host has
// either the unified tree alone, or (hybrid) one tree per controller beside a
// named one for systemd and an almost empty unified one. With limits a machine
// of a hybrid host is put into the controllers' trees too; in the unified tree
// it has them anyway.
func hierarchies(limits bool) ([]string, error) {
	if unified() {
		return []string{cgroupRoot}, nil
	}
	trees := []string{cgroupRoot + "/systemd", cgroupRoot + "/unified"}
	for _, t := range trees {
		if _, err := os.Stat(t + "/cgroup.procs"); err != nil {
			return nil, &landfast.Error{
				Kind: landfast.Unavailable,
				Msg:  "this host has neither a unified nor a hybrid control group hierarchy",
				Hint: "mount cgroup2 at " + cgroupRoot,
				Err:  err,
			}
		}
	}
	if !limits {
		return trees, nil
	}
	for _, c := range []string{"memory", "cpu", "cpuacct", "pids"} {
		// cpu and cpuacct are one tree under two names on many hosts.
		tree, err := filepath.EvalSymlinks(filepath.Join(cgroupRoot, c))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find the %s controller: %w", c, err)
		}
		if !slices.Contains(trees, tree) {
			trees = append(trees, tree)
		}
	}
	return trees, nil
}

// unified tells whether cgroup2 is all there is.
func unified() bool {
	var s unix.Statfs_t
	return unix.Statfs(cgroupRoot, &s) == nil && s.Type == unix.CGROUP2_SUPER_MAGIC
}

// isV2 tells whether a group is in a unified tree.
func isV2(group string) bool {
	var s unix.Statfs_t
	return unix.Statfs(group, &s) == nil && s.Type == unix.CGROUP2_SUPER_MAGIC
}

// makeGroups makes a group named id in every tree and gives their directories.
func makeGroups(id string, limits bool) ([]string, error) {
	trees, err := hierarchies(limits)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, t := range trees {
		g := filepath.Join(t, groupName, id)
		if err := os.MkdirAll(g, 0o755); err != nil {
			return nil, fmt.Errorf("make control group: %w", err)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// groupsOf finds the groups named id in every tree of this host.
func groupsOf(id string) []string {
	var groups []string
	for _, pattern := range []string{"", "*"} {
		found, err := filepath.Glob(filepath.Join(cgroupRoot, pattern, groupName, id))
		if err != nil {
			continue // the pattern is ours; an id has no magic in it
		}
		groups = append(groups, found...)
	}
	return groups
}

// removeGroups kills what is left in the groups named id and removes them.
func removeGroups(ctx context.Context, id string) error {
	return until(ctx, 10*time.Second, func() error {
		for _, g := range groupsOf(id) {
			if err := removeGroup(g); err != nil {
				return err
			}
			// Kept by other machines; the last one succeeds.
			_ = os.Remove(filepath.Dir(g))
		}
		return nil
	})
}

// removeGroup kills the processes in a group and its descendants and removes
// the directories, deepest first.
func removeGroup(group string) error {
	var dirs []string
	err := filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list control group: %w", err)
	}
	for _, d := range slices.Backward(dirs) {
		if err := killGroup(d); err != nil {
			return err
		}
		if err := unix.Rmdir(d); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove control group %s: %w", d, err)
		}
	}
	return nil
}

func killGroup(dir string) error {
	list, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list the processes of a control group: %w", err)
	}
	for _, f := range strings.Fields(string(list)) {
		pid, err := strconv.Atoi(f)
		// 0 is a process of a foreign pid namespace, and our own threads pass
		// through these groups on their way into a machine.
		if err != nil || pid == 0 || pid == os.Getpid() {
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

// joinGroups moves the calling thread into groups, so that a process it starts
// is born there. In a unified tree a thread cannot move alone: there the
// directory is given back, for SysProcAttr.CgroupFD, and the caller closes it
// (nil: no unified tree). leave moves the thread back to where it was.
func joinGroups(groups []string) (v2 *os.File, leave func(), err error) {
	var former []*os.File
	leave = func() {
		for _, f := range former {
			_, _ = f.WriteString("0")
			_ = f.Close()
		}
	}
	for _, g := range groups {
		if isV2(g) {
			if v2, err = os.Open(g); err != nil {
				return nil, leave, fmt.Errorf("open control group: %w", err)
			}
			continue
		}
		was, err := threadGroup(g)
		if err != nil {
			return v2, leave, err
		}
		former = append(former, was)
		// "0" is the writing thread itself.
		if err := os.WriteFile(filepath.Join(g, "tasks"), []byte("0"), 0o644); err != nil {
			return v2, leave, fmt.Errorf("join control group: %w", err)
		}
	}
	return v2, leave, nil
}

// threadGroup opens the "tasks" of the group that the calling thread is in, in
// the same tree as group.
func threadGroup(group string) (*os.File, error) {
	rel := strings.TrimPrefix(group, cgroupRoot+"/")
	tree, _, _ := strings.Cut(rel, "/")
	table, err := os.ReadFile("/proc/thread-self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("read own control groups: %w", err)
	}
	path := cgroupPath(string(table), tree)
	f, err := os.OpenFile(filepath.Join(cgroupRoot, tree, path, "tasks"), os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open own control group: %w", err)
	}
	return f, nil
}

// cgroupPath finds in a table of proc_pid_cgroup(5) the path in one tree: a
// controller's, "systemd" for the named one, "unified" for the unified one.
func cgroupPath(table, tree string) string {
	for line := range strings.Lines(table) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		names := strings.Split(f[1], ",")
		switch {
		case tree == "unified" && f[0] == "0",
			tree == "systemd" && slices.Contains(names, "name=systemd"),
			slices.Contains(names, tree):
			return f[2]
		}
	}
	return "/"
}

// guestGroups makes, beside the groups that the machine's own systemd runs its
// units in, one for what is started from outside, so that it is not taken for
// part of any unit.
func guestGroups(leader int) ([]string, error) {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", leader))
	if err != nil {
		return nil, fmt.Errorf("read the machine's control groups: %w", err)
	}
	trees := map[string]string{"systemd": cgroupRoot + "/systemd", "unified": cgroupRoot + "/unified"}
	if unified() {
		trees = map[string]string{"unified": cgroupRoot}
	}
	var groups []string
	for name, dir := range trees {
		path := cgroupPath(string(table), name)
		if !strings.Contains(path, groupName) {
			continue
		}
		g := filepath.Join(dir, strings.TrimSuffix(path, "/init.scope"), "guest")
		if err := os.MkdirAll(g, 0o755); err != nil {
			return nil, fmt.Errorf("make control group: %w", err)
		}
		groups = append(groups, g)
	}
	return groups, nil
}
