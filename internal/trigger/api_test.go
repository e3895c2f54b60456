package trigger_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/trigger"
)

const issuer = "https://token.actions.githubusercontent.com"

type issuerKeys struct {
	rsa, other *rsa.PrivateKey
	ec         *ecdsa.PrivateKey
	set        []byte
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

var newIssuer = sync.OnceValue(func() *issuerKeys {
	var k issuerKeys
	var errs [3]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.other, errs[1] = rsa.GenerateKey(rand.Reader, 2048)
	k.ec, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(errs[:]...); err != nil {
		panic(err)
	}
	point, err := k.ec.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	k.set, err = json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
		{"kty": "RSA", "kid": "enc", "use": "enc", "n": b64(k.rsa.N.Bytes()), "e": "AQAB"},
		{"kty": "RSA", "kid": "r1", "use": "sig", "alg": "RS256", "n": b64(k.rsa.N.Bytes()), "e": "AQAB"},
		{"kty": "EC", "kid": "e1", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
		{"kty": "RSA", "kid": "weak", "n": b64(big.NewInt(1).Lsh(big.NewInt(1), 1023).Bytes()), "e": "AQAB"},
	}})
	if err != nil {
		panic(err)
	}
	return &k
})

// token signs claims; header and signature may be spoilt.
func (k *issuerKeys) token(header, claims map[string]any, sign func(digest []byte) []byte) string {
	h, err := json.Marshal(header)
	c, err2 := json.Marshal(claims)
	if err != nil || err2 != nil {
		panic(errors.Join(err, err2))
	}
	text := b64(h) + "." + b64(c)
	sum := sha256.Sum256([]byte(text))
	return text + "." + b64(sign(sum[:]))
}

func (k *issuerKeys) rs(key *rsa.PrivateKey) func([]byte) []byte {
	return func(d []byte) []byte {
		s, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, d)
		if err != nil {
			panic(err)
		}
		return s
	}
}

func (k *issuerKeys) es(d []byte) []byte {
	r, s, err := ecdsa.Sign(rand.Reader, k.ec, d)
	if err != nil {
		panic(err)
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out
}

func goodClaims() map[string]any {
	return map[string]any{
		"iss": issuer, "aud": "https://deploy.example.org", "sub": "repo:shop/web:ref:refs/heads/main",
		"repository": "shop/web", "ref": "refs/heads/main", "repository_id": 17,
		"iat": testNow.Unix() - 10, "nbf": testNow.Unix() - 10, "exp": testNow.Unix() + 300,
	}
}

const oidcConfig = `
[[oidc]]
name = "ci"
issuer = "` + issuer + `"
audience = "https://deploy.example.org"
apps = ["web"]
actions = ["deploy"]
claims = { repository = "shop/web", ref = "refs/heads/*", repository_id = "17" }
[[oidc]]
name = "release"
issuer = "` + issuer + `"
audience = "https://deploy.example.org"
apps = ["web", "blog"]
actions = ["deploy", "rollback"]
claims = { repository = "shop/web", ref = "refs/tags/v*" }
`

func oidcSet(t *testing.T) *trigger.Set {
	t.Helper()
	cache := trigger.OpenCache(t.TempDir())
	if err := cache.PutKeys(issuer, newIssuer().set); err != nil {
		t.Fatal(err)
	}
	return newSet(t, oidcConfig, nil, func(o *trigger.Options) { o.Cache = cache })
}

func TestIdentityTokens(t *testing.T) {
	t.Parallel()
	k, set := newIssuer(), oidcSet(t)
	rs256 := map[string]any{"alg": "RS256", "kid": "r1", "typ": "JWT"}
	for name, c := range map[string]struct {
		header  map[string]any
		change  map[string]any
		sign    func([]byte) []byte
		app, do string
		want    int
	}{
		"good":                {rs256, nil, k.rs(k.rsa), "web", "deploy", 0},
		"elliptic":            {map[string]any{"alg": "ES256", "kid": "e1"}, nil, k.es, "web", "deploy", 0},
		"one of many aud":     {rs256, map[string]any{"aud": []string{"x", "https://deploy.example.org"}}, k.rs(k.rsa), "web", "deploy", 0},
		"of a tag":            {rs256, map[string]any{"ref": "refs/tags/v1"}, k.rs(k.rsa), "blog", "rollback", 0},
		"clock off a little":  {rs256, map[string]any{"exp": testNow.Unix() - 30, "nbf": testNow.Unix() + 30}, k.rs(k.rsa), "web", "deploy", 0},
		"another app":         {rs256, nil, k.rs(k.rsa), "blog", "deploy", 403},
		"another action":      {rs256, nil, k.rs(k.rsa), "web", "rollback", 403},
		"another repository":  {rs256, map[string]any{"repository": "mallory/web"}, k.rs(k.rsa), "web", "deploy", 403},
		"a longer repository": {rs256, map[string]any{"repository": "shop/web2"}, k.rs(k.rsa), "web", "deploy", 403},
		"repository a list":   {rs256, map[string]any{"repository": []string{"shop/web"}}, k.rs(k.rsa), "web", "deploy", 403},
		"no repository":       {rs256, map[string]any{"repository": nil}, k.rs(k.rsa), "web", "deploy", 403},
		"a deeper ref":        {rs256, map[string]any{"ref": "refs/heads/a/b"}, k.rs(k.rsa), "web", "deploy", 403},
		"a pull request":      {rs256, map[string]any{"ref": "refs/pull/1/merge"}, k.rs(k.rsa), "web", "deploy", 403},
		"a newline":           {rs256, map[string]any{"ref": "refs/heads/main\nx/y"}, k.rs(k.rsa), "web", "deploy", 403},
		"another audience":    {rs256, map[string]any{"aud": "https://other.example.org"}, k.rs(k.rsa), "web", "deploy", 403},
		"no audience":         {rs256, map[string]any{"aud": nil}, k.rs(k.rsa), "web", "deploy", 403},
		"audience a number":   {rs256, map[string]any{"aud": 3}, k.rs(k.rsa), "web", "deploy", 401},
		"another issuer":      {rs256, map[string]any{"iss": "https://evil.example.org"}, k.rs(k.rsa), "web", "deploy", 401},
		"issuer with a slash": {rs256, map[string]any{"iss": issuer + "/"}, k.rs(k.rsa), "web", "deploy", 401},
		"expired":             {rs256, map[string]any{"exp": testNow.Unix() - 61}, k.rs(k.rsa), "web", "deploy", 401},
		"never expires":       {rs256, map[string]any{"exp": nil}, k.rs(k.rsa), "web", "deploy", 401},
		"expires as text":     {rs256, map[string]any{"exp": "later"}, k.rs(k.rsa), "web", "deploy", 401},
		"not yet":             {rs256, map[string]any{"nbf": testNow.Unix() + 120}, k.rs(k.rsa), "web", "deploy", 401},
		"from the future":     {rs256, map[string]any{"iat": testNow.Unix() + 120}, k.rs(k.rsa), "web", "deploy", 401},
		"another key":         {rs256, nil, k.rs(k.other), "web", "deploy", 401},
		"none":                {map[string]any{"alg": "none", "kid": "r1"}, nil, func([]byte) []byte { return nil }, "web", "deploy", 401},
		"None":                {map[string]any{"alg": "nOnE", "kid": "r1"}, nil, func([]byte) []byte { return nil }, "web", "deploy", 401},
		"HS256 with the public key": {map[string]any{"alg": "HS256", "kid": "r1"}, nil, func(d []byte) []byte {
			m := hmac.New(sha256.New, k.rsa.N.Bytes())
			m.Write(d)
			return m.Sum(nil)
		}, "web", "deploy", 401},
		"HS256 with a shared key":   {map[string]any{"alg": "HS256", "kid": "shared"}, nil, k.rs(k.rsa), "web", "deploy", 401},
		"RS256 for an elliptic key": {map[string]any{"alg": "RS256", "kid": "e1"}, nil, k.rs(k.rsa), "web", "deploy", 401},
		"ES256 for an RSA key":      {map[string]any{"alg": "ES256", "kid": "r1"}, nil, k.es, "web", "deploy", 401},
		"ES256 of zeroes":           {map[string]any{"alg": "ES256", "kid": "e1"}, nil, func([]byte) []byte { return make([]byte, 64) }, "web", "deploy", 401},
		"ES256 too short":           {map[string]any{"alg": "ES256", "kid": "e1"}, nil, func(d []byte) []byte { return k.es(d)[:63] }, "web", "deploy", 401},
		"RS512":                     {map[string]any{"alg": "RS512", "kid": "r1"}, nil, k.rs(k.rsa), "web", "deploy", 401},
		"PS256":                     {map[string]any{"alg": "PS256", "kid": "r1"}, nil, k.rs(k.rsa), "web", "deploy", 401},
		"no kid":                    {map[string]any{"alg": "RS256"}, nil, k.rs(k.rsa), "web", "deploy", 401},
		"a key for encryption":      {map[string]any{"alg": "RS256", "kid": "enc"}, nil, k.rs(k.rsa), "web", "deploy", 401},
		"a weak key":                {map[string]any{"alg": "RS256", "kid": "weak"}, nil, k.rs(k.rsa), "web", "deploy", 401},
		"its own key":               {map[string]any{"alg": "RS256", "kid": "r1", "jwk": map[string]string{"kty": "RSA", "n": b64(k.other.N.Bytes()), "e": "AQAB"}}, nil, k.rs(k.other), "web", "deploy", 401},
		"its own address of keys":   {map[string]any{"alg": "RS256", "kid": "r1", "jku": "https://evil.example.org"}, nil, k.rs(k.other), "web", "deploy", 401},
		"something critical":        {map[string]any{"alg": "RS256", "kid": "r1", "crit": []string{"b64"}}, nil, k.rs(k.rsa), "web", "deploy", 401},
		"no signature":              {rs256, nil, func([]byte) []byte { return nil }, "web", "deploy", 401},
	} {
		all := goodClaims()
		for n, v := range c.change {
			if all[n] = v; v == nil {
				delete(all, n)
			}
		}
		text := k.token(c.header, all, c.sign)
		who, err := set.Authorize(trigger.Header("Authorization", "Bearer "+text), c.app, c.do)
		if got := status(t, err); got != c.want {
			t.Errorf("%s: %d (%v), want %d", name, got, err, c.want)
		}
		if c.want == 0 && (who.Name == "" || !strings.HasPrefix(who.Subject, "repo:shop/web")) {
			t.Errorf("%s: %+v", name, who)
		}
	}
	good := k.token(rs256, goodClaims(), k.rs(k.rsa))
	for _, spoilt := range []string{good + ".", "." + good, good + "=", good[:len(good)-1], strings.Replace(good, ".", ".\n", 1), good + strings.Repeat("A", 20<<10), strings.ToUpper(good)} {
		if _, err := set.Authorize(trigger.Header("Authorization", "Bearer "+spoilt), "web", "deploy"); status(t, err) != 401 {
			t.Errorf("%.40s…: %v", spoilt, err)
		}
	}
}

// TestKeysAreFetchedElsewhere: the caller is told to try again, and nothing is asked.
func TestKeysAreFetchedElsewhere(t *testing.T) {
	t.Parallel()
	k, cache := newIssuer(), trigger.OpenCache(t.TempDir())
	set := newSet(t, oidcConfig+"[[trigger]]\nname = \"web\"\napp = \"web\"\nprovider = \"github\"\nrepository = \"shop/web\"\nbranches = [\"main\"]\nsources = [\"github\"]\n",
		map[string]string{"web.secret": secretText}, func(o *trigger.Options) { o.Cache = cache })
	call := func() error {
		text := k.token(map[string]any{"alg": "RS256", "kid": "r1"}, goodClaims(), k.rs(k.rsa))
		_, err := set.Authorize(trigger.Header("Authorization", "bearer "+text), "web", "deploy")
		return err
	}
	r, _ := errors.AsType[*trigger.Refusal](call())
	if r == nil || r.Status != 503 || !r.Refresh {
		t.Fatalf("without keys: %+v", r)
	}
	net := &web{pages: map[string][]byte{
		issuer + "/.well-known/openid-configuration": []byte(`{"issuer":"` + issuer + `","jwks_uri":"` + issuer + `/keys"}`),
		issuer + "/keys":              k.set,
		"https://api.github.com/meta": []byte(`{"hooks":["192.30.252.0/22","2a0a:a440::/29"]}`),
	}}
	for _, f := range set.Refresh(t.Context(), net, time.Hour) {
		if f.Error != "" {
			t.Errorf("%+v", f)
		}
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	// An outage keeps the last good copy, and so does nonsense.
	for name, pages := range map[string]map[string][]byte{
		"outage":         {},
		"nonsense":       {issuer + "/.well-known/openid-configuration": []byte("<html>"), "https://api.github.com/meta": []byte("{}")},
		"another issuer": {issuer + "/.well-known/openid-configuration": []byte(`{"issuer":"https://evil","jwks_uri":"https://evil/keys"}`), "https://api.github.com/meta": []byte(`{"hooks":["0.0.0.0/0"]}`)},
		"no keys":        {issuer + "/.well-known/openid-configuration": []byte(`{"issuer":"` + issuer + `","jwks_uri":"` + issuer + `/keys"}`), issuer + "/keys": []byte(`{"keys":[]}`)},
		"by http":        {issuer + "/.well-known/openid-configuration": []byte(`{"issuer":"` + issuer + `","jwks_uri":"http://x/keys"}`)},
	} {
		all := set.Refresh(t.Context(), &web{pages: pages}, 0)
		if len(all) != 2 || all[0].Error == "" || all[1].Error == "" {
			t.Errorf("%s: %+v", name, all)
		}
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPITokens(t *testing.T) {
	t.Parallel()
	token, hash := trigger.NewToken()
	old, oldHash := trigger.NewToken()
	stranger, _ := trigger.NewToken()
	set := newSet(t, "[[token]]\nname = \"ci\"\nhash = \""+hash+"\"\napps = [\"web\"]\nactions = [\"deploy\", \"show\"]\n"+
		"[[token]]\nname = \"old\"\nhash = \""+oldHash+"\"\napps = [\"*\"]\nexpires = 2026-11-25T12:00:00Z\n", nil)
	for _, c := range []struct {
		header, app, action string
		want                int
	}{
		{"Bearer " + token, "web", "deploy", 0},
		{"bearer  " + token, "web", "show", 0},
		{"Bearer " + token, "web", "rollback", 403},
		{"Bearer " + token, "blog", "deploy", 403},
		{"Bearer " + token, "", "deploy", 403},
		{"Bearer " + token, "web", "", 403},
		{"Bearer " + old, "web", "deploy", 401},
		{"Bearer " + stranger, "web", "deploy", 401},
		{"Bearer " + hash, "web", "deploy", 401},
		{"Bearer " + token + "x", "web", "deploy", 401},
		{"Bearer " + token[:len(token)-1], "web", "deploy", 401},
		{"Bearer " + strings.ToUpper(token), "web", "deploy", 401},
		{"Bearer", "web", "deploy", 401},
		{"Bearer ", "web", "deploy", 401},
		{"", "web", "deploy", 401},
		{token, "web", "deploy", 401},
		{"Basic " + token, "web", "deploy", 401},
		{"Bearer " + strings.Repeat("x", 1<<20), "web", "deploy", 401},
	} {
		who, err := set.Authorize(trigger.Header("Authorization", c.header), c.app, c.action)
		if got := status(t, err); got != c.want {
			t.Errorf("%.60q on %s %s: %d (%v), want %d", c.header, c.app, c.action, got, err, c.want)
		}
		if err == nil && who.String() != "ci" {
			t.Errorf("it is %s", who)
		}
	}
	if _, err := set.Authorize(trigger.Header("Authorization", "Bearer "+token, "Authorization", "Bearer "+stranger), "web", "deploy"); status(t, err) != 400 {
		t.Errorf("two headers: %v", err)
	}
}

var _ trigger.Fetcher = (*web)(nil)
