package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast/internal/relay"
)

// What the successor, which is this test program once more, is told.
const (
	targetEnv = "LANDFAST_TEST_TARGET"
	failEnv   = "LANDFAST_TEST_FAIL"
)

// succeed is the successor.
func succeed() {
	if os.Getenv(failEnv) == "silent" {
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	o := relay.Options{Target: os.Getenv(targetEnv), Wait: soon, Drain: soon, Loops: 3}
	if os.Getenv(failEnv) == "late" {
		o.Target = "not a whole path"
	}
	r, err := relay.TakeOver(o, os.Getenv)
	if err == nil {
		err = r.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// handOver starts a successor, and ends it when the test does.
func (w *world) handOver(env ...string) error {
	program, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	return w.relay.HandOver(relay.Successor{
		Path: program, Args: []string{program, "-test.run=^$"}, Env: append(os.Environ(), append(env, targetEnv+"="+w.target)...),
		Moved: func(pid int) {
			w.Cleanup(func() {
				// It is no child of ours: its descriptor becomes readable when it has ended.
				p, err := unix.PidfdOpen(pid, 0)
				if err == nil {
					defer unix.Close(p)
					err = unix.PidfdSendSignal(p, unix.SIGTERM, nil, 0)
				}
				if err == nil {
					_, err = unix.Poll([]unix.PollFd{{Fd: int32(p), Events: unix.POLLIN}}, int(soon.Milliseconds()))
				}
				if err != nil {
					w.Errorf("end the successor: %v", err)
				}
			})
		},
	})
}

// TestHandOver gives connections in every state to another process.
func TestHandOver(t *testing.T) {
	each(t, func(t *testing.T, public, private string) {
		w := start(t, public, relay.Options{Loops: 2})
		w.point("unix:" + w.dir + "/absent.sock")
		early := w.dial() // has no target yet
		if _, err := io.WriteString(early, "early\n"); err != nil {
			t.Fatal(err)
		}
		w.eventually("it waits", func() bool { return strings.Contains(w.said(), "clients wait") })

		release := make(chan struct{})
		stream := bytes.Repeat([]byte("0123456789abcdef+stream"), 1<<19)
		address, _ := w.app(private, func(c net.Conn) {
			line, _ := readLine(c)
			switch line {
			case "stream": // reads nothing for a while, so that much waits in the relay
				<-release
				got := make([]byte, len(stream))
				_, err := io.ReadFull(c, got)
				if err != nil || !bytes.Equal(got, stream) {
					w.Errorf("app: the stream differs, %v", err)
				}
				_, _ = c.Write(got)
			case "half": // the client has ended its direction
				rest, _ := io.ReadAll(c)
				<-release
				_, _ = io.WriteString(c, "half"+string(rest))
			default:
				_, _ = io.WriteString(c, "app "+line+"\n")
				named("app")(c)
			}
		})
		idle := w.dial()
		w.point(address)
		w.asks(idle, "0", "app 0")
		half := w.dial()
		_, _ = io.WriteString(half, "half\n.")
		_ = half.(interface{ CloseWrite() error }).CloseWrite()
		busy := w.dial()
		_, _ = io.WriteString(busy, "stream\n")
		var sent sync.WaitGroup
		sent.Go(func() {
			if _, err := busy.Write(stream); err != nil {
				t.Errorf("client: %v", err)
			}
		})
		if got, err := readLine(early); got != "app early" {
			t.Errorf("%q, %v", got, err)
		}
		w.point("unix:" + w.dir + "/absent.sock")
		late := w.dial()
		_, _ = io.WriteString(late, "late\n")
		w.eventually("all are there", func() bool { return w.relay.Open() == 5 })

		if err := w.handOver(); err != nil {
			t.Fatal(err)
		}
		if err := <-w.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		w.ended <- nil // for stop
		w.point(address)
		close(release)
		if got, err := readLine(late); got != "app late" {
			t.Errorf("%q, %v", got, err)
		}
		w.asks(idle, "1", "app 1")
		w.asks(w.dial(), "new", "app new")
		if got, err := io.ReadAll(half); string(got) != "half." || err != nil {
			t.Errorf("half: %q, %v", got, err)
		}
		got := make([]byte, len(stream))
		if _, err := io.ReadFull(busy, got); err != nil || !bytes.Equal(got, stream) {
			t.Errorf("the stream differs, %v", err)
		}
		sent.Wait()
		for _, c := range []net.Conn{early, idle, busy, late} {
			c.Close()
		}
	})
}

// TestManyConnectionsAreHandedOver needs many messages.
func TestManyConnectionsAreHandedOver(t *testing.T) {
	w := start(t, "tcp4", relay.Options{Loops: 2})
	address, _ := w.app("tcp4", named("app"))
	w.point(address)
	conns := make([]net.Conn, 1000)
	for i := range conns {
		conns[i] = w.dial()
		w.asks(conns[i], "0", "app 0")
	}
	if err := w.handOver(); err != nil {
		t.Fatal(err)
	}
	for i, c := range conns {
		w.asks(c, fmt.Sprint(i), fmt.Sprintf("app %d", i))
		c.Close()
	}
}

func TestFailedHandOverChangesNothing(t *testing.T) {
	for fail, want := range map[string]string{"silent": "the other process has ended", "late": "not the whole path"} {
		t.Run(fail, func(t *testing.T) {
			w := start(t, "tcp4", relay.Options{Loops: 2})
			address, _ := w.app("tcp4", named("app"))
			w.point(address)
			c := w.dial()
			w.asks(c, "0", "app 0")
			if err := w.handOver(failEnv + "=" + fail); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("HandOver: %v, want %q", err, want)
			}
			w.asks(c, "1", "app 1")
			w.asks(w.dial(), "2", "app 2")
			c.Close()
		})
	}
	t.Run("no program", func(t *testing.T) {
		w := start(t, "tcp4", relay.Options{})
		err := w.relay.HandOver(relay.Successor{Path: w.dir + "/absent", Args: []string{"absent"}})
		if err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("HandOver: %v", err)
		}
	})
}

// TestHandOverUnderLoad does it while connections come and go.
func TestHandOverUnderLoad(t *testing.T) {
	w := start(t, "tcp4", relay.Options{Loops: 2})
	address, _ := w.app("tcp4", named("app"))
	w.point(address)
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				c, err := net.DialTimeout("tcp", w.public.String(), soon)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(soon))
				for range rand.IntN(20) {
					if got, err := ask(c, "x"); got != "app x" {
						t.Errorf("%q, %v", got, err)
						break
					}
				}
				c.Close()
			}
		})
	}
	if err := w.handOver(); err != nil {
		t.Error(err)
	}
	for range 50 {
		c := w.dial()
		w.asks(c, "y", "app y")
		c.Close()
	}
	close(done)
	clients.Wait()
}
