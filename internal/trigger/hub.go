package trigger

import (
	"crypto/sha256"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// one is the value of a header that must not be there twice.
func one(h http.Header, name string) (string, error) {
	all := h.Values(name)
	if len(all) > 1 {
		return "", refuse(http.StatusBadRequest, "the header %s is there more than once", name)
	}
	return strings.Join(all, ""), nil
}

// verifyHub checks a signature over the raw body that stands in header, in hex,
// behind prefix.
func verifyHub(t *source, r Request, header, prefix string) error {
	text, err := one(r.Header, header)
	if err != nil {
		return err
	}
	if text == "" {
		return refuse(http.StatusUnauthorized, "the header %s is missing", header)
	}
	digits, ok := strings.CutPrefix(text, prefix)
	got, err := decode("hex", digits)
	if !ok || err != nil || len(got) != sha256.Size {
		return refuse(http.StatusBadRequest, "the header %s holds no HMAC-SHA256", header)
	}
	if !signed(sha256.New, t.secrets, got, r.Body) {
		return refuse(http.StatusForbidden, "the signature is wrong")
	}
	return nil
}

// payload is the JSON of a body, which some senders wrap in a form.
func payload(r Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return r.Body, nil
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil || len(form["payload"]) != 1 {
		return nil, refuse(http.StatusBadRequest, "the form has no payload")
	}
	return []byte(form.Get("payload")), nil
}

// unmarshal reads the JSON of a verified body.
func unmarshal(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return refuse(http.StatusBadRequest, "the body is not the JSON that this trigger expects")
	}
	return nil
}

// pong answers a ping.
func pong() any { return map[string]string{"reply": "pong"} }

// change is what forges tell of a commit.
type change struct {
	ID       string   `json:"id"`
	Message  string   `json:"message"`
	Added    []string `json:"added"`
	Removed  []string `json:"removed"`
	Modified []string `json:"modified"`
}

// pathsOf are the files that commits changed.
func pathsOf(all []change) []string {
	var paths []string
	for _, c := range all {
		paths = append(append(append(paths, c.Added...), c.Removed...), c.Modified...)
	}
	return paths
}

// zero reports whether a commit id stands for none: a ref that is new or gone.
func zero(id string) bool { return id == "" || strings.Trim(id, "0") == "" }
