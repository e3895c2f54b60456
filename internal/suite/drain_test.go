package suite_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/lab/load"
)

// drainApp is one of the apps in examples/drain.
type drainApp struct {
	name  string
	start string // ExecStart=
	lines string // more of the unit
	build string // in the directory of the app, on the machine
	rare  bool   // only with LANDFAST_SUITE_EVERYTHING
}

var drainApps = []drainApp{
	{name: "go", start: "/srv/go/web"},
	{name: "node", start: "/usr/bin/node /srv/node/server.js", lines: "NotifyAccess=all"},
	{name: "python", start: "/usr/bin/python3 /srv/python/app.py"},
	{name: "gunicorn", start: "/usr/bin/gunicorn --config /srv/gunicorn/gunicorn.conf.py app:app", lines: "Environment=PYTHONPATH=/srv/gunicorn"},
	{name: "uvicorn", start: "/usr/bin/python3 /srv/uvicorn/app.py"},
	{name: "puma", start: "/usr/bin/puma --config /srv/puma/puma.rb /srv/puma/config.ru", rare: true},
	{
		name: "elixir", start: "/usr/bin/elixir /srv/elixir/server.exs", rare: true,
		lines: "Environment=HOME=/tmp LANG=C.UTF-8",
	},
	{
		name: "java", start: "/usr/bin/java -cp /srv/java Server", rare: true,
		// A JVM that is told to end says so.
		lines: "StandardInput=socket\nStandardOutput=journal\nNotifyAccess=all\nSuccessExitStatus=143",
		build: `java -cp "$(echo /usr/share/java/eclipse-jdt-core*.jar | tr ' ' :)" \
			org.eclipse.jdt.internal.compiler.batch.Main -17 -proc:none -nowarn *.java`,
	},
}

// TestSwitchingLosesNoRequest has each app of examples/drain in two instances on one
// socket, of units written by hand, and switches from one to the other under load.
func TestSwitchingLosesNoRequest(t *testing.T) {
	labtest.Require(t)
	for _, suite := range stackSuites() {
		t.Run(suite, func(t *testing.T) {
			h := &host{t: t, Machine: labtest.Boot(t, lab.Options{Suite: suite, Packages: runtimes})}
			for i, d := range drainApps {
				if d.rare && !everything() {
					continue
				}
				t.Run(d.name, func(t *testing.T) {
					t.Parallel()
					s := &switching{host: h.in(t), drainApp: d, port: 9000 + i, times: 3}
					if everything() {
						s.times = 20
					}
					s.install("")
					s.loses(0)
				})
			}
		})
	}
}

// TestSwitchingWithoutTheDrain measures what the apps lose when each ends as its
// server does by itself. It asserts nothing of it: what is a matter of luck may be 0.
func TestSwitchingWithoutTheDrain(t *testing.T) {
	labtest.Require(t)
	if !everything() {
		t.Skip("measures: set LANDFAST_SUITE_EVERYTHING")
	}
	h := &host{t: t, Machine: labtest.Boot(t, lab.Options{Suite: "bookworm", Packages: runtimes})}
	for i, d := range drainApps {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := &switching{host: h.in(t), drainApp: d, port: 9000 + i, times: 20}
			// Some never end as long as clients keep asking.
			s.install("Environment=DRAIN=off\nTimeoutStopSec=5")
			s.loses(-1)
		})
	}
}

// switching is an app in two instances, a and b.
type switching struct {
	*host
	drainApp
	port, times int
}

// install puts the app and its units into the machine.
func (s *switching) install(more string) {
	s.t.Helper()
	from := filepath.Join("..", "..", "examples", "drain", s.name)
	dir := "/srv/" + s.name
	if s.name == "go" { // machines have no Go
		program := s.compiled(from)
		if err := s.WriteFile(dir+"/web", program, 0o755); err != nil {
			s.t.Fatal(err)
		}
	} else if err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return s.WriteFile(dir+"/"+d.Name(), text, 0o644)
	}); err != nil {
		s.t.Fatal(err)
	}
	if s.build != "" {
		s.sh("cd " + dir + "\n" + s.build)
	}
	s.write("/etc/systemd/system/"+s.name+".socket", fmt.Sprintf(`[Socket]
ListenStream=127.0.0.1:%d
FileDescriptorName=http
Service=%s@a.service
`, s.port, s.name))
	s.write("/etc/systemd/system/"+s.name+"@.service", fmt.Sprintf(`[Unit]
Requires=%[1]s.socket
After=%[1]s.socket
StartLimitIntervalSec=0

[Service]
Type=notify
Sockets=%[1]s.socket
NonBlocking=yes
DynamicUser=yes
WorkingDirectory=/srv/%[1]s/%%i
ExecStart=%[2]s
TimeoutStopSec=30
%[3]s
%[4]s
`, s.name, s.start, s.lines, more))
	s.sh("systemctl daemon-reload; systemctl start " + s.name + ".socket")
}

// remove ends the app; all of them share the machine.
func (s *switching) remove() {
	s.run("/", "systemctl", "stop", s.name+".socket", s.name+"@a", s.name+"@b")
}

func (s *switching) compiled(from string) []byte {
	s.t.Helper()
	out := filepath.Join(s.t.TempDir(), "web")
	buildGo(s.t, from, out)
	program, err := os.ReadFile(out)
	if err != nil {
		s.t.Fatal(err)
	}
	return program
}

// begin starts an instance with a version of its own, and waits until it is ready.
func (s *switching) begin(instance string, version int) {
	s.t.Helper()
	s.write(fmt.Sprintf("/srv/%s/%s/VERSION", s.name, instance), fmt.Sprintf("%d\n", version))
	s.sh("systemctl start " + s.name + "@" + instance)
}

// switchWays are requests of all kinds: at once and slow ones, streams; GET and POST;
// over kept and over new connections.
func switchWays() []load.Way {
	return append(load.Ways(),
		load.Way{Method: "GET", Path: "/slow", Keep: true, Workers: 2},
		load.Way{Method: "GET", Path: "/slow", Workers: 1},
		load.Way{Method: "GET", Path: "/stream", End: "end\n", Keep: true, Workers: 2},
		load.Way{Method: "GET", Path: "/stream", End: "end\n", Workers: 1},
	)
}

// loses switches to and fro under load, and checks how many requests that cost; with
// -1 it only tells.
func (s *switching) loses(most int64) {
	s.t.Helper()
	defer s.remove()
	s.begin("a", 0)
	clients, err := load.Start(s.t.Context(), load.Options{
		URL: fmt.Sprintf("http://127.0.0.1:%d/", s.port), Dial: s.Dial, Ways: switchWays(), Workers: 2, Record: true,
		Version: func(_ http.Header, body []byte) string {
			name, version, _ := strings.Cut(string(body), " ")
			version, _, _ = strings.Cut(version, "\n")
			return strings.TrimSpace(name + " " + version)
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	defer clients.Stop()
	live, killed := []string{"a", "b"}, 0
	for n := range s.times {
		s.eventually("the old instance has answered", s.answered(clients, n))
		s.begin(live[1], n+1)
		s.sh("systemctl stop " + s.name + "@" + live[0])
		if got := s.unit(s.name+"@"+live[0], "Result"); got != "success" {
			killed++
		}
		slices.Reverse(live)
	}
	s.eventually("the last instance has answered", s.answered(clients, s.times))
	r := clients.Stop()
	byWay := make([]int, len(switchWays()))
	for _, q := range clients.Record() {
		byWay[q.Way]++
	}
	s.t.Logf("%s: %d switchovers, %d ended by force: %d requests, %d failed %v, %d of each way; p50 %s, p99 %s, max %s (slow ones and streams take 2 s)",
		s.name, s.times, killed, r.Requests(), r.Failed, r.Failures, byWay, r.P50, r.P99, r.Max)
	if slices.Contains(byWay, 0) {
		s.t.Errorf("requests of one way are missing: %v", byWay)
	}
	if most >= 0 && killed > 0 {
		s.t.Errorf("%d old instances did not end in order", killed)
	}
	if most >= 0 && r.Failed > most {
		s.t.Errorf("%d requests failed; the first: %s", r.Failed, r.Example)
	}
}

// answered tells whether clients have had an answer of a version.
func (s *switching) answered(clients *load.Run, version int) func() (bool, string) {
	return func() (bool, string) {
		seen := clients.Total().Versions
		return seen[fmt.Sprintf("%s %d", s.name, version)] > 0, fmt.Sprint(seen)
	}
}
