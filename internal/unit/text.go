package unit

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// whitespace is what systemd strips from both ends of a value.
const whitespace = " \t\n\r"

// checkText says why no line of a unit file can hold s, or nil. systemd ends a
// line at LF, CR and NUL, refuses lines that are not UTF-8 (noncharacters such
// as U+FFFE count as that), and its older versions drop variables with any
// other control character; so of those only the tab is allowed.
func checkText(s string) error {
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			return errors.New("it is not valid UTF-8")
		case r == '\n':
			return errors.New("systemd cannot carry a newline")
		case r == '\t':
		case r < ' ' || r == 0x7f:
			return fmt.Errorf("systemd cannot carry the control character %U", r)
		case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
			return fmt.Errorf("systemd cannot carry %U, which is not a character", r)
		}
	}
	return nil
}

// checkLine says why s cannot stand behind the "=" as it is, or nil.
func checkLine(s string) error {
	if err := checkText(s); err != nil {
		return err
	}
	if strings.Trim(s, whitespace) != s {
		return errors.New("it begins or ends with white space, which systemd strips")
	}
	if continues(s) {
		return errors.New("it ends with a backslash, which joins it to the next line")
	}
	return nil
}

// continues reports whether systemd reads on in the next line: whether the last
// backslash is not itself escaped.
func continues(line string) bool {
	escaped := false
	for i := range len(line) {
		escaped = !escaped && line[i] == '\\'
	}
	return escaped
}
