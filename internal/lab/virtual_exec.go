package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/landfast/landfast/internal/lab/agent"
)

// Exec runs a program inside the machine and waits for it, as Machine.Exec does.
func (v *Virtual) Exec(ctx context.Context, argv ...string) (Result, error) {
	return v.Run(ctx, Cmd{Argv: argv})
}

// Run is Exec with a say in how.
func (v *Virtual) Run(ctx context.Context, c Cmd) (Result, error) {
	return runProgram(ctx, v.Name, c, v.Start)
}

// Start starts a program inside the machine. When the context ends, the program
// and everything in its process group is killed. When the machine loses its power
// first, Wait tells so with an error.
func (v *Virtual) Start(ctx context.Context, c Cmd) (*Process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("start a program without a name")
	}
	b, err := v.current()
	if err != nil {
		return nil, err
	}
	p, err := b.begin(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("start %s in %s: %w", c.Argv[0], v.Name, err)
	}
	return p, nil
}

// begin asks the agent for a program.
func (b *virtualBoot) begin(ctx context.Context, c Cmd) (*Process, error) {
	dir := c.Dir
	if dir == "" {
		dir = "/"
	}
	conn, wire, err := b.ask(ctx, agent.Request{Argv: c.Argv, Env: append(programEnv(), c.Env...), Dir: dir})
	if err != nil {
		return nil, err
	}
	p := &Process{ended: make(chan struct{}), code: -1}
	p.kill = func() error {
		b.drop(conn)
		return nil
	}
	p.signal = func(sig os.Signal) error {
		n, ok := sig.(syscall.Signal)
		if !ok {
			return fmt.Errorf("send signal %v", sig)
		}
		return wire.Send(agent.FrameSignal, []byte{byte(n)})
	}
	stop := context.AfterFunc(ctx, func() { _ = p.Kill() })
	go feed(wire, c.Stdin)
	go func() {
		defer close(p.ended)
		defer b.drop(conn)
		defer stop()
		p.code, p.err = follow(wire, c)
		if p.err != nil && ctx.Err() == nil && b.powerless() {
			p.err = errPowerless(b.name)
		} else if ctx.Err() != nil {
			p.err = nil // the caller's context decides whether its end is an error
		}
	}()
	return p, nil
}

func (b *virtualBoot) powerless() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conns == nil
}

// ask connects to the agent and makes a request, which it has accepted.
func (b *virtualBoot) ask(ctx context.Context, req agent.Request) (net.Conn, *agent.Conn, error) {
	conn, err := b.dialAgent(ctx)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	wire := &agent.Conn{Reader: conn, Writer: conn}
	var got agent.Answer
	err = wire.SendJSON(agent.FrameRequest, req)
	if err == nil {
		err = wire.ReceiveJSON(agent.FrameAnswer, &got)
	}
	if err == nil && got.Error != "" {
		err = errors.New(got.Error)
	}
	if err != nil {
		b.drop(conn)
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, nil, err
	}
	return conn, wire, nil
}

// feed hands on the input of a program; it ends with it or with the connection.
func feed(wire *agent.Conn, in io.Reader) {
	if in != nil {
		// The program decides what an input cut short means to it.
		_, _ = io.Copy(wire.Stream(agent.FrameStdin), in)
	}
	_ = wire.Send(agent.FrameStdin, nil)
}

// follow hands on the output of a program and gives its exit code.
func follow(wire *agent.Conn, c Cmd) (int, error) {
	for {
		kind, data, err := wire.Receive()
		if err != nil {
			return -1, err
		}
		var to io.Writer
		switch kind {
		case agent.FrameStdout:
			to = c.Stdout
		case agent.FrameStderr:
			to = c.Stderr
		case agent.FrameExit:
			if len(data) != 1 {
				return -1, errors.New("an exit code of no byte")
			}
			return int(data[0]), nil
		}
		if to != nil {
			if _, err := to.Write(data); err != nil {
				return -1, err
			}
		}
	}
}

// Dial connects to an address inside the machine: "tcp" with an address as the
// machine would have it, or "unix" with a path.
func (v *Virtual) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	b, err := v.current()
	if err != nil {
		return nil, err
	}
	conn, _, err := b.ask(ctx, agent.Request{Network: network, Address: addr})
	if err != nil {
		return nil, fmt.Errorf("dial %s in %s: %w", addr, v.Name, err)
	}
	return dialled{Conn: conn, boot: b}, nil
}

// dialled is a connection that is forgotten when it is closed.
type dialled struct {
	net.Conn
	boot *virtualBoot
}

func (d dialled) Close() error {
	d.boot.drop(d.Conn)
	return nil
}

// CloseWrite ends one direction.
func (d dialled) CloseWrite() error {
	if half, ok := d.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// HTTP is a client whose connections are made inside the machine, as Machine.HTTP.
func (v *Virtual) HTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: v.Dial, MaxIdleConnsPerHost: 1000, DisableCompression: true}}
}

// ReadFile reads a file of the machine.
func (v *Virtual) ReadFile(p string) ([]byte, error) {
	r, err := v.short("cat", "--", p)
	return []byte(r.Stdout), err
}

// WriteFile writes a file of the machine, with exactly that mode, and makes the
// directories above it where they are missing. It is not synced: a Cut may take it.
func (v *Virtual) WriteFile(p string, data []byte, mode os.FileMode) error {
	const script = `mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"`
	ctx, cancel := context.WithTimeout(context.Background(), virtualLimit) //nolint:forbidigo // as os.WriteFile, it has no context
	defer cancel()
	r, err := v.Run(ctx, Cmd{Argv: []string{"sh", "-c", script, "sh", p, fmt.Sprintf("%o", mode)}, Stdin: bytes.NewReader(data)})
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("write %s in %s: %s", p, v.Name, strings.TrimSpace(r.Stderr))
	}
	return err
}

// short runs a program that must succeed.
func (v *Virtual) short(argv ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), virtualLimit) //nolint:forbidigo // as the functions of os, it has no context
	defer cancel()
	r, err := v.Exec(ctx, argv...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("%s in %s: %s", strings.Join(argv, " "), v.Name, strings.TrimSpace(r.Stderr))
	}
	return r, err
}

// Journal is the text of a unit's journal ("": of the whole machine's). The
// machine must be on.
func (v *Virtual) Journal(ctx context.Context, unit string) (string, error) {
	args := []string{"journalctl", "--no-pager", "--quiet", "--output=short-precise"}
	if unit != "" {
		args = append(args, "--unit="+unit)
	}
	if _, err := v.Exec(ctx, "journalctl", "--sync"); err != nil {
		return "", err
	}
	r, err := v.Exec(ctx, args...)
	return r.Stdout, err
}
