package unit

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// errVariable is a value that no file of variables can hold.
var errVariable = errors.New("it holds bytes that a variable cannot have")

// VariableLine gives NAME="value" as a line of a file that systemd reads as an
// EnvironmentFile= (systemd.exec(5)): between double quotes a backslash stands before
// what has a meaning there, and line breaks are kept.
func VariableLine(name, value string) (string, error) {
	if !IsEnvName(name) {
		return "", fmt.Errorf("%q cannot be the name of a variable", name)
	}
	bad := func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' || r == 0x7f }
	if !utf8.ValidString(value) || strings.ContainsFunc(value, bad) {
		return "", errVariable
	}
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(value)
	return name + `="` + escaped + `"`, nil
}
