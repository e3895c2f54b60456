package trigger

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
)

// verifyGeneric checks the header that the configuration names.
func verifyGeneric(t *source, r Request) error {
	g := t.Generic
	text, err := one(r.Header, g.Header)
	if err != nil {
		return err
	}
	if text == "" {
		return refuse(http.StatusUnauthorized, "the header %s is missing", g.Header)
	}
	h := hashOf(g.Algorithm)
	coded, ok := strings.CutPrefix(text, g.Prefix)
	got, err := decode(g.Encoding, coded)
	if !ok || err != nil || len(got) != h().Size() {
		return refuse(http.StatusBadRequest, "the header %s holds no HMAC with %s in %s", g.Header, g.Algorithm, g.Encoding)
	}
	if !signed(h, t.secrets, got, r.Body) {
		return refuse(http.StatusForbidden, "the signature is wrong")
	}
	return nil
}

// readGeneric reads the places in the body that the configuration names. A place
// that is not there is empty.
func readGeneric(t *source, r Request) ([]message, any, error) {
	g := t.Generic
	d := json.NewDecoder(bytes.NewReader(r.Body))
	d.UseNumber()
	var body any
	if err := d.Decode(&body); err != nil {
		return nil, nil, refuse(http.StatusBadRequest, "the body is not JSON")
	}
	if lookUp(body, "object_kind") == sampleEvent {
		return []message{{action: landfast.ActionDeploy, content: contentOf(r.Body), closed: "an event that is not known here: " + sampleEvent}}, nil, nil
	}
	at := func(place string) string { return lookUp(body, place) }
	m := message{
		action: landfast.ActionDeploy, repository: at(g.Repository), ref: at(g.Ref), commit: at(g.Commit),
		location: at(g.Location), digest: at(g.Digest), actor: at(g.Actor), text: at(g.Message), delivery: at(g.Delivery),
		content: contentOf(r.Body),
	}
	if m.delivery != "" {
		m.content = "" // the signature covers the id
	} else if g.DeliveryHeader != "" {
		m.delivery = r.Header.Get(g.DeliveryHeader)
	}
	if err := m.act(at(g.Action), at(g.Release)); err != nil {
		return nil, nil, err
	}
	if b := at(g.Branch); m.ref == "" && b != "" {
		m.ref = heads + b
	}
	if app := at(g.App); app != "" {
		m.apps = []string{app}
	} else if g.App != "" {
		return nil, nil, refuse(http.StatusBadRequest, "the body names no app")
	}
	if err := m.artifact(); err != nil {
		return nil, nil, err
	}
	return []message{m}, nil, nil
}

// artifact asks for the digest of an artifact: its address does not say what is
// there.
func (m *message) artifact() error {
	if m.location != "" && m.digest == "" {
		return refuse(http.StatusBadRequest, "the artifact has no digest")
	}
	if m.digest != "" && !strings.Contains(m.digest, ":") {
		m.digest = "sha256:" + m.digest
	}
	return nil
}

// lookUp is the text or number at a place such as commits.0.id.
func lookUp(v any, place string) string {
	if place == "" {
		return ""
	}
	for name := range strings.SplitSeq(place, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return ""
			}
			v = at[i]
		default:
			return ""
		}
	}
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// act reads the action that a body names; "": deploy.
func (m *message) act(action, release string) error {
	switch landfast.Action(action) {
	case "", landfast.ActionDeploy:
	case landfast.ActionUpdate:
		m.action = landfast.ActionUpdate
	case landfast.ActionRollback:
		m.action, m.release = landfast.ActionRollback, release
	default:
		return refuse(http.StatusBadRequest, "the action is not known here")
	}
	return nil
}
