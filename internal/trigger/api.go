package trigger

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/hostconf"
)

// tokenPrefix begins our tokens, so that scanners find one that got lost.
const tokenPrefix = "lft_"

// NewToken makes a token for the API, and the hash that the configuration keeps. 32
// random bytes need no slow hash.
func NewToken() (token, hash string) {
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(random())
	sum := sha256.Sum256([]byte(token))
	return token, "sha256:" + hex.EncodeToString(sum[:])
}

// NewSecret makes a secret for a trigger: 32 random bytes. standard: in the form of
// Standard Webhooks.
func NewSecret(standard bool) string {
	if standard {
		return standardPrefix + base64.StdEncoding.EncodeToString(random())
	}
	return hex.EncodeToString(random())
}

func random() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails (crypto/rand)
	return b
}

// Identity is who calls the API.
type Identity struct {
	Name    string // of the token or issuer in the configuration
	Subject string // of an identity token: who it was issued to
}

// String is the identity as events name it.
func (i Identity) String() string {
	if i.Subject == "" {
		return i.Name
	}
	return i.Name + " (" + i.Subject + ")"
}

// Authorize says who calls, if they may do action (deploy, rollback, cancel, show,
// update) with app. Otherwise it gives a *Refusal: 401 without a token or with one
// that is not known, 403 when it does not reach so far, 503 with Refresh when the
// keys to verify it have to be fetched first.
func (s *Set) Authorize(h http.Header, app, action string) (Identity, error) {
	text, err := one(h, "Authorization")
	if err != nil {
		return Identity{}, err
	}
	kind, bearer, _ := strings.Cut(text, " ")
	bearer = strings.TrimSpace(bearer)
	if !strings.EqualFold(kind, "Bearer") || bearer == "" {
		return Identity{}, refuse(http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN")
	}
	if len(bearer) > maxIdentityToken {
		return Identity{}, refuse(http.StatusUnauthorized, "the token is not known here")
	}
	if strings.Count(bearer, ".") == 2 {
		return s.authorizeOIDC(bearer, app, action)
	}
	return s.authorizeToken(bearer, app, action)
}

func (s *Set) authorizeToken(bearer, app, action string) (Identity, error) {
	sum := sha256.Sum256([]byte(bearer))
	found := -1
	for i := range s.config.Tokens { // all of them, whichever it is
		if subtle.ConstantTimeCompare(s.config.Tokens[i].Hash.Sum[:], sum[:]) == 1 {
			found = i
		}
	}
	if found < 0 || !strings.HasPrefix(bearer, tokenPrefix) {
		return Identity{}, refuse(http.StatusUnauthorized, "the token is not known here")
	}
	t := s.config.Tokens[found]
	if !t.Expires.IsZero() && !s.now().Before(t.Expires) {
		return Identity{}, refuse(http.StatusUnauthorized, "the token has expired")
	}
	return Identity{Name: t.Name}, reaches(t.Apps, t.Actions, app, action)
}

// reaches refuses what is beyond a scope.
func reaches(apps, actions []string, app, action string) error {
	if !hostconf.Allows(apps, app) {
		return refuse(http.StatusForbidden, "the token is not for that app")
	}
	if !slices.Contains(actions, action) {
		return refuse(http.StatusForbidden, "the token is not for that action")
	}
	return nil
}
