package agent

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Request asks for a program, or for a connection to a socket inside.
type Request struct {
	Argv []string `json:"argv,omitempty"` // a bare name is looked up in the server's PATH
	Env  []string `json:"env,omitempty"`  // all of it
	Dir  string   `json:"dir,omitempty"`

	Network string `json:"network,omitempty"` // "tcp", "unix": no program, a connection
	Address string `json:"address,omitempty"`
}

// Answer tells whether what was asked for has begun.
type Answer struct {
	Error string `json:"error,omitempty"`
}

// Kinds of frames.
const (
	FrameRequest = 'r' // caller: a Request as JSON
	FrameAnswer  = 'a' // server: an Answer as JSON
	FrameStdin   = 'i' // caller: input of the program; empty: its end
	FrameSignal  = 's' // caller: one byte, the number of a signal
	FrameStdout  = 'o' // server
	FrameStderr  = 'e' // server
	FrameExit    = 'x' // server, the last: one byte, the exit code or 128 plus a signal
)

const longest = 1 << 20 // bytes of a frame

// Conn writes and reads frames. Writing may be done by many at once.
type Conn struct {
	io.Reader
	io.Writer
	mu sync.Mutex
}

// Send writes one frame.
func (c *Conn) Send(kind byte, data []byte) error {
	head := make([]byte, 5, 5+len(data))
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(data)))
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.Write(append(head, data...))
	return err
}

// SendJSON writes one frame with a value in it.
func (c *Conn) SendJSON(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Send(kind, text)
}

// Receive reads one frame and nothing beyond it.
func (c *Conn) Receive() (kind byte, data []byte, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > longest {
		return 0, nil, fmt.Errorf("a frame of %d bytes: at most %d are sent", n, longest)
	}
	data = make([]byte, n)
	_, err = io.ReadFull(c, data)
	return head[0], data, err
}

// ReceiveJSON reads one frame, which must be of that kind, into v.
func (c *Conn) ReceiveJSON(kind byte, v any) error {
	got, data, err := c.Receive()
	if err != nil {
		return err
	}
	if got != kind {
		return fmt.Errorf("a frame of kind %q came where %q is due", got, kind)
	}
	return json.Unmarshal(data, v)
}

// stream is a writer whose writes are frames.
type stream struct {
	c    *Conn
	kind byte
}

func (s stream) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		part := p[n:min(len(p), n+longest)]
		if err := s.c.Send(s.kind, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return len(p), nil
}

// Stream gives a writer whose writes are frames of a kind.
func (c *Conn) Stream(kind byte) io.Writer { return stream{c, kind} }
