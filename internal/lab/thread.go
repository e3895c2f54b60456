package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// onThread runs f in a new goroutine that has a thread to itself, which ends
// with f: whatever f does to the thread (namespaces, root, capabilities) is
// nobody else's afterwards. It is never the main thread, which cannot end and
// whose state is what /proc/self shows.
func onThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != os.Getpid() {
			f()
			return
		}
		// Holding the main thread keeps the next try off it.
		done := make(chan struct{})
		onThread(func() { defer close(done); f() })
		<-done
		runtime.UnlockOSThread()
	}()
}

// startInside starts cmd inside the machine with that leader, from the calling
// thread, which is spent afterwards. The process is a child of this process, so
// it is signalled and waited for like any other; it has the machine's
// namespaces, root and capabilities, in groups of the machine.
func startInside(leader int, groups []string, cmd *exec.Cmd) error {
	pidfd, err := unix.PidfdOpen(leader, 0)
	if err != nil {
		return fmt.Errorf("open process %d: %w", leader, err)
	}
	defer func() { _ = unix.Close(pidfd) }()
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", leader), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the machine's root: %w", err)
	}
	defer func() { _ = unix.Close(root) }()
	bounds, err := capabilityBounds(leader)
	if err != nil {
		return err
	}
	v2, leave, err := joinGroups(groups)
	defer leave()
	if err != nil {
		return err
	}
	if v2 != nil {
		defer func() { _ = v2.Close() }()
		cmd.SysProcAttr.UseCgroupFD = true
		cmd.SysProcAttr.CgroupFD = int(v2.Fd())
	}
	if err := enter(pidfd, root, bounds); err != nil {
		return err
	}
	if cmd.Path, err = lookPath(cmd.Args[0]); err != nil {
		return err
	}
	return cmd.Start()
}

// enter moves the calling thread into the namespaces and the root of a machine.
func enter(pidfd, root int, bounds uint64) error {
	// The kernel lets a thread change its mount namespace only when it shares
	// its root and directory with no other thread.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the thread's root: %w", err)
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
		unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP
	if err := unix.Setns(pidfd, all); err != nil {
		return fmt.Errorf("enter the machine's namespaces: %w", err)
	}
	if err := unix.Fchdir(root); err != nil {
		return fmt.Errorf("enter the machine's root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("enter the machine's root: %w", err)
	}
	for c := range 64 {
		if bounds&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // the kernel knows no capability beyond
		} else if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

// capabilityBounds reads what the processes of a machine can have at most.
func capabilityBounds(leader int) (uint64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", leader))
	if err != nil {
		return 0, fmt.Errorf("read the machine's capabilities: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			return strconv.ParseUint(strings.TrimSpace(v), 16, 64)
		}
	}
	return 0, fmt.Errorf("read the machine's capabilities: no CapBnd in the status of process %d", leader)
}

// searchPath is the PATH of what runs inside, the one Debian gives root.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookPath finds a program in the calling thread's root.
func lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for dir := range strings.SplitSeq(searchPath, ":") {
		p := dir + "/" + name
		if s, err := os.Stat(p); err == nil && s.Mode().IsRegular() && s.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// ownSession keeps a terminal's signals from a process and gives it a process
// group to be killed as one.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
