package suite_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/stack"
)

var updateStacks = flag.Bool("update-stacks", false, "write what init makes of the projects into testdata/stacks")

// TestMIX09Stacks takes a project of each stack from nothing but its files to a
// service, as its maker would, and asks the running process.
func TestMIX09Stacks(t *testing.T) {
	labtest.Require(t)
	for _, suite := range stackSuites() {
		t.Run(suite, func(t *testing.T) { testStacks(t, suite) })
	}
}

// stackSuites are Debian 12, or those named that have the runtimes.
func stackSuites() []string {
	if os.Getenv("LANDFAST_LAB_SUITES") == "" {
		return []string{"bookworm"}
	}
	return slices.DeleteFunc(labtest.Suites(), func(s string) bool { return s != "bookworm" && s != "trixie" })
}

func testStacks(t *testing.T, suite string) {
	h := &host{t: t, Machine: labtest.Boot(t, lab.Options{
		Suite: suite, Packages: runtimes, Binds: []lab.Bind{labtest.Landfast(t)},
	})}
	// That of Debian listens on all addresses; a release brings its own.
	h.sh("systemctl --quiet mask --now epmd.socket epmd.service")
	var table strings.Builder
	for _, p := range stackProjects() {
		t.Run(p.name, func(t *testing.T) {
			a := &app{host: h.in(t), name: "hello", port: p.port, dir: "/root/hello"}
			// Each has the journal, the directory and the app for itself.
			a.sh("journalctl --sync; journalctl -q --rotate --vacuum-time=1us")
			defer a.run("/root", "sh", "-c", "landfast uninstall hello --purge; rm -rf /root/hello")
			a.unpackProject(p)
			a.land(p)
			fmt.Fprintf(&table, "%-8s %.1f  %s\n", p.name, a.exposed(p), strings.Join(p.relaxed, ", "))
			a.needs(p)
		})
	}
	t.Logf("exposure of each stack's unit, and what its preset allows:\n%s", table.String())
}

// unpackProject writes the project, has init make its manifest and compares that
// with the archive's.
func (a *app) unpackProject(p stackProject) {
	a.t.Helper()
	file := filepath.Join("testdata", "stacks", p.name+".txtar")
	archive, err := txtar.ParseFile(file)
	if err != nil {
		a.t.Fatal(err)
	}
	here, last := a.t.TempDir(), len(archive.Files)-1
	for _, f := range archive.Files {
		if f.Name == "landfast.toml" {
			continue
		}
		a.write(a.dir+"/"+f.Name, string(f.Data))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(here, f.Name)), 0o755); err != nil {
			a.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(here, f.Name), f.Data, 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
	if p.name == "go" { // machines have no Go
		a.compile(here)
	}
	a.built(p)
	said := a.landfast("init").code0()
	if p.name != "any" {
		said.says("stack            " + p.name)
	}
	got := a.read(a.dir + "/landfast.toml")
	if *updateStacks {
		archive.Files = append(slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "landfast.toml" }),
			txtar.File{Name: "landfast.toml", Data: []byte(got)})
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			a.t.Fatal(err)
		}
	} else if d := diff.Diff(file, archive.Files[last].Data, "landfast init", []byte(got)); d != nil {
		a.t.Errorf("%s", d)
	}
	a.landfast("init").exits(6)
	a.write(a.dir+"/landfast.toml", strings.Replace(got, "[env]\n", "[env]\n"+p.moreEnv+"\n", 1)+"\n"+p.more)
	a.landfast("check").code0()
}

// compile builds the program of Go outside of the machine.
func (a *app) compile(dir string) {
	a.t.Helper()
	buildGo(a.t, dir, "build/bin/hello")
	program, err := os.ReadFile(filepath.Join(dir, "build/bin/hello"))
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.WriteFile(a.dir+"/build/bin/hello", program, 0o755); err != nil {
		a.t.Fatal(err)
	}
}

// buildGo builds the program of a directory that is a module.
func buildGo(t *testing.T, dir, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", dir, "-trimpath", "-buildvcs=false", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOTOOLCHAIN=local")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// built builds the project on the machine.
func (a *app) built(p stackProject) {
	a.t.Helper()
	if p.build != "" {
		a.sh("cd " + a.dir + "\n" + p.build)
	}
}

// land deploys two releases, rolls back and restarts, and checks what answers,
// and how it stops.
func (a *app) land(p stackProject) {
	a.t.Helper()
	a.landfast("deploy").code0().says("is live")
	a.showsVersion(p, "version 1")
	a.hasEnv(p)
	if p.check != nil {
		p.check(a)
	}
	version := p.version
	if version == "" {
		version = filepath.Join(p.source, "VERSION")
	}
	a.sh("cd " + a.dir + " && sed -i 's/version 1/version 2/' " + version)
	a.landfast("deploy").code0()
	a.showsVersion(p, "version 2")

	was := a.unit("hello.service", "MainPID")
	a.landfast("restart", "hello").code0()
	a.eventually("it answers again", func() (bool, string) {
		_, body, err := a.get(fmt.Sprintf("http://127.0.0.1:%d%s", p.port, p.at))
		return strings.Contains(body, "version 2"), fmt.Sprint(body, err)
	})
	if now := a.unit("hello.service", "MainPID"); now == was {
		a.t.Error("restart did not restart it")
	}
	a.landfast("rollback", "hello").code0()
	a.showsVersion(p, "version 1")
	a.isWell()
	a.landfast("plan").code0().says("nothing to change")
	a.endsWell(p)
}

// showsVersion asks the service, which is healthy and so answers.
func (a *app) showsVersion(p stackProject, want string) {
	a.t.Helper()
	status, body, err := a.get(fmt.Sprintf("http://127.0.0.1:%d%s", p.port, p.at))
	if err != nil || status != 200 || !strings.Contains(body, want) {
		a.t.Fatalf("asked for %s: status %d, %v\n%s", want, status, err, body)
	}
}

// hasEnv checks what is in the environment of the main process.
func (a *app) hasEnv(p stackProject) {
	a.t.Helper()
	text := a.sh("tr '\\0' '\\n' < /proc/" + a.unit("hello.service", "MainPID") + "/environ")
	if p.envAt != "" { // it has its title there
		_, body, err := a.get(fmt.Sprintf("http://127.0.0.1:%d%s", p.port, p.envAt))
		if err != nil {
			a.t.Fatal(err)
		}
		text = body
	}
	for _, v := range p.env {
		if !slices.Contains(strings.Split(text, "\n"), v) {
			a.t.Errorf("the process has no %s:\n%s", v, text)
		}
	}
}

// endsWell stops the service: SIGTERM is enough, it takes no time limit, nothing
// remains and systemd sees no failure.
func (a *app) endsWell(p stackProject) {
	a.t.Helper()
	a.landfast("stop", "hello").code0()
	for property, want := range map[string]string{"ActiveState": "inactive", "Result": "success", "NRestarts": "0"} {
		if got := a.unit("hello.service", property); got != want {
			a.t.Errorf("stopped, %s is %s, want %s", property, got, want)
		}
	}
	log := a.sh("journalctl --sync; journalctl --quiet --no-pager -o cat -u hello.service _SYSTEMD_INVOCATION_ID=" + a.unit("hello.service", "InvocationID"))
	if !strings.Contains(log, p.last) {
		a.t.Errorf("it does not say %q:\n%s", p.last, log)
	}
	all := a.sh("journalctl --quiet --no-pager -o cat -u hello.service")
	for _, bad := range []string{"timed out", "SIGKILL", "remains running", "left-over", "Traceback", "rror"} {
		if strings.Contains(all, bad) {
			a.t.Errorf("the journal has %q:\n%s", bad, all)
		}
	}
}

var overall = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+) `)

// exposed is what systemd counts of the unit, and checks what relaxes it.
func (a *app) exposed(p stackProject) float64 {
	a.t.Helper()
	r := a.run("/", "systemd-analyze", "security", "--no-pager", "hello.service").code0()
	m := overall.FindStringSubmatch(r.out)
	if m == nil {
		a.t.Fatal(r.all)
	}
	exposure, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		a.t.Fatal(err)
	}
	if exposure > p.exposure {
		a.t.Errorf("exposure is %.1f, want at most %.1f\n%s", exposure, p.exposure, r.out)
	}
	preset, _ := stack.Preset(p.name)
	for _, name := range p.relaxed {
		if !strings.Contains(preset, strconv.Quote(name)) {
			a.t.Errorf("the preset does not allow %s", name)
		}
	}
	if len(p.relaxed) == 0 && strings.Contains(preset, "allow =") {
		a.t.Errorf("the preset allows what this project does not need:\n%s", preset)
	}
	return exposure
}

// needs checks that the preset relaxes no more of the sandbox than it must: with
// all of it, the project does not come up.
func (a *app) needs(p stackProject) {
	a.t.Helper()
	if len(p.relaxed) == 0 || p.needed != "" && a.run("/", "sh", "-c", p.needed).code != 0 {
		return
	}
	a.write(a.dir+"/landfast.toml", a.read(a.dir+"/landfast.toml")+"\n[sandbox]\nallow = []\n")
	a.landfast("deploy").exits(4)
}

// isAnErlangNode checks what is peculiar to a release of Elixir: others find the
// node on this host alone, and commands reach it.
func (a *app) isAnErlangNode() {
	a.t.Helper()
	listening := a.sh("ss -Hltn | awk '{print $4}'")
	if !strings.Contains(listening, ":4369") {
		a.t.Errorf("epmd does not listen:\n%s", listening)
	}
	for address := range strings.FieldsSeq(listening) {
		if !strings.HasPrefix(address, "127.") && !strings.HasPrefix(address, "[::1]") {
			a.t.Errorf("something listens on %s", address)
		}
	}
	if owner := a.sh("stat -c %U:%G /run/hello"); owner != "hello:hello" {
		a.t.Errorf("RELEASE_TMP belongs to %s", owner)
	}
	a.landfast("exec", "hello", "--", "bin/hello", "rpc", `IO.puts("#{node()} serves #{Hello.Server.version()}")`).
		code0().says("hello@127.0.0.1 serves version 1")
	if a.unit("hello.service", "MemoryDenyWriteExecute") != "yes" {
		a.t.Error("the sandbox of Erlang is relaxed")
	}
	// It maps what it compiles twice, once to write and once to run it, which the
	// sandbox lets it.
	a.landfast("exec", "hello", "--", "bin/hello", "rpc", ":erlang.system_info(:emu_flavor) |> IO.puts()").code0().says("jit")
	a.landfast("exec", "hello", "--", "bin/hello", "pid").code0().says(a.unit("hello.service", "MainPID"))
	a.iex("IO.puts(\"in \" <> to_string(node()))\r", "in hello@127.0.0.1")
	a.showsVersion(stackProject{port: a.port}, "version 1") // leaving the console does not stop the node
}

// iex types a line into the console of the app, on a terminal, and leaves it.
func (a *app) iex(line, want string) {
	a.t.Helper()
	in, keys := io.Pipe()
	defer keys.Close()
	var out locked
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	p, err := a.Start(ctx, lab.Cmd{
		Argv: []string{"script", "-qec", "landfast console hello", "/dev/null"}, Env: []string{"TERM=xterm"},
		Stdin: in, Stdout: &out, Stderr: &out,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, turn := range []struct{ seen, then string }{
		{"iex(hello@127.0.0.1)1>", line},
		{want, "\a"}, // the switch of Erlang's shells
		{"-->", "q\r"},
	} {
		a.eventually("the console shows "+turn.seen, func() (bool, string) {
			return strings.Contains(out.String(), turn.seen), out.String()
		})
		if _, err := io.WriteString(keys, turn.then); err != nil {
			a.t.Fatal(err)
		}
	}
	_ = keys.Close() // what reads them is waited for
	a.ended(p, &out).code0()
}

// servesPages checks what is peculiar to files alone: systemd holds the port,
// and there is nothing but what was released.
func (a *app) servesPages() {
	a.t.Helper()
	if got := a.unit("hello.socket", "ActiveState"); got != "active" {
		a.t.Errorf("hello.socket is %s", got)
	}
	for path, want := range map[string]int{"/style.css": 200, "/missing": 404, "/../README": 404, "/landfast.toml": 404} {
		if status, body, err := a.get("http://127.0.0.1:8080" + path); err != nil || status != want {
			a.t.Errorf("%s: status %d, %v, want %d\n%s", path, status, err, want, body)
		}
	}
}
