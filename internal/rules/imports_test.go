package rules_test

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// adapters each stand for one thing outside the program. None knows another, so
// each can be read, tested and replaced alone.
var adapters = []string{
	"internal/source", "internal/release", "internal/health", "internal/systemd", "internal/host", "internal/secret",
	"internal/cloud", "internal/steer",
}

// pure packages compute and touch nothing, so a plan can be made anywhere, for
// any machine, and compared.
var pure = []string{"internal/adopt", "internal/codedeploy", "internal/policy", "internal/setup", "internal/plan", "internal/unit", "internal/manifest", "internal/stack"}

// importRule says which imports of some packages are refused.
type importRule struct {
	name    string
	of      []string // packages of this module, each with those below it
	deny    []string // import paths, or module-relative directories starting with "./"
	except  []string // imports that are fine all the same, in the same notation
	files   []string // file names that may break the rule
	because string
}

var importRules = []importRule{
	{
		name: "vocabulary", of: []string{""},
		deny:    []string{"./"},
		because: "every package may import the vocabulary, so it can import none",
	},
	{
		name: "pure", of: pure,
		deny: []string{
			"os", "os/exec", "os/user", "os/signal", "net", "net/http", "syscall", "time/tzdata", "golang.org/x/sys",
			"./internal",
		},
		except:  []string{"./internal/plan", "./internal/unit", "./internal/manifest", "./internal/stack", "./internal/policy"},
		files:   []string{"load.go"},
		because: "what only computes must not see the machine",
	},
	{
		name: "unit", of: []string{"internal/unit"},
		deny:    []string{"./internal"},
		because: "the unit model stands alone",
	},
	{
		name: "one front end", of: []string{"internal"},
		deny:    []string{"./internal/cli"},
		except:  nil,
		because: "only cmd/landfast and the generator of its documentation need the command line",
	},
}

// onlyIn says that some imports belong to some packages.
type onlyIn struct {
	imports string
	may     []string
	tests   bool // tests anywhere may, too
	because string
}

var reserved = []onlyIn{
	{"github.com/spf13/cobra", []string{"internal/cli", "internal/gen", "cmd"}, false, "flags and verbs are the command line's concern"},
	{"github.com/spf13/pflag", []string{"internal/cli", "internal/gen", "cmd"}, false, "flags and verbs are the command line's concern"},
	{module + "/internal/cli", []string{"internal/cli", "internal/gen", "cmd/landfast"}, true, "nothing is built on the front end"},
	{module + "/internal/lab", []string{"internal/lab", "bench"}, true, "the program does not boot machines yet"},
	{module + "/internal/leaktest", nil, true, "it is for tests"},
	{module + "/internal/rules", nil, false, "it is nothing but tests"},
	{"testing", nil, true, "the program must not carry the testing package"},
	{"github.com/google/go-cmp", nil, true, "it may panic, and is for tests"},
	{"pgregory.net/rapid", nil, true, "it is for tests"},
	{"github.com/godbus/dbus", []string{"internal/systemd"}, true, "one package speaks to systemd"},
	{"github.com/aws", []string{"internal/cloud"}, true, "one package speaks to the cloud"},
	{"filippo.io/age", []string{"internal/secret"}, true, "one package decrypts"},
	{"github.com/coreos/go-systemd", []string{"internal/systemd"}, true, "one package speaks to systemd"},
}

// matches tells whether an import is the one named, or below it. "./" stands for
// this module.
func matches(imported, pattern string) bool {
	if rel, ok := strings.CutPrefix(pattern, "./"); ok {
		pattern = strings.TrimSuffix(module+"/"+rel, "/")
		return imported == pattern || strings.HasPrefix(imported, pattern+"/")
	}
	// "net" is the package alone: net/netip and net/url touch nothing.
	third := strings.Contains(pattern, ".")
	return imported == pattern || third && strings.HasPrefix(imported, pattern+"/")
}

func matchesAny(imported string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(imported, p) })
}

func imports(f file) []string {
	var list []string
	for _, i := range f.ast.Imports {
		list = append(list, strings.Trim(i.Path.Value, `"`))
	}
	return list
}

func TestImportDirections(t *testing.T) {
	m := loaded(t)
	for _, rule := range importRules {
		for _, f := range m.files {
			rel := f.pkg.rel()
			if f.test || !in(rel, rule.of...) || slices.Contains(rule.files, path.Base(f.name)) {
				continue
			}
			if rule.name == "one front end" && in(rel, "internal/cli", "internal/gen") {
				continue
			}
			for _, i := range imports(f) {
				own := i == f.pkg.ImportPath || strings.HasPrefix(i, f.pkg.ImportPath+"/") && rel != ""
				if matchesAny(i, rule.deny) && !matchesAny(i, rule.except) && !own {
					t.Errorf("%s imports %s: %s (rule %q)", f.name, i, rule.because, rule.name)
				}
			}
		}
	}
}

func TestAdaptersDoNotKnowEachOther(t *testing.T) {
	for _, f := range loaded(t).files {
		rel := f.pkg.rel()
		if f.test || !in(rel, adapters...) {
			continue
		}
		for _, i := range imports(f) {
			to := strings.TrimPrefix(i, module+"/")
			// release/tree is files on disk, below both who fetches and who keeps them.
			if !in(to, adapters...) || to == "internal/release/tree" {
				continue
			}
			of := func(dir string) bool { return in(rel, dir) && in(to, dir) }
			if !slices.ContainsFunc(adapters, of) {
				t.Errorf("%s imports %s: adapters do not know each other", f.name, to)
			}
		}
	}
}

func TestImportsReservedForNamedPlaces(t *testing.T) {
	for _, f := range loaded(t).files {
		if example(f.pkg) {
			continue
		}
		for _, rule := range reserved {
			if in(f.pkg.rel(), rule.may...) || rule.tests && (f.test || support(f.pkg.ImportPath)) {
				continue
			}
			for _, i := range imports(f) {
				if i == rule.imports || strings.HasPrefix(i, rule.imports+"/") {
					t.Errorf("%s imports %s: %s", f.name, i, rule.because)
				}
			}
		}
	}
}

// support tells whether a package helps the tests of others: its name ends in
// test, as httptest's does.
func support(importPath string) bool { return strings.HasSuffix(importPath, "test") }

func TestSupportForTestsStaysInTests(t *testing.T) {
	for _, f := range loaded(t).files {
		if f.test || support(f.pkg.ImportPath) || example(f.pkg) {
			continue
		}
		for _, i := range imports(f) {
			if support(i) {
				t.Errorf("%s imports %s, which is for tests", f.name, i)
			}
		}
	}
}

// TestRulesNamePackagesThatExist keeps a rule from going silent when what it is
// about is renamed.
func TestRulesNamePackagesThatExist(t *testing.T) {
	m := loaded(t)
	named := slices.Concat(adapters, pure)
	for _, r := range importRules {
		named = append(named, r.of...)
	}
	for _, r := range reserved {
		if rel, ok := strings.CutPrefix(r.imports, module+"/"); ok {
			named = append(named, rel)
		}
	}
	for _, dir := range named {
		if !slices.ContainsFunc(m.packages, func(p pkg) bool { return in(p.rel(), dir) }) {
			t.Errorf("a rule is about %s, where there is no package", dir)
		}
	}
}

// TestImportDepth keeps the house shallow: how many imports of this module lie
// between a package and the vocabulary, on the longest way.
func TestImportDepth(t *testing.T) {
	const most = 6
	m := loaded(t)
	of := map[string]pkg{}
	for _, p := range m.packages {
		of[p.ImportPath] = p
	}
	memo := map[string][]string{}
	var chain func(string) []string
	chain = func(at string) []string {
		if c, ok := memo[at]; ok {
			return c
		}
		var longest []string
		for _, i := range of[at].Imports {
			if _, ours := of[i]; !ours {
				continue
			}
			if c := chain(i); len(c) > len(longest) {
				longest = c
			}
		}
		memo[at] = append([]string{strings.TrimPrefix(at, module+"/")}, longest...)
		return memo[at]
	}
	deepest := []string{}
	for _, p := range m.packages {
		c := chain(p.ImportPath)
		if len(c)-1 > most {
			t.Errorf("%s is %d imports deep, at most %d: %s", p.rel(), len(c)-1, most, strings.Join(c, " → "))
		}
		if len(c) > len(deepest) {
			deepest = c
		}
	}
	t.Logf("deepest: %s", strings.Join(deepest, " → "))
}
