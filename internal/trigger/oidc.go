package trigger

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/landfast/landfast/internal/hostconf"
)

// Limits of identity tokens. Those of GitHub and GitLab have some 2 KiB.
const (
	maxIdentityToken = 16 << 10
	leeway           = time.Minute // by which clocks may differ
)

// errNoKey says that no key of that id was fetched.
var errNoKey = errors.New("no such key")

// authorizeOIDC verifies an identity token by the published keys of its issuer, and
// finds a part of the configuration whose claims it has.
func (s *Set) authorizeOIDC(bearer, app, action string) (Identity, error) {
	unknown := refuse(http.StatusUnauthorized, "the identity token is not valid here")
	token, err := parseToken(bearer)
	if err != nil {
		return Identity{}, unknown
	}
	var mine []*hostconf.OIDC
	for i := range s.config.OIDC {
		if s.config.OIDC[i].Issuer.Text == token.claims.Issuer {
			mine = append(mine, &s.config.OIDC[i])
		}
	}
	if mine == nil {
		return Identity{}, unknown
	}
	if err := s.verifyToken(token); err != nil {
		return Identity{}, err
	}
	if why := token.claims.outdated(s.now()); why != "" {
		return Identity{}, refuse(http.StatusUnauthorized, "the identity token %s", why)
	}
	refusal := refuse(http.StatusForbidden, "the identity token is not one that this host is for")
	for _, o := range mine {
		if !token.claims.meets(o) {
			continue
		}
		err := reaches(o.Apps, o.Actions, app, action)
		if err == nil {
			return Identity{Name: o.Name, Subject: clean(token.claims.Subject, maxText)}, nil
		}
		refusal = err
	}
	return Identity{}, refusal
}

// verifyToken checks the signature with the keys of the cache.
func (s *Set) verifyToken(token *identityToken) error {
	text, written, err := s.cache.get(kindKeys, token.claims.Issuer)
	notYet := &Refusal{Status: http.StatusServiceUnavailable, Reason: "the keys of the issuer have to be fetched first; try again in a minute", Refresh: true}
	if errors.Is(err, fs.ErrNotExist) {
		return notYet
	}
	if err != nil {
		return err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return notYet
	}
	err = token.verify(keys)
	if errors.Is(err, errNoKey) && s.now().Sub(written) > 5*time.Minute {
		return notYet
	}
	if err != nil {
		return refuse(http.StatusUnauthorized, "the identity token is not valid here")
	}
	return nil
}

// claims are what a token says.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   *moment  `json:"exp"`
	NotBefore *moment  `json:"nbf"`
	Issued    *moment  `json:"iat"`
	all       map[string]any
}

// audience is a text or a list of them (RFC 7519, 4.1.3).
type audience []string

// UnmarshalJSON reads a.
func (a *audience) UnmarshalJSON(b []byte) error {
	var alone string
	if json.Unmarshal(b, &alone) == nil {
		*a = audience{alone}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// moment is a time in seconds, perhaps with a fraction (RFC 7519, 2).
type moment struct{ time.Time }

// UnmarshalJSON reads m.
func (m *moment) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f < 0 || f > 1<<40 {
		return errors.New("not a time")
	}
	m.Time = time.Unix(int64(f), 0)
	return nil
}

// UnmarshalJSON reads c.
func (c *claims) UnmarshalJSON(b []byte) error {
	type plain claims
	if err := json.Unmarshal(b, (*plain)(c)); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(&c.all)
}

// outdated says why the token does not count now; "" when it does.
func (c *claims) outdated(now time.Time) string {
	switch {
	case c.Expires == nil:
		return "never expires"
	case !now.Add(-leeway).Before(c.Expires.Time):
		return "has expired"
	case c.NotBefore != nil && now.Add(leeway).Before(c.NotBefore.Time):
		return "is not valid yet"
	case c.Issued != nil && now.Add(leeway).Before(c.Issued.Time):
		return "was issued in the future"
	}
	return ""
}

// meets reports whether the claims are those that o asks for.
func (c *claims) meets(o *hostconf.OIDC) bool {
	ours := false
	for _, a := range c.Audience {
		ours = ours || a == o.Audience
	}
	if !ours || len(o.Claims) == 0 {
		return false
	}
	for name, want := range o.Claims {
		got, ok := textOf(c.all[name])
		if !ok || !want.Match(got) {
			return false
		}
	}
	return true
}

// textOf is a text, number or boolean as text.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
