package cutover_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/lab/load"
)

var (
	write   = flag.Bool("write", false, "write docs/reference/bench-cutover.md and its plot")
	deploys = flag.Int("deploys", 6, "how many deployments of the Go app each way makes, and a third of it of the others")
	only    = flag.String("apps", "go node python", "which apps")
	backs   = flag.Int("rollbacks", 2, "how many rollbacks where a way has them")
)

// side is one way to bring the next release to clients.
type side struct {
	name   string
	ported bool // the app opens a port by itself
	first  string
	next   string // VERSION is the directory of the release
	back   string // "": it has no rollback
}

// app is one of examples/drain.
type app struct{ name, command string }

var apps = []app{{"go", "./web"}, {"node", "/usr/bin/node server.js"}, {"python", "/usr/bin/python3 app.py"}}

var sides = []side{
	{name: "`landfast`, handoff", next: "landfast deploy --from /root/VERSION", back: "landfast rollback"},
	{name: "`landfast`, steer", ported: true, next: "landfast deploy --from /root/VERSION", back: "landfast rollback"},
	{name: "`landfast`, relay", ported: true, next: "landfast deploy --from /root/VERSION", back: "landfast rollback"},
	{name: "`landfast`, restart with a socket", next: "landfast deploy --from /root/VERSION", back: "landfast rollback"},
	{name: "`systemctl restart`", ported: true, next: "ln -sfn /root/VERSION /srv/plain && systemctl restart plain"},
	{
		name: "nginx, upstream switched by reload", ported: true, first: nginxFirst,
		next: `new=$(if [ "$(cat /run/side)" = 1 ]; then echo 2; else echo 1; fi); old=$(cat /run/side)
ln -sfn /root/VERSION /srv/plain$new && systemctl restart plain@$new
until curl -sf -o /dev/null http://127.0.0.1:1800$new/; do sleep 0.05; done
echo "server 127.0.0.1:1800$new;" >/etc/nginx/upstream.conf && nginx -s reload && sleep 0.5
systemctl stop plain@$old; echo $new >/run/side`,
	},
}

const nginxFirst = `cat >/etc/nginx/nginx.conf <<'CONF'
worker_processes auto;
events { worker_connections 1024; }
http {
	access_log off;
	upstream app { include /etc/nginx/upstream.conf; keepalive 32; }
	server { listen 8080; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } }
}
CONF
echo 'server 127.0.0.1:18001;' >/etc/nginx/upstream.conf
ln -sfn /root/a /srv/plain1; systemctl start plain@1; echo 1 >/run/side
until curl -sf -o /dev/null http://127.0.0.1:18001/; do sleep 0.05; done
nginx`

// ways of asking; the first four are short.
var ways = append(load.Ways(),
	load.Way{Method: "GET", Path: "slow", Keep: true},
	load.Way{Method: "GET", Path: "stream", End: "end\n"})

var short = []int{0, 1, 2, 3}

// row is what clients had of one side.
type row struct {
	app, side, drain string
	cutovers         int
	all              load.Times
	steady, during   load.Times
	took             time.Duration // of the longest cutover
}

// BenchmarkCutover goes from release to release in every way, with the right drain
// and, of the Go app, without.
func BenchmarkCutover(b *testing.B) {
	labtest.Require(b)
	landfast := labtest.Landfast(b)
	var rows []row
	for b.Loop() {
		rows = nil
		for i, a := range apps {
			if !slices.Contains(strings.Fields(*only), a.name) {
				continue
			}
			n := *deploys
			if i > 0 {
				n = max(1, n/3)
			}
			files := pack(b, a)
			for _, s := range sides {
				drains := []string{"on"}
				if i == 0 {
					drains = append(drains, "off")
				}
				for _, drain := range drains {
					rows = append(rows, measure(b, landfast, files, a, s, drain, n))
				}
			}
		}
	}
	report := table(rows)
	fmt.Printf("\n%s\n", report)
	if *write {
		text := head + environment(b) + report + plotLink
		for name, data := range map[string][]byte{"bench-cutover.md": []byte(text), "bench-cutover.svg": plot(rows)} {
			if err := os.WriteFile("../../docs/reference/"+name, data, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// pack makes two releases of an app, in a directory of the host.
func pack(b *testing.B, a app) string {
	b.Helper()
	dir := b.TempDir()
	from := filepath.Join("..", "..", "examples", "drain", a.name)
	for _, version := range []string{"a", "b"} {
		to := filepath.Join(dir, version)
		if err := os.MkdirAll(to, 0o755); err != nil {
			b.Fatal(err)
		}
		if a.name == "go" {
			cmd := exec.CommandContext(b.Context(), "go", "build", "-o", to+"/web", ".")
			cmd.Dir, cmd.Env = from, append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		} else if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(to+"/VERSION", []byte(version+"\n"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// measure makes the cutovers of one side under load.
func measure(b *testing.B, landfast lab.Bind, files string, a app, s side, drain string, n int) row {
	b.Helper()
	m := labtest.Boot(b, lab.Options{
		Name: "bench", Suite: "bookworm", Packages: []string{"nginx-light", "nodejs"}, SystemCalls: []string{"pidfd_getfd"},
		Binds: []lab.Bind{landfast, {Host: files, Inside: "/mnt"}},
	})
	defer m.Close()
	sh := func(line string) { b.Helper(); labtest.Run(b, m, "sh", "-ec", "cd /root; "+line) }
	sh("systemctl stop nginx 2>/dev/null || true; cp -r /mnt/a /mnt/b /root/")
	if err := m.WriteFile("/root/landfast.toml", []byte(manifest(a, s, drain)), 0o644); err != nil {
		b.Fatal(err)
	}
	sh(plain(a, drain))
	switch {
	case s.first != "":
		sh(s.first)
	default:
		sh(strings.ReplaceAll(s.next, "VERSION", "a"))
	}
	run, err := load.Start(b.Context(), load.Options{URL: "http://localhost:8080/", Dial: m.Dial, Ways: ways, Workers: 2, Record: true, Version: nil})
	if err != nil {
		b.Fatal(err)
	}
	pause(b, 3*time.Second)
	steadyUntil := run.Now()
	r := row{app: a.name, side: s.name, drain: drain}
	type span struct{ from, until time.Duration }
	var spans []span
	cut := func(line string) {
		began := run.Now()
		sh(line)
		r.took = max(r.took, run.Now()-began)
		pause(b, 300*time.Millisecond)
		spans = append(spans, span{began, run.Now()})
		r.cutovers++
	}
	for i := range n {
		cut(strings.ReplaceAll(s.next, "VERSION", []string{"b", "a"}[i%2]))
		if s.back != "" && i < *backs && i > 0 {
			cut(s.back)
			cut("landfast deploy --force --from /root/" + []string{"b", "a"}[i%2])
		}
	}
	run.Stop()
	record := run.Record()
	r.all = load.Window(record, 0, time.Hour, nil)
	r.steady = load.Window(record, time.Second, steadyUntil, short)
	r.during = load.Sum(func(yield func(load.Request) bool) {
		for _, q := range record {
			in := slices.ContainsFunc(spans, func(s span) bool { return q.Began < s.until && q.Ended >= s.from })
			if in && slices.Contains(short, q.Way) && !yield(q) {
				return
			}
		}
	})
	return r
}

// pause lets the load go on for a while.
func pause(b *testing.B, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.Context().Done():
	}
}

func manifest(a app, s side, drain string) string {
	command := a.command
	if rest, ok := strings.CutPrefix(command, "./"); ok {
		command = "${current_dir}/" + rest
	}
	text := fmt.Sprintf("name = \"web\"\n\n[service]\ncommand = %q\ntype = \"notify\"\n\n[env]\nDRAIN = %q\nHOST = \"\"\n\n[health]\nhttp = \"/\"\n\n[systemd.Service]\nNotifyAccess = \"all\"\n", command, drain)
	if a.name == "node" {
		text += "\n[sandbox]\nallow = [\"jit\"]\n"
	}
	_, strategy, _ := strings.Cut(s.name, ", ")
	switch strategy {
	case "steer", "relay":
		text += fmt.Sprintf("\n[cutover]\nstrategy = %q\nlisten = \"8080\"\n", strategy)
		text = strings.ReplaceAll(text, "HOST = \"\"", "HOST = \"127.0.0.1\"")
	case "handoff":
		text += "\n[socket]\nlisten = \"8080\"\n\n[cutover]\nstrategy = \"handoff\"\n"
	case "restart with a socket":
		text += "\n[socket]\nlisten = \"8080\"\n"
	}
	return text
}

// plain is the app as people run it by hand: one unit, and one of which two run.
func plain(a app, drain string) string {
	unit := func(dir, port string) string {
		command := strings.Replace(a.command, "./", dir+"/", 1)
		return fmt.Sprintf("[Service]\nType=notify\nNotifyAccess=all\nWorkingDirectory=%s\nEnvironment=PORT=%s DRAIN=%s HOST=\nExecStart=%s\n", dir, port, drain, command)
	}
	return fmt.Sprintf("cat >/etc/systemd/system/plain.service <<'U'\n%sU\ncat >/etc/systemd/system/plain@.service <<'U'\n%sU\nsystemctl daemon-reload",
		unit("/srv/plain", "8080"), unit("/srv/plain%i", "1800%i"))
}

const head = `# What clients notice of a cutover

` + "`make bench PACKAGES=./bench/cutover FLAGS='-deploys=100 -rollbacks=20 -write'`" + ` measures this on your machine and writes this page.

Twelve clients ask all the time, over kept and over new connections: short GET and POST requests, requests of two seconds, and streams of two seconds that must arrive whole. Meanwhile each way brings release after release to them. **Failed** are all requests that were refused, reset, cut short or answered badly; **drain off** is the same app when it ends as its server does by itself, so that what it loses then is the app's own. Latencies are of the short requests.

`

const plotLink = "\n![The latest of a hundred short requests, steady and during cutovers](bench-cutover.svg)\n"

func environment(b *testing.B) string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		b.Fatal(err)
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-")
	return fmt.Sprintf("Measured on %s: %d cores, Linux %s, Debian 12 with systemd 252 in a container; clients and servers share the cores.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), version)
}

func table(rows []row) string {
	var t bytes.Buffer
	t.WriteString("| app | way | drain | cutovers | requests | failed | steady p50 / p99 / max | during p50 / p99 / max | longest cutover |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		failed := fmt.Sprint(r.all.Failed)
		if r.all.Failed > 0 {
			var kinds []string
			for _, k := range slices.Sorted(maps.Keys(r.all.Failures)) {
				kinds = append(kinds, fmt.Sprintf("%d %s", r.all.Failures[k], k))
			}
			failed += " (" + strings.Join(kinds, ", ") + ")"
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %d | %d | %s | %s | %s | %s |\n", r.app, r.side, r.drain, r.cutovers, r.all.Requests, failed, times(r.steady), times(r.during), ms(r.took))
	}
	return t.String()
}

func times(t load.Times) string { return ms(t.P50) + " / " + ms(t.P99) + " / " + ms(t.Max) }

func ms(d time.Duration) string {
	return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
}
