package trigger

import (
	"net/http"
	"time"

	"github.com/landfast/landfast/internal/hostconf"
)

// VerifyWith checks a request with secrets that New would refuse, as published
// vectors have.
func VerifyWith(t *hostconf.Trigger, text string, r Request, now time.Time) error {
	s, _ := newSecret(text, t.Provider) // weak, which is the point
	src := &source{Trigger: t, secrets: []secret{s}, set: &Set{now: func() time.Time { return now }}}
	return src.provider().verify(src, r)
}

// Weak tells what New says of a secret.
func Weak(text string, p hostconf.Provider) error {
	_, err := parseSecrets([]byte(text), p)
	return err
}

// PutCertificate fills a cache as Refresh does.
func (c *Cache) PutCertificate(url string, pem []byte) error {
	return c.put(kindCertificate, url, pem)
}

// PutKeys fills a cache as Refresh does.
func (c *Cache) PutKeys(issuer string, set []byte) error { return c.put(kindKeys, issuer, set) }

// PutRanges fills a cache as Refresh does.
func (c *Cache) PutRanges(text []byte) error { return c.put(kindRanges, gitHubRanges, text) }

// Names are the files of the quarantine.
func (q *Quarantine) Names() ([]string, error) { return q.names() }

// IsRef, Clean and LookUp are small pure parts, for fuzzers.
func IsRef(s string) bool { return isRef(s) }

// Clean is clean.
func Clean(s string, n int) string { return clean(s, n) }

// ParseToken reports whether a token can be read, not whether it is good.
func ParseToken(text string) error {
	_, err := parseToken(text)
	return err
}

// ParseKeys is how many keys of a set can be used.
func ParseKeys(text []byte) int {
	keys, _ := parseKeys(text)
	return len(keys)
}

// Header makes one of lines.
func Header(lines ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(lines); i += 2 {
		h.Add(lines[i], lines[i+1])
	}
	return h
}
