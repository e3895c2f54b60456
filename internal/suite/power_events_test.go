package suite_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// TestPowerCutsDuringEvents takes the power of a machine while events stream in and
// its worker works them off. What was answered with 202 is there after the boot,
// whole: it waits, or it has ended. There are LANDFAST_SUITE_CUTS cuts, or 2; after
// the last the queue still makes a push a release.
func TestPowerCutsDuringEvents(t *testing.T) {
	labtest.RequireVirtual(t)
	cuts := 2
	if n, err := strconv.Atoi(os.Getenv("LANDFAST_SUITE_CUTS")); err == nil {
		cuts = n
	}
	program, err := probe()
	if err != nil {
		t.Fatal(err)
	}
	m := &iron{t: t, Virtual: labtest.BootVirtual(t, lab.VirtualOptions{
		Name: "spool", Suite: "bookworm",
		Programs: []lab.Bind{labtest.Landfast(t), {Host: program, Inside: wellKnown}},
	})}
	secret := m.listens()
	d, states, all := dice(t), tally{}, 0
	for round := range cuts {
		s := &pushes{round: round, secret: secret, ids: map[string]bool{}}
		s.stream(m, uniform(d, 3*time.Second))
		if err := m.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.kept(m, states)
		all += len(s.ids)
	}
	if all == 0 {
		t.Error("no event was acknowledged, so nothing was tried")
	}
	t.Logf("cut %d times: %d events acknowledged, none lost: %s", cuts, all, states)
	m.stillDeploys(secret)
}

// listens sets up an app whose source does not answer yet, so that its events are
// tried again, superseded and, after some attempts, failed while others arrive. It
// gives the secret of the forge.
func (m *iron) listens() string {
	m.t.Helper()
	m.write("/root/web/landfast.toml", `name = "web"

[source]
git = "http://127.0.0.1:9418/web.git/.git"
branch = "main"

[service]
command = "`+wellKnown+`"
type = "notify"

[env]
PORT = 8080

[health]
http = "/healthz"
`)
	m.must("/root/web", "landfast apply")
	var made struct{ Secret string }
	text := m.must("/root/web", "landfast trigger add github web --repository shop/web --json")
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		m.t.Fatal(err, text)
	}
	// Every message comes from one address, faster than a forge sends.
	m.must("/", `mkdir -p /etc/landfast; printf '[listen]\nrate = 0\n' >/etc/landfast/listen.toml`)
	m.must("/root/web", "landfast setup web")
	// What a test prepares is not what it is about.
	m.must("/", "sync")
	return made.Secret
}

// pushes are the messages of one round.
type pushes struct {
	round  int
	secret string

	mu   sync.Mutex
	sent int
	ids  map[string]bool // acknowledged
}

// stream sends from several clients at once until the power is cut, some time after
// the first answer.
func (s *pushes) stream(m *iron, after time.Duration) {
	m.t.Helper()
	client := m.HTTP()
	defer client.CloseIdleConnections()
	first, off := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-off:
					return
				default:
				}
				ids, err := s.push(m, client)
				if err == nil && len(ids) > 0 {
					once.Do(func() { close(first) })
				}
			}
		})
	}
	select {
	case <-first:
	case <-time.After(2 * patience):
		m.t.Error("no event is acknowledged")
	}
	timer := time.NewTimer(after)
	<-timer.C
	err := m.Cut()
	close(off)
	wg.Wait()
	if err != nil {
		m.t.Fatal(err)
	}
}

// push sends one push of a commit of its own, and notes what was acknowledged.
func (s *pushes) push(m *iron, client *http.Client) ([]string, error) {
	s.mu.Lock()
	s.sent++
	commit := fmt.Sprintf("%020x%020x", s.round+1, s.sent)
	s.mu.Unlock()
	res, err := send(m, client, s.secret, commit)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range res {
		s.ids[id] = true
	}
	return res, nil
}

// send sends a push as GitHub does, and gives the ids of its events once they are
// acknowledged.
func send(m *iron, client *http.Client, secret, commit string) ([]string, error) {
	body := fmt.Appendf(nil, `{"ref":"refs/heads/main","before":"%040d","after":%q,"deleted":false,"repository":{"full_name":"shop/web"},"pusher":{"name":"ann"},"head_commit":{"id":%q,"message":"one","added":[],"modified":["release.json"],"removed":[]},"commits":[]}`, 1, commit, commit)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, "http://127.0.0.1:8420/hooks/web", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": commit,
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	} {
		req.Header.Set(k, v)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		return nil, fmt.Errorf("status %s", res.Status)
	}
	// The answer is given with its status; what it lists is read to know the event.
	var answer struct{ Events []struct{ ID string } }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range answer.Events {
		ids = append(ids, e.ID)
	}
	return ids, nil
}

// kept checks that every event acknowledged is in the queue and can be read: after
// the boot, and once the worker has taken them in.
func (s *pushes) kept(m *iron, states tally) {
	m.t.Helper()
	now := s.found(m)
	for limit := time.Now().Add(2 * patience); now["queued"] > 0; now = s.found(m) {
		if m.t.Failed() || time.Now().After(limit) {
			m.t.Fatalf("round %d: the worker takes nothing in: %s", s.round, now)
		}
	}
	for state, n := range now {
		states[state] += n
	}
}

// found counts the acknowledged events by their state, now.
func (s *pushes) found(m *iron) tally {
	m.t.Helper()
	var list []struct {
		Event landfast.Event
		State string
	}
	text := m.must("/", "landfast queue list web --json")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		m.t.Fatalf("%v\n%s", err, text)
	}
	state, count := map[string]string{}, tally{}
	for _, e := range list {
		state[e.Event.ID] = e.State
	}
	for id := range s.ids {
		now := state[id]
		count[now]++
		if now == "" || now == "damaged" {
			files := m.must("/", "ls -la /var/spool/landfast/web/*/"+id+"* 2>&1 || true")
			m.t.Errorf("round %d: event %s was acknowledged and is %q\n%s", s.round, id, now, files)
		}
	}
	return count
}

// stillDeploys lets the source answer and sends one push more.
func (m *iron) stillDeploys(secret string) {
	m.t.Helper()
	m.must("/", `mkdir -p /srv/git; cd /srv/git
		export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
		git -c init.defaultBranch=main init -q web.git; cd web.git
		echo '{"Version":"1"}' >release.json; cp /root/web/landfast.toml .; git add -A; git commit -qm one; git update-server-info
		systemd-run -q --unit=forge python3 -m http.server --bind 127.0.0.1 --directory /srv/git 9418`)
	client := m.HTTP()
	defer client.CloseIdleConnections()
	limit := time.Now().Add(2 * patience)
	commit := strings.TrimSpace(m.must("/srv/git/web.git", "git rev-parse HEAD"))
	if _, err := send(m, client, secret, commit); err != nil {
		m.t.Fatal(err)
	}
	for {
		code, out := m.sh("/", "curl -sSf http://localhost:8080/")
		if code == 0 && strings.Contains(out, `"Version":"1"`) {
			return
		}
		if time.Now().After(limit) {
			_, list := m.sh("/", "landfast queue list web | tail -5; ls /srv/web; journalctl -b --no-pager -u 'landfast-worker@*' | tail -20")
			m.t.Fatalf("the push is not live: %s\n%s", out, list)
		}
	}
}
