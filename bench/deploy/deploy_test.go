package deploy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/bench/deploy"
	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

var (
	write  = flag.Bool("write", false, "write docs/reference/bench.md")
	rounds = flag.Int("rounds", 9, "how often each way is taken, after once to warm up")
)

// way is one way to make the files in /root/release, or the archive of them, live.
type way struct {
	name string
	app  string // whose unit restarts
	line string // ROUND is the number of the round
}

// link is what scripts do behind the copy. ln -sfn unlinks and links again.
const link = ` && ln -sfn /srv/plain/releases/ROUND /srv/plain/current && systemctl restart plain.service`

var ways = []way{
	{"`landfast deploy`, directory", "bench", "landfast deploy bench --from /root/release"},
	{"`cp -a` + `ln -sfn` + `systemctl restart`", "plain", "cp -a /root/release /srv/plain/releases/ROUND" + link},
	{"the same with `sync -f` behind `cp`", "plain", "cp -a /root/release /srv/plain/releases/ROUND && sync -f /srv/plain" + link},
	{"`landfast deploy`, tar.gz", "bench", "landfast deploy bench --from /root/release.tar.gz"},
	{"`tar -xzf` + `ln -sfn` + `systemctl restart`", "plain", "mkdir /srv/plain/releases/ROUND && tar -xzf /root/release.tar.gz -C /srv/plain/releases/ROUND" + link},
}

// BenchmarkDeploy deploys a release of 20 MB in all the ways, in turns, so that
// what else the machine does falls on all of them alike.
func BenchmarkDeploy(b *testing.B) {
	labtest.Require(b)
	landfastProgram := labtest.Landfast(b)
	release := makeRelease(b)
	var report bytes.Buffer
	for b.Loop() {
		report.Reset()
		for _, place := range places(b) {
			m := &machine{B: b}
			b.Setenv("LANDFAST_LAB_DIR", place.dir)
			m.Machine = labtest.Boot(b, lab.Options{
				Name: "bench", Suite: "bookworm",
				Binds: []lab.Bind{landfastProgram, {Host: release, Inside: "/mnt"}},
			})
			m.prepare()
			m.measure(&report, place)
		}
	}
	fmt.Printf("\n%s\n", report.String())
	if *write {
		text := head + environment(b) + report.String()
		if err := os.WriteFile("../../docs/reference/bench.md", []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

const head = `# What a deployment costs

` + "`make bench FLAGS=-write`" + ` measures this on your machine and writes this page.

One release of 20 MB, 701 files, is made live again and again: by Landfast and by the shell commands people write instead, in turns, in one throwaway machine. Both restart the same app with the same sandbox. **Overhead** is the time of the whole command less the app's own start (from systemd's start of the unit until the app says that it is ready). **Until live** leaves out what Landfast does behind its commit, when the new release serves already: remembering it and removing old ones, which the commands do not. Nor do they: digest the release, write every file durably, render and compare the units, journal each step, wait until the app is healthy, undo.

`

// place is where the machine's disk is.
type place struct{ name, title, dir string }

func places(b *testing.B) []place {
	cache, err := lab.CacheDir()
	if err != nil {
		b.Fatal(err)
	}
	disk := filepath.Join(cache, "machines")
	if err := os.MkdirAll(disk, 0o755); err != nil {
		b.Fatal(err)
	}
	fs := output(b, "findmnt", "-no", "FSTYPE", "-T", disk)
	return []place{
		{"disk", "On a disk (" + fs + ")", disk},
		{"memory", "In memory (tmpfs): what is left without the disk", "/dev/shm"},
	}
}

// environment says what the numbers were measured on.
func environment(b *testing.B) string {
	model := "unknown"
	for line := range strings.Lines(string(read(b, "/proc/cpuinfo"))) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _, _ := strings.Cut(strings.TrimSpace(string(read(b, "/proc/sys/kernel/osrelease"))), "-")
	return fmt.Sprintf("Measured on %s: %d cores of %s, Linux %s, Debian 12 with systemd 252 in a container; %d rounds.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), model, kernel, *rounds)
}

func read(b *testing.B, path string) []byte {
	b.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func output(b *testing.B, argv ...string) string {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// machine is a machine under measurement.
type machine struct {
	*testing.B
	*lab.Machine
}

// sh runs a command line, which must succeed.
func (m *machine) sh(line string) string {
	m.Helper()
	return labtest.Run(m.B, m.Machine, "sh", "-ec", line)
}

// prepare makes two apps that differ in their names and ports only: one is
// Landfast's, the other is run by hand.
func (m *machine) prepare() {
	m.Helper()
	const manifest = `name = "bench"

[service]
command = "bin/web"
type = "notify"

[socket]
listen = ["8080"]

[dirs]
state = true

[env]
DRAIN = "0s"

[health]
http = "/healthz"
`
	if err := m.WriteFile("/root/landfast.toml", []byte(manifest), 0o644); err != nil {
		m.Fatal(err)
	}
	m.sh(`cp -a /mnt /root/release
cd /root && landfast deploy --from /root/release
for f in systemd/system/bench.service systemd/system/bench.socket sysusers.d/landfast-bench.conf; do
	sed 's/bench/plain/g; s/8080/8082/' /etc/$f >/etc/$(echo $f | sed s/bench/plain/)
done
systemd-sysusers
mkdir -p /srv/plain/releases /srv/plain/shared
cp -a /root/release /srv/plain/releases/first
ln -s /srv/plain/releases/first /srv/plain/current
systemctl daemon-reload
systemctl start plain.socket plain.service`)
}

// measure takes every way, in turns, and writes what it took.
func (m *machine) measure(w io.Writer, p place) {
	m.Helper()
	rows := make([]deploy.Row, len(ways))
	steps := map[string][]time.Duration{}
	var order []string
	for round := range *rounds + 1 {
		for i, way := range ways {
			s := m.take(way, fmt.Sprintf("%d-%d", round, i))
			if round == 0 {
				continue // warms up
			}
			rows[i].Name = way.name
			rows[i].Samples = append(rows[i].Samples, s)
			if i > 0 {
				continue // of another app, or another source
			}
			for _, step := range m.last().Steps {
				if !slices.Contains(order, step.Name) {
					order = append(order, step.Name)
				}
				steps[step.Name] = append(steps[step.Name], step.Took)
			}
		}
	}
	_, _ = fmt.Fprintf(w, "## %s\n\n", p.title)
	if err := deploy.WriteTable(w, rows); err != nil {
		m.Fatal(err)
	}
	_, _ = fmt.Fprintf(w, "\nLandfast's steps from a directory (medians; `cutover` has the app's own stop and start in it):")
	for i, name := range order {
		median, _, _ := deploy.Median(steps[name])
		if i > 0 {
			_, _ = fmt.Fprint(w, ",")
		}
		_, _ = fmt.Fprintf(w, " %s %s", name, deploy.Millis(median))
	}
	_, _ = fmt.Fprint(w, ".\n\n")
	for i, name := range []string{"landfast", "cp"} {
		m.ReportMetric(float64(rows[i].Overhead().Milliseconds()), name+"-ms/"+p.name)
	}
}

// take makes a new release live in one way.
func (m *machine) take(w way, round string) deploy.Sample {
	m.Helper()
	m.sh("echo " + round + " >/root/release/VERSION; tar -C /root/release -czf /root/release.tar.gz .; sync")
	line := strings.ReplaceAll(w.line, "ROUND", round)
	began := time.Now()
	m.sh(line)
	whole := time.Since(began)
	s := deploy.Sample{Whole: whole, Start: m.start(w.app)}
	if w.app == "bench" {
		s.After = behindCommit(m.last())
	}
	return s
}

// start is how long the last start of an app took, as systemd has it.
func (m *machine) start(app string) time.Duration {
	m.Helper()
	var at [2]int64
	for i, name := range []string{"InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic"} {
		text := m.sh("systemctl show --value -p " + name + " " + app + ".service")
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			m.Fatal(err)
		}
		at[i] = n
	}
	return time.Duration(at[1]-at[0]) * time.Microsecond
}

// behindCommit is the time of the steps behind the point of no return.
func behindCommit(d landfast.Deployment) time.Duration {
	var sum time.Duration
	for i, s := range d.Steps {
		if slices.ContainsFunc(d.Steps[:i], func(s landfast.StepRecord) bool { return s.Name == "commit" }) {
			sum += s.Took
		}
	}
	return sum
}

// last is Landfast's own record of the last deployment.
func (m *machine) last() landfast.Deployment {
	m.Helper()
	var all []landfast.Deployment
	if err := json.Unmarshal([]byte(m.sh("landfast deployments bench -n 1 --json")), &all); err != nil || len(all) != 1 {
		m.Fatalf("%d deployments, %v", len(all), err)
	}
	return all[0]
}
