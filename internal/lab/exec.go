package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cmd is a program to run inside a machine, as root.
type Cmd struct {
	Argv  []string // a bare name is looked up inside
	Env   []string // NAME=value, on top of PATH, HOME, LANG and TERM; nothing of the host's
	Dir   string   // "": /
	Stdin io.Reader

	// Stdout and Stderr, when not nil, get the output as it comes; Run's Result
	// then has none of it.
	Stdout, Stderr io.Writer
}

// Result is how a program ended.
type Result struct {
	Stdout string
	Stderr string
	Code   int // its exit code, or 128 plus the signal that ended it, as a shell has it
}

// Process is a program that runs inside a machine.
type Process struct {
	pid    int
	signal func(os.Signal) error // to the program alone
	kill   func() error          // the program and everything in its process group

	ended chan struct{}
	code  int   // valid once ended is closed, like err
	err   error // why the code is not known
}

// Exec runs a program inside the machine and waits for it. A program that ran
// and failed is no error: see Result.Code. When the context ends, the program
// and everything in its process group is killed.
func (m *Machine) Exec(ctx context.Context, argv ...string) (Result, error) {
	return m.Run(ctx, Cmd{Argv: argv})
}

// Run is Exec with a say in how.
func (m *Machine) Run(ctx context.Context, c Cmd) (Result, error) {
	return runProgram(ctx, m.Name, c, m.Start)
}

// runProgram starts a program and waits for it.
func runProgram(ctx context.Context, machine string, c Cmd, start func(context.Context, Cmd) (*Process, error)) (Result, error) {
	var out, errs bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &out
	}
	if c.Stderr == nil {
		c.Stderr = &errs
	}
	p, err := start(ctx, c)
	if err != nil {
		return Result{}, err
	}
	code, err := p.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("run %s in %s: %w", strings.Join(c.Argv, " "), machine, err)
	}
	return Result{Stdout: out.String(), Stderr: errs.String(), Code: code}, err
}

// Start starts a program inside the machine. When the context ends, the program
// and everything in its process group is killed.
func (m *Machine) Start(ctx context.Context, c Cmd) (*Process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("start a program without a name")
	}
	b, err := m.current()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Err = nil // it was looked for on the host; what counts is found inside
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Env = append(programEnv(), c.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.SysProcAttr = ownSession()
	cmd.Cancel = func() error { return killSession(cmd.Process.Pid) }
	// A process left in the background may hold the pipes; its parent has ended.
	cmd.WaitDelay = 2 * time.Second
	started := make(chan error, 1)
	onThread(func() { started <- startInside(b.leader, b.groups, cmd) })
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s in %s: %w", c.Argv[0], m.Name, err)
	}
	pid := cmd.Process.Pid
	p := &Process{
		pid: pid, signal: cmd.Process.Signal, kill: func() error { return killSession(pid) },
		ended: make(chan struct{}),
	}
	// Reaped here and not in Wait, which may never be called: the kernel does
	// not end a machine's process 1 before every process of the machine is reaped.
	go func() {
		p.code, p.err = exitCode(cmd, cmd.Wait())
		close(p.ended)
	}()
	return p, nil
}

// Pid is the process id on the host; 0 when the host has no process of it.
func (p *Process) Pid() int { return p.pid }

// Signal sends a signal to the program alone.
func (p *Process) Signal(sig os.Signal) error { return p.signal(sig) }

// Kill kills the program and everything in its process group at once.
func (p *Process) Kill() error { return p.kill() }

// Wait waits for the program to end and gives its exit code, as in Result.
func (p *Process) Wait() (int, error) {
	<-p.ended
	return p.code, p.err
}

// programEnv is what every program inside has in its environment.
func programEnv() []string {
	return []string{"PATH=" + searchPath, "HOME=/root", "USER=root", "LANG=C.UTF-8", "TERM=dumb"}
}

// killSession kills the session that a process leads.
func killSession(pid int) error {
	err := unix.Kill(-pid, unix.SIGKILL)
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// exitCode tells how a process ended that was waited for with err.
func exitCode(cmd *exec.Cmd, err error) (int, error) {
	if _, exited := errors.AsType[*exec.ExitError](err); exited || errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	// The caller's context decides whether its end is an error.
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	state := cmd.ProcessState
	if state == nil {
		return -1, err
	}
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal()), err
	}
	return state.ExitCode(), err
}

// Journal is the text of a unit's journal ("": of the whole machine's), also
// while the machine is off.
func (m *Machine) Journal(ctx context.Context, unit string) (string, error) {
	args := []string{"--no-pager", "--quiet", "--output=short-precise"}
	if unit != "" {
		args = append(args, "--unit="+unit)
	}
	if _, err := m.current(); err == nil {
		// What was written before this call must be in the answer.
		if _, err := m.Exec(ctx, "journalctl", "--sync"); err != nil {
			return "", err
		}
		r, err := m.Exec(ctx, append([]string{"journalctl"}, args...)...)
		return r.Stdout, err
	}
	args = append(args, "--directory="+m.Path("/var/log/journal"))
	out, err := exec.CommandContext(ctx, "journalctl", args...).Output()
	if err != nil {
		return "", fmt.Errorf("read the journal of %s: %w", m.Name, err)
	}
	return string(out), nil
}
