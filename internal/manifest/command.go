package manifest

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
)

// command is a program and its arguments. It is split into words before its
// references are resolved, so that a value with spaces stays one argument.
type command struct {
	// prefixes are those of systemd.service(5) that it may have.
	prefixes []string
	key      string
	src      *node
	words    []*text
	missing  *node // where to say that it is not set; nil: it is
}

// hostPrefixes are the prefixes of the commands that systemd itself runs.
func hostPrefixes() []string { return []string{"-", "+", "!!", "!"} }

// prefixed lets c carry a prefix.
func (c *command) prefixed() value {
	c.prefixes = hostPrefixes()
	return c
}

func (c *command) given() bool { return c.src != nil }

// absent remembers where to report the command as missing, if it has to be set.
func (c *command) absent(_ *decoder, key string, section *node) { c.key, c.missing = key, section }

func (c *command) decode(d *decoder, key string, n *node) {
	c.key, c.src = key, n
	switch n.kind {
	case stringNode:
		if d.clean(key, n) {
			c.split(d, n)
		}
	case arrayNode:
		for i, item := range n.items {
			t := &text{form: anyText}
			t.decode(d, key+"["+itoa(i)+"]", item)
			c.words = append(c.words, t)
		}
		if len(n.items) == 0 {
			d.at(n, key, "is an empty command", "the first word is the program")
		}
	default:
		d.wrongType(key, n, "a string or a list of words")
	}
}

// shellWords are what people write who expect a shell.
func shellWords() []string {
	return []string{"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>"}
}

// split makes words of the string n.
func (c *command) split(d *decoder, n *node) {
	words, unclosed := splitWords(n.text)
	if unclosed >= 0 {
		d.add(n.src, n.offset(unclosed), c.key, "a quote without its end", "")
		return
	}
	if len(words) == 0 {
		d.at(n, c.key, "is an empty command", "the first word is the program")
		return
	}
	for _, w := range words {
		if !w.quoted && slices.Contains(shellWords(), string(w.text)) {
			d.add(n.src, n.offset(w.offsets[0]), c.key, quote(string(w.text))+" does nothing here: commands are not run by a shell",
				`write several commands where a list is taken, or ["/bin/sh", "-c", "..."]`)
			return
		}
		t := &text{form: anyText}
		t.parts = d.parts(c.key, string(w.text), n, func(i int) int { return n.offset(w.offsets[i]) })
		d.track(t, c.key, n)
		c.words = append(c.words, t)
	}
}

// word is one word of a command, and where each of its bytes stood.
type word struct {
	text    []byte
	offsets []int
	quoted  bool // some of it stood in quotes
}

func (w *word) add(offset int, text string) {
	for i := range len(text) {
		w.text = append(w.text, text[i])
		w.offsets = append(w.offsets, offset)
	}
}

// splitWords splits s as a shell does: at white space, with 'literal' and
// "quoted" text and the backslash. It gives the offset of a quote that is not
// closed, or -1.
func splitWords(s string) (words []word, unclosed int) {
	var w *word
	quoted, opened := byte(0), -1
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == ' ' && quoted == 0 {
			if w != nil {
				words = append(words, *w)
			}
			w = nil
			continue
		}
		if w == nil {
			w = &word{}
		}
		switch {
		case quoted != 0 && c == quoted:
			quoted = 0
		case quoted == 0 && (c == '\'' || c == '"'):
			quoted, opened, w.quoted = c, i, true
		case escapes(s[i:], quoted):
			i++
			w.add(i, s[i:i+1])
			if strings.HasPrefix(s[i:], "${") {
				w.add(i, "$") // $${: not a reference
			}
		default:
			w.add(i, s[i:i+1])
		}
	}
	switch {
	case quoted != 0:
		return nil, opened
	case w != nil:
		words = append(words, *w)
	}
	return words, -1
}

// escapes reports whether s begins with a backslash that takes the meaning of
// what follows it, within the quotes that are open (0: none).
func escapes(s string, quoted byte) bool {
	if len(s) < 2 || s[0] != '\\' || quoted == '\'' {
		return false
	}
	return quoted == 0 || strings.IndexByte("\"\\$`", s[1]) >= 0
}

// assignment is how a shell sets a variable for one command.
var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// build gives the command with its program below the release at current. It
// is the zero Command when the command is not set or bad.
func (c *command) build(d *decoder, current string) landfast.Command {
	var cmd landfast.Command
	for _, w := range c.words {
		if !w.ok() {
			return landfast.Command{}
		}
		cmd.Argv = append(cmd.Argv, w.value)
	}
	if len(cmd.Argv) == 0 {
		return cmd
	}
	cmd.Prefix, cmd.Argv[0] = c.cutPrefix(cmd.Argv[0])
	program := cmd.Argv[0]
	if i := slices.Index(cmd.Argv, "$MAINPID"); i >= 0 && c.words[i].given() {
		d.at(c.words[i].src, c.key, "$MAINPID is passed as it stands", "systemd fills it in only in [systemd.Service]: write ExecReload or ExecStop there")
	}
	if f := c.checkProgram(program, c.words[0].value); f != nil {
		d.at(d.origin(c.words[0]), c.key, f.msg, f.hint)
		return landfast.Command{}
	}
	switch {
	case path.IsAbs(program):
		cmd.Argv[0] = path.Clean(program)
	case strings.Contains(program, "/") && current != "":
		cmd.Argv[0] = path.Join(current, program)
	}
	return cmd
}

// cutPrefix takes the prefixes that c may have off the program.
func (c *command) cutPrefix(program string) (prefix, rest string) {
	for {
		i := slices.IndexFunc(c.prefixes, func(p string) bool { return strings.HasPrefix(program, p) && !strings.Contains(prefix, p) })
		if i < 0 {
			return prefix, program
		}
		prefix += c.prefixes[i]
		program = program[len(c.prefixes[i]):]
	}
}

// checkProgram says what is wrong with the program of a command, which stands
// in the manifest as written.
func (c *command) checkProgram(program, written string) *flaw {
	switch {
	case program == "":
		return &flaw{"is an empty command", "the first word is the program"}
	case strings.ContainsRune("-+!@:|", rune(program[0])):
		hint := "systemd's prefixes have no meaning here"
		if len(c.prefixes) > 0 {
			hint = "the prefixes are -, +, ! and !!, each once; a list of commands is a list of lists: [[\"program\", \"argument\"]]"
		}
		return &flaw{quote(written) + " cannot be a program", hint}
	case assignment.MatchString(program):
		return &flaw{quote(program) + " is not a program", "variables are set in [env]"}
	case !path.IsAbs(program) && (program == ".." || slices.Contains(strings.Split(program, "/"), "..")):
		return &flaw{quote(program) + " leads out of the release", "write an absolute path"}
	case strings.HasSuffix(program, "/") || path.Clean(program) == ".":
		return &flaw{quote(program) + " is a directory", ""}
	}
	return nil
}

func (c *command) label() string { return "command" }

// commandLine describes a command as one string.
func commandLine() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^ *[^ \x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$`}
}

func (c *command) schema() *jsonschema.Schema {
	one := 1
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		commandLine(),
		{Type: "array", Items: anyText.schema(), MinItems: &one},
	}}
}

// commands are commands that run one after the other.
type commands struct {
	prefixes []string
	list     []*command
}

// prefixed lets the commands carry prefixes.
func (c *commands) prefixed() value {
	c.prefixes = hostPrefixes()
	return c
}

func (c *commands) decode(d *decoder, key string, n *node) {
	items := n.items
	switch n.kind {
	case stringNode:
		items = []*node{n}
	case arrayNode:
	default:
		d.wrongType(key, n, "a list of commands")
		return
	}
	for i, item := range items {
		one := &command{prefixes: c.prefixes}
		name := key
		if n.kind == arrayNode {
			name += "[" + itoa(i) + "]"
		}
		one.decode(d, name, item)
		c.list = append(c.list, one)
	}
}

func (c *commands) build(d *decoder, current string) []landfast.Command {
	var built []landfast.Command
	for _, one := range c.list {
		if cmd := one.build(d, current); len(cmd.Argv) > 0 {
			built = append(built, cmd)
		}
	}
	return built
}

func (c *commands) label() string { return "list of commands" }

func (c *commands) schema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		commandLine(),
		{Type: "array", Items: (&command{}).schema()},
	}}
}
