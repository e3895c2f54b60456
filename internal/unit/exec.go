package unit

import (
	"errors"
	"fmt"
	"strings"
)

// Command gives a command for ExecStart= and its kin, so that the process
// receives argv: no variable is expanded and no specifier. argv[0] is an
// absolute path, or a bare name that systemd (since 239) looks for on its path.
// prefix is any of systemd's special prefixes that leave that true: "-", and
// one of "+", "!" and "!!".
func Command(prefix string, argv []string) (string, error) {
	if len(argv) == 0 {
		return "", errors.New("a command needs a program")
	}
	if err := checkPrefix(prefix); err != nil {
		return "", err
	}
	program, err := programWord(prefix, argv[0])
	if err != nil {
		return "", err
	}
	words := []string{program}
	for _, a := range argv[1:] {
		w, err := Argument(a)
		if err != nil {
			return "", fmt.Errorf("argument %q: %w", a, err)
		}
		words = append(words, w)
	}
	return strings.Join(words, " "), nil
}

// Argument gives s as one argument of a command, not its first.
func Argument(s string) (string, error) {
	if err := checkText(s); err != nil {
		return "", err
	}
	if s == ";" {
		// Between quotes, systemd before 220 still takes it for the separator
		// of two commands.
		return `\;`, nil
	}
	return quoted(percent(strings.ReplaceAll(s, "$", "$$"))), nil
}

// programWord gives the first word of a command. Special prefixes are taken
// off behind the unquoting, so quotes do not protect a name that begins like
// one; and the path is not searched for variables, while argv[0] is: a "$"
// needs "@", which takes argv[0] from the next word.
func programWord(prefix, program string) (string, error) {
	if err := checkProgram(program); err != nil {
		return "", err
	}
	name := ""
	if strings.Contains(program, "$") {
		word, err := Argument(program)
		if err != nil {
			return "", err
		}
		prefix, name = prefix+"@", " "+word
	}
	if word := percent(program); quoted(word) == word {
		return prefix + word + name, nil
	}
	return quoted(prefix+percent(program)) + name, nil
}

func checkProgram(p string) error {
	switch {
	case p == "":
		return errors.New("the name of a program cannot be empty")
	case strings.ContainsAny(p, `"'\`+"\t"):
		return fmt.Errorf("systemd runs no program with a quote, a backslash or a tab in its name: %s", p)
	case strings.HasSuffix(p, "/"):
		return fmt.Errorf("%s is a directory", p)
	case !strings.HasPrefix(p, "/") && strings.Contains(p, "/"):
		return fmt.Errorf("%s is neither absolute nor a bare name", p)
	case strings.ContainsAny(p[:1], "-@:+!|"):
		return fmt.Errorf("systemd takes the first character of %s for a prefix", p)
	case p == "." || p == ".." || p[0] == '~':
		return fmt.Errorf("%s is not the name of a program", p)
	}
	return checkText(p)
}

func checkPrefix(prefix string) error {
	rest := strings.Replace(prefix, "-", "", 1)
	switch rest {
	case "", "+", "!", "!!":
		return nil
	}
	if strings.ContainsAny(rest, "@:|") {
		return fmt.Errorf("the prefix %q is not for use here: commands arrive as they are written, without it", prefix)
	}
	return fmt.Errorf("%q is not a prefix; it may be \"-\" together with one of \"+\", \"!\" and \"!!\"", prefix)
}
