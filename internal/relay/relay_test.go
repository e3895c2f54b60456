package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/leaktest"
	"github.com/landfast/landfast/internal/relay"
)

const soon = 20 * time.Second

func TestMain(m *testing.M) {
	if relay.TakesOver(os.Getenv) {
		succeed()
		return
	}
	leaktest.Main(m)
}

// world is a relay between clients and an app.
type world struct {
	*testing.T
	dir, target string
	public      net.Addr
	relay       *relay.Relay
	stop        func() // and wait
	ended       chan error

	mu  sync.Mutex
	log []string
}

// start starts a relay that listens on network, with no target yet.
func start(t *testing.T, network string, o relay.Options) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), ended: make(chan error, 1)}
	w.target = filepath.Join(w.dir, "target")
	address := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": "unix:" + w.dir + "/public.sock"}[network]
	fd, err := relay.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	w.public = addressOf(t, fd)
	o.Listeners = append(o.Listeners, fd)
	o.Target = w.target
	if o.Wait == 0 {
		o.Wait = soon
	}
	o.Log = w.note
	if w.relay, err = relay.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { w.ended <- w.relay.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-w.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

func addressOf(t *testing.T, fd int) net.Addr {
	t.Helper()
	dup, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(dup), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	defer l.Close()
	return l.Addr()
}

func (w *world) note(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, line)
}

func (w *world) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.log, "\n")
}

// point makes the target text, by one rename.
func (w *world) point(text string) {
	w.Helper()
	fresh := w.target + ".new"
	if err := errors.Join(os.Symlink(text, fresh), os.Rename(fresh, w.target)); err != nil {
		w.Fatal(err)
	}
}

// app serves each connection with f, on an address of its own.
func (w *world) app(network string, f func(c net.Conn)) (address string, end func()) {
	w.Helper()
	at := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(w.dir, fmt.Sprintf("app%d.sock", rand.Int32()))}[network]
	l, err := net.Listen(strings.TrimRight(network, "46"), at)
	if err != nil {
		w.Fatal(err)
	}
	return w.serve(l, f)
}

func (w *world) serve(l net.Listener, f func(c net.Conn)) (address string, end func()) {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	end = sync.OnceFunc(func() {
		_ = l.Close()
		all.Wait()
	})
	w.Cleanup(end)
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String(), end
	}
	return l.Addr().String(), end
}

// dial makes a client, which ends with the test.
func (w *world) dial() net.Conn {
	w.Helper()
	c, err := net.Dial(w.public.Network(), w.public.String())
	if err != nil {
		w.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(soon))
	w.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a line and reads one.
func ask(c net.Conn, line string) (string, error) {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return readLine(c)
}

func readLine(c net.Conn) (string, error) {
	var got []byte
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(c, one); err != nil {
			return string(got), err
		}
		if one[0] == '\n' {
			return string(got), nil
		}
		got = append(got, one[0])
	}
}

func (w *world) asks(c net.Conn, line, want string) {
	w.Helper()
	if got, err := ask(c, line); err != nil || got != want {
		w.Fatalf("%q was answered %q, %v; want %q", line, got, err, want)
	}
}

// eventually waits until f is true.
func (w *world) eventually(what string, f func() bool) {
	w.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(soon); !f(); <-tick.C {
		if time.Now().After(end) {
			w.Fatalf("in vain: %s\n%s", what, w.said())
		}
	}
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// named answers each line with a name in front.
func named(name string) func(net.Conn) {
	return func(c net.Conn) {
		for {
			line, err := readLine(c)
			if err != nil {
				return
			}
			if _, err := io.WriteString(c, name+" "+line+"\n"); err != nil {
				return
			}
		}
	}
}

// each runs a test for every kind of socket on both sides.
func each(t *testing.T, f func(t *testing.T, public, private string)) {
	kinds := []string{"tcp4", "tcp6", "unix"}
	for _, public := range kinds {
		for _, private := range kinds {
			t.Run(public+" to "+private, func(t *testing.T) { f(t, public, private) })
		}
	}
}

func TestLinesGoBothWays(t *testing.T) {
	each(t, func(t *testing.T, public, private string) {
		w := start(t, public, relay.Options{})
		address, _ := w.app(private, echo)
		w.point(address)
		c := w.dial()
		for i := range 20 {
			line := fmt.Sprintf("line %d", i)
			w.asks(c, line, line)
		}
	})
}

func TestServerMaySpeakFirst(t *testing.T) {
	w := start(t, "tcp4", relay.Options{})
	address, _ := w.app("tcp4", func(c net.Conn) { _, _ = io.WriteString(c, "220 mail\n") })
	w.point(address)
	if got, err := readLine(w.dial()); got != "220 mail" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestStreams sends much in both directions at once and compares all of it; the app
// answers with the digest of what it got once the client has ended its direction.
func TestStreams(t *testing.T) {
	each(t, func(t *testing.T, public, private string) {
		w := start(t, public, relay.Options{})
		const size = 6 << 20
		down := bytes.Repeat([]byte("0123456789abcdef-down"), size/21)
		address, _ := w.app(private, func(c net.Conn) {
			var sent sync.WaitGroup
			sent.Go(func() { _, _ = c.Write(down) })
			h := sha256.New()
			_, err := io.Copy(h, c)
			sent.Wait()
			if err != nil {
				w.Errorf("app: %v", err)
			}
			_, _ = c.Write(h.Sum(nil))
		})
		w.point(address)
		up := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(up)
		c := w.dial()
		var sent sync.WaitGroup
		sent.Go(func() {
			if _, err := c.Write(up); err != nil {
				w.Errorf("client: %v", err)
			}
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
		})
		got, err := io.ReadAll(c)
		sent.Wait()
		digest := sha256.Sum256(up)
		if err != nil || !bytes.Equal(got, append(bytes.Clone(down), digest[:]...)) {
			t.Errorf("got %d bytes, %v; want %d and the digest of what was sent", len(got), err, len(down))
		}
		w.eventually("nothing is left open", func() bool { return w.relay.Open() == 0 })
	})
}

func TestEndOfOneDirection(t *testing.T) {
	each(t, func(t *testing.T, public, private string) {
		w := start(t, public, relay.Options{})
		address, _ := w.app(private, func(c net.Conn) {
			// Ends its own direction first, and reads on.
			_, _ = io.WriteString(c, "bye")
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
			text, err := io.ReadAll(c)
			if string(text) != "still here" || err != nil {
				w.Errorf("app: %q, %v", text, err)
			}
		})
		w.point(address)
		c := w.dial()
		if got, err := io.ReadAll(c); string(got) != "bye" || err != nil {
			t.Errorf("client: %q, %v", got, err)
		}
		if _, err := io.WriteString(c, "still here"); err != nil {
			t.Error(err)
		}
		_ = c.Close()
		w.eventually("nothing is left open", func() bool { return w.relay.Open() == 0 })
	})
}

func TestResetsAreHandedOn(t *testing.T) {
	t.Run("by the app", func(t *testing.T) {
		w := start(t, "tcp4", relay.Options{})
		address, _ := w.app("tcp4", func(c net.Conn) {
			_, _ = readLine(c)
			_, _ = io.WriteString(c, "half\n")
			_, _ = readLine(c)
			_ = c.(*net.TCPConn).SetLinger(0)
		})
		w.point(address)
		c := w.dial()
		w.asks(c, "hello", "half")
		if _, err := ask(c, "more"); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client saw %v, not a reset", err)
		}
	})
	t.Run("by the client", func(t *testing.T) {
		w := start(t, "tcp4", relay.Options{})
		saw := make(chan error, 1)
		address, _ := w.app("tcp4", func(c net.Conn) {
			_, _ = readLine(c)
			_, _ = io.WriteString(c, "ok\n")
			_, err := readLine(c)
			saw <- err
		})
		w.point(address)
		c := w.dial()
		w.asks(c, "hello", "ok")
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		if err := <-saw; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the app saw %v, not a reset", err)
		}
	})
}

// TestLastAnswerIsRead is about an app that answers and hangs up while the client
// still sends, as for a request that is too large.
func TestLastAnswerIsRead(t *testing.T) {
	w := start(t, "tcp4", relay.Options{})
	address, _ := w.app("tcp4", func(c net.Conn) {
		_, _ = readLine(c)
		_, _ = io.WriteString(c, "too large\n")
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.CopyN(io.Discard, c, 1<<20)
	})
	w.point(address)
	c := w.dial()
	_, _ = io.WriteString(c, "hello\n")
	var sent sync.WaitGroup
	sent.Go(func() { _, _ = c.Write(make([]byte, 16<<20)) })
	defer sent.Wait()
	if got, err := readLine(c); got != "too large" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := readLine(c); !errors.Is(err, io.EOF) {
		t.Errorf("behind the answer: %v", err)
	}
}

func TestClientsWaitForTheTarget(t *testing.T) {
	first := map[string]func(w *world){
		"no link":              func(*world) {},
		"no address":           func(w *world) { w.point("releases/1") },
		"refused":              func(w *world) { w.point(refused(w)) },
		"no socket file":       func(w *world) { w.point("unix:" + w.dir + "/absent.sock") },
		"reset before a byte":  func(w *world) { w.point(resets(w)) },
		"a link without a dir": func(w *world) { w.target += "" },
	}
	for name, prepare := range first {
		t.Run(name, func(t *testing.T) {
			w := start(t, "tcp4", relay.Options{})
			prepare(w)
			// One sends at once and ends its direction, one waits for the other side to begin.
			eager, quiet := w.dial(), w.dial()
			// The app, which is made last and ends first, waits for its connections.
			defer eager.Close()
			defer quiet.Close()
			if _, err := io.WriteString(eager, "hello\n"); err != nil {
				t.Fatal(err)
			}
			if name != "reset before a byte" {
				w.eventually("it is told", func() bool { return strings.Contains(w.said(), "clients wait for the target") })
			}
			var accepted atomic.Int32
			address, _ := w.app("tcp4", func(c net.Conn) {
				accepted.Add(1)
				named("app")(c)
			})
			w.point(address)
			if name == "reset before a byte" {
				// What has been sent to an app that resets is lost with it.
				w.eventually("the quiet client is at the app", func() bool { return accepted.Load() > 0 })
			} else {
				if got, err := readLine(eager); got != "app hello" {
					t.Errorf("eager client: %q, %v", got, err)
				}
			}
			w.asks(quiet, "I too", "app I too")
		})
	}
}

// refused is an address where nobody listens.
func refused(w *world) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// resets is the address of an app that takes connections and resets them.
func resets(w *world) string {
	address, _ := w.app("tcp4", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) })
	return address
}

func TestClientIsLeftWhenNothingComes(t *testing.T) {
	w := start(t, "tcp4", relay.Options{Wait: 30 * time.Millisecond})
	w.point(refused(w))
	if _, err := readLine(w.dial()); !errors.Is(err, io.EOF) {
		t.Errorf("the client saw %v", err)
	}
	if !strings.Contains(w.said(), "in vain") || !strings.Contains(w.said(), "connection refused") {
		t.Errorf("the log: %s", w.said())
	}
}

func TestRefusedAndUpAgainLosesNobody(t *testing.T) {
	w := start(t, "tcp4", relay.Options{})
	address, end := w.app("tcp4", named("1"))
	w.point(address)
	w.asks(w.dial(), "x", "1 x")
	end1 := make(chan struct{})
	go func() { end(); close(end1) }()
	w.eventually("the app is gone", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	c := w.dial()
	if _, err := io.WriteString(c, "y\n"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	w.serve(l, named("2"))
	if got, err := readLine(c); got != "2 y" {
		t.Errorf("%q, %v", got, err)
	}
	w.stop() // ends the client of the first app as well
	<-end1
}

// TestSwitchUnderLoad changes the target again and again: what is asked behind a
// rename is answered by the new one, nothing fails, and open connections stay.
func TestSwitchUnderLoad(t *testing.T) {
	w := start(t, "tcp4", relay.Options{Loops: 2})
	a, _ := w.app("tcp4", named("a"))
	b, _ := w.app("unix", named("b"))
	w.point(a)
	kept := w.dial()
	w.asks(kept, "0", "a 0")
	var clients sync.WaitGroup
	done := make(chan struct{})
	var n [4]int
	for i := range n {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				c, err := net.Dial("tcp", w.public.String())
				if err != nil {
					t.Error(err)
					return
				}
				got, err := ask(c, "x")
				if err != nil || got != "a x" && got != "b x" {
					t.Errorf("%q, %v", got, err)
				}
				c.Close()
				n[i]++
			}
		})
	}
	for i := range 200 {
		name, to := "a", a
		if i%2 == 0 {
			name, to = "b", b
		}
		w.point(to)
		c := w.dial()
		w.asks(c, "y", name+" y")
		c.Close()
		w.asks(kept, "y", "a y")
	}
	close(done)
	clients.Wait()
	for i, n := range n {
		if n == 0 {
			t.Errorf("client %d asked nothing", i)
		}
	}
}

func TestManyConnections(t *testing.T) {
	w := start(t, "tcp4", relay.Options{Loops: 2})
	address, _ := w.app("tcp4", named("app"))
	w.point(address)
	conns := make([]net.Conn, 500)
	for i := range conns {
		conns[i] = w.dial()
	}
	for range 2 {
		for i, c := range conns {
			w.asks(c, fmt.Sprint(i), fmt.Sprintf("app %d", i))
		}
	}
	if w.relay.Open() != len(conns) {
		t.Errorf("%d are open", w.relay.Open())
	}
	for _, c := range conns {
		c.Close()
	}
	w.eventually("nothing is left open", func() bool { return w.relay.Open() == 0 })
}

func TestLimit(t *testing.T) {
	w := start(t, "tcp4", relay.Options{Limit: 2, Loops: 2})
	address, _ := w.app("tcp4", named("app"))
	w.point(address)
	one, two := w.dial(), w.dial()
	w.asks(one, "1", "app 1")
	w.asks(two, "2", "app 2")
	three := w.dial()
	if _, err := io.WriteString(three, "3\n"); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is told", func() bool { return strings.Contains(w.said(), "2 connections are open, which is the limit") })
	if n := w.relay.Open(); n != 2 {
		t.Errorf("%d are open", n)
	}
	one.Close()
	if got, err := readLine(three); got != "app 3" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDrain(t *testing.T) {
	w := start(t, "tcp4", relay.Options{Drain: soon})
	address, _ := w.app("tcp4", named("app"))
	w.point(address)
	c := w.dial()
	w.asks(c, "1", "app 1")
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	w.eventually("nobody is accepted", func() bool {
		c, err := net.Dial("tcp", w.public.String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	w.asks(c, "2", "app 2")
	select {
	case <-stopped:
		t.Error("it ended before its last connection")
	default:
	}
	c.Close()
	<-stopped
}

func TestDrainEnds(t *testing.T) {
	w := start(t, "tcp4", relay.Options{Drain: 30 * time.Millisecond})
	address, _ := w.app("tcp4", named("app"))
	w.point(address)
	c := w.dial()
	w.asks(c, "1", "app 1")
	w.stop()
	if _, err := readLine(c); err == nil {
		t.Error("the connection is open")
	}
	if !strings.Contains(w.said(), "1 connections are closed: they had 30ms to end") {
		t.Errorf("the log: %s", w.said())
	}
}

// TestProxy compares what the app reads first with the examples of the
// specification's layout.
func TestProxy(t *testing.T) {
	for _, test := range []struct {
		network string
		version relay.Proxy
		want    func(from, to *net.TCPAddr) string
	}{
		{"tcp4", relay.ProxyV1, func(from, to *net.TCPAddr) string {
			return fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", from.Port, to.Port)
		}},
		{"tcp6", relay.ProxyV1, func(from, to *net.TCPAddr) string {
			return fmt.Sprintf("PROXY TCP6 ::1 ::1 %d %d\r\n", from.Port, to.Port)
		}},
		{"unix", relay.ProxyV1, func(_, _ *net.TCPAddr) string { return "PROXY UNKNOWN\r\n" }},
		{"tcp4", relay.ProxyV2, func(from, to *net.TCPAddr) string {
			return "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01" + port(from) + port(to)
		}},
		{"tcp6", relay.ProxyV2, func(from, to *net.TCPAddr) string {
			one := strings.Repeat("\x00", 15) + "\x01"
			return "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x21\x00\x24" + one + one + port(from) + port(to)
		}},
		{"unix", relay.ProxyV2, func(_, _ *net.TCPAddr) string {
			return "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x00\x00\x00"
		}},
	} {
		for _, private := range []string{"tcp4", "unix"} {
			t.Run(test.network+" "+string(test.version)+" to "+private, func(t *testing.T) {
				w := start(t, test.network, relay.Options{Proxy: test.version})
				for _, eager := range []bool{true, false} {
					w.point(refused(w)) // so that the header is made twice
					c := w.dial()
					if eager {
						if _, err := io.WriteString(c, "hello\n"); err != nil {
							t.Fatal(err)
						}
					}
					got := make(chan string, 1)
					address, _ := w.app(private, func(c net.Conn) {
						text, err := io.ReadAll(c)
						if err != nil {
							w.Error(err)
						}
						got <- string(text)
					})
					w.point(address)
					if !eager {
						if _, err := io.WriteString(c, "hello\n"); err != nil {
							t.Fatal(err)
						}
					}
					_ = c.(interface{ CloseWrite() error }).CloseWrite()
					from, _ := c.LocalAddr().(*net.TCPAddr)
					to, _ := c.RemoteAddr().(*net.TCPAddr)
					if got, want := <-got, test.want(from, to)+"hello\n"; got != want {
						t.Errorf("the app read %q, want %q", got, want)
					}
				}
			})
		}
	}
}

func port(a *net.TCPAddr) string { return string([]byte{byte(a.Port >> 8), byte(a.Port)}) }

func TestTargets(t *testing.T) {
	for _, good := range []string{"127.0.0.1:1", "[::1]:65535", "[::ffff:127.0.0.1]:80", "unix:/run/x.sock"} {
		if _, err := relay.ParseTarget(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "localhost:80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", ":80", "[fe80::1%eth0]:80",
		"unix:", "unix:x.sock", "unix:/" + strings.Repeat("x", 107), "releases/1",
	} {
		if _, err := relay.ParseTarget(bad); err == nil {
			t.Errorf("%q is taken for a target", bad)
		}
	}
}

func TestSocketsAreChecked(t *testing.T) {
	file, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	udp, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]relay.Options{
		"relay without a socket":               {Target: "/x"},
		"look at socket":                       {Target: "/x", Listeners: []int{file}},
		"does not listen":                      {Target: "/x", Listeners: []int{udp}},
		`the target "x" is not the whole path`: {Target: "x", Listeners: []int{-1}},
	} {
		if _, err := relay.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}
