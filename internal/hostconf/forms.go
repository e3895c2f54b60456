package hostconf

import (
	"encoding/hex"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/landfast/landfast/internal/manifest"
)

// form is a value with rules of its own. Decoding keeps what is wrong with it, so
// that all mistakes are told together, each with its place.
type form interface{ wrong() (msg, hint string) }

// flaw is what is wrong with a value; "" when nothing is.
type flaw struct{ msg, hint string }

func (f flaw) wrong() (msg, hint string) { return f.msg, f.hint }

// Path is the absolute path of a file.
type Path struct {
	flaw
	Value string
}

// UnmarshalText reads p.
func (p *Path) UnmarshalText(b []byte) error {
	p.Value = string(b)
	if !path.IsAbs(p.Value) || path.Clean(p.Value) != p.Value || strings.ContainsAny(p.Value, ":\x00\n") {
		p.flaw = flaw{strconv.Quote(p.Value) + " is not an absolute path", "write it in full, as /etc/landfast/tls/key.pem"}
	}
	return nil
}

// Range is a range of addresses, or one.
type Range struct {
	flaw
	Prefix netip.Prefix
}

// UnmarshalText reads r.
func (r *Range) UnmarshalText(b []byte) error {
	p, err := ParseRange(string(b))
	if err != nil {
		r.flaw = flaw{strconv.Quote(string(b)) + " is not an address or a range of addresses", "write 192.0.2.1 or 2001:db8::/32"}
	}
	r.Prefix = p
	return nil
}

// ParseRange reads an address or a range of addresses in CIDR notation. An IPv4
// address that is written as IPv6 is IPv4.
func ParseRange(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// Size is a number of bytes.
type Size struct {
	flaw
	Bytes int64
}

// UnmarshalText reads s.
func (s *Size) UnmarshalText(b []byte) error {
	const most = 64 << 20
	number, unit := string(b), int64(1)
	for _, u := range []struct {
		name string
		is   int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}} {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.is
		}
	}
	n, err := strconv.ParseInt(number, 10, 32)
	s.Bytes = n * unit
	if err != nil || s.Bytes < 1024 || s.Bytes > most {
		s.flaw = flaw{strconv.Quote(string(b)) + " is not a size between 1KiB and 64MiB", "write 5MiB or 512KiB"}
	}
	return nil
}

// Duration is a span of time.
type Duration struct {
	flaw
	Span time.Duration
}

// UnmarshalText reads d.
func (d *Duration) UnmarshalText(b []byte) error {
	span, ok := manifest.ParseSpan(string(b))
	if !ok || span < time.Second {
		d.flaw = flaw{strconv.Quote(string(b)) + " is not a duration of a second or more", `write "30s" or "5min"`}
	}
	d.Span = span
	return nil
}

// URL is an https address.
type URL struct {
	flaw
	Text string
	URL  *url.URL
}

// UnmarshalText reads u.
func (u *URL) UnmarshalText(b []byte) error {
	u.Text = strings.TrimSuffix(string(b), "/")
	parsed, err := url.Parse(u.Text)
	switch {
	case err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http":
		u.flaw = flaw{strconv.Quote(string(b)) + " is not an https address", "write https://HOST/PATH"}
	case parsed.User != nil:
		u.flaw = flaw{"an address with a password in it is readable for everybody", "put the secret into a file of /etc/landfast/secrets"}
	}
	u.URL = parsed
	return nil
}

// Digest is a SHA-256 as sha256:HEX.
type Digest struct {
	flaw
	Sum [32]byte
}

// UnmarshalText reads d.
func (d *Digest) UnmarshalText(b []byte) error {
	text, found := strings.CutPrefix(string(b), "sha256:")
	sum, err := hex.DecodeString(text)
	if !found || err != nil || copy(d.Sum[:], sum) != len(d.Sum) || len(sum) != len(d.Sum) {
		d.flaw = flaw{"must be sha256: and 64 hexadecimal digits", "`landfast token add` makes a token and writes its hash"}
	}
	return nil
}

// Pattern is a name with wildcards: * stands for anything but a slash, ** for
// anything, ? for one character but a slash. Its zero value matches nothing.
type Pattern struct {
	flaw
	Text string // without the !
	Not  bool   // it excludes
	re   *regexp.Regexp
}

// UnmarshalText reads p.
func (p *Pattern) UnmarshalText(b []byte) error {
	p.Text, p.Not = strings.CutPrefix(string(b), "!")
	if p.Text == "" || len(p.Text) > 255 || !utf8.ValidString(p.Text) || strings.ContainsFunc(p.Text, unicode.IsControl) {
		p.flaw = flaw{strconv.Quote(string(b)) + " is not a pattern", "write main, release/* or docs/**"}
		return nil
	}
	p.re = regexp.MustCompile(`^(?s:` + expression(p.Text) + `)$`)
	return nil
}

// expression is the regular expression of a pattern. Go's need linear time.
func expression(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString("(?:.*/)?")
			i += 3
		case strings.HasPrefix(rest, "**"):
			b.WriteString(".*")
			i += 2
		case rest[0] == '*':
			b.WriteString("[^/]*")
			i++
		case rest[0] == '?':
			b.WriteString("[^/]")
			i++
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
			i++
		}
	}
	return b.String()
}

// NewPattern reads a pattern.
func NewPattern(text string) (Pattern, bool) {
	var p Pattern
	_ = p.UnmarshalText([]byte(text)) // it keeps what is wrong
	return p, p.msg == ""
}

// Match reports whether p, taken without its !, matches all of s.
func (p Pattern) Match(s string) bool { return p.re != nil && p.re.MatchString(s) }

// Match tells whether a list of patterns takes s: the last one that matches
// decides, and what none matches is not taken.
func Match(patterns []Pattern, s string) bool {
	taken := false
	for _, p := range patterns {
		if p.Match(s) {
			taken = !p.Not
		}
	}
	return taken
}
