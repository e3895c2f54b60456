package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/landfast/landfast"
)

// sops decrypts one value of a file of the release that sops made for an age key
// (getsops.io, "Encryption protocol"): the key of the file is encrypted with age, and
// each value with AES-256-GCM and that key, bound to the keys that lead to it. So a
// value that was changed or moved is refused. The code over the whole file is not
// checked: it would show that other values are missing, and whoever can change the
// file could make a new one for the same public key.
func (g *getter) sops(s landfast.Secret) ([]byte, error) {
	name, key, _ := strings.Cut(s.Location, "#")
	text, err := g.fromRelease(name)
	if err != nil {
		return nil, err
	}
	tree, err := readSOPS(name, text)
	if err != nil {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: name + " is not a file that sops has encrypted", Err: err}
	}
	keys := strings.Split(key, ".")
	if path.Ext(name) == ".env" {
		keys = []string{key}
	}
	var at any = tree.values
	for _, k := range keys {
		table, _ := at.(map[string]any)
		if at = table[k]; at == nil {
			return nil, &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("%s has no value %s", name, key), Hint: "correct the manifest, or the file"}
		}
	}
	sealed, ok := at.(string)
	if !ok || !sopsSealed.MatchString(sealed) {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("the value %s in %s is not encrypted", key, name),
			Hint: "encrypt it with sops; a list or a table has to be named down to one value",
		}
	}
	identities, err := g.identities(s.Identity)
	if err != nil {
		return nil, err
	}
	err = &landfast.Error{Kind: landfast.Invalid, Msg: name + " is not encrypted for an age key", Hint: "sops updatekeys, with an age key of this host among those of .sops.yaml"}
	for _, enc := range tree.age {
		var fileKey []byte
		if fileKey, err = decryptAge([]byte(enc), identities); err == nil {
			return openSOPS(sealed, strings.Join(keys, ":")+":", fileKey)
		}
	}
	return nil, err
}

// sopsTree is a file of sops.
type sopsTree struct {
	values map[string]any
	age    []string // the key of the file, encrypted for one recipient each
}

// sopsMetadata is what sops keeps of itself in a file.
type sopsMetadata struct {
	Age []struct {
		Enc string `yaml:"enc" json:"enc"`
	} `yaml:"age" json:"age"`
	KeyGroups []any `yaml:"key_groups" json:"key_groups"`
}

func readSOPS(name string, text []byte) (sopsTree, error) {
	var t sopsTree
	var about struct {
		SOPS sopsMetadata `yaml:"sops" json:"sops"`
	}
	switch path.Ext(name) {
	case ".env":
		return readSOPSVariables(text)
	case ".json":
		if err := json.Unmarshal(text, &t.values); err != nil {
			return t, errSOPS
		}
		if err := json.Unmarshal(text, &about); err != nil {
			return t, errSOPS
		}
	default:
		if err := yaml.Unmarshal(text, &t.values); err != nil {
			return t, errSOPS
		}
		if err := yaml.Unmarshal(text, &about); err != nil {
			return t, errSOPS
		}
	}
	if len(about.SOPS.KeyGroups) > 0 {
		return t, fmt.Errorf("it needs keys of several groups")
	}
	for _, a := range about.SOPS.Age {
		t.age = append(t.age, a.Enc)
	}
	delete(t.values, "sops")
	return t, nil
}

// errSOPS tells nothing of what stands there: it may be a secret in plain text.
var errSOPS = fmt.Errorf("it cannot be read")

// readSOPSVariables reads a file of variables, in which the lines of sops begin with sops_.
func readSOPSVariables(text []byte) (sopsTree, error) {
	t := sopsTree{values: map[string]any{}}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		switch {
		case !ok:
		case strings.HasPrefix(name, "sops_age__list_") && strings.HasSuffix(name, "__map_enc"):
			t.age = append(t.age, strings.ReplaceAll(value, `\n`, "\n"))
		case strings.HasPrefix(name, "sops_"):
		default:
			t.values[name] = value
		}
	}
	return t, nil
}

var sopsSealed = regexp.MustCompile(`^ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$`)

// openSOPS decrypts one value, which belongs at the place that bound names.
func openSOPS(sealed, bound string, fileKey []byte) ([]byte, error) {
	wrong := &landfast.Error{Kind: landfast.Invalid, Msg: "it cannot be decrypted: it was changed, or moved from another place"}
	m := sopsSealed.FindStringSubmatch(sealed)
	var parts [3][]byte
	for i := range parts {
		var err error
		if parts[i], err = base64.StdEncoding.DecodeString(m[i+1]); err != nil {
			return nil, wrong
		}
	}
	block, err := aes.NewCipher(fileKey)
	if err != nil {
		return nil, wrong
	}
	aead, err := cipher.NewGCMWithNonceSize(block, len(parts[1]))
	if err != nil || len(parts[2]) != aead.Overhead() {
		return nil, wrong
	}
	value, err := aead.Open(nil, parts[1], append(parts[0], parts[2]...), []byte(bound))
	if err != nil {
		return nil, wrong
	}
	if m[4] == "bool" {
		return []byte(strings.ToLower(string(value))), nil
	}
	return value, nil
}
