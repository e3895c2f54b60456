package trigger

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/landfast/landfast/internal/hostconf"
)

// Fetcher gets what an address holds. It blocks until it has it, and refuses more
// than maxEntry bytes.
type Fetcher interface {
	Fetch(ctx context.Context, address string) ([]byte, error)
}

// HTTP is the Fetcher that uses the network: TLS verified, no redirects.
type HTTP struct{ Client *http.Client } // nil: one of its own

// fetchTime is how long one answer may take.
const fetchTime = 20 * time.Second

// Fetch gets an address.
func (h HTTP) Fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "landfast")
	client := http.Client{}
	if h.Client != nil {
		client = *h.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", request.URL.Redacted(), answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxEntry+1))
	if len(text) > maxEntry {
		return nil, fmt.Errorf("get %s: it is larger than what belongs there", request.URL.Redacted())
	}
	return text, err
}

// Fetched is what became of one thing to fetch.
type Fetched struct {
	What    string    `json:"what"`  // keys of ISSUER, ranges of github, certificate at URL
	Error   string    `json:"error"` // "": it is there
	Updated time.Time `json:"updated,omitzero"`
}

// metaURL is where GitHub publishes its ranges (docs.github.com: REST API, meta).
const metaURL = "https://api.github.com/meta"

// Refresh fetches the keys of all issuers and the ranges that triggers name, except
// what is younger than age. What cannot be fetched keeps its last good copy, and is
// told in the list.
func (s *Set) Refresh(ctx context.Context, f Fetcher, age time.Duration) []Fetched {
	var all []Fetched
	do := func(what, kind, key string, get func() ([]byte, error)) {
		one := Fetched{What: what}
		_, written, err := s.cache.get(kind, key)
		since := s.now().Sub(written) // negative when the clock was set back
		if one.Updated = written; err == nil && since >= 0 && since < age {
			all = append(all, one)
			return
		}
		text, err := get()
		if err == nil {
			err = s.cache.put(kind, key, text)
		}
		if err != nil {
			one.Error = err.Error()
		} else {
			one.Updated = s.now()
		}
		all = append(all, one)
	}
	var issuers []string
	for i := range s.config.OIDC {
		if name := s.config.OIDC[i].Issuer.Text; !slices.Contains(issuers, name) {
			issuers = append(issuers, name)
			do("keys of "+name, kindKeys, name, func() ([]byte, error) { return fetchKeys(ctx, f, name) })
		}
	}
	if slices.ContainsFunc(s.config.Triggers, func(t hostconf.Trigger) bool { return slices.Contains(t.Sources, string(hostconf.GitHub)) }) {
		do("ranges of github", kindRanges, gitHubRanges, func() ([]byte, error) { return fetchRanges(ctx, f) })
	}
	return all
}

// fetchKeys follows an issuer's own description (OpenID Connect Discovery 1.0).
func fetchKeys(ctx context.Context, f Fetcher, issuer string) ([]byte, error) {
	text, err := f.Fetch(ctx, issuer+"/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &about); err != nil {
		return nil, fmt.Errorf("the description of %s is not JSON: %w", issuer, err)
	}
	u, err := url.Parse(about.Keys)
	if strings.TrimSuffix(about.Issuer, "/") != issuer || err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the description of %s is one of another issuer", issuer)
	}
	keys, err := f.Fetch(ctx, about.Keys)
	if err != nil {
		return nil, err
	}
	if _, err := parseKeys(keys); err != nil {
		return nil, fmt.Errorf("the keys of %s: %w", issuer, err)
	}
	return keys, nil
}

// fetchRanges gives GitHub's ranges, one on each line.
func fetchRanges(ctx context.Context, f Fetcher) ([]byte, error) {
	text, err := f.Fetch(ctx, metaURL)
	if err != nil {
		return nil, err
	}
	var meta struct {
		Hooks []string `json:"hooks"`
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return nil, fmt.Errorf("the ranges of github are not JSON: %w", err)
	}
	var b strings.Builder
	for _, h := range meta.Hooks {
		p, err := netip.ParsePrefix(h)
		if err != nil || p.Bits() < 8 {
			return nil, fmt.Errorf("the ranges of github hold %q", clean(h, 60))
		}
		b.WriteString(p.Masked().String() + "\n")
	}
	if b.Len() == 0 {
		return nil, errors.New("the ranges of github are empty")
	}
	return []byte(b.String()), nil
}

// issuerHost are the hosts that publish the certificates above SNS's own.
var issuerHost = regexp.MustCompile(`^[a-z0-9.-]+\.(amazontrust\.com|digicert\.com|digicert\.cn)$`)

// fetchCertificate gets the certificate of a message, completes its chain and keeps
// it if it is good.
func (s *Set) fetchCertificate(ctx context.Context, f Fetcher, m *snsMessage) error {
	text, err := f.Fetch(ctx, m.SigningCertURL)
	if err != nil {
		return err
	}
	certs, err := certificates(text)
	if err != nil {
		return fmt.Errorf("the certificate at %s: %w", m.SigningCertURL, err)
	}
	// What SNS publishes is the leaf alone. Those above it are where it says.
	for last := certs[len(certs)-1]; len(certs) < 5 && len(last.IssuingCertificateURL) > 0; last = certs[len(certs)-1] {
		u, err := url.Parse(last.IssuingCertificateURL[0])
		if err != nil || !issuerHost.MatchString(u.Host) || string(last.RawIssuer) == string(last.RawSubject) {
			break
		}
		der, err := f.Fetch(ctx, u.String())
		if err != nil {
			return err
		}
		above := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		one, err := certificates(above)
		if err != nil {
			return fmt.Errorf("the certificate at %s: %w", u, err)
		}
		text = append(append(text, '\n'), above...)
		certs = append(certs, one[0])
	}
	u, _ := snsAddress(m.SigningCertURL, m.TopicArn)
	if _, err := chain(text, u.Host, s.roots, s.now()); err != nil {
		return fmt.Errorf("the certificate at %s is not one of SNS: %w", m.SigningCertURL, err)
	}
	return s.cache.put(kindCertificate, m.SigningCertURL, text)
}
