package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/landfast/landfast/internal/cli"
)

// update is read by the library when it looks for "-update".
var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

// machineVariable names the directory of the machine that landfast runs on in a
// script; without it, it is this one.
const machineVariable = "LANDFAST_TEST_MACHINE"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"landfast": func() { os.Exit(landfast()) }})
}

// landfast is the program as the scripts run it.
func landfast() int {
	ctx := context.Background()
	std := cli.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	root := os.Getenv(machineVariable)
	if root == "" {
		return cli.Run(ctx, os.Args[1:], std, "test")
	}
	code, err := runOn(ctx, root, os.Args[1:], std)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the machine of the test:", err)
		return 125
	}
	return code
}

// TestScript runs testdata/script/*.txtar. Besides the commands of testscript they
// have:
//
//	exit CODE landfast ARGS…  runs it, and checks the exit code. What it prints
//	                          with --json must be JSON of documented fields
//	terminal CODE landfast …  the same on a terminal; stdout is what that shows
//	stage DIR [ACCOUNT…]      makes a tree that is not running
//	machine [ACCOUNT…]        makes a machine with a fake systemd, and lets landfast run on it
//	json PATH VALUE           checks a value in the JSON that was printed, the text or
//	                          a regular expression; PATH as in error.problems.0.line,
//	                          and -1 is the last one
//	tidy FILE                 writes stdout to FILE, with the same times, ids and
//	                          directories in each run
//
// and the conditions [root] and [systemd].
func TestScript(t *testing.T) {
	seen := &fieldsSeen{t: t, of: map[string]map[string]bool{}}
	t.Run("group", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir: "testdata/script", RequireExplicitExec: true, UpdateScripts: *update,
			Setup: func(env *testscript.Env) error {
				env.Setenv("SUDO_USER", "ann")
				env.Setenv("TZ", "UTC")
				return executables(env.WorkDir)
			},
			Condition: func(cond string) (bool, error) {
				switch cond {
				case "root":
					return os.Geteuid() == 0, nil
				case "systemd":
					_, err := os.Stat("/run/systemd/system")
					return err == nil, nil
				}
				return false, fmt.Errorf("there is no condition %q", cond)
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"exit":     func(ts *testscript.TestScript, neg bool, args []string) { exit(ts, neg, args, seen) },
				"terminal": terminal,
				"stage": func(ts *testscript.TestScript, _ bool, args []string) {
					ts.Check(stage(ts.MkAbs(args[0]), args[1:]...))
				},
				"machine": func(ts *testscript.TestScript, _ bool, args []string) {
					root := ts.Getenv("WORK") + "/machine"
					ts.Check(stage(root, args...))
					ts.Setenv(machineVariable, root)
				},
				"json": jsonValue,
				"tidy": func(ts *testscript.TestScript, _ bool, args []string) {
					text := tidy(ts.ReadFile("stdout"), ts.Getenv("WORK"))
					ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
				},
			},
		})
	})
	if !t.Failed() && !testing.Short() && flag.Lookup("test.run").Value.String() == "" {
		seen.checkAll()
	}
}

// executables gives the programs in a script's files, those in a directory bin, the
// mode that an archive of text has not.
func executables(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) != "bin" {
			return err
		}
		return os.Chmod(path, 0o755)
	})
}

// exit runs a command and checks how it ends.
func exit(ts *testscript.TestScript, neg bool, args []string, seen *fieldsSeen) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	ended(ts, args, err)
	if args[1] == "landfast" && slices.Contains(args, "--json") {
		if err := seen.check(verbOf(args[2:]), ts.ReadFile("stdout")); err != nil {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
	}
}

func ended(ts *testscript.TestScript, args []string, err error) {
	code := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// verbOf is the verb of a command line.
func verbOf(args []string) string {
	cmd, _, err := cli.Verbs().Find(args)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "landfast"), " ")
}

// values are the JSON values of a text, one behind the other.
func values(text string) ([]any, error) {
	var all []any
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("what it prints is not JSON: %w", err)
		}
		all = append(all, v)
	}
}

// jsonValue checks one value of what was printed.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH VALUE")
	}
	all, err := values(ts.ReadFile("stdout"))
	ts.Check(err)
	if len(all) == 0 {
		ts.Fatalf("nothing was printed")
	}
	at := all[len(all)-1]
	for name := range strings.SplitSeq(args[0], ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			if i < 0 {
				i += len(v)
			}
			if i < 0 || i >= len(v) {
				ts.Fatalf("%s: there are %d values", args[0], len(v))
			}
			at = v[i]
		default:
			at = nil
		}
	}
	text, ok := at.(string)
	if !ok {
		b, err := json.Marshal(at)
		ts.Check(err)
		text = string(b)
	}
	ok = text == args[1]
	if re, err := regexp.Compile(`^(?s:` + args[1] + `)$`); err == nil {
		ok = ok || re.MatchString(text)
	}
	if ok == neg {
		ts.Fatalf("%s is %q, want %s", args[0], text, args[1])
	}
}

// What differs from one run to the next.
var (
	idTime   = regexp.MustCompile(`\b\d{8}T\d{6}Z\b`)
	idSuffix = regexp.MustCompile(`TIME-[0-9a-f]{7}\b`)
	duration = regexp.MustCompile(`\b\d+(\.\d+)?(ns|µs|ms|s)\b`)
	date     = regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b`)
	stamp    = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.0-9]*(Z|[-+]\d\d:\d\d)`)
	took     = regexp.MustCompile(`"took_ns": ?\d+`)
	spaces   = regexp.MustCompile(`(\S)  +`)
)

// tidy makes a text the same in each run. Columns are two spaces apart then.
func tidy(text, work string) string {
	text = strings.ReplaceAll(text, work, "$WORK")
	text = idSuffix.ReplaceAllString(idTime.ReplaceAllString(text, "TIME"), "TIME-HASH")
	text = stamp.ReplaceAllString(date.ReplaceAllString(text, "DATE"), "STAMP")
	text = duration.ReplaceAllString(took.ReplaceAllString(text, `"took_ns": 1`), "TOOK")
	return spaces.ReplaceAllString(text, "$1  ")
}

// terminal runs a command whose output is a terminal.
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: terminal CODE COMMAND…")
	}
	shown, err := onTerminal(ts, args[1:])
	_, werr := io.WriteString(ts.Stdout(), shown)
	ts.Check(werr)
	ended(ts, args, err)
}

// fieldsSeen are the fields that were printed, by verb.
type fieldsSeen struct {
	t  *testing.T
	mu sync.Mutex
	of map[string]map[string]bool
}

// check refuses what is not JSON, and fields that the reference does not have.
func (f *fieldsSeen) check(verb, text string) error {
	all, err := values(text)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("it prints nothing")
	}
	documented, _ := cli.Fields(verb)
	if len(documented) == 0 {
		return nil // it prints what others document
	}
	documented = append(documented, cli.ErrorFields()...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[verb] == nil {
		f.of[verb] = map[string]bool{}
	}
	var unknown []string
	for _, v := range all {
		walk("", v, func(path string) {
			f.of[verb][path] = true
			known := func(d string) bool {
				free, ok := strings.CutSuffix(d, "*") // anything may be below
				return d == path || ok && strings.HasPrefix(path, free)
			}
			if !slices.ContainsFunc(documented, known) && !slices.Contains(unknown, path) {
				unknown = append(unknown, path)
			}
		})
	}
	if unknown != nil {
		return fmt.Errorf("fields that are not documented: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// walk calls f for the path of every field, as the reference writes it.
func walk(path string, v any, f func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			p := strings.TrimPrefix(path+"."+name, ".")
			f(p)
			walk(p, inner, f)
		}
	case []any:
		for _, inner := range v {
			walk(path+"[]", inner, f)
		}
	}
}

// checkAll finds fields in the reference that no script has seen. Verbs share them:
// what one prints need not be seen of the other, too.
func (f *fieldsSeen) checkAll() {
	all := map[string]bool{}
	for _, seen := range f.of {
		for path := range seen {
			all[strings.TrimPrefix(path, "[].")] = true
		}
	}
	printed := func(field string) bool {
		field = strings.TrimPrefix(field, "[].")
		for path := range all {
			if path == field || strings.HasSuffix(path, "."+field) || strings.HasSuffix(field, "."+path) {
				return true
			}
		}
		return false
	}
	for verb := range f.of {
		documented, rare := cli.Fields(verb)
		for _, field := range documented {
			if !rare[field] && !printed(field) {
				f.t.Errorf("%s: no script has seen the field %s of the reference", verb, field)
			}
		}
	}
	for _, field := range cli.ErrorFields() {
		if !printed(field) {
			f.t.Errorf("no script has seen the field %s of the reference", field)
		}
	}
}
