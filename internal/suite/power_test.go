package suite_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// iron is a machine whose power can really be cut: what was not synced is lost.
type iron struct {
	*lab.Virtual
	t *testing.T
}

func (m *iron) sh(dir, script string) (code int, out string) {
	m.t.Helper()
	r, err := m.Run(m.t.Context(), lab.Cmd{Dir: dir, Argv: []string{"sh", "-c", script}})
	if err != nil {
		m.t.Fatal(err)
	}
	return r.Code, r.Stdout + r.Stderr
}

func (m *iron) must(dir, script string) string {
	m.t.Helper()
	code, out := m.sh(dir, script)
	if code != 0 {
		m.t.Fatalf("%s: exit code %d\n%s", script, code, out)
	}
	return out
}

func (m *iron) write(path, text string) {
	m.t.Helper()
	if err := m.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// TestPowerCuts takes the power of a machine with a kernel and a disk of its own
// in the middle of deployments. The next boot settles them without any command:
// current names a complete release, and it is the one that answers. There are
// LANDFAST_SUITE_CUTS cuts of each strategy, or 1.
func TestPowerCuts(t *testing.T) {
	labtest.RequireVirtual(t)
	cuts := 1
	if n, err := strconv.Atoi(os.Getenv("LANDFAST_SUITE_CUTS")); err == nil {
		cuts = n
	}
	program, err := probe()
	if err != nil {
		t.Fatal(err)
	}
	m := &iron{t: t, Virtual: labtest.BootVirtual(t, lab.VirtualOptions{
		Name: "cut", Suite: "bookworm",
		Programs: []lab.Bind{labtest.Landfast(t), {Host: program, Inside: wellKnown}},
	})}
	m.must("/", "landfast setup")
	for i, strategy := range []string{"restart", "handoff"} {
		t.Run(strategy, func(t *testing.T) {
			in := &iron{t: t, Virtual: m.Virtual}
			in.cut(strategy, 9000+i, cuts)
		})
	}
}

func (m *iron) cut(strategy string, port, cuts int) {
	m.t.Helper()
	dir := "/root/" + strategy
	m.write(dir+"/landfast.toml", fmt.Sprintf(`name = %q

[service]
command = %q
type = "notify"
stop_timeout = "5s"

[env]
PORT = %d

[socket]
listen = ["%d"]

[cutover]
strategy = %q

[health]
http = "/healthz"
interval = "20ms"
timeout = "30s"
`, strategy, wellKnown, port, port, strategy))
	for _, v := range []string{"1", "2"} {
		m.write(dir+"/"+v+"/release.json", fmt.Sprintf("{\"Version\": %q}\n", v))
	}
	var took time.Duration
	for _, v := range []string{"1", "2"} {
		began := time.Now()
		m.must(dir, "landfast deploy --from "+v)
		took = time.Since(began)
	}
	d, live, outcomes := dice(m.t), "2", tally{}
	for range cuts {
		target := other(live)
		var out locked
		p, err := m.Start(m.t.Context(), lab.Cmd{Dir: dir, Argv: []string{"landfast", "deploy", "--force", "--from", target}, Stdout: &out, Stderr: &out})
		if err != nil {
			m.t.Fatal(err)
		}
		timer := time.NewTimer(uniform(d, took*11/10))
		<-timer.C
		if err := m.Cut(); err != nil {
			m.t.Fatal(err)
		}
		code, _ := p.Wait() // its machine died
		if err := m.Restart(m.t.Context()); err != nil {
			m.t.Fatal(err)
		}
		now := m.settled(strategy, port, out.String())
		if now != live && now != target || code == 0 && now != target {
			m.t.Fatalf("version %s is live: old %s, new %s, exit code %d\n%s", now, live, target, code, out.String())
		}
		outcomes[map[bool]string{true: "finished", false: "undone"}[now == target]]++
		live = now
	}
	m.t.Logf("cut %d times within %s: %s", cuts, took, outcomes)
}

// settled waits until all is well, by no command but the question, and gives the
// version that answers.
func (m *iron) settled(name string, port int, before string) string {
	m.t.Helper()
	limit := time.Now().Add(2 * patience)
	for {
		code, out := m.sh("/", "landfast status "+name+" --json")
		var all []status
		if code == 0 && json.Unmarshal([]byte(out), &all) == nil && len(all) == 1 && all[0].OK && all[0].Healthy &&
			all[0].Deployment != nil && all[0].Deployment.Status.Ended() {
			break
		}
		if time.Now().After(limit) {
			_, log := m.sh("/", "journalctl -b --no-pager -u landfast-resume.service")
			m.t.Fatalf("not settled: %s\n%s\nthe deployment said\n%s", out, log, before)
		}
	}
	var r report
	if err := json.Unmarshal([]byte(m.must("/", fmt.Sprintf("curl -sSf http://localhost:%d/", port))), &r); err != nil {
		m.t.Fatal(err)
	}
	current := strings.TrimSpace(m.must("/", "readlink -e /srv/"+name+"/current"))
	if r.Release != current {
		m.t.Errorf("%s answers, and current is %s", r.Release, current)
	}
	want := fmt.Sprintf("{\"Version\": %q}\n", r.Version)
	if got := m.must("/", "cat "+current+"/release.json"); got != want {
		m.t.Errorf("the release is torn: %q, want %q", got, want)
	}
	if left := m.must("/", "find /srv/"+name+" -name '*.part' -o -name '*.gone'"); left != "" {
		m.t.Errorf("left behind: %s", left)
	}
	return r.Version
}
