// Package attach connects the standard streams of this process with those of a
// unit that systemd is about to start: through pipes, or through a terminal of its
// own. It starts nothing; the directives that it gives go into the unit's text.
//
// What it makes in the file system lies in a directory that only root can enter,
// and is gone when the attachment is closed.
package attach

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Streams are the standard streams to connect.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Attachment is a connection between our streams and those of one unit. The unit
// is started after Directives and before Close.
type Attachment struct {
	directives []landfast.Directive
	stop       []func() // in order, when the unit has ended
	copying    sync.WaitGroup
}

// Directives go into the unit's [Service] section.
func (a *Attachment) Directives() []landfast.Directive { return a.directives }

// Close waits until everything that the unit wrote has been copied, and removes
// what the attachment made. It is called when the unit has ended.
func (a *Attachment) Close() {
	for _, f := range a.stop {
		f()
	}
	a.copying.Wait()
}

func (a *Attachment) directive(name, value string) {
	a.directives = append(a.directives, landfast.Directive{Section: "Service", Name: name, Value: value})
}

// Pipes connects plain streams: the unit writes to two pipes, and reads from a
// socket whose other end is closed when in has ended. Base is a directory that is
// made if it is missing, such as /run/landfast.
func Pipes(base string, s Streams) (a *Attachment, err error) {
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, fmt.Errorf("make a directory for the streams: %w", err)
	}
	dir, err := os.MkdirTemp(base, "attach-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make a directory for the streams: %w", err)
	}
	a = &Attachment{}
	defer func() {
		if err != nil {
			a.Close()
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := a.input(filepath.Join(dir, "in"), s.In); err != nil {
		return a, err
	}
	if err := a.output("StandardOutput", filepath.Join(dir, "out"), s.Out); err != nil {
		return a, err
	}
	if err := a.output("StandardError", filepath.Join(dir, "err"), s.Err); err != nil {
		return a, err
	}
	a.stop = append(a.stop, func() { _ = os.RemoveAll(dir) }) // in /run, gone with the next boot at the latest
	return a, nil
}

// input is a socket, because its other end can tell when the unit has opened it:
// closing a pipe before that would leave the unit waiting for a writer.
func (a *Attachment) input(path string, in io.Reader) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("make the input: %w", err)
	}
	a.directive("StandardInput", "file:"+path)
	var conn net.Conn
	var mu sync.Mutex
	closed := false
	// What is read from in cannot be waited for: it may be a terminal on which nobody types.
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		mu.Lock()
		conn = c
		if closed {
			_ = c.Close()
		}
		mu.Unlock()
		_, _ = io.Copy(c, in) // the unit may stop reading when it likes
		if u, ok := c.(*net.UnixConn); ok {
			_ = u.CloseWrite()
		}
	}()
	a.stop = append(a.stop, func() {
		mu.Lock()
		defer mu.Unlock()
		closed = true
		_ = l.Close()
		if conn != nil {
			_ = conn.Close()
		}
	})
	return nil
}

// output is a pipe that we keep open for writing until the unit has ended, so that
// the end of the first writer is not taken for the end of all.
func (a *Attachment) output(directive, path string, out io.Writer) error {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open a pipe: %w", err)
	}
	w, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return errors.Join(fmt.Errorf("open a pipe: %w", err), r.Close())
	}
	a.directive(directive, "file:"+path)
	a.copying.Go(func() {
		_, err := io.Copy(out, r)
		if err != nil {
			_, _ = io.Copy(io.Discard, r) // our reader has gone; the unit must not block
		}
		_ = r.Close()
	})
	a.stop = append(a.stop, func() { _ = w.Close() })
	return nil
}
