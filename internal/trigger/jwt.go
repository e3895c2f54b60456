package trigger

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

// identityToken is a JWT in compact form (RFC 7519, RFC 7515) before it is
// believed.
type identityToken struct {
	alg, kid  string
	claims    claims
	signed    []byte
	signature []byte
}

// parseToken reads a token. The algorithm is one of two that use a public key; what
// the header says of keys but kid is not looked at.
func parseToken(text string) (*identityToken, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) > maxIdentityToken {
		return nil, errors.New("not a token")
	}
	var raw [3][]byte
	for i, p := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil || strings.ContainsAny(p, "\r\n") {
			return nil, errors.New("not base64url")
		}
		raw[i] = b
	}
	var header struct {
		Algorithm string          `json:"alg"`
		Key       string          `json:"kid"`
		Critical  json.RawMessage `json:"crit"`
	}
	if err := json.Unmarshal(raw[0], &header); err != nil {
		return nil, err
	}
	if header.Critical != nil || header.Key == "" || header.Algorithm != "RS256" && header.Algorithm != "ES256" {
		return nil, errors.New("not an algorithm that we take")
	}
	t := &identityToken{alg: header.Algorithm, kid: header.Key, signature: raw[2]}
	t.signed = []byte(parts[0] + "." + parts[1])
	return t, json.Unmarshal(raw[1], &t.claims)
}

// publicKey is a key of an issuer. Which algorithm it is for follows from its type,
// never from the token.
type publicKey struct {
	kid string
	rsa *rsa.PublicKey
	ec  *ecdsa.PublicKey
}

// verify checks the signature with the key that the token names.
func (t *identityToken) verify(keys []publicKey) error {
	sum := sha256.Sum256(t.signed)
	for _, k := range keys {
		if k.kid != t.kid {
			continue
		}
		switch {
		case t.alg == "RS256" && k.rsa != nil:
			return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, sum[:], t.signature)
		case t.alg == "ES256" && k.ec != nil && len(t.signature) == 64:
			r, s := new(big.Int).SetBytes(t.signature[:32]), new(big.Int).SetBytes(t.signature[32:])
			if ecdsa.Verify(k.ec, sum[:], r, s) {
				return nil
			}
		}
		return errors.New("the signature is wrong")
	}
	return errNoKey
}

// maxKeys is how many keys of an issuer are looked at.
const maxKeys = 64

// parseKeys reads a JWK set (RFC 7517) and leaves out what we cannot use. None left
// is an error.
func parseKeys(text []byte) ([]publicKey, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	var keys []publicKey
	for _, k := range set.Keys[:min(len(set.Keys), maxKeys)] {
		if key, ok := k.public(); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key that we can use")
	}
	return keys, nil
}

type jwk struct {
	Type  string `json:"kty"`
	ID    string `json:"kid"`
	Use   string `json:"use"`
	Alg   string `json:"alg"`
	N     string `json:"n"`
	E     string `json:"e"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

func (k *jwk) public() (publicKey, bool) {
	if k.ID == "" || k.Use != "" && k.Use != "sig" {
		return publicKey{}, false
	}
	switch k.Type {
	case "RSA":
		key, ok := k.rsa()
		return publicKey{kid: k.ID, rsa: key}, ok && (k.Alg == "" || k.Alg == "RS256")
	case "EC":
		key, ok := k.ec()
		return publicKey{kid: k.ID, ec: key}, ok && (k.Alg == "" || k.Alg == "ES256")
	}
	return publicKey{}, false
}

func (k *jwk) rsa() (*rsa.PublicKey, bool) {
	n, ok := unsigned(k.N, 1024)
	e, ok2 := unsigned(k.E, 4)
	if !ok || !ok2 {
		return nil, false
	}
	key := &rsa.PublicKey{N: n, E: int(e.Int64())}
	return key, n.BitLen() >= 2048 && n.BitLen() <= 8192 && key.E >= 3 && key.E < 1<<31 && key.E%2 == 1
}

func (k *jwk) ec() (*ecdsa.PublicKey, bool) {
	x, err := base64.RawURLEncoding.DecodeString(k.X)
	y, err2 := base64.RawURLEncoding.DecodeString(k.Y)
	if err != nil || err2 != nil || k.Curve != "P-256" || len(x) != 32 || len(y) != 32 {
		return nil, false
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	return key, err == nil
}

// unsigned reads a whole number of at most n bytes.
func unsigned(text string, n int) (*big.Int, bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) == 0 || len(b) > n {
		return nil, false
	}
	return new(big.Int).SetBytes(b), true
}
