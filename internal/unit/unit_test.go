package unit_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/landfast/landfast/internal/unit"
)

// nasty are values that go wrong in unit files that are written without care.
func nasty() []string {
	return []string{
		"", " ", "hello big world", " both ends ", `{"a":1}`, `C:\temp`, "100%", "100%done", "%h", "%%", "%2",
		"$HOME", "${HOME}", "$$", "$", "a$b", `"`, `'`, `it's`, `\`, `\\`, `\n`, `trailing\`, `trailing\\`, "tab\there", "\t",
		";", "#", "# no comment", "a;b", `\;`, `";"`, "[Service]", "A=B", "=", "-", "--", "-x", "+x", "!x", "@x", ":x", "|x", "~", "*", "?[a]",
		"héllo ☃ 日本 🙂", "\u00a0", "\u2028", "\uFFFD", "\ufeff", "`id`", "$(id)", "a\u0085b", strings.Repeat("x", 5000),
	}
}

// text draws a string that systemd can carry, full of characters that matter.
func text() *rapid.Generator[string] {
	special := rapid.RuneFrom([]rune("\"'\\%$;#=[]{} \t-+!@:~*?abn0xu☃é"))
	char := rapid.OneOf(special, rapid.Rune()).Filter(func(r rune) bool {
		return r == '\t' || !unicode.Is(unicode.Cc, r) && !unicode.Is(unicode.Cs, r) && (r < 0xfdd0 || r > 0xfdef) && r&0xfffe != 0xfffe || r >= 0x80 && r < 0xa0
	})
	return rapid.OneOf(rapid.SampledFrom(nasty()), rapid.StringOf(char))
}

// meant undoes what systemd undoes behind the words: specifiers, and variables
// if it is an argument. Nothing but escaped ones may be there.
func meant(t interface{ Fatalf(string, ...any) }, word string, marks ...string) string {
	for _, m := range marks {
		if strings.Contains(strings.ReplaceAll(word, m+m, ""), m) {
			t.Fatalf("%q holds a %s that means something", word, m)
		}
		word = strings.ReplaceAll(word, m+m, m)
	}
	return word
}

func TestAssignmentIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := text().Draw(t, "value")
		line, err := unit.Assignment("NAME", value)
		if err != nil {
			t.Fatal(err)
		}
		words, err := unit.Words(line)
		if err != nil || len(words) != 1 {
			t.Fatalf("Words(%s) = %q, %v", line, words, err)
		}
		if got, want := meant(t, words[0], "%"), "NAME="+value; got != want {
			t.Fatalf("%s is read as %q, want %q", line, got, want)
		}
	})
}

func TestCommandIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"", "-", "+", "!", "!!", "-+", "!-"}).Draw(t, "prefix")
		program := "/bin/" + rapid.StringMatching(`[a-z$% ;#-]{1,8}`).Draw(t, "program")
		args := rapid.SliceOfN(text(), 0, 5).Draw(t, "args")
		line, err := unit.Command(prefix, append([]string{program}, args...))
		if err != nil {
			t.Fatal(err)
		}
		words, err := unit.Words(line)
		if err != nil {
			t.Fatalf("Words(%s): %v", line, err)
		}
		path, argv := words[0], words
		if strings.Contains(program, "$") {
			prefix += "@"
			argv = words[1:]
		} else {
			argv[0] = strings.TrimPrefix(argv[0], prefix)
		}
		path = meant(t, strings.TrimPrefix(path, prefix), "%")
		if path != program {
			t.Fatalf("%s runs %q, want %q", line, path, program)
		}
		for i, want := range append([]string{program}, args...) {
			if i >= len(argv) {
				t.Fatalf("%s has %d words", line, len(argv))
			}
			if got := meant(t, argv[i], "%", "$"); got != want {
				t.Fatalf("%s: argument %d is read as %q, want %q", line, i, got, want)
			}
		}
		if len(argv) != len(args)+1 {
			t.Fatalf("%s has %d words, want %d", line, len(argv), len(args)+1)
		}
	})
}

func TestPathListIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var paths []string
		for _, s := range rapid.SliceOfN(text(), 1, 4).Draw(t, "names") {
			if s = strings.Trim(strings.ReplaceAll(s, "/", ""), "."); s != "" {
				paths = append(paths, "/srv/"+s)
			}
		}
		line, err := unit.PathList("-", paths...)
		if err != nil {
			t.Fatal(err)
		}
		words, err := unit.Words(line)
		if err != nil || len(words) != len(paths) {
			t.Fatalf("Words(%s) = %q, %v", line, words, err)
		}
		for i, w := range words {
			if got := meant(t, w, "%"); got != "-"+paths[i] {
				t.Fatalf("%s: path %d is read as %q, want %q", line, i, got, paths[i])
			}
		}
	})
}

func TestFileIsReadBack(t *testing.T) {
	name := rapid.StringMatching(`[A-Z][A-Za-z0-9]{0,10}`)
	value := text().Filter(func(s string) bool {
		_, err := unit.Literal(s)
		return err == nil
	})
	rapid.Check(t, func(t *rapid.T) {
		var want unit.File
		for _, c := range rapid.SliceOfN(value, 0, 2).Draw(t, "comments") {
			want.Comments = append(want.Comments, strings.TrimSpace("x"+c))
		}
		for _, s := range rapid.SliceOfN(name, 0, 4).Draw(t, "sections") {
			section := unit.Section{Name: s}
			for _, o := range rapid.SliceOfN(name, 0, 6).Draw(t, "options") {
				section.Add(o, value.Draw(t, "value"))
			}
			want.Sections = append(want.Sections, section)
		}
		rendered, err := want.Render()
		if err != nil {
			t.Fatal(err)
		}
		got, err := unit.Parse(rendered)
		if err != nil {
			t.Fatalf("%v\n%s", err, rendered)
		}
		if diff := cmp.Diff(&want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", diff, rendered)
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, bad := range []string{"a\nb", "a\rb", "a\x00b", "\x1b[1m", "\x7f", "\xff", "a\xc3", "\ufdd0", "\uffff"} {
		for name, escape := range map[string]func(string) (string, error){
			"Literal":    unit.Literal,
			"Quote":      unit.Quote,
			"Argument":   unit.Argument,
			"Path":       func(s string) (string, error) { return unit.Path("/" + s) },
			"PathList":   func(s string) (string, error) { return unit.PathList("", "/"+s) },
			"EnvFile":    func(s string) (string, error) { return unit.EnvFile("/"+s, false) },
			"Assignment": func(s string) (string, error) { return unit.Assignment("A", s) },
			"Command":    func(s string) (string, error) { return unit.Command("", []string{"/bin/" + s}) },
			"comment":    func(s string) (string, error) { return (&unit.File{Comments: []string{s}}).Render() },
			"option": func(s string) (string, error) {
				f := &unit.File{}
				f.Section("Service").Add("A", s)
				return f.Render()
			},
		} {
			if got, err := escape(bad); err == nil {
				t.Errorf("%s(%q) = %q, want an error", name, bad, got)
			}
		}
	}
	for _, bad := range []string{" a", "a ", "a\t", `a\`, `a\\\`} {
		if got, err := unit.Literal(bad); err == nil {
			t.Errorf("Literal(%q) = %q, want an error", bad, got)
		}
	}
	for _, bad := range []string{"", "bin/web", "-x", "@x", ":x", "+x", "!x", "|x", "~", ".", "..", "/bin/", `/bin/a"b`, `/bin/a'b`, `/bin/a\b`, "/bin/a\tb"} {
		if got, err := unit.Command("", []string{bad}); err == nil {
			t.Errorf("Command(%q) = %q, want an error", bad, got)
		}
	}
	for _, bad := range []string{"@", ":", "--", "+!", "!!!", "x", "|", "-:"} {
		if got, err := unit.Command(bad, []string{"/bin/true"}); err == nil {
			t.Errorf("Command with prefix %q = %q, want an error", bad, got)
		}
	}
	for _, bad := range []string{"", "1A", "A B", "A-B", "É"} {
		if got, err := unit.Assignment(bad, "x"); err == nil {
			t.Errorf("Assignment(%q) = %q, want an error", bad, got)
		}
	}
	for _, bad := range []string{"", "relative", "/a/../b", "/a//b", "/a/"} {
		if got, err := unit.Path(bad); err == nil {
			t.Errorf("Path(%q) = %q, want an error", bad, got)
		}
	}
}

func TestParse(t *testing.T) {
	got, err := unit.Parse("\ufeff# first\n;second\n\n[Unit]\r\nDescription = a b \nAfter=a.service \\\n# not this\n  ; nor this\n\tb.service\n\n[Service]\nEnvironment=A=1\nEnvironment=\nEnvironment=B=2\nEnvironment=C=3\nExecStart=/bin/a \\\\\nType=simple\nType=exec\n[Unit]\nAfter=c.service\n# last\n[Install]\nWantedBy=x.target \\")
	if err != nil {
		t.Fatal(err)
	}
	want := &unit.File{
		Comments: []string{"first", "second"},
		Sections: []unit.Section{
			{Name: "Unit", Options: []unit.Option{{"Description", "a b"}, {"After", "a.service  \tb.service"}}},
			{Name: "Service", Options: []unit.Option{
				{"Environment", "A=1"},
				{"Environment", ""},
				{"Environment", "B=2"},
				{"Environment", "C=3"},
				{"ExecStart", `/bin/a \\`},
				{"Type", "simple"},
				{"Type", "exec"},
			}},
			{Name: "Unit", Options: []unit.Option{{"After", "c.service"}}},
			{Name: "Install", Options: []unit.Option{{"WantedBy", "x.target"}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"B=2", "C=3"}, got.Values("Service", "Environment")); diff != "" {
		t.Errorf("an empty assignment takes back what was there: %s", diff)
	}
	if diff := cmp.Diff([]string{"a.service  \tb.service", "c.service"}, got.Values("Unit", "After")); diff != "" {
		t.Errorf("sections of one name are one: %s", diff)
	}
	if v := got.Value("Service", "Type"); v != "exec" {
		t.Errorf("Value(Type) = %q, want the last", v)
	}
}

func TestParseErrorsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"[Unit]\nDescription":   `line 2: "Description" has no "="`,
		"A=b":                   "line 1: A= stands before the first section",
		"[Unit]\n=x":            `line 2: "" is not the name of an option`,
		"\n\n[Unit":             `line 3: "[Unit" is not a section`,
		"[Unit]\nA=\xff":        "line 2: it is not valid UTF-8",
		"[Unit]\nA=\\\n\x01":    "line 3: A=: systemd cannot carry the control character U+0001",
		"[Unit]\nFoo Bar=x\n":   `line 2: "Foo Bar" is not the name of an option`,
		"[Unit]\nA=x\x00B y=z ": `line 3: "B y" is not the name of an option`,
	} {
		if _, err := unit.Parse(text); err == nil || err.Error() != want {
			t.Errorf("Parse(%q): %v, want %s", text, err, want)
		}
	}
}

func TestWords(t *testing.T) {
	for value, want := range map[string][]string{
		"":                                {},
		`a  "b c" 'd "e"' f"g h"i`:        {"a", "b c", `d "e"`, "fg hi"},
		`"" ''`:                           {"", ""},
		`\x41\102\u00e9\U0001f642 "\s\t"`: {"ABé🙂", " \t"},
		`a \; b`:                          {"a", ";", "b"},
	} {
		got, err := unit.Words(value)
		if err != nil {
			t.Errorf("Words(%s): %v", value, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Words(%s): %s", value, diff)
		}
	}
	for _, bad := range []string{`"a`, `'a`, `a\`, `\q`, `\x4`, `\x00`, `\400`, `\ud800`} {
		if got, err := unit.Words(bad); err == nil {
			t.Errorf("Words(%s) = %q, want an error", bad, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("# c\n[Unit]\nA=b \\\n c\n[X]\nB=\n")
	for _, s := range nasty() {
		f.Add("[Service]\nA=" + s + "\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := unit.Parse(text)
		if err != nil {
			return
		}
		rendered, err := file.Render()
		if err != nil {
			for _, c := range file.Comments {
				if _, bad := (&unit.File{Comments: []string{c}}).Render(); bad != nil {
					return // a comment may hold anything
				}
			}
			t.Fatalf("what was parsed does not render: %v", err)
		}
		again, err := unit.Parse(rendered)
		if err != nil {
			t.Fatalf("what was rendered does not parse: %v\n%s", err, rendered)
		}
		if diff := cmp.Diff(file, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzWords(f *testing.F) {
	for _, s := range nasty() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		words, err := unit.Words(value)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			q, err := unit.Quote(w)
			if err != nil {
				return // an escape gave what cannot be written down
			}
			quoted = append(quoted, q)
		}
		again, err := unit.Words(strings.Join(quoted, " "))
		if err != nil {
			t.Fatalf("%q: %v", quoted, err)
		}
		for i := range again {
			again[i] = strings.ReplaceAll(again[i], "%%", "%")
		}
		if diff := cmp.Diff(words, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestRenderIsDeterministic(t *testing.T) {
	f := &unit.File{Comments: []string{"mark"}}
	f.Section("Unit").Add("Description", "x")
	f.Section("Service").Add("Environment", "A=1")
	f.Section("Unit").Add("After", "a.target")
	f.Section("Service").Add("Environment", "B=2")
	if !f.Section("Unit").Drop("Description") || f.Section("Unit").Drop("Description") {
		t.Error("Drop tells whether there was something to drop")
	}
	got, err := f.Render()
	want := "# mark\n\n[Unit]\nAfter=a.target\n\n[Service]\nEnvironment=A=1\nEnvironment=B=2\n"
	if err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestProfiles(t *testing.T) {
	for _, name := range []string{"none", "baseline", "strict"} {
		lines, err := unit.Profile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			d, ok := unit.Lookup("Service", l.Directive)
			switch {
			case !ok:
				t.Errorf("%s: %s is not in the table of directives", name, l.Directive)
			case l.Since < d.Since && d.Since > 208:
				t.Errorf("%s: %s=%s since %d, but the directive only since %d", name, l.Directive, l.Value, l.Since, d.Since)
			case l.Reason == "":
				t.Errorf("%s: %s=%s has no reason", name, l.Directive, l.Value)
			}
			if old, ok := l.For(1); ok && old.Since > 1 {
				t.Errorf("%s: %s is given to a systemd that is too old", name, l.Directive)
			}
			if now, ok := l.For(0); !ok || now.Value != l.Value {
				t.Errorf("%s: the newest systemd does not get %s=%s", name, l.Directive, l.Value)
			}
		}
	}
	if _, err := unit.Profile("paranoid"); err == nil {
		t.Error("an unknown profile is no error")
	}
}

func ExampleCommand() {
	line, err := unit.Command("", []string{"/srv/web/current/bin/web", "--greeting", `100% "big" $world`, ""})
	fmt.Println(line, err)
	// Output: /srv/web/current/bin/web --greeting "100%% \"big\" $$world" "" <nil>
}
