package unit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Words splits a value into words as systemd does for Environment= and for the
// arguments of commands: at white space, without the quotes, and with C's
// escapes undone. Specifiers and variables are left as they are.
func Words(value string) ([]string, error) {
	var words []string
	for {
		value = strings.TrimLeft(value, whitespace)
		if value == "" {
			return words, nil
		}
		word, rest, err := cutWord(value)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
		value = rest
	}
}

// cutWord takes the first word off s, which does not begin with white space.
// Quotes may begin and end anywhere in a word.
func cutWord(s string) (word, rest string, err error) {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\':
			text, n, err := unescape(s[i+1:])
			if err != nil {
				return "", "", err
			}
			b.WriteString(text)
			i += n
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.IndexByte(whitespace, c) >= 0:
			return b.String(), s[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", "", errors.New("a quote is not closed")
	}
	return b.String(), "", nil
}

// unescape undoes the escape behind a backslash and tells its length.
func unescape(s string) (text string, n int, err error) {
	if s == "" {
		return "", 0, errors.New("a backslash stands at the end")
	}
	if s[0] == ';' {
		return ";", 1, nil // only where it is a word of its own; systemd refuses it elsewhere
	}
	if i := strings.IndexByte(`abfnrtvs\"'`, s[0]); i >= 0 {
		return "\a\b\f\n\r\t\v \\\"'"[i : i+1], 1, nil
	}
	start, digits, base := 1, 0, 16
	switch s[0] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		start, digits, base = 0, 3, 8
	}
	if len(s) < start+digits {
		return "", 0, fmt.Errorf(`\%s is not an escape`, s)
	}
	code, err := strconv.ParseUint(s[start:start+digits], base, 32)
	if err != nil || code == 0 || digits <= 3 && code > 0xff || !utf8.ValidRune(rune(code)) {
		return "", 0, fmt.Errorf(`\%s is not an escape`, s[:start+digits])
	}
	if digits <= 3 {
		return string([]byte{byte(code)}), start + digits, nil
	}
	return string(rune(code)), start + digits, nil
}
