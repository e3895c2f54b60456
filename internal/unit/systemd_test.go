package unit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/internal/unit"
)

// TestSystemdReadsWhatIsMeant gives a batch of values to systemd's own parser,
// which prints how it understood them.
func TestSystemdReadsWhatIsMeant(t *testing.T) {
	values := nasty()
	for i := range 400 {
		values = append(values, text().Example(i))
	}
	f := &unit.File{Comments: []string{"Managed by a test."}}
	sec := f.Section("Service")
	sec.Add("Type", "oneshot")
	var want dump
	for i, v := range values {
		name := fmt.Sprintf("V%d", i)
		sec.Add("Environment", must(t)(unit.Assignment(name, v)))
		want.environment = append(want.environment, name+"="+v)
	}
	for i := 0; i < len(values); i += 7 {
		argv := append([]string{"/bin/true"}, values[i:min(i+7, len(values))]...)
		sec.Add("ExecStart", must(t)(unit.Command("", argv)))
		want.commands = append(want.commands, argv)
	}
	for _, program := range []string{"/bin/we$b", "/bin/100%", "/bin/a b", "/bin/;", "/bin/#x", "/bin/${A}", "/bin/☃"} {
		sec.Add("ExecStart", must(t)(unit.Command("-", []string{program, "x"})))
		want.commands = append(want.commands, []string{program, "x"})
	}
	got := understood(t, f)
	if diff := cmp.Diff(want.environment, got.environment); diff != "" {
		t.Errorf("environment (-meant +understood):\n%s", diff)
	}
	if diff := cmp.Diff(want.commands, got.commands); diff != "" {
		t.Errorf("commands (-meant +understood):\n%s", diff)
	}
}

// TestSystemdReadsPathsAsMeant does the same for the directives whose values
// are strings and paths.
func TestSystemdReadsPathsAsMeant(t *testing.T) {
	for i, v := range nasty() {
		name := strings.Trim(strings.NewReplacer("/", "_").Replace(v), ".")
		if len(name) > 200 {
			continue // longer than a file's name may be
		}
		dir := "/srv/x" + name + "/y"
		f := &unit.File{}
		f.Section("Unit").Add("Description", must(t)(unit.Literal("x"+v+"y")))
		f.Section("Unit").Add("AssertPathExists", must(t)(unit.Path(dir)))
		sec := f.Section("Service")
		sec.Add("Type", "oneshot")
		sec.Add("ExecStart", "/bin/true")
		sec.Add("WorkingDirectory", must(t)(unit.Path(dir)))
		sec.Add("EnvironmentFile", must(t)(unit.EnvFile(dir, true)))
		sec.Add("ReadWritePaths", must(t)(unit.PathList("-", dir, "/plain")))
		sec.Add("BindPaths", must(t)(unit.PathList("", dir)))
		got := understood(t, f)
		glob := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
		for field, want := range map[string]string{
			"Description": "x" + v + "y", "WorkingDirectory": dir,
			"EnvironmentFile": "-" + glob, "ReadWritePaths": "-" + dir + " -/plain", "BindPaths": dir + ":" + dir + ":rbind",
			"AssertPathExists": dir + " untested",
		} {
			if len(got.fields[field]) != 1 || got.fields[field][0] != want {
				t.Errorf("value %d %q: %s is understood as %q, want %q", i, v, field, got.fields[field], want)
			}
		}
	}
}

// TestSysusersAndTmpfiles lets systemd's own programs work on a scratch root.
func TestSysusersAndTmpfiles(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	for _, d := range []string{"etc", "srv"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	home := `/ho me/%h "q" \x 'y' ☃`
	lines := []string{
		must(t)(unit.SysusersGroup("grp")),
		must(t)(unit.SysusersUser("web", `100% of "web" \x it's ☃ $A`, home)),
		must(t)(unit.SysusersMember("web", "grp")),
	}
	run(t, "systemd-sysusers", root, lines)
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(strings.TrimSpace(string(passwd)), ":")
	if len(fields) != 7 || fields[0] != "web" || fields[4] != `100% of "web" \x it's ☃ $A` || fields[5] != home {
		t.Errorf("sysusers made %q", fields)
	}
	group, err := os.ReadFile(filepath.Join(root, "etc/group"))
	if err != nil || !strings.Contains(string(group), ":web\n") {
		t.Errorf("sysusers made the groups %s, %v", group, err)
	}
	lines = nil
	var dirs []string
	for _, v := range nasty() {
		name := strings.Trim(strings.ReplaceAll(v, "/", "_"), ".")
		if len(name) > 200 {
			continue
		}
		dirs = append(dirs, "/srv/x"+name)
		lines = append(lines, must(t)(unit.TmpfilesDir("/srv/x"+name, "0750", "root", "root")))
	}
	run(t, "systemd-tmpfiles", root, lines, "--create")
	for _, d := range dirs {
		if st, err := os.Stat(filepath.Join(root, d)); err != nil || st.Mode().Perm() != 0o750 {
			t.Errorf("tmpfiles did not make %q: %v", d, err)
		}
	}
}

func run(t *testing.T, program, root string, lines []string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("this machine has no " + program)
	}
	conf := filepath.Join(root, "x.conf")
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append(args, "--root="+root, conf)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", program, err, out, strings.Join(lines, "\n"))
	}
}

func must(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// dump is how systemd understood a unit.
type dump struct {
	environment []string
	commands    [][]string
	fields      map[string][]string
}

// understood asks systemd-analyze.
func understood(t *testing.T, f *unit.File) dump {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("this machine has no systemd-analyze")
	}
	text, err := f.Render()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "x.service")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, log strings.Builder
	cmd := exec.Command("systemd-analyze", "verify", "--man=no", file)
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_UNIT_PATH="+dir)
	cmd.Stdout, cmd.Stderr = &out, &log
	_ = cmd.Run() // the units that every unit depends on are not there; what it printed is compared
	for line := range strings.Lines(log.String()) {
		if strings.HasPrefix(line, file+":") {
			t.Errorf("systemd says: %s%s", line, text)
		}
	}
	d := dump{fields: map[string][]string{}}
	for line := range strings.Lines(out.String()) {
		key, value, ok := strings.Cut(strings.TrimLeft(strings.TrimSuffix(line, "\n"), "\t"), ": ")
		switch {
		case !ok:
		case key == "Environment":
			d.environment = append(d.environment, value)
		case key == "Command Line":
			d.commands = append(d.commands, argv(t, value))
		default:
			d.fields[key] = append(d.fields[key], value)
		}
	}
	return d
}

// argv reads the command line that systemd-analyze prints, quoted for a shell,
// and does what systemd does with variables when it starts the program.
func argv(t *testing.T, line string) []string {
	t.Helper()
	words, err := unit.Words(strings.NewReplacer(`\\`, `\\`, `\$`, `$`, "\\`", "`").Replace(line))
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	for i := range words {
		words[i] = meant(t, words[i], "$")
	}
	return words
}
