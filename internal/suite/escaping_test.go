package suite_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// nasty are values that something between a manifest and a process likes to
// change.
func nasty() []string {
	return []string{
		"", " ", "two words", "  blanks around  ", `"quoted"`, `'quoted'`, `it's`, `5" disk`, "%", "%n", "%%", "100%", "%h/%i",
		"$", "$$", "$HOME", "${HOME}", "${name}", "$${HOME}", "$$${x}", "${", "}", "a$", `\`, `\\`, `\n`, `\x41`, `trailing\`,
		`{"a":1}`, `{"a":"b c","d":[1,2]}`, "Ünïcödé ☃ 日本語 🙂", ";", "a;b", ";;", `\;`, "#", "# x", "&& true", "| cat", "`id`",
		"$(id)", "*", "~", "[Service]", "ExecStart=/bin/false", "-", "--", "@x", "+x", "!x", ":x", "=", "a=b", "\u00a0", "\ufeff",
		strings.Repeat("long ", 2000),
	}
}

// random are strings that nobody would think of, without the control characters
// that a manifest refuses.
func random(t *testing.T, n int) []string {
	t.Helper()
	seed := rand.IntN(1 << 30)
	t.Logf("random strings from seed %d", seed)
	letters := rapid.OneOf(
		rapid.Rune(),
		rapid.SampledFrom([]rune(`%$\"'{}; #=@!+-:&|*~[]()<>nxtHOME01`)),
	).Filter(func(r rune) bool { return r >= 0x20 && r != 0x7f && (r < 0x80 || r > 0x9f) })
	g := rapid.StringOfN(letters, 0, 40, -1)
	var all []string
	for i := range n {
		all = append(all, g.Example(seed+i))
	}
	return all
}

// quoted writes a value as a TOML string. "${" is a reference there unless it has
// another $ in front.
func quoted(s string) string {
	s = strings.ReplaceAll(s, "${", "$${")
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func list(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, quoted(w))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func TestTheProcessGetsWhatTheManifestSays(t *testing.T) {
	eachHost(t, func(h *host) {
		words := append(nasty(), random(h.t, 500)...)
		values := append(nasty(), random(h.t, 500)...)
		a := h.app("web", 9000)
		env := fmt.Sprintf("[env]\nPORT = %d\n", a.port)
		for i, v := range values {
			env += fmt.Sprintf("V%d = %s\n", i, quoted(v))
		}
		dump := func(name string) string { return list(append([]string{wellKnown, "dump", name}, words...)) }
		a.manifest(env,
			fmt.Sprintf("[service]\ntype = \"notify\"\ncommand = %s\nbefore_start = [%s]\nstop = %s",
				list(append([]string{wellKnown}, words...)), dump("before"), dump("stop")),
			fmt.Sprintf("[health]\nexec = %s\n\n[hooks]\nmigrate = [%s]\nafter = [%s]\n\n[dirs]\nstate = true",
				dump("health"), dump("migrate"), dump("after")))
		a.deploy(a.release("1", "")).code0()
		a.landfast("plan").code0()

		reports := map[string]report{"main": a.answers("1")}
		reports["main"] = withoutProgram(reports["main"], 1)
		a.landfast("stop").code0()
		for _, name := range []string{"before", "health", "migrate", "after", "stop"} {
			var r report
			if err := json.Unmarshal([]byte(h.read("/var/lib/web/"+name+".json")), &r); err != nil {
				h.t.Fatal(err)
			}
			reports[name] = withoutProgram(r, 3)
		}
		for name, r := range reports {
			if d := cmp.Diff(words, r.Args); d != "" {
				h.t.Errorf("the arguments of %s (-manifest +process):\n%s", name, d)
			}
			for i, v := range values {
				if want := fmt.Sprintf("V%d=%s", i, v); !slices.Contains(r.Env, want) {
					h.t.Errorf("the environment of %s has no %q", name, want)
				}
			}
		}
		h.t.Logf("%d processes with %d arguments and %d variables each", len(reports), len(words), len(values))
	})
}

func withoutProgram(r report, n int) report {
	r.Args = r.Args[n:]
	return r
}

func TestAControlCharacterIsRefusedAndItsKeyNamed(t *testing.T) {
	eachHost(t, func(h *host) {
		for _, tt := range []struct{ key, section string }{
			{"command", "[service]\ncommand = [\"" + wellKnown + "\", \"a\\nb\"]"},
			{"GREETING", "[env]\nPORT = 1\nGREETING = \"hello\\nworld\""},
			{"identifier", "[service]\ncommand = \"bin/web\"\nidentifier = \"a\\nb\""},
			{"OOMPolicy", "[systemd.Service]\nOOMPolicy = \"stop\\nUser=root\""},
			{"BELL", "[env]\nPORT = 1\nBELL = \"\\u0007\""},
		} {
			a := h.app("refused", 9000).manifest(tt.section)
			before := h.tree(system()...)
			a.landfast("check").exits(2).says("landfast.toml:", tt.key)
			a.release("1", "")
			a.deploy("1").exits(2).says(tt.key)
			h.same("a refused manifest changed something", before, h.tree(system()...))
		}
	})
}
