package relay_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/landfast/landfast/bench/relay"
	"github.com/landfast/landfast/internal/lab"
)

var (
	rounds      = flag.Int("rounds", 5, "how often each peer is measured, in turns, after once to warm up")
	span        = flag.Duration("span", time.Second, "how long each time")
	idle        = flag.Int("idle", 2000, "how many idle connections at once")
	connections = flag.Int("connections", 32, "how many connections at once")
)

// peer is one way to the app.
type peer struct {
	name, address string
	pids          func() []int // its processes; nil: none
	loads         []relay.Load
}

// BenchmarkRelay measures all peers in turns, so that what else the machine does
// falls on all of them alike.
func BenchmarkRelay(b *testing.B) {
	peers := start(b)
	for b.Loop() {
		for _, keep := range []bool{true, false} {
			title := map[bool]string{true: "kept connections", false: "new connections"}[keep]
			for _, p := range peers {
				p.loads = nil
			}
			for round := range *rounds + 1 {
				for _, p := range peers {
					l := p.measure(b, keep)
					if round > 0 {
						p.loads = append(p.loads, l)
					}
				}
			}
			fmt.Printf("\n%s, %d at once, medians of %d rounds:\n\n", title, *connections, *rounds)
			fmt.Println("| | requests/s | of direct | p50 | p99 | processor time of it per request |")
			fmt.Println("|---|---|---|---|---|---|")
			for _, p := range peers {
				m := p.median()
				ratio := m.Rate() / peers[0].median().Rate()
				fmt.Printf("| %s | %.0f | %.2f | %s | %s | %.1f µs |\n", p.name, m.Rate(), ratio,
					m.Wait(0.5).Round(time.Microsecond), m.Wait(0.99).Round(10*time.Microsecond), float64(m.CPU.Nanoseconds())/1e3/float64(m.Requests))
				b.ReportMetric(ratio, strings.Fields(p.name)[0]+"-"+strings.Fields(title)[0]+"/direct")
			}
		}
	}
}

// measure asks a peer once.
func (p *peer) measure(b *testing.B, keep bool) relay.Load {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), *span)
	defer cancel()
	before := p.cpu(b)
	l, err := relay.Ask(ctx, p.address, *connections, keep)
	if err != nil {
		b.Fatalf("%s: %v", p.name, err)
	}
	l.CPU = p.cpu(b) - before
	return l
}

// median is the load with the median rate.
func (p *peer) median() relay.Load {
	all := slices.SortedFunc(slices.Values(p.loads), func(a, b relay.Load) int { return int(a.Rate() - b.Rate()) })
	return all[len(all)/2]
}

// cpu is what the processes of a peer have used (proc_pid_stat(5), utime and stime).
func (p *peer) cpu(b *testing.B) (sum time.Duration) {
	if p.pids == nil {
		return 0
	}
	for _, pid := range p.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(text[strings.LastIndex(string(text), ")")+1:]))
		for _, f := range fields[11:13] {
			n, err := strconv.Atoi(f)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n) * 10 * time.Millisecond // a hundredth of a second each
		}
	}
	return sum
}

// start starts the app and the peers that there are.
func start(b *testing.B) []*peer {
	b.Helper()
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // others run as users of their own
		b.Fatal(err)
	}
	app := serve(b, "tcp", "127.0.0.1:0")
	socket := serve(b, "unix", filepath.Join(dir, "app.sock"))
	peers := []*peer{{name: "direct", address: app}}
	program, err := lab.Build(b.Context(), "github.com/landfast/landfast/cmd/landfast")
	if err != nil {
		b.Fatal(err)
	}
	for name, to := range map[string]string{"relay": app, "relay-unix, to a UNIX socket": "unix:" + socket} {
		link := filepath.Join(dir, strings.Fields(name)[0])
		if err := os.Symlink(to, link); err != nil {
			b.Fatal(err)
		}
		peers = append(peers, run(b, name, "", program, "relay", "--drain", "0s", "--target", link, "--listen"))
	}
	slices.SortFunc(peers, func(a, b *peer) int { return strings.Compare(a.name, b.name) }) // direct, relay, relay-unix
	nginx := nginxConf(dir+"/n", app, `proxy_http_version 1.1; proxy_set_header Connection "";`)
	for _, d := range []string{"/n", "/plain"} {
		if err := os.Mkdir(dir+d, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	haproxy := fmt.Sprintf(`defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend public
	bind ADDRESS
	default_backend app
backend app
	server app %s
`, app)
	for _, p := range []struct {
		name, conf string
		argv       []string
	}{
		{"nginx-keepalive, which keeps connections to the app", nginx, []string{"nginx", "-p", dir, "-c"}},
		{"nginx, which does not", nginxConf(dir+"/plain", app, ""), []string{"nginx", "-p", dir, "-c"}},
		{"haproxy", haproxy, []string{"haproxy", "-db", "-f"}},
	} {
		if _, err := exec.LookPath(p.argv[0]); err != nil {
			fmt.Printf("%s is left out: it is not installed here\n", p.argv[0])
			continue
		}
		peers = append(peers, run(b, p.name, p.conf, p.argv...))
	}
	return peers
}

// nginxConf is for a free ADDRESS.
func nginxConf(dir, app, more string) string {
	return fmt.Sprintf(`daemon off; worker_processes auto; pid %[1]s/pid; error_log stderr crit;
events { worker_connections 8192; }
http {
	access_log off; keepalive_requests 1000000000;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	upstream app { server %[2]s; keepalive 64; keepalive_requests 1000000000; }
	server { listen ADDRESS; location / { proxy_pass http://app; %[3]s } }
}
`, dir, app, more)
}

// BenchmarkIdle opens connections, asks once over each, and looks what memory the
// processes of each peer have then, beyond what they had before.
func BenchmarkIdle(b *testing.B) {
	peers := start(b)
	for b.Loop() {
		fmt.Printf("\n| %d idle connections | memory of it before | for each connection |\n|---|---|---|\n", *idle)
		for _, p := range peers[1:] {
			before := p.memory(b)
			for range *idle {
				c, err := relay.Dial(p.address)
				if err != nil {
					b.Fatalf("%s: %v", p.name, err)
				}
				defer func() { _ = c.Close() }()
			}
			after := p.memory(b)
			fmt.Printf("| %s | %.1f MB | %d bytes |\n", p.name, float64(before)/(1<<20), (after-before)/(*idle))
		}
	}
}

// memory is what is resident and not shared with files (proc_pid_status(5), RssAnon),
// of all processes of a peer.
func (p *peer) memory(b *testing.B) (sum int) {
	for _, pid := range p.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			b.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "RssAnon:")
		n, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			b.Fatal(err)
		}
		sum += n << 10
	}
	return sum
}

// serve is the app: a web server in this process.
func serve(b *testing.B, network, address string) string {
	b.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello, world\n") })}
	go func() { _ = s.Serve(l) }()
	b.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

// run starts a peer on a free port, which is the last argument or, with a
// configuration, in that, and waits until it answers.
func run(b *testing.B, name, conf string, argv ...string) *peer {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	last := address
	if conf != "" {
		last = filepath.Join(b.TempDir(), "conf")
		if err := os.WriteFile(last, []byte(strings.Replace(conf, "ADDRESS", address, 1)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command(argv[0], append(argv[1:], last)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(end) {
			b.Fatalf("%s does not listen: %v", name, err)
		}
	}
	return &peer{name: name, address: address, pids: func() []int { return family(cmd.Process.Pid) }}
}

// family is a process with its children.
func family(pid int) []int {
	all := []int{pid}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	for f := range strings.FieldsSeq(string(text)) {
		if n, err := strconv.Atoi(f); err == nil {
			all = append(all, n)
		}
	}
	return all
}
