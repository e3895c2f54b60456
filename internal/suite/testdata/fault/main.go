//go:build linux && amd64

// Command fault runs a program and lets its changes to the disk go wrong:
//
//	fault [-kill | -full | -once] -at N PROGRAM ARG...
//
// Every system call of the program and of its children that changes something
// below the directories of -below is counted, in the order in which they happen.
// From the Nth on (-full), or at the Nth alone (-once), what needs room on the disk
// fails with "no space left on device", and what flushes it with an I/O error; with
// -kill the whole program is killed before it does its Nth change. The last line it
// prints on stderr is "fault: COUNT changes, FAILED failed: WHICH".
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	t := &tracer{tasks: map[int]*task{}}
	flag.BoolVar(&t.kill, "kill", false, "kill the program before its change `N`")
	flag.BoolVar(&t.full, "full", false, "the disk is full from change N on")
	flag.BoolVar(&t.once, "once", false, "change N fails")
	flag.IntVar(&t.at, "at", 0, "which change")
	below := flag.String("below", "/srv:/etc:/var/lib/landfast:/run/systemd/system:/run/landfast", "directories")
	flag.Parse()
	t.below = strings.Split(*below, ":")
	code, err := t.run(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "fault:", err)
		os.Exit(99)
	}
	fmt.Fprintf(os.Stderr, "fault: %d changes, %d failed: %s\n", t.count, t.failed, t.which)
	os.Exit(code)
}

type tracer struct {
	kill, full, once bool
	at               int
	below            []string

	root   int
	tasks  map[int]*task
	count  int
	failed int
	which  string // the first one that failed, or before which it was killed
}

// task is one thread of the program.
type task struct {
	inside bool  // between the entry and the end of a system call
	inject int64 // the error that this call ends with
}

func (t *tracer) run(argv []string) (int, error) {
	runtime.LockOSThread() // one thread is the tracer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	t.root = cmd.Process.Pid
	var ws unix.WaitStatus
	if _, err := unix.Wait4(t.root, &ws, 0, nil); err != nil {
		return 0, err
	}
	options := unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
		unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(t.root, options); err != nil {
		return 0, err
	}
	t.tasks[t.root] = &task{}
	if err := unix.PtraceSyscall(t.root, 0); err != nil {
		return 0, err
	}
	return t.loop()
}

// loop serves one stop after the other until the program has ended.
func (t *tracer) loop() (int, error) {
	code := 0
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return code, nil
		case err != nil:
			return 0, err
		case ws.Exited() || ws.Signaled():
			delete(t.tasks, pid)
			if pid == t.root {
				if code = ws.ExitStatus(); ws.Signaled() {
					code = 128 + int(ws.Signal())
				}
			}
			continue
		}
		signal := 0
		switch stop := ws.StopSignal(); {
		case stop == unix.SIGTRAP|0x80:
			t.syscall(pid)
		case stop == unix.SIGTRAP && ws.TrapCause() > 0: // a new thread, an exec
		case stop == unix.SIGSTOP && t.tasks[pid] == nil: // a new thread begins
		default:
			signal = int(stop)
		}
		if t.tasks[pid] == nil {
			t.tasks[pid] = &task{}
		}
		// One that was killed meanwhile is reported by the next wait.
		_ = unix.PtraceSyscall(pid, signal)
	}
}

// syscall serves the entry or the end of a system call.
func (t *tracer) syscall(pid int) {
	k := t.tasks[pid]
	if k == nil {
		k = &task{}
		t.tasks[pid] = k
	}
	k.inside = !k.inside
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(pid, &regs) != nil {
		return
	}
	if !k.inside {
		if k.inject != 0 {
			regs.Rax = uint64(-k.inject)
			_ = unix.PtraceSetRegs(pid, &regs)
			k.inject = 0
		}
		return
	}
	name, path, fails := t.change(pid, &regs)
	if name == "" || !t.counts(path) {
		return
	}
	if !t.kill && fails == 0 {
		return
	}
	t.count++
	hit := t.count == t.at || t.full && t.at > 0 && t.count >= t.at
	if !hit {
		return
	}
	if t.failed++; t.failed == 1 {
		t.which = name + " " + path
	}
	if t.kill {
		_ = unix.Kill(t.root, unix.SIGKILL)
		return
	}
	regs.Orig_rax = ^uint64(0) // no system call
	k.inject = int64(fails)
	_ = unix.PtraceSetRegs(pid, &regs)
}

func (t *tracer) counts(path string) bool {
	for _, dir := range t.below {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// change tells what a system call would change, and with which error it fails when
// the disk is full; 0: it needs no room.
func (t *tracer) change(pid int, r *unix.PtraceRegs) (name, path string, fails unix.Errno) {
	switch r.Orig_rax {
	case unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_SENDFILE:
		return "write", fdPath(pid, r.Rdi), unix.ENOSPC
	case unix.SYS_COPY_FILE_RANGE:
		return "copy_file_range", fdPath(pid, r.Rdx), unix.ENOSPC
	case unix.SYS_FALLOCATE:
		return "fallocate", fdPath(pid, r.Rdi), unix.ENOSPC
	case unix.SYS_FTRUNCATE:
		return "ftruncate", fdPath(pid, r.Rdi), 0
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS:
		return "fsync", fdPath(pid, r.Rdi), unix.EIO
	case unix.SYS_OPENAT:
		if r.Rdx&unix.O_CREAT == 0 {
			return "", "", 0
		}
		path := atPath(pid, r.Rdi, r.Rsi)
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/root%s", pid, path)); err == nil {
			return "", "", 0 // nothing is made
		}
		return "create", path, unix.ENOSPC
	case unix.SYS_MKDIRAT:
		return "mkdir", atPath(pid, r.Rdi, r.Rsi), unix.ENOSPC
	case unix.SYS_MKDIR:
		return "mkdir", atPath(pid, atCwd, r.Rdi), unix.ENOSPC
	case unix.SYS_SYMLINKAT:
		return "symlink", atPath(pid, r.Rsi, r.Rdx), unix.ENOSPC
	case unix.SYS_LINKAT:
		return "link", atPath(pid, r.Rdx, r.R10), unix.ENOSPC
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return "rename", atPath(pid, r.Rdx, r.R10), unix.ENOSPC
	case unix.SYS_RENAME:
		return "rename", atPath(pid, atCwd, r.Rsi), unix.ENOSPC
	case unix.SYS_UNLINKAT:
		return "unlink", atPath(pid, r.Rdi, r.Rsi), 0
	case unix.SYS_UNLINK, unix.SYS_RMDIR:
		return "unlink", atPath(pid, atCwd, r.Rdi), 0
	case unix.SYS_FCHMOD, unix.SYS_FCHOWN:
		return "chmod", fdPath(pid, r.Rdi), 0
	case unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT:
		return "chmod", atPath(pid, r.Rdi, r.Rsi), 0
	}
	return "", "", 0
}

var atCwd = func() uint64 { fd := int64(unix.AT_FDCWD); return uint64(fd) }()

// fdPath is what a descriptor of the program is open on.
func fdPath(pid int, fd uint64) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, int32(fd)))
	if err != nil {
		return ""
	}
	return path
}

// atPath is the path that the program gives with a directory.
func atPath(pid int, dir, addr uint64) string {
	name := text(pid, addr)
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	top := fmt.Sprintf("/proc/%d/cwd", pid)
	if int32(dir) != unix.AT_FDCWD {
		top = fmt.Sprintf("/proc/%d/fd/%d", pid, int32(dir))
	}
	base, err := os.Readlink(top)
	if err != nil {
		return ""
	}
	return filepath.Join(base, name)
}

// text reads a string of the program that ends in a zero.
func text(pid int, addr uint64) string {
	var all []byte
	for len(all) < unix.PathMax {
		var word [8]byte
		n, err := unix.PtracePeekData(pid, uintptr(addr)+uintptr(len(all)), word[:])
		if err != nil {
			return ""
		}
		for i, b := range word[:n] {
			if b == 0 {
				return string(append(all, word[:i]...))
			}
		}
		all = append(all, word[:n]...)
	}
	return ""
}
