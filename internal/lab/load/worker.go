package load

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// mostRead is how much of a body is looked at for a version; the rest is read
// and forgotten.
const mostRead = 64 << 10

// worker is one client.
type worker struct {
	run   *Run
	way   Way
	index int      // of the way
	page  string   // its URL
	conn  net.Conn // kept, or nil
	in    *bufio.Reader
}

func (w *worker) work() {
	defer w.drop()
	for w.run.begin() {
		began := time.Now()
		version, err := w.ask()
		w.run.count(began, outcome{way: w.index, method: w.way.Method, version: version, err: err})
		if err != nil || !w.way.Keep {
			w.drop()
		}
		if !w.run.pause() {
			return
		}
	}
}

// ask sends one request and reads its answer.
func (w *worker) ask() (version string, err error) {
	// Not bounded by the run: a request that has begun is given its time, or the
	// end of the run would look like a failure of the server.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.run.ctx), w.run.o.Timeout)
	defer cancel()
	if err := w.connect(ctx); err != nil {
		return "", err
	}
	var body io.Reader
	if w.way.Body != "" {
		body = strings.NewReader(w.way.Body)
	}
	req, err := http.NewRequestWithContext(ctx, w.way.Method, w.page, body)
	if err != nil {
		return "", err
	}
	req.Close = !w.way.Keep
	if err := req.Write(w.conn); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(w.in, req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, mostRead))
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return "", err
	}
	if res.Close {
		w.drop()
	}
	version = w.run.o.Version(res.Header, text)
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return version, statusError(res.StatusCode)
	}
	if !bytes.HasSuffix(text, []byte(w.way.End)) {
		return version, errCut
	}
	return version, nil
}

// connect makes a connection, unless one was kept that the server has not
// closed meanwhile: a server may close what is idle at any time.
func (w *worker) connect(ctx context.Context) error {
	if w.conn != nil && closed(w.conn) {
		w.drop()
	}
	if w.conn == nil {
		c, err := w.run.o.Dial(ctx, "tcp", w.run.host)
		if err != nil {
			return err
		}
		w.conn, w.in = c, bufio.NewReader(c)
	}
	deadline, _ := ctx.Deadline()
	return w.conn.SetDeadline(deadline)
}

func (w *worker) drop() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn, w.in = nil, nil
	}
}

// closed tells, without waiting, whether the other side has ended an idle
// connection, or sent what nobody asked for.
func closed(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = err != unix.EAGAIN
		return true
	})
	return gone || err != nil
}
