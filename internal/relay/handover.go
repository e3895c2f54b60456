package relay

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// takeOverEnv names the descriptor over which a process takes over.
const takeOverEnv = "LANDFAST_RELAY_TAKEOVER"

// patience is how long the other process may take for each answer.
const patience = 10 * time.Second

// Successor says how the process is started that takes over.
type Successor struct {
	Path string   // of the program
	Args []string // with the program's name
	Env  []string
	// Moved is called with the process when it has taken over, before Run returns.
	Moved func(pid int)
}

// HandOver starts another process and hands everything over to it: the sockets, and
// the connections as they are. For the time from its first word to its last, some
// milliseconds, nothing is relayed; what comes waits in the kernel. It blocks until
// then, and Run returns. When the other process fails before it has taken over, this
// one goes on as if nothing had been, and the error says why.
func (r *Relay) HandOver(s Successor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending {
		return errors.New("hand over: the relay is ending")
	}
	if _, err := exec.LookPath(s.Path); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	defer sysClose(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "handover")
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
	)
	if err != nil {
		_ = theirs.Close() // nothing was written
		return fmt.Errorf("hand over: %w", err)
	}
	// A shell that ends at once is in between, so that the other process is a child of
	// process 1: systemd would not wait for the end of a main process that is none of
	// its own, but kill it.
	cmd := &exec.Cmd{
		Path: "/bin/sh", Args: append([]string{"sh", "-c", `"$0" "$@" &`, s.Path}, s.Args[1:]...), Stdout: os.Stdout, Stderr: os.Stderr,
		Env:        append(s.Env, takeOverEnv+"=3"),
		ExtraFiles: []*os.File{theirs},
	}
	err = cmd.Run()
	_ = theirs.Close() // it is the other process's
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if err := r.handOver(wire{pair[0]}, s.Moved); err != nil {
		return fmt.Errorf("hand over to %s: %w", s.Path, err) // it ends when it sees that nobody is there
	}
	return nil
}

// handOver does the relay's part of the conversation.
func (r *Relay) handOver(w wire, moved func(pid int)) error {
	buf := make([]byte, largest)
	m, _, err := w.receive(buf)
	if err != nil {
		return err
	}
	if !m.Hello {
		return errors.New("the program does not know how to take over")
	}
	frozen := make(chan *loop)
	verdict := make(chan bool)
	r.each(func(l *loop) {
		frozen <- l
		if <-verdict {
			l.vanish()
		}
	})
	for range r.loops {
		<-frozen
	}
	err = r.tell(w, buf)
	if err == nil {
		moved(m.PID)
		r.ending = true
		close(r.left)
	}
	for range r.loops {
		verdict <- err == nil
	}
	return err
}

// tell sends everything, and waits for the answer. The loops stand still.
func (r *Relay) tell(w wire, buf []byte) error {
	for _, s := range r.listeners {
		if err := w.send(message{Listeners: 1}, s.fd); err != nil {
			return err
		}
	}
	var m message
	var fds []int
	size := 0
	for _, l := range r.loops {
		for fd, c := range l.conns {
			if c == nil || fd != c.client.fd {
				continue
			}
			one, files := l.wireOf(c)
			if len(m.Conns) > 0 && (size+one.size() > mostBytes || len(fds)+len(files) > mostFiles) {
				if err := w.send(m, fds...); err != nil {
					return err
				}
				m.Conns, fds, size = m.Conns[:0], fds[:0], 0
			}
			m.Conns = append(m.Conns, one)
			fds = append(fds, files...)
			size += one.size()
		}
	}
	m.End = true
	if err := w.send(m, fds...); err != nil {
		return err
	}
	answer, _, err := w.receive(buf)
	if err == nil && !answer.OK {
		err = errors.New("the program did not take over")
	}
	return err
}

// vanish lets go of every connection without ending it: it is another process's.
func (l *loop) vanish() {
	for fd, c := range l.conns {
		if c == nil || fd != c.client.fd {
			continue
		}
		// A close of one of two descriptors of a socket says nothing to the other side.
		l.close(c)
	}
	l.stop()
}

// TakesOver says whether this process was started to take over.
func TakesOver(getenv func(string) string) bool { return getenv(takeOverEnv) != "" }

// TakeOver makes a relay of what another process hands over to this one; its
// listeners replace those in o. It blocks until the other one has let go.
func TakeOver(o Options, getenv func(string) string) (*Relay, error) {
	fd, err := strconv.Atoi(getenv(takeOverEnv))
	if err != nil {
		return nil, fmt.Errorf("take over: %s is not a descriptor", takeOverEnv)
	}
	w := wire{fd}
	defer sysClose(fd)
	r, err := takeOver(o, w)
	if err != nil {
		_ = w.send(message{Error: err.Error()}) // or it sees this process end
		return nil, fmt.Errorf("take over: %w", err)
	}
	return r, nil
}

func takeOver(o Options, w wire) (*Relay, error) {
	unix.CloseOnExec(w.fd)
	if err := w.send(message{Hello: true, PID: os.Getpid()}); err != nil {
		return nil, err
	}
	buf := make([]byte, largest)
	var conns []wireConn
	var files []int
	o.Listeners = nil
	for end := false; !end; {
		m, fds, err := w.receive(buf)
		if err != nil {
			closeAll(append(files, o.Listeners...))
			return nil, err
		}
		conns = append(conns, m.Conns...)
		end = m.End
		if m.Listeners > 0 {
			o.Listeners = append(o.Listeners, fds...)
		} else {
			files = append(files, fds...)
		}
	}
	n := 0
	for _, c := range conns {
		n += c.files()
	}
	if n != len(files) {
		closeAll(append(files, o.Listeners...))
		return nil, fmt.Errorf("%d descriptors came for %d connections, not %d", len(files), len(conns), n)
	}
	r, err := New(o)
	if err != nil {
		closeAll(files)
		return nil, err
	}
	now := time.Now()
	for i, c := range conns {
		l := r.loops[i%len(r.loops)]
		l.now = now
		l.adopt(c, files[:c.files()])
		files = files[c.files():]
	}
	if err := w.send(message{OK: true}); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// msec is a number of milliseconds as a duration.
func msec(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
