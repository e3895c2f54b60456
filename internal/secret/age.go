package secret

import (
	"bytes"
	"errors"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/landfast/landfast"
)

// age decrypts a file of the release with a key of the host (age-encryption.org/v1).
func (g *getter) age(s landfast.Secret) ([]byte, error) {
	sealed, err := g.fromRelease(s.Location)
	if err != nil {
		return nil, err
	}
	identities, err := g.identities(s.Identity)
	if err != nil {
		return nil, err
	}
	value, err := decryptAge(sealed, identities)
	if err != nil {
		return nil, err
	}
	return WithoutLineEnd(value), nil
}

// identities reads the private keys in a file of age-keygen(1).
func (g *getter) identities(name string) ([]age.Identity, error) {
	text, err := g.private(name)
	if err != nil {
		return nil, err
	}
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		// What the parser says may quote the key.
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: name + " holds no age key", Hint: "make one with `age-keygen -o " + name + "`"}
	}
	return identities, nil
}

func decryptAge(sealed []byte, identities []age.Identity) ([]byte, error) {
	var from io.Reader = bytes.NewReader(sealed)
	if bytes.HasPrefix(bytes.TrimSpace(sealed), []byte(armor.Header)) {
		from = armor.NewReader(from)
	}
	r, err := age.Decrypt(from, identities...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: "it is not encrypted for a key of this host",
			Hint: "encrypt it for the public key of the host as well: `age -r PUBLIC-KEY`",
		}
	}
	if err != nil {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "it cannot be decrypted", Err: err}
	}
	value, err := atMost(r)
	if landfast.KindOf(err) == landfast.Internal && err != nil {
		err = &landfast.Error{Kind: landfast.Invalid, Msg: "it cannot be decrypted", Err: err}
	}
	return value, err
}
