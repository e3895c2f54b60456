package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Process is a process of this host, as it was when it was looked at.
type Process struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`           // of its program, at most 15 characters
	Unit string `json:"unit,omitempty"` // of systemd; "": none
}

// String gives "nginx (process 12, nginx.service)".
func (p Process) String() string {
	if p.PID == 0 {
		return p.Name
	}
	if p.Unit == "" {
		return fmt.Sprintf("%s (process %d)", p.Name, p.PID)
	}
	return fmt.Sprintf("%s (process %d, %s)", p.Name, p.PID, p.Unit)
}

func processOf(pid int) Process {
	name, err := os.ReadFile(proc(pid, "comm"))
	if err != nil {
		name = []byte("a process that has ended")
	}
	_, unit := unitOf(pid)
	return Process{PID: pid, Name: strings.TrimSpace(string(name)), Unit: unit}
}

func proc(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

// unitOf gives the control group of the unit that a process is in, and the name of
// the unit; both are "" when it is in none.
func unitOf(pid int) (group, unit string) {
	text, err := os.ReadFile(proc(pid, "cgroup"))
	if err != nil {
		return "", ""
	}
	return parseGroup(string(text))
}

// parseGroup reads /proc/PID/cgroup; see cgroups(7). systemd goes by the unified
// hierarchy, or where it has one by its own; the other may be of the machine around a
// container. The one of the unit's systemd is the deeper of them.
func parseGroup(text string) (group, unit string) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 || parts[0] != "0" && parts[1] != "name=systemd" {
			continue
		}
		if g, u := unitIn(parts[2]); strings.Count(g, "/") > strings.Count(group, "/") {
			group, unit = g, u
		}
	}
	return group, unit
}

// unitIn is the unit whose control group path is, or is below; above it there may be
// a manager that is a unit, too.
func unitIn(path string) (group, unit string) {
	names := strings.Split(path, "/")
	for i := len(names) - 1; i >= 0; i-- {
		if strings.HasSuffix(names[i], ".service") || strings.HasSuffix(names[i], ".scope") {
			return strings.Join(names[:i+1], "/"), names[i]
		}
	}
	return "", ""
}

// pids are those of all processes.
func pids() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	var all []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			all = append(all, pid)
		}
	}
	return all, err
}

// Owner is whose socket is meant: that of a process or of any other in its unit, for
// a service may leave listening to processes it starts; or that of any in a unit.
type Owner struct {
	PID  int
	Unit string
}

// String gives "web@1.service" or "process 12".
func (o Owner) String() string {
	if o.Unit != "" {
		return o.Unit
	}
	return processOf(o.PID).String()
}

// members are the processes of the owner, the one that was named first.
func (o Owner) members() ([]int, error) {
	group, unit := "", o.Unit
	var members []int
	if o.PID != 0 {
		// A process that nobody has reaped yet, a zombie, has ended as well.
		stat, err := os.ReadFile(proc(o.PID, "stat"))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return nil, ended(fmt.Sprintf("process %d", o.PID))
		}
		group, unit = unitOf(o.PID)
		members = []int{o.PID}
	}
	if unit == "" || unit == "init.scope" { // the latter is systemd's own
		return members, nil
	}
	all, err := pids()
	if err != nil {
		return nil, err
	}
	for _, pid := range all {
		g, u := unitOf(pid)
		if u == unit && (group == "" || g == group) && pid != o.PID {
			members = append(members, pid)
		}
	}
	if len(members) == 0 {
		return nil, ended(o.Unit)
	}
	return members, nil
}

// inodesOf are the sockets that a process has open, by their inode, each with a file
// descriptor of it.
func inodesOf(pid int) (map[uint32]int, error) {
	dir, err := os.Open(proc(pid, "fd"))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	found := map[uint32]int{}
	for _, name := range names {
		target, err := os.Readlink(proc(pid, "fd/"+name))
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		if err != nil {
			continue // closed meanwhile
		}
		rest, ok := strings.CutPrefix(target, "socket:[")
		inode, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 32)
		fd, ferr := strconv.Atoi(name)
		if ok && err == nil && ferr == nil {
			found[uint32(inode)] = fd
		}
	}
	return found, err
}

// holding says which processes have sockets open, by inode.
type holding map[uint32][]int

// holders finds the processes that have some sockets open, but those that this
// process may not look into.
func holders(of []socket) (holding, error) {
	found := holding{}
	if len(of) == 0 {
		return found, nil
	}
	for _, s := range of {
		found[s.inode] = nil
	}
	all, err := pids()
	if err != nil {
		return nil, err
	}
	for _, pid := range all {
		open, err := inodesOf(pid)
		if err != nil {
			continue // it has ended, or is not for us to see
		}
		for inode := range open {
			if _, ok := found[inode]; ok {
				found[inode] = append(found[inode], pid)
			}
		}
	}
	return found, nil
}

// of names one process for each socket: the youngest, for systemd holds sockets for
// others.
func (h holding) of(all []socket) []Process {
	var some []Process
	for _, s := range all {
		p := Process{Name: "a process that cannot be seen"}
		if pids := h[s.inode]; len(pids) > 0 {
			p = processOf(slices.Max(pids))
		}
		if !slices.Contains(some, p) {
			some = append(some, p)
		}
	}
	return some
}

// take duplicates a socket that another process has open.
func take(pid, fd int) (int, error) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, fmt.Errorf("open process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(process) }()
	own, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return -1, fmt.Errorf("take the socket of process %d: %w", pid, err)
	}
	return own, nil
}

// errMoved: what was found a moment ago is not there now; looking again helps.
var errMoved = errors.New("the socket has been closed meanwhile")

// gone reports whether an error says that a process or one of its files is no more.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EBADF) || errors.Is(err, errMoved)
}
