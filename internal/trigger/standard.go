package trigger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// verifyStandard checks the headers of Standard Webhooks.
func verifyStandard(t *source, r Request) error {
	return verifyStandardWith(t.secrets, r, t.Tolerance.Span, t.set.now())
}

// verifyStandardWith checks webhook-signature, v1 with HMAC-SHA256 over
// id.timestamp.body, and that the time is not off by more than tolerance
// (github.com/standard-webhooks, specification, "Signature scheme"). The signature
// covers the id.
func verifyStandardWith(all []secret, r Request, tolerance time.Duration, now time.Time) error {
	var v [3]string
	for i, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		var err error
		if v[i], err = one(r.Header, name); err != nil {
			return err
		}
		if v[i] == "" {
			return refuse(http.StatusUnauthorized, "the header %s is missing", name)
		}
	}
	id, stamp, signatures := v[0], v[1], v[2]
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	// A dot in the id would let parts move between id, time and body.
	if err != nil || strings.Contains(id, ".") || len(id) > maxName || strconv.FormatInt(seconds, 10) != stamp {
		return refuse(http.StatusBadRequest, "webhook-id or webhook-timestamp is malformed")
	}
	ok, seen := matches(all, signatures, []byte(id+"."+stamp+"."), r.Body)
	switch {
	case seen == 0:
		return refuse(http.StatusBadRequest, "webhook-signature holds no signature of version v1")
	case !ok:
		return refuse(http.StatusForbidden, "the signature is wrong")
	case now.Sub(time.Unix(seconds, 0)).Abs() > tolerance:
		return refuse(http.StatusForbidden, "the message is too old, or a clock is wrong")
	}
	return nil
}

// matches reports whether one of the signatures is that of the parts by one of the
// secrets, and how many there were to look at.
func matches(all []secret, signatures string, parts ...[]byte) (ok bool, seen int) {
	for s := range strings.FieldsSeq(signatures) {
		version, text, _ := strings.Cut(s, ",")
		got, err := base64.StdEncoding.Strict().DecodeString(text)
		if version != "v1" || err != nil || len(got) != sha256.Size {
			continue
		}
		if seen++; seen > 8 {
			break
		}
		for _, one := range all {
			ok = hmac.Equal(sum(sha256.New, one.key, parts...), got) || ok
		}
	}
	return ok, seen
}

// Sign gives the headers of Standard Webhooks for a message of ours. Secret is
// whsec_ and base64.
func Sign(secretText, id string, at time.Time, body []byte) (http.Header, error) {
	s, err := newSecret(secretText, "standard")
	if err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(sum(sha256.New, s.key, []byte(id+"."+stamp+"."), body)))
	return h, nil
}

func readStandard(t *source, r Request) ([]message, any, error) {
	all, reply, err := readGeneric(t, r)
	for i := range all {
		all[i].delivery, all[i].content = r.Header.Get("webhook-id"), ""
	}
	return all, reply, err
}
