package trigger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
)

// sampleEvent is an event that no trigger is for, so that it is recorded as closed.
const sampleEvent = "landfast_test"

// Sample is a message to t as its sender would sign it, which is taken and deploys
// nothing: of an event that no trigger is for, or for a branch that none can be for.
// Text is the trigger's secret. Nobody but SNS can sign as SNS: kind Invalid.
func Sample(t *hostconf.Trigger, text []byte, now time.Time) (http.Header, []byte, error) {
	if t.Provider == hostconf.SNS {
		return nil, nil, &landfast.Error{Kind: landfast.Invalid, Msg: "only SNS can sign a message of SNS", Hint: "publish `deploy APP` to the topic"}
	}
	secrets, err := parseSecrets(text, t.Provider)
	if err != nil {
		return nil, nil, &landfast.Error{Kind: landfast.Invalid, Msg: t.String(), Err: err}
	}
	id := "test-" + rand.Text()[:16]
	body, err := json.Marshal(map[string]any{"object_kind": sampleEvent, "test": id, "time": now.UTC()})
	if err != nil {
		return nil, nil, err
	}
	first := secrets[0]
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	digits := hex.EncodeToString(sum(sha256.New, first.text, body))
	switch t.Provider {
	case hostconf.GitHub:
		h.Set("X-Github-Event", sampleEvent)
		h.Set("X-Github-Delivery", id)
		h.Set("X-Hub-Signature-256", "sha256="+digits)
	case hostconf.Gitea, hostconf.Forgejo:
		h.Set("X-Gitea-Event", sampleEvent)
		h.Set("X-Gitea-Delivery", id)
		h.Set("X-Gitea-Signature", digits)
	case hostconf.Bitbucket:
		h.Set("X-Event-Key", sampleEvent)
		h.Set("X-Request-Uuid", id)
		h.Set("X-Hub-Signature", "sha256="+digits)
	case hostconf.GitLab:
		h.Set("Idempotency-Key", id)
		if first.key == nil {
			h.Set("X-Gitlab-Token", string(first.text))
			break
		}
		fallthrough
	case hostconf.Standard:
		signed, err := Sign(string(first.text), id, now, body)
		if err != nil {
			return nil, nil, err
		}
		for name, v := range signed {
			h[name] = v
		}
	default:
		mac := sum(hashOf(t.Generic.Algorithm), first.text, body)
		coded := hex.EncodeToString(mac)
		if t.Generic.Encoding == "base64" {
			coded = base64.StdEncoding.EncodeToString(mac)
		}
		h.Set(t.Generic.Header, t.Generic.Prefix+coded)
	}
	return h, body, nil
}
