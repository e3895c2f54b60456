package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// Serve answers requests until l is closed.
func Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go func() {
			defer func() { _ = c.Close() }()
			answer(c)
		}()
	}
}

// answer does what one connection asks for. What fails is told to the caller, who
// alone can do something about it.
func answer(raw net.Conn) {
	c := &Conn{Reader: raw, Writer: raw}
	var req Request
	if err := c.ReceiveJSON(FrameRequest, &req); err != nil {
		_ = c.SendJSON(FrameAnswer, Answer{Error: err.Error()})
		return
	}
	if req.Network != "" {
		connect(raw, c, req)
		return
	}
	run(c, req)
}

// connect joins the connection with one to a socket of the machine.
func connect(raw net.Conn, c *Conn, req Request) {
	to, err := (&net.Dialer{Timeout: 10 * time.Second}).Dial(req.Network, req.Address) //nolint:noctx // bounded by its timeout
	if err != nil {
		_ = c.SendJSON(FrameAnswer, Answer{Error: err.Error()})
		return
	}
	defer func() { _ = to.Close() }()
	if err := c.SendJSON(FrameAnswer, Answer{}); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyHalf(to, raw)
	}()
	copyHalf(raw, to)
	<-done
}

// copyHalf copies one direction and hands on its end. After a failure both ends
// are of no use.
func copyHalf(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

// run runs a program and tells what it writes and how it ends.
func run(c *Conn, req Request) {
	if len(req.Argv) == 0 {
		_ = c.SendJSON(FrameAnswer, Answer{Error: "a program without a name"})
		return
	}
	cmd := exec.Command(req.Argv[0], req.Argv[1:]...) //nolint:noctx // ends with its connection
	cmd.Env, cmd.Dir = req.Env, req.Dir
	cmd.Stdout, cmd.Stderr = c.Stream(FrameStdout), c.Stream(FrameStderr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// A process left in the background may hold the pipes; its parent has ended.
	cmd.WaitDelay = 2 * time.Second
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_ = c.SendJSON(FrameAnswer, Answer{Error: err.Error()})
		return
	}
	ended := make(chan struct{})
	if err := c.SendJSON(FrameAnswer, Answer{}); err == nil {
		go follow(c, cmd, in, ended)
	}
	_ = cmd.Wait() // how it ended is in its state
	close(ended)
	_ = c.Send(FrameExit, []byte{exitCode(cmd)})
}

// follow hands on input and signals, and kills the program when the caller is gone.
func follow(c *Conn, cmd *exec.Cmd, in io.WriteCloser, ended <-chan struct{}) {
	for {
		kind, data, err := c.Receive()
		switch {
		case err != nil:
			select {
			case <-ended: // what it left in the background may stay
			default:
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			}
			_ = in.Close()
			return
		case kind == FrameStdin && len(data) == 0:
			_ = in.Close()
		case kind == FrameStdin:
			// A program that does not read its input ends nevertheless.
			_, _ = in.Write(data)
		case kind == FrameSignal && len(data) == 1:
			_ = cmd.Process.Signal(syscall.Signal(data[0]))
		}
	}
}

func exitCode(cmd *exec.Cmd) byte {
	if cmd.ProcessState == nil {
		return 255
	}
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return byte(128 + int(s.Signal()))
	}
	return byte(cmd.ProcessState.ExitCode())
}
