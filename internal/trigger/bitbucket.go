package trigger

import (
	"strings"

	"github.com/landfast/landfast"
)

// verifyBitbucket checks X-Hub-Signature, which Bitbucket Cloud and Data Center
// fill with an HMAC-SHA256.
func verifyBitbucket(t *source, r Request) error {
	return verifyHub(t, r, "X-Hub-Signature", "sha256=")
}

// bitbucketBody is what we read of the payloads of Cloud (push) and of Data Center
// (changes).
type bitbucketBody struct {
	Push struct {
		Changes []struct {
			New *struct {
				Type   string `json:"type"`
				Name   string `json:"name"`
				Target struct {
					Hash    string `json:"hash"`
					Message string `json:"message"`
				} `json:"target"`
			} `json:"new"`
			Old *struct {
				Type string `json:"type"`
				Name string `json:"name"`
			} `json:"old"`
		} `json:"changes"`
	} `json:"push"`
	Changes []struct {
		Ref struct {
			ID string `json:"id"`
		} `json:"ref"`
		To   string `json:"toHash"`
		Type string `json:"type"`
	} `json:"changes"`
	Actor struct {
		Nickname string `json:"nickname"`
		Name     string `json:"name"`
	} `json:"actor"`
	Repository struct {
		FullName string `json:"full_name"`
		Slug     string `json:"slug"`
		Project  struct {
			Key string `json:"key"`
		} `json:"project"`
	} `json:"repository"`
}

// maxChanges is how many refs of one push are looked at.
const maxChanges = 100

func readBitbucket(_ *source, r Request) ([]message, any, error) {
	event := r.Header.Get("X-Event-Key")
	if event == "diagnostics:ping" {
		return nil, pong(), nil
	}
	var b bitbucketBody
	if err := unmarshal(r.Body, &b); err != nil {
		return nil, nil, err
	}
	base := message{action: landfast.ActionDeploy, repository: b.Repository.FullName, actor: b.Actor.Nickname, content: contentOf(r.Body)}
	if base.repository == "" && b.Repository.Slug != "" {
		base.repository, base.actor = b.Repository.Project.Key+"/"+b.Repository.Slug, b.Actor.Name
	}
	if base.delivery = r.Header.Get("X-Request-UUID"); base.delivery == "" {
		base.delivery = r.Header.Get("X-Request-Id")
	}
	var all []message
	switch event {
	case "repo:push":
		all = b.cloud(base)
	case "repo:refs_changed":
		all = b.dataCenter(base)
	default:
		base.closed = "an event that is not known here: " + clean(event, 40)
		return []message{base}, nil, nil
	}
	if len(all) == 0 {
		base.closed = "the push changes no ref"
		all = []message{base}
	}
	return all[:min(len(all), maxChanges)], nil, nil
}

func (b *bitbucketBody) cloud(base message) []message {
	var all []message
	for _, c := range b.Push.Changes {
		m := base
		m.event = "push"
		kind, name := "", ""
		switch {
		case c.New != nil:
			kind, name = c.New.Type, c.New.Name
			m.commit, m.text = c.New.Target.Hash, c.New.Target.Message
		case c.Old != nil:
			kind, name = c.Old.Type, c.Old.Name
			m.closed = "the branch or tag was deleted"
		default:
			continue
		}
		m.ref = heads + name
		if kind == "tag" || kind == "annotated_tag" {
			m.ref = tags + name
		}
		all = append(all, m)
	}
	return all
}

func (b *bitbucketBody) dataCenter(base message) []message {
	var all []message
	for _, c := range b.Changes {
		m := base
		m.event, m.ref, m.commit = "push", c.Ref.ID, c.To
		if strings.EqualFold(c.Type, "DELETE") || zero(c.To) {
			m.commit, m.closed = "", "the branch or tag was deleted"
		}
		all = append(all, m)
	}
	return all
}
