package unit

import (
	"errors"
	"path"
	"strings"
)

// Literal escapes s for the directives that take the rest of the line as one
// string without quoting, and only look for specifiers in it: Description=,
// SyslogIdentifier=, WorkingDirectory=, ListenStream=, ConditionPathExists=.
// What white space at the ends and a last backslash would turn into is not s,
// so they are errors.
func Literal(s string) (string, error) {
	if err := checkLine(s); err != nil {
		return "", err
	}
	return percent(s), nil
}

// Path escapes an absolute path for the directives of Literal.
func Path(p string) (string, error) {
	if err := CheckPath(p); err != nil {
		return "", err
	}
	return Literal(p)
}

// Quote gives s as one word of a list: Environment=, ReadWritePaths=, and the
// fields of sysusers.d and tmpfiles.d lines. Some of these undo all of C's
// escapes and some only drop the backslash, so \\ and \" are the only ones
// used; all of them read the rest between double quotes as it stands.
func Quote(s string) (string, error) {
	if err := checkText(s); err != nil {
		return "", err
	}
	return quoted(percent(s)), nil
}

// Assignment gives NAME=VALUE for Environment=. A "$" has no meaning there.
func Assignment(name, value string) (string, error) {
	if !IsEnvName(name) {
		return "", errors.New("a variable's name is made of letters, digits and _, and does not begin with a digit")
	}
	return Quote(name + "=" + value)
}

// PathList gives absolute paths as one list, each with its prefix ("", "-", "+").
func PathList(prefix string, paths ...string) (string, error) {
	var words []string
	for _, p := range paths {
		if err := CheckPath(p); err != nil {
			return "", err
		}
		if err := checkText(p); err != nil {
			return "", err
		}
		w := quoted(percent(prefix + p))
		if w[0] != '"' && strings.Contains(p, ":") {
			w = `"` + w + `"` // in the Bind lists a bare colon separates source and destination
		}
		words = append(words, w)
	}
	return strings.Join(words, " "), nil
}

// EnvFile gives the path of a file of variables for EnvironmentFile=. systemd
// does not unquote it but takes it for a glob(7) pattern, whose characters are
// escaped so that just the file of that name is read.
func EnvFile(p string, optional bool) (string, error) {
	if err := CheckPath(p); err != nil {
		return "", err
	}
	p = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
	if optional {
		p = "-" + p
	}
	return Literal(p)
}

// CheckPath says why p is no path that a unit can hold, or nil: it must be
// absolute and in its shortest form.
func CheckPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/"):
		return errors.New("a path must be absolute")
	case path.Clean(p) != p:
		return errors.New("a path must be in its shortest form: " + path.Clean(p))
	}
	return checkText(p)
}

// IsEnvName reports whether systemd takes s for the name of a variable.
func IsEnvName(s string) bool {
	for i, r := range s {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', r == '_':
		case i > 0 && '0' <= r && r <= '9':
		default:
			return false
		}
	}
	return s != ""
}

// percent escapes specifiers.
func percent(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// quoted puts s between double quotes if it needs them.
func quoted(s string) string {
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// plain are the characters that mean themselves in every kind of word.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=/.,:@%"
