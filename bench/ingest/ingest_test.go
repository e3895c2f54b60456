package ingest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/landfast/landfast/bench/ingest"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/listen"
	"github.com/landfast/landfast/internal/queue"
	"github.com/landfast/landfast/internal/trigger"
)

var (
	write   = flag.Bool("write", false, "write docs/reference/bench-ingest.md")
	seconds = flag.Int("seconds", 4, "how long each side is asked, with each number of clients")
	program = flag.String("webhook", "webhook", "the program of adnanh/webhook")
)

const (
	secret   = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	childDir = "LANDFAST_INGEST_DIR"
)

// TestMain is also the listener that is measured, which so is a process of its own
// as webhook is.
func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		m.Run()
		return
	}
	if err := serve(dir); err != nil {
		panic(err)
	}
}

// serve is what `landfast listen` does, over a spool and a configuration of the test.
func serve(dir string) error {
	conf, err := hostconf.Parse("listen.toml", []byte("[listen]\nrate = 0\nidle = \"5m\"\n"+
		"[[trigger]]\nname = \"web\"\napp = \"web\"\nprovider = \"github\"\nrepository = \"shop/web\"\nbranches = [\"main\"]\n"))
	if err != nil {
		return err
	}
	set, err := trigger.New(trigger.Options{
		Config: conf, Cache: trigger.OpenCache(dir + "/cache"),
		Secret: func(string) ([]byte, error) { return []byte(secret), nil },
	})
	if err != nil {
		return err
	}
	if err := queue.Make(dir+"/spool", "web", -1, -1, -1); err != nil {
		return err
	}
	w, err := queue.OpenWriter(dir + "/spool")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr()) // for the parent
	s := listen.New(listen.Options{
		Conf: conf.Listen, Triggers: set, Quarantine: trigger.OpenQuarantine(dir + "/quarantine"), Queue: w,
		Events: func(app string) (listen.Events, error) { return queue.OpenReader(dir+"/spool", app) },
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
	})
	return errors.Join(s.Serve(ctx, []net.Listener{l}), w.Close())
}

// side is one endpoint that is up.
type side struct{ name, url string }

// landfast starts the listener.
func landfast(b *testing.B) side {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := exec.CommandContext(b.Context(), self)
	c.Env = append(os.Environ(), childDir+"="+b.TempDir())
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	var errs bytes.Buffer
	c.Stderr = &errs
	start(b, c)
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		b.Fatalf("%v\n%s", err, errs.String())
	}
	return side{"`landfast listen`, on the disk", "http://" + addr + "/hooks/web"}
}

// webhook starts the other side, if it is there: the same check of the signature, and
// the cheapest command there is, behind its answer.
func webhook(b *testing.B) (side, bool) {
	path, err := exec.LookPath(*program)
	if err != nil {
		fmt.Println("adnanh/webhook is left out: there is no program webhook; it is Debian's package of that name.")
		return side{}, false
	}
	hooks := b.TempDir() + "/hooks.json"
	text := `[{"id":"web","execute-command":"/bin/true","trigger-rule":{"match":{"type":"payload-hmac-sha256","secret":"` + secret +
		`","parameter":{"source":"header","name":"X-Hub-Signature-256"}}}}]`
	if err := os.WriteFile(hooks, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	start(b, exec.CommandContext(b.Context(), path, "-hooks", hooks, "-ip", "127.0.0.1", "-port", port))
	for tick, end := time.Tick(10*time.Millisecond), time.After(10*time.Second); ; {
		c, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", "127.0.0.1:"+port)
		if err == nil {
			return side{"adnanh/webhook, in memory", "http://127.0.0.1:" + port + "/hooks/web"}, c.Close() == nil
		}
		select {
		case <-tick:
		case <-end:
			b.Fatal(err)
		}
	}
}

// start starts a process that ends with the benchmark.
func start(b *testing.B, c *exec.Cmd) {
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
}

// BenchmarkIngest asks each side with 1, 8 and 64 clients, Landfast first.
func BenchmarkIngest(b *testing.B) {
	var report bytes.Buffer
	for b.Loop() {
		report.Reset()
		sides := []side{landfast(b)}
		if other, ok := webhook(b); ok {
			sides = append(sides, other)
		}
		var rows []ingest.Row
		// Not in turns: webhook still starts commands when it has answered.
		for _, s := range sides {
			for _, clients := range []int{1, 8, 64} {
				rows = append(rows, measure(b, s, clients))
			}
		}
		ingest.WriteTable(&report, rows)
	}
	fmt.Printf("\n%s\n", report.String())
	if *write {
		text := head + fmt.Sprintf("Measured on %s: %d cores, clients on the same machine, %d seconds each.\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), *seconds) + report.String()
		if err := os.WriteFile("../../docs/reference/bench-ingest.md", []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

const head = `# What an event costs

` + "`go test -run='^$' -bench=. ./bench/ingest -write`" + ` measures this on your machine and writes this page. It takes the
other program from Debian's package webhook, if that is installed.

Clients post signed pushes as GitHub does, each waits for the answer and posts the next, over connections that stay open.
Landfast's answer means that the event is on the disk, flushed: file and directory. What comes in while the disk is busy is
flushed together. On ext4 that gets slow where very many files were removed in the last minutes: measure in a fresh
directory (TMPDIR). webhook's answer means that the message was read; it starts its command (here /bin/true) behind it, and
forgets the message when it dies.

`

// measure has clients post for a while.
func measure(b *testing.B, s side, clients int) ingest.Row {
	row := ingest.Row{Name: s.name, Clients: clients}
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var mu sync.Mutex
	var group sync.WaitGroup
	began := time.Now()
	for i := range clients {
		group.Go(func() {
			var waits []time.Duration
			for n := 0; time.Since(began) < time.Duration(*seconds)*time.Second; n++ {
				at := time.Now()
				if err := post(b, client, s.url, fmt.Sprintf("%020x%020x", began.UnixNano(), i<<32|n)); err != nil {
					b.Error(err)
					return
				}
				waits = append(waits, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			row.Waits = append(row.Waits, waits...)
		})
	}
	group.Wait()
	row.Took = time.Since(began)
	return row
}

func post(b *testing.B, client *http.Client, url, commit string) error {
	body := fmt.Sprintf(`{"ref":"refs/heads/main","before":"%040d","after":%q,"deleted":false,"repository":{"full_name":"shop/web"},"pusher":{"name":"ann"},"head_commit":null,"commits":[]}`, 1, commit)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", commit)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, text)
	}
	return err
}
