package listen_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/listen"
	"github.com/landfast/landfast/internal/queue"
	"github.com/landfast/landfast/internal/trigger"
)

var events = flag.Int("events", 3000, "how many events the soak test posts, while listeners and workers are killed")

const (
	soakRole  = "LANDFAST_SOAK_ROLE"
	soakDir   = "LANDFAST_SOAK_DIR"
	soakApps  = 4
	soakSends = 64 // clients, each with a branch of its own
)

// TestMain is also the listener and the worker that the soak test kills.
func TestMain(m *testing.M) {
	dir := os.Getenv(soakDir)
	var err error
	switch os.Getenv(soakRole) {
	case "listener":
		err = soakListener(dir)
	case "worker":
		err = soakWorker(dir, false)
	case "last worker":
		err = soakWorker(dir, true)
	default:
		m.Run()
		return
	}
	if err != nil {
		panic(err)
	}
}

func soakApp(n int) string { return fmt.Sprint("web", n) }

// soakListener serves the socket that the test holds, as systemd does.
func soakListener(dir string) error {
	text := "[listen]\nrate = 0\nidle = \"60s\"\nmax_connections = 256\n"
	for i := range soakApps {
		text += fmt.Sprintf("[[trigger]]\nname = %q\napp = %q\nprovider = \"github\"\nrepository = \"shop/web\"\nbranches = [\"*\"]\n", soakApp(i), soakApp(i))
	}
	conf, err := hostconf.Parse("listen.toml", []byte(text))
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
	w, err := queue.OpenWriter(dir + "/spool")
	if err != nil {
		return err
	}
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := listen.New(listen.Options{
		Conf: conf.Listen, Triggers: set, Quarantine: trigger.OpenQuarantine(dir + "/quarantine"), Queue: w,
		Events: func(app string) (listen.Events, error) { return queue.OpenReader(dir+"/spool", app) },
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
	})
	return errors.Join(s.Serve(ctx, []net.Listener{l}), w.Close())
}

// soakWorker works all queues off, the last one until there is nothing left. An
// event takes effect as a line in a file.
func soakWorker(dir string, last bool) error {
	var group sync.WaitGroup
	failed := make([]error, soakApps)
	for i := range soakApps {
		group.Go(func() { failed[i] = soakApply(dir, soakApp(i), last) })
	}
	group.Wait()
	return errors.Join(failed...)
}

func soakApply(dir, app string, last bool) error {
	q, err := queue.OpenWith(dir+"/spool", app, queue.Options{KeepDone: 1 << 30})
	if err != nil {
		return err
	}
	name := dir + "/applied-" + app
	for tick := time.Tick(2 * time.Millisecond); ; {
		c, err := q.Claim(context.Background())
		if err != nil {
			return err
		}
		if c == nil {
			next, err := q.Next(context.Background())
			if err != nil || next.IsZero() && last {
				return errors.Join(err, q.Close())
			}
			<-tick
			continue
		}
		text := []byte{}
		if c.Attempt > 1 {
			if text, err = os.ReadFile(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if !bytes.Contains(text, []byte(c.Event.ID)) {
			if err := soakSay(name, c.Event.ID+" "+c.Event.Ref+" "+c.Event.Commit); err != nil {
				return err
			}
		}
		if err := c.Done(context.Background(), queue.Outcome{}); err != nil {
			return err
		}
	}
}

func soakSay(name, line string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// soak is one run.
type soak struct {
	t      *testing.T
	dir    string
	socket *net.TCPListener
	sent   atomic.Int64
	again  atomic.Int64 // posts that got no answer and were posted again

	mu       sync.Mutex
	kills    map[string]int
	answered map[string][]string // app → ids
	last     map[string]string   // app and ref → the newest commit that was answered
}

// TestSoak posts events while the listener and the worker are killed at random.
// Nothing that was answered is lost, nothing takes effect twice, and no older event
// behind a newer one.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for seconds: left out with -short")
	}
	s := &soak{t: t, dir: t.TempDir(), kills: map[string]int{}, answered: map[string][]string{}, last: map[string]string{}}
	for i := range soakApps {
		if err := queue.Make(s.dir+"/spool", soakApp(i), -1, -1, -1); err != nil {
			t.Fatal(err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.socket = l.(*net.TCPListener)
	defer l.Close()

	sending, end := context.WithCancel(t.Context())
	var killers sync.WaitGroup
	for _, role := range []string{"listener", "worker"} {
		killers.Go(func() { s.keepKilling(sending, role) })
	}
	began := time.Now()
	var clients sync.WaitGroup
	for i := range soakSends {
		clients.Go(func() { s.client(i, *events/soakSends) })
	}
	clients.Wait()
	posted := time.Since(began)
	end()
	killers.Wait()
	if last := s.start("last worker", nil); last != nil {
		if err := last.Wait(); err != nil {
			t.Errorf("%v\n%s", err, last.Stderr)
		}
	}
	t.Logf("%d events answered in %v, all worked off in %v; %d posted again; killed: %v", s.sent.Load(), posted.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), s.again.Load(), s.kills)
	s.check()
}

// lives is how many milliseconds a process lives at most. A worker has to come to
// claiming now and then.
var lives = map[string]int{"listener": 1000, "worker": 3000}

// keepKilling starts a process, kills it after a while, and so on, until ctx ends.
func (s *soak) keepKilling(ctx context.Context, role string) {
	var socket *os.File
	if role == "listener" { // handing it over makes it a blocking one, which its user must undo
		var err error
		if socket, err = s.socket.File(); err != nil {
			s.t.Error(err)
			return
		}
		defer socket.Close()
	}
	for ctx.Err() == nil {
		c := s.start(role, socket)
		if c == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(50+rand.IntN(lives[role])) * time.Millisecond):
		}
		if err := c.Process.Kill(); err != nil {
			s.t.Errorf("the %s ended by itself: %v\n%s", role, err, c.Stderr)
		}
		_ = c.Wait() // it was killed
		s.mu.Lock()
		s.kills[role]++
		s.mu.Unlock()
	}
}

// start starts this program in a role.
func (s *soak) start(role string, socket *os.File) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		s.t.Error(err)
		return nil
	}
	c := exec.Command(self) //nolint:noctx // it is killed here, or ends by itself
	c.Env = append(os.Environ(), soakRole+"="+role, soakDir+"="+s.dir)
	if socket != nil {
		c.ExtraFiles = []*os.File{socket}
	}
	c.Stderr = &bytes.Buffer{}
	if err := c.Start(); err != nil {
		s.t.Error(err)
		return nil
	}
	return c
}

// client pushes to its branch, one after the other, each until it is answered.
func (s *soak) client(number, count int) {
	app, ref := soakApp(number%soakApps), fmt.Sprint("refs/heads/b", number)
	transport := &http.Transport{DisableKeepAlives: number%4 == 0}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	url := "http://" + s.socket.Addr().String() + "/hooks/" + app
	for n := 1; n <= count && !s.t.Failed(); n++ {
		commit := fmt.Sprintf("%040x", number<<32|n)
		body := fmt.Sprintf(`{"ref":%q,"before":"%040d","after":%q,"deleted":false,"repository":{"full_name":"shop/web"},"pusher":{"name":"ann"},"head_commit":null,"commits":[]}`, ref, 1, commit)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		for {
			id, err := s.post(client, url, body, hex.EncodeToString(mac.Sum(nil)), commit)
			if s.t.Failed() {
				return
			}
			if err != nil {
				s.again.Add(1)
				continue
			}
			s.mu.Lock()
			s.answered[app] = append(s.answered[app], id)
			s.last[app+" "+ref] = commit
			s.mu.Unlock()
			s.sent.Add(1)
			break
		}
	}
}

func (s *soak) post(client *http.Client, url, body, mac, delivery string) (id string, err error) {
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", delivery)
	r.Header.Set("X-Hub-Signature-256", "sha256="+mac)
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	var out struct{ Events []struct{ ID string } }
	if err := json.Unmarshal(text, &out); err != nil || answer.StatusCode != http.StatusAccepted || len(out.Events) != 1 {
		s.t.Errorf("status %d, %s, %v", answer.StatusCode, text, err)
		return "", errors.New("not taken")
	}
	return out.Events[0].ID, nil
}

// check holds what is on the disk against what was answered.
func (s *soak) check() {
	applied := 0
	states := map[queue.State]int{}
	newest := map[string]string{}
	for i := range soakApps {
		app := soakApp(i)
		effect := s.effects(app, newest)
		applied += len(effect)
		q, err := queue.Open(s.dir+"/spool", app)
		if err != nil {
			s.t.Fatal(err)
		}
		all, err := q.List()
		if err = errors.Join(err, q.Close()); err != nil {
			s.t.Fatal(err)
		}
		known := map[string]queue.Entry{}
		for _, e := range all {
			known[e.Event.ID] = e
			states[e.State]++
			if (e.State == queue.Done) != effect[e.Event.ID] {
				s.t.Errorf("event %s of %s is %s, and took effect: %v", e.Event.ID, app, e.State, effect[e.Event.ID])
			}
			if by := e.By; by != "" && known[by].Event.ID == "" && by < e.Event.ID {
				s.t.Errorf("event %s of %s is %s by %s, which nobody knows", e.Event.ID, app, e.State, by)
			}
		}
		lost := 0
		for _, id := range s.answered[app] {
			if e, ok := known[id]; !ok || !e.State.Ended() || e.State == queue.Damaged || e.State == queue.Failed {
				lost++
			}
		}
		if lost > 0 {
			s.t.Errorf("%d events of %s were answered and are lost", lost, app)
		}
	}
	if !maps.Equal(newest, s.last) {
		for ref, commit := range s.last {
			if newest[ref] != commit {
				s.t.Errorf("%s ended at commit %s, and the last that was answered is %s", ref, newest[ref], commit)
			}
		}
	}
	s.t.Logf("%d took effect; states: %v", applied, states)
}

// effects reads what took effect, which has to be in order and without repetition.
func (s *soak) effects(app string, newest map[string]string) map[string]bool {
	f, err := os.Open(filepath.Join(s.dir, "applied-"+app))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	ids := map[string]bool{}
	before := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 3 {
			s.t.Fatalf("a line of what took effect: %q", lines.Text())
		}
		id, ref, commit := words[0], app+" "+words[1], words[2]
		if id <= before {
			s.t.Errorf("%s of %s took effect behind %s", id, app, before)
		}
		if commit <= newest[ref] {
			s.t.Errorf("commit %s of %s took effect behind %s", commit, ref, newest[ref])
		}
		before, newest[ref], ids[id] = id, commit, true
	}
	return ids
}
