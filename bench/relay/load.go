package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Load is what clients saw of one peer.
type Load struct {
	Requests int
	Took     time.Duration
	Waits    []time.Duration // of each request, in order of length
	CPU      time.Duration   // that the peer's processes used meanwhile
}

// Rate is requests per second.
func (l Load) Rate() float64 { return float64(l.Requests) / l.Took.Seconds() }

// Wait is a quantile of the waits.
func (l Load) Wait(q float64) time.Duration {
	if len(l.Waits) == 0 {
		return 0
	}
	return l.Waits[int(q*float64(len(l.Waits)-1))]
}

// Ask asks an address for / over as many connections at once, and over a new one
// each time unless they are kept. It blocks until ctx ends.
func Ask(ctx context.Context, address string, connections int, keep bool) (Load, error) {
	request := keptRequest
	if !keep {
		request = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var l Load
	var failed error
	began := time.Now()
	for range connections {
		all.Go(func() {
			waits, err := client(ctx, address, []byte(request), keep)
			mu.Lock()
			defer mu.Unlock()
			l.Waits = append(l.Waits, waits...)
			if err != nil {
				failed = err
			}
		})
	}
	all.Wait()
	l.Took = time.Since(began)
	l.Requests = len(l.Waits)
	slices.Sort(l.Waits)
	return l, failed
}

// Dial opens a connection and asks once over it.
func Dial(address string) (net.Conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if err := ask(c, []byte(keptRequest), make([]byte, 16<<10), true); err != nil {
		_ = c.Close() // the first error counts
		return nil, err
	}
	return c, nil
}

const keptRequest = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"

// client asks until ctx ends.
func client(ctx context.Context, address string, request []byte, keep bool) (waits []time.Duration, err error) {
	var c net.Conn
	defer func() {
		if c != nil {
			_ = c.Close() // it was read from only
		}
	}()
	buf := make([]byte, 16<<10)
	for ctx.Err() == nil {
		began := time.Now()
		if c == nil {
			if c, err = net.Dial("tcp", address); err != nil {
				return waits, err
			}
		}
		if err := ask(c, request, buf, keep); err != nil {
			return waits, err
		}
		if !keep {
			_ = c.Close()
			c = nil
		}
		waits = append(waits, time.Since(began))
	}
	return waits, nil
}

// ask sends the request and reads the answer; behind one that is not kept comes the
// end of the connection.
func ask(c net.Conn, request, buf []byte, keep bool) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	n := 0
	for {
		got, err := c.Read(buf[n:])
		n += got
		switch {
		case errors.Is(err, io.EOF) && !keep && whole(buf[:n]):
			return nil
		case err != nil:
			return fmt.Errorf("read an answer: %w", err)
		case keep && whole(buf[:n]):
			return nil
		case n == len(buf):
			return fmt.Errorf("an answer is larger than %d bytes", n)
		}
	}
}

// whole tells whether text is a good answer with its body.
func whole(text []byte) bool {
	head, body, ok := bytes.Cut(text, []byte("\r\n\r\n"))
	_, length, ok2 := bytes.Cut(bytes.ToLower(head), []byte("\r\ncontent-length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	n, err := strconv.Atoi(string(length))
	return ok && ok2 && err == nil && len(body) == n && bytes.HasPrefix(head, []byte("HTTP/1.1 200 "))
}
