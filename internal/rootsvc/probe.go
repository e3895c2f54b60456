package rootsvc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// ProbeSocket is where the prober listens: for root alone.
const ProbeSocket = "/run/landfast/probe.sock"

// probeLimit bounds one connection of the prober.
const probeLimit = time.Minute

// Prober is the health.Dialer of the root service, which has no network: it has
// connections made by landfast-probe@.service, a process without any rights, and sees
// but the bytes. UNIX sockets it connects to itself.
type Prober struct {
	// Dial connects to the prober; nil: to ProbeSocket.
	Dial func(ctx context.Context) (net.Conn, error)
}

// DialContext opens a connection to an address of the network.
func (p *Prober) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	dial := p.Dial
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", ProbeSocket)
		}
	}
	c, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach the prober: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	answer := ""
	if _, err = io.WriteString(c, address+"\n"); err == nil {
		answer, err = readLine(c)
	}
	if !stop() && ctx.Err() != nil {
		return nil, errors.Join(context.Cause(ctx), c.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dial %s %s: %w", network, address, err), c.Close())
	}
	if why, failed := strings.CutPrefix(answer, "error "); failed {
		return nil, errors.Join(errors.New(why), c.Close())
	}
	return c, nil
}

// FreePort finds a port of the loopback address that nobody has, in the network of the
// host.
func (p *Prober) FreePort() (int, error) {
	text, err := p.ask("free")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return strconv.Atoi(text)
}

// PortFree reports whether nobody has a port of the loopback address.
func (p *Prober) PortFree(port int) bool {
	_, err := p.ask("bind " + strconv.Itoa(port))
	return err == nil
}

// ask puts a question to the prober that it answers with one line.
func (p *Prober) ask(question string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit) //nolint:forbidigo // the engine gives none
	defer cancel()
	c, err := p.DialContext(ctx, "tcp", question)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	return readLine(c)
}

// bind takes a port of the loopback address (0: any), gives it back and tells which it
// was.
func bind(ctx context.Context, c io.Writer, port string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		_, werr := io.WriteString(c, "error "+strings.ReplaceAll(err.Error(), "\n", " ")+"\n")
		return werr
	}
	_, number, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return err
	}
	_, err = io.WriteString(c, "ok\n"+number+"\n")
	return err
}

// ServeProbe connects to the address that c names and passes bytes on, both ways, until
// either side ends. It closes c.
func ServeProbe(ctx context.Context, c net.Conn) error {
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	address, err := readLine(c)
	if err != nil {
		return fmt.Errorf("read what to probe: %w", err)
	}
	if address == "free" {
		return bind(ctx, c, "0")
	}
	if port, ok := strings.CutPrefix(address, "bind "); ok {
		return bind(ctx, c, port)
	}
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		_, werr := io.WriteString(c, "error "+strings.ReplaceAll(err.Error(), "\n", " ")+"\n")
		return werr
	}
	defer func() { _ = to.Close() }()
	if _, err := io.WriteString(c, "ok\n"); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(to, c) // whoever asks may end when it likes
		_ = to.Close()
	}()
	_, _ = io.Copy(c, to)
	_ = c.Close()
	<-ended
	return nil
}

// readLine reads a short line, and nothing behind it.
func readLine(r io.Reader) (string, error) {
	var text []byte
	one := make([]byte, 1)
	for len(text) < 1024 {
		if _, err := io.ReadFull(r, one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return string(text), nil
		}
		text = append(text, one[0])
	}
	return "", errors.New("the line is too long")
}
