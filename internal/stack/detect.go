package stack

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Reason is something that was guessed, and why.
type Reason struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Why   string `json:"why"`
}

// Guess is what the files of a project say about it.
type Guess struct {
	Name    string   `json:"name"`            // of the app
	Stack   string   `json:"stack,omitempty"` // "": any command
	Reasons []Reason `json:"reasons"`

	release  string   // release_name, where it is not that of the app
	source   string   // the directory of a release
	built    string   // how it is made
	command  []string // words; none: the stack has it
	commands string   // why it is that
	env      []setting
	files    bool // variables in a file, for secrets
	dirs     []setting
	health   string // path of an http check; "": none
	notes    []string
}

// setting is one line of a section, with the comment above it.
type setting struct{ key, value, comment string }

// project is the files that are looked at.
type project struct {
	fs.FS
}

// detector tells one kind of project.
type detector struct {
	stack string
	// sign gives the file that shows that a project is of the kind, or "".
	sign  func(project) string
	guess func(project, *Guess)
}

// detectors are in the order in which they are asked: a project of Elixir, Ruby
// or Python may well have a package.json for its pages.
func detectors() []detector {
	return []detector{
		{"distillery", signDistillery, guessDistillery},
		{"elixir", one("mix.exs"), guessElixir},
		{"", one("rebar.config"), guessRebar},
		{"ruby", one("config.ru", "Gemfile"), guessRuby},
		{"python", one("manage.py", "pyproject.toml", "requirements.txt", "setup.py", "Pipfile", "wsgi.py", "asgi.py"), guessPython},
		{"go", one("go.mod"), guessGo},
		{"java", one("pom.xml", "build.gradle", "build.gradle.kts", "*.jar", "target/*.jar"), guessJava},
		{"static", signPages, guessStatic},
		{"node", one("package.json"), guessNode},
		{"", one("Procfile"), guessProcfile},
	}
}

// Detect guesses how the project in files is made, named after dir if nothing in
// it names it. want is the stack it is known to have; "" looks for one.
func Detect(files fs.FS, dir, want string) (*Guess, error) {
	p := project{files}
	g := &Guess{Name: dir}
	if want != "" && !slices.Contains(Names(), want) {
		return nil, fmt.Errorf("there is no stack %q; there are %s", want, strings.Join(Names(), ", "))
	}
	found := false
	for _, d := range detectors() {
		sign := d.sign(p)
		if want != "" && d.stack != want || want == "" && sign == "" {
			continue
		}
		found, g.Stack = true, d.stack
		why := "there is " + sign
		if want != "" {
			why = "as asked for"
		}
		if d.stack != "" {
			g.because("stack", d.stack, why)
		}
		d.guess(p, g)
		break
	}
	p.procfile(g)
	g.complete(found)
	return g, nil
}

// because notes a guess.
func (g *Guess) because(key, value, why string) {
	g.Reasons = append(g.Reasons, Reason{key, value, why})
}

// run sets the command of the service.
func (g *Guess) run(why string, words ...string) {
	g.command, g.commands = words, why
}

// set adds a variable.
func (g *Guess) set(key, value, comment string) {
	g.env = slices.DeleteFunc(g.env, func(s setting) bool { return s.key == key })
	g.env = append(g.env, setting{key, value, comment})
}

// complete fills in what no file said.
func (g *Guess) complete(found bool) {
	g.Name = appName(g.Name)
	g.because("name", g.Name, "the app's units, account and directories are named after it")
	if g.command == nil && !hasCommand(g.Stack) {
		why := "a guess: nothing says what to run"
		if !found {
			why = "a guess: nothing here says what the project is"
		}
		g.run(why, "bin/"+g.Name)
	}
	if g.command != nil {
		g.because("service.command", quoteWords(g.command), g.commands)
	}
	if g.source != "" {
		g.because("source.dir", g.source, g.built)
	}
	if g.health != "" {
		g.because("health.http", g.health, "a guess: it answers there")
	}
}

// port is the variable PORT.
func (g *Guess) port() string {
	for _, s := range g.env {
		if s.key == "PORT" {
			return s.value
		}
	}
	return ""
}

// hasCommand reports whether a stack's preset has a command.
func hasCommand(stack string) bool {
	text, _ := Preset(stack)
	return strings.Contains(text, "\ncommand = ")
}

// maxRead is how much of a file is looked at.
const maxRead = 1 << 20

// read is the text of a file, or "".
func (p project) read(name string) string {
	info, err := fs.Stat(p, name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxRead {
		return ""
	}
	text, err := fs.ReadFile(p, name)
	if err != nil {
		return ""
	}
	return string(text)
}

// first is the first file that one of the patterns matches, or "".
func (p project) first(patterns ...string) string {
	for _, pattern := range patterns {
		found, err := fs.Glob(p, pattern)
		if err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// find is what the first group of a pattern matches in a file, or "".
func (p project) find(name, pattern string) string {
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.read(name))
	if m == nil {
		return ""
	}
	return m[1]
}

// one makes the sign of a project with one of some files.
func one(patterns ...string) func(project) string {
	return func(p project) string { return p.first(patterns...) }
}

var (
	// procPlain is a line of a Procfile that needs no shell: words, and $PORT.
	procPlain = regexp.MustCompile(`^(?:[\w@%+=:,./-]|\$PORT\b|\$\{PORT\}| )+$`)
	procPort  = regexp.MustCompile(`\$PORT\b|\$\{PORT\b`)
)

// guessProcfile is for projects that nothing but a Procfile tells of.
func guessProcfile(_ project, g *Guess) {
	g.source, g.built = ".", "the project as it is"
}

// procfile takes the command from a Procfile, which its author wrote for just
// this.
func (p project) procfile(g *Guess) {
	line := p.find("Procfile", `(?m)^web:[ \t]*(.+?)[ \t]*$`)
	switch {
	case line == "":
		return
	case procPlain.MatchString(line):
		g.run("the line web of the Procfile", strings.Fields(strings.ReplaceAll(line, "$PORT", "${PORT}"))...)
	default:
		g.run("the line web of the Procfile, which needs a shell", "/bin/sh", "-c", strings.ReplaceAll(line, "${", "$${"))
	}
	if procPort.MatchString(line) && g.port() == "" {
		g.set("PORT", "8080", "The Procfile asks for it.")
		g.health = "/"
	}
}

var notName = regexp.MustCompile(`[^a-z0-9_-]+`)

// appName makes a name for an app of s.
func appName(s string) string {
	s = strings.Trim(notName.ReplaceAllString(strings.ToLower(path.Base(s)), "-"), "-_")
	s = strings.TrimLeft(s, "0123456789-_")
	if len(s) > 31 {
		s = strings.TrimRight(s[:31], "-_")
	}
	switch {
	case s == "" || s == "root" || s == "daemon" || s == "bin" || s == "sys" || s == "nobody" || s == "init" || s == "ssh" || s == "sshd":
		return "app"
	case strings.HasPrefix(s, "landfast") || strings.HasPrefix(s, "systemd"):
		return strings.TrimRight(("app-" + s)[:min(len(s)+4, 31)], "-_")
	}
	return s
}
